"""Evaluates a trained run on the test side: the only step that opens it.

Leaves, in a folder below the run's that is named after the test data: `predictions.parquet` (a row a segment),
`videos.parquet` (a row a video, those without a usable face included), `evaluation.json` and the run's figures.
"""

from dataclasses import replace
from pathlib import Path

import keras
import pandas as pd
from pydantic import BaseModel

from fer_models.building import load_model
from fer_models.errors import UseError
from fer_models.segments import SegmentArrays
from fer_models.training import MODEL_FILE, Progress, epoch_weights, predict
from tasks.explanations import EXPLANATION_FILE, explain_run
from tasks.files import broken_files, find_json, set_aside, whole_file, write_json
from tasks.folds import TEST, VALIDATION
from tasks.index import index_digest, read_side
from tasks.layout import Layout
from tasks.ledger import read_ledger
from tasks.plots import save_figure
from tasks.plots.confusion import plot_confusion
from tasks.plots.learning_curves import plot_learning_curves
from tasks.runs import Run, run_arrays, training_progress
from tasks.scoring import (
    confusions,
    fit_video_temperature,
    predicted_segments,
    predicted_videos,
    score_tables,
    video_uar,
)
from tasks.settings import StudySettings, digest
from tasks.splits import KEY, read_split, split_of_study
from tasks.tiles import TILES_FILE
from tasks.working_folders import working_folder

#: Raised when the same model and test data give another evaluation than before.
CODE_VERSION = 3
RESULT_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.parquet"
VIDEOS_FILE = "videos.parquet"
#: What others read of an evaluation; who reads it may set it aside.
_FILES = (PREDICTIONS_FILE, VIDEOS_FILE, EXPLANATION_FILE, TILES_FILE)


class Evaluation(BaseModel):
    """What a run reached on the test side of its fold; `scores` as in `tasks.scoring`.

    Args:
        temperature: what calibrates the probabilities of videos, fitted on the validation side.
        optimism_gap: how much higher the UAR of videos had been, had the test side chosen the epoch, as the published
            study let it; for the report's methods section only. None when the epochs were not kept.
    """

    arm: str
    seed: int
    fold: int | None
    num_parameters: int
    best_epoch: int
    num_epochs: int
    num_test_videos: int
    num_covered_videos: int
    num_test_segments: int
    training_seconds: float
    temperature: float
    validation_uar: float
    optimism_gap: float | None
    scores: dict[str, float]

    @property
    def coverage(self) -> float:
        """Share of the test videos with a usable face."""
        return self.num_covered_videos / self.num_test_videos


def read_evaluation(settings: StudySettings, run: Run) -> tuple[Path, Evaluation]:
    """The folder and the result of a run's evaluation on this test side; raises `UseError` when there is none."""
    folder = _evaluation_folder(settings, run)
    evaluation = find_json(folder / RESULT_FILE, Evaluation)
    if evaluation is None:
        raise UseError(f"{run.name} is not evaluated on the present test side; run `fer evaluate` first.")
    return folder, evaluation


def _evaluation_folder(settings: StudySettings, run: Run) -> Path:
    test, videos = _test_side(settings, run)
    named = ",".join(sorted(videos["video_id"]))
    return run.folder / f"test-{digest(index_digest(test), named, {'code': CODE_VERSION})}"


