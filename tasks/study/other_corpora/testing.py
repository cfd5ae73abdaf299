"""Tests a trained run on another corpus, in the same way as on the study's own test people.

Its people are other people, so all its usable videos of the shared classes are tested, but for those of whom the model
has seen a file. The probabilities of classes that the corpus lacks are left out, the others made to add up to 1, and
the largest of them wins: a model cannot be wrong by naming what nobody there shows.

Leaves, in a folder below the run's that is named after what is tested: `videos.parquet`, a row a video, and
`evaluation.json`.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from fer_models.models.building import model_lineage, model_network
from fer_models.models.lineage import video_marks
from fer_models.statistics.metrics import SMALLEST, score
from fer_models.training.engine import predict
from fer_models.windows import Windows
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.index import index_digest, load_arrays, read_seen, segments_of
from tasks.dataset.other_corpora.opening import OpenedCorpus
from tasks.dataset.other_corpora.people import seen_people
from tasks.preparation.ledger import find_previous
from tasks.storage.expected import Expected
from tasks.storage.files import atomic_write, find_frame, find_json, only_reading, write_json
from tasks.storage.local_copies import synced_folder
from tasks.study.checkpoints import load_trained
from tasks.study.runs import Run
from tasks.study.scoring import labels_of, predicted_segments, predicted_videos, probabilities_of

#: Raised when the same model and corpus give another result than before.
CODE_VERSION = 1
RESULT_FILE = "evaluation.json"
VIDEOS_FILE = "videos.parquet"
#: What begins the names of the folders.
PREFIX = "on-"
#: Segments in memory at once, and the rest of the last video.
_MOST_SEGMENTS = 4096


class OtherEvaluation(BaseModel):
    """What a run reached on another corpus.

    Args:
        classes: that were tested, in the order of the model's outputs.
        num_videos, num_covered: that were tested, and of these those with a usable face.
        left_out: videos of people of whom the model has seen a file, and how many these people are.
        to_others: mean probability that the model gave to classes which this corpus lacks.
        scores: of the covered videos over the shared classes, named as in `tasks.study.scoring`; empty without any.
    """

    corpus: str
    classes: tuple[str, ...]
    num_videos: int
    num_covered: int
    left_out: tuple[int, int]
    to_others: float
    scores: dict[str, float]


def evaluate_on(settings: StudySettings, run: Run, other: OpenedCorpus) -> tuple[Path, OtherEvaluation]:
    """Test a trained run on another corpus, once for the same videos; returns the folder and the result."""
    folder = evaluation_folder(settings, run, other)
    done = find_json(folder / RESULT_FILE, OtherEvaluation)
    if done and find_videos(folder, done.classes) is not None:
        return folder, done
    with synced_folder(run.folder, last=(RESULT_FILE,)) as working:
        result = _test(settings, run, other, working.path / folder.name)
    return folder, result


def evaluation_folder(settings: StudySettings, run: Run, other: OpenedCorpus) -> Path:
    """Where the test of a run on another corpus lies, or will; its name changes when what is tested does."""
    segments = _segments(settings, other)
    named = ",".join(other.videos["video_id"])
    parts = {"classes": other.classes, "content": other.corpus, "code": CODE_VERSION}
    return run.folder / f"{PREFIX}{digest(index_digest(segments), named, parts)}"


def find_videos(folder: Path, classes: Sequence[str]) -> pd.DataFrame | None:
    """The tested videos of a run, sorted by their ids, with `p_<class>` of the shared classes; None without any."""
    texts = [(name, pa.string()) for name in ("video_id", "sha256", "subject", "emotion", "predicted")]
    shares = [(f"p_{name}", pa.float64()) for name in classes]
    schema = pa.schema([*texts, ("num_segments", pa.int64()), *shares])
    words = {"emotion": classes, "predicted": (*classes, "")}
    return find_frame(folder / VIDEOS_FILE, Expected(schema, words=words, may_be_empty=True))


def _segments(settings: StudySettings, other: OpenedCorpus) -> pd.DataFrame:
    """The segments of the videos that are tested, with the models' words for emotions."""
    ledger = other.prepared / "ledger.parquet"
    rows = _all_segments(ledger, ledger.stat().st_mtime_ns, settings.prepare.windows)
    emotions = other.videos.set_index("video_id")["emotion"]
    rows = rows[rows["video_id"].isin(emotions.index)].reset_index(drop=True)
    return rows.assign(emotion=rows["video_id"].map(emotions))


