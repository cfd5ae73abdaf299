"""Evaluates a trained run on the test side: the only step that opens it.

Leaves, in a folder below the run's that is named after the test data: `predictions.parquet` (a row a segment),
`videos.parquet` (a row a video), `evaluation.json` and the run's figures.
"""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from pydantic import BaseModel

from fer_models.building import load_model
from fer_models.errors import UseError
from fer_models.metrics import count_confusions, mean_by_video, score
from fer_models.segments import SegmentArrays
from fer_models.training import MODEL_FILE, predict, read_progress
from tasks.explanations import explain_run
from tasks.files import whole_file, write_json
from tasks.index import index_digest, load_arrays
from tasks.layout import Layout
from tasks.plots import save_figure
from tasks.plots.confusion import plot_confusion
from tasks.plots.learning_curves import plot_learning_curves
from tasks.runs import Run
from tasks.settings import StudySettings, digest
from tasks.splits import TEST

#: Raised when the same model and test data give another evaluation than before.
CODE_VERSION = 2
RESULT_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.parquet"
VIDEOS_FILE = "videos.parquet"


class Evaluation(BaseModel):
    """What a run reached on the test side.

    `scores` has flat names: `video_accuracy`, `video_uar`, `video_macro_f1`, the same with `segment_`, per-class
    precision and recall, and `video_accuracy_all`, in which videos without a usable face count as errors.
    """

    arm: str
    seed: int
    num_parameters: int
    best_epoch: int
    num_epochs: int
    num_test_videos: int
    num_covered_videos: int
    num_test_segments: int
    training_seconds: float
    scores: dict[str, float]
    segment_confusion: list[list[int]]
    video_confusion: list[list[int]]

    @property
    def coverage(self) -> float:
        """Share of the test videos with a usable face."""
        return self.num_covered_videos / self.num_test_videos


def read_evaluation(run: Run, index: pd.DataFrame, split: pd.DataFrame) -> tuple[Path, Evaluation]:
    """The folder and the result of a run's evaluation on this test side; raises `UseError` when there is none."""
    folder = _evaluation_folder(run, index, split)
    if not (folder / RESULT_FILE).is_file():
        raise UseError(f"{run.name} is not evaluated on the present test side; run `fer evaluate` first.")
    return folder, Evaluation.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))


def _evaluation_folder(run: Run, index: pd.DataFrame, split: pd.DataFrame) -> Path:
    videos = ",".join(sorted(split.loc[split["side"] == TEST, "video_id"]))
    test = index[index["side"] == TEST]
    return run.folder / f"test-{digest(index_digest(test), videos, {'code': CODE_VERSION})}"


def evaluate_run(
    settings: StudySettings, run: Run, index: pd.DataFrame, split: pd.DataFrame
) -> tuple[Path, Evaluation]:
    """Evaluate a trained run, once for the same test side, and return the folder and the result."""
    folder = _evaluation_folder(run, index, split)
    if (folder / RESULT_FILE).is_file():
        return read_evaluation(run, index, split)
    test = index[index["side"] == TEST].reset_index(drop=True)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = load_arrays(test, Layout.of(settings).prepared, settings.corpus.emotions)
    model = load_model(run.folder / MODEL_FILE)
    probabilities = predict(model, arrays)
    evaluation = _score(settings, run, model, arrays, probabilities, split)
    _write_predictions(folder, test, arrays, probabilities, settings.corpus.emotions)
    _plot(folder, settings, run, evaluation)
    explain_run(folder, settings, run, model, test, arrays, probabilities)
    write_json(folder / RESULT_FILE, evaluation)
    keras.backend.clear_session()
    return folder, evaluation


def _score(
    settings: StudySettings,
    run: Run,
    model: keras.Model,
    arrays: SegmentArrays,
    probabilities: np.ndarray,
    split: pd.DataFrame,
) -> Evaluation:
    emotions = settings.corpus.emotions
    _, labels, by_video = mean_by_video(arrays.videos, arrays.labels, probabilities)
    segments, videos = score(arrays.labels, probabilities, emotions), score(labels, by_video, emotions)
    num_videos = int((split["side"] == TEST).sum())
    scores = videos.flat("video") | segments.flat("segment")
    scores["video_accuracy_all"] = videos.accuracy * videos.num_items / num_videos
    scores["coverage"] = videos.num_items / num_videos
    training = read_progress(run.folder)
    assert training
    num_classes = len(emotions)
    return Evaluation(
        arm=run.arm.name,
        seed=run.seed,
        num_parameters=model.count_params(),
        best_epoch=training.best_epoch,
        num_epochs=len(training.history),
        num_test_videos=num_videos,
        num_covered_videos=videos.num_items,
        num_test_segments=segments.num_items,
        training_seconds=round(sum(epoch.seconds for epoch in training.history), 1),
        scores=scores,
        segment_confusion=count_confusions(arrays.labels, probabilities.argmax(1), num_classes).tolist(),
        video_confusion=count_confusions(labels, by_video.argmax(1), num_classes).tolist(),
    )


def _write_predictions(
    folder: Path, test: pd.DataFrame, arrays: SegmentArrays, probabilities: np.ndarray, emotions: tuple[str, ...]
) -> None:
    columns = {f"p_{emotion}": probabilities[:, i] for i, emotion in enumerate(emotions)}
    predicted = np.array(emotions)[probabilities.argmax(axis=1)]
    segments = test.drop(columns=["side", "shard", "row", "box"]).assign(predicted=predicted, **columns)
    names, _, by_video = mean_by_video(arrays.videos, arrays.labels, probabilities)
    facts = test.drop_duplicates("video_id").set_index("video_id").loc[names, ["subject", "emotion"]].reset_index()
    videos = facts.assign(
        predicted=np.array(emotions)[by_video.argmax(axis=1)],
        **{f"p_{emotion}": by_video[:, i] for i, emotion in enumerate(emotions)},
    )
    for name, table in ((PREDICTIONS_FILE, segments), (VIDEOS_FILE, videos)):
        with whole_file(folder / name) as temporary:
            table.to_parquet(temporary, index=False)


def _plot(folder: Path, settings: StudySettings, run: Run, evaluation: Evaluation) -> None:
    emotions = settings.corpus.emotions
    training = read_progress(run.folder)
    assert training
    save_figure(
        plot_learning_curves(training.history, training.best_epoch, run.arm.title), folder / "learning_curves.png"
    )
    for level in ("video", "segment"):
        counts = np.array(getattr(evaluation, f"{level}_confusion"))
        save_figure(plot_confusion(counts, emotions, f"{run.arm.title}, {level}s"), folder / f"confusion_{level}s.png")