def _test_side(settings: StudySettings, run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test side of a run's fold: its segments, and all of its videos with their labels."""
    layout = Layout.of(settings)
    test = read_side(layout.index, run.fold or 0, TEST, settings.corpus.emotions)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    split = split_of_study(read_split(layout.split), ledger, settings.corpus.emotions)
    members = split[(split["fold"] == (run.fold or 0)) & (split["side"] == TEST)]
    videos = members[KEY].merge(ledger[[*KEY, "subject", "emotion"]], on=KEY)
    return test, videos.sort_values("video_id", ignore_index=True)


def evaluate_run(settings: StudySettings, run: Run) -> tuple[Path, Evaluation]:
    """Evaluate a trained run, once for the same test side, and return the folder and the result.

    What has lost its content in that folder, or was set aside before, is made again with the rest.
    """
    folder = _evaluation_folder(settings, run)
    broken = broken_files(folder)
    for path in broken:
        set_aside(path)
    done = find_json(folder / RESULT_FILE, Evaluation)
    if done and not broken and all((folder / name).is_file() for name in _FILES):
        return folder, done
    training = training_progress(run)
    with working_folder(run.folder, last=(RESULT_FILE,)) as working:
        evaluation = _evaluate(settings, replace(run, folder=working.path), working.path / folder.name, training)
    return folder, evaluation


def _evaluate(settings: StudySettings, run: Run, folder: Path, training: Progress) -> Evaluation:
    emotions = settings.corpus.emotions
    test, test_videos = _test_side(settings, run)
    arrays = run_arrays(settings, run, TEST)
    model = _load(run)
    probabilities = predict(model, arrays)
    segments = predicted_segments(test, probabilities, emotions)
    validation_rows = read_side(Layout.of(settings).index, run.fold or 0, VALIDATION, emotions)
    validation = predicted_segments(validation_rows, predict(model, run_arrays(settings, run, VALIDATION)), emotions)
    temperature = fit_video_temperature(validation, emotions)
    videos = predicted_videos(segments, test_videos, temperature, emotions)
    evaluation = Evaluation(
        arm=run.arm.name,
        seed=run.seed,
        fold=run.fold,
        num_parameters=model.count_params(),
        best_epoch=training.best_epoch,
        num_epochs=len(training.history),
        num_test_videos=len(videos),
        num_covered_videos=int((videos["num_segments"] > 0).sum()),
        num_test_segments=len(segments),
        training_seconds=round(sum(epoch.seconds for epoch in training.history), 1),
        temperature=temperature,
        validation_uar=training.history[training.best_epoch - 1].val_uar,
        optimism_gap=_optimism_gap(run, training, model, arrays, test, emotions),
        scores=score_tables(videos, segments, emotions),
    )
    for name, table in ((PREDICTIONS_FILE, segments), (VIDEOS_FILE, videos)):
        with whole_file(folder / name) as temporary:
            table.to_parquet(temporary, index=False)
    _plot(folder, run, training, videos, segments, emotions)
    explain_run(folder, settings, run, model, test, arrays, probabilities)
    write_json(folder / RESULT_FILE, evaluation)
    keras.backend.clear_session()
    return evaluation


def _load(run: Run) -> keras.Model:
    path = run.folder / MODEL_FILE
    try:
        return load_model(path)
    except UseError as error:
        if getattr(error.__cause__, "errno", None) is not None or isinstance(error.__cause__, MemoryError):
            raise  # a fault of the disk or of the machine, not of the content
        set_aside(path)
        raise UseError(f"{error} Run `fer train` again, which trains {run.name} anew.") from error


def _optimism_gap(
    run: Run,
    training: Progress,
    model: keras.Model,
    arrays: SegmentArrays,
    test: pd.DataFrame,
    emotions: tuple[str, ...],
) -> float | None:
    """UAR of videos at the epoch that is best on the test side, minus that at the epoch chosen on the other one."""
    paths = epoch_weights(run.folder)
    if len(paths) != len(training.history):
        return None
    kept = model.get_weights()
    uars = []
    for path in paths:
        try:
            model.load_weights(path)
        except OSError as error:
            if error.errno is not None:
                raise  # of the disk
            set_aside(path)  # of HDF5: it has lost its content
            model.set_weights(kept)
            return None
        uars.append(video_uar(predicted_segments(test, predict(model, arrays), emotions), emotions))
    model.set_weights(kept)
    return max(uars) - uars[training.best_epoch - 1]


def _plot(
    folder: Path,
    run: Run,
    training: Progress,
    videos: pd.DataFrame,
    segments: pd.DataFrame,
    emotions: tuple[str, ...],
) -> None:
    figure = plot_learning_curves(training.history, training.best_epoch, run.arm.title)
    save_figure(figure, folder / "learning_curves.png")
    for level, table in (("videos", videos), ("segments", segments)):
        counts = confusions(table, emotions)
        save_figure(plot_confusion(counts, emotions, f"{run.arm.title}, {level}"), folder / f"confusion_{level}.png")