@functools.lru_cache(maxsize=4)
def _all_segments(ledger: Path, modified_ns: int, windows: Windows) -> pd.DataFrame:
    """Those of all videos of a ledger that was written at this time; thousands of shards tell of them, to every run."""
    with only_reading():
        videos = find_previous(ledger)
        assert videos is not None, "it was opened before"
        return segments_of(videos, ledger.parent, windows)


def _test(settings: StudySettings, run: Run, other: OpenedCorpus, folder: Path) -> OtherEvaluation:
    emotions = settings.corpus.emotions
    model = load_trained(run.folder, run.name)
    seen = seen_people(other, _seen_marks(settings, run, model))
    videos = other.videos
    is_seen = videos["subject"].isin(seen)
    kept = videos[~is_seen]
    segments = _segments(settings, other)
    segments = segments[segments["video_id"].isin(kept["video_id"])].reset_index(drop=True)
    if segments.empty:
        table = _without_predictions(kept, emotions)
    else:
        predicted = predicted_segments(segments, _predict(model, segments, other.prepared, emotions), emotions)
        table = predicted_videos(predicted, kept, 1.0, emotions, model_network(model).pooling)
    shared = restrict(table, emotions, other.classes)
    covered = shared[shared["num_segments"] > 0]
    result = OtherEvaluation(
        corpus=other.corpus,
        classes=other.classes,
        num_videos=len(shared),
        num_covered=len(covered),
        left_out=(int(is_seen.sum()), int(videos.loc[is_seen, "subject"].nunique())),
        to_others=float(covered["to_others"].mean()) if len(covered) else 0.0,
        scores=_scores(covered, other.classes),
    )
    with atomic_write(folder / VIDEOS_FILE) as temporary:
        shared.to_parquet(temporary, index=False)
    write_json(folder / RESULT_FILE, result)
    keras.backend.clear_session()
    return result


def _seen_marks(settings: StudySettings, run: Run, model: keras.Model) -> tuple[str, ...]:
    """Marks of the videos that a model has seen; of one that does not say so those of its training."""
    lineage = model_lineage(model)
    if lineage and lineage.videos:
        return lineage.videos
    seen = read_seen(Layout.of(settings).index, run.split_fold, settings.corpus.emotions)
    return video_marks(seen["sha256"])


def _predict(model: keras.Model, segments: pd.DataFrame, prepared: Path, emotions: tuple[str, ...]) -> np.ndarray:
    """Probabilities of segments, float32 (n, classes), in their order, a few videos after the others."""
    parts = []
    with only_reading():
        for some in _few(segments):
            parts.append(predict(model, load_arrays(some, prepared, emotions)))
    return np.concatenate(parts)


def _few(segments: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Segments, sorted by their videos, in parts of whole videos."""
    counts = segments.groupby("video_id", sort=False).size()
    part_of = pd.Series((counts.cumsum() - 1).to_numpy() // _MOST_SEGMENTS, index=counts.index)
    for _, some in segments.groupby(segments["video_id"].map(part_of).to_numpy()):
        yield some


def _without_predictions(videos: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    columns = {f"p_{emotion}": np.nan for emotion in emotions}
    return videos[["video_id", "sha256", "subject", "emotion"]].assign(num_segments=0, predicted="", **columns)


def restrict(videos: pd.DataFrame, emotions: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Predictions of videos as if there were only some of the classes; videos of others are not in it.

    Args:
        videos: with `p_<emotion>`, see `tasks.study.scoring.predicted_videos`.
        classes: some of the emotions.

    Returns:
        video_id, sha256, subject, emotion, num_segments, `predicted`, `p_<class>` of these classes, which add up to 1,
        and `to_others`, the probability that the others had.
    """
    rows = videos[videos["emotion"].isin(list(classes))].sort_values("video_id", ignore_index=True)
    chosen = probabilities_of(rows, classes)
    total = chosen.sum(axis=1, keepdims=True)
    # of a model that is so sure of another class that nothing is left, nothing is known of these
    shares = np.where(total == 0, 1 / len(classes), chosen / np.maximum(total, SMALLEST))
    is_covered = (rows["num_segments"] > 0).to_numpy()
    names = np.array(list(classes))[np.nan_to_num(shares).argmax(axis=1)]
    return rows[["video_id", "sha256", "subject", "emotion", "num_segments"]].assign(
        predicted=np.where(is_covered, names, ""),
        **{f"p_{name}": shares[:, number] for number, name in enumerate(classes)},
        to_others=np.clip(1 - chosen.sum(axis=1), 0, 1),
    )


def _scores(covered: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    if covered.empty:
        return {}
    return score(labels_of(covered, classes), probabilities_of(covered, classes), classes).flat("video")
