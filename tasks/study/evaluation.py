"""Evaluates a trained run on the test set that it is given; no step before it opens one.

Leaves, in a folder below the run's that is named after the test data: `predictions.parquet` (a row a segment),
`videos.parquet` (a row a video, those without a usable face included), `evaluation.json`, what `explain_run` leaves,
and what the caller draws.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel

from fer_models.errors import UserError
from fer_models.models.arms import Arm, present_name
from fer_models.models.building import model_network
from fer_models.segments import SegmentSource
from fer_models.training.engine import predict
from fer_models.training.progress import Progress, still_climbs
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import VALIDATION
from tasks.dataset.index import read_subset
from tasks.storage.files import atomic_write, broken_files, find_json, set_aside, write_json
from tasks.storage.local_copies import synced_folder
from tasks.study.checkpoints import epoch_weights, load_trained, read_validation
from tasks.study.explanations import EXPLANATION_FILE, RunExplanation, explain_run
from tasks.study.initial_weights import count_taken
from tasks.study.runs import Run, run_arrays, training_progress
from tasks.study.scoring import (
    fit_video_temperature,
    predicted_segments,
    predicted_videos,
    score_tables,
    video_uar,
)
from tasks.study.test_set import TestSet
from tasks.study.tiles import TILES_FILE

#: Raised when the same model and test data give another evaluation than before.
CODE_VERSION = 4
RESULT_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.parquet"
VIDEOS_FILE = "videos.parquet"
#: What others read of an evaluation; who reads it may set it aside.
_FILES = (PREDICTIONS_FILE, VIDEOS_FILE, EXPLANATION_FILE, TILES_FILE)


class Evaluation(BaseModel):
    """What a run reached on the test subset of its fold; `scores` as in `tasks.study.scoring`.

    Args:
        temperature: what calibrates the probabilities of videos, fitted on the validation subset.
        still_climbed: whether validation still rose when the training ended.
        optimism_gap: how much higher the UAR of videos had been, had the test subset chosen the epoch, as the published
            study let it; for the report's methods section only. None when the epochs were not kept.
        weights_taken: how many of the model's weights were those of `training.initial_weights`, and how many it has;
            None where it began with others.
    """

    arm: Annotated[str, AfterValidator(present_name)]
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
    still_climbed: bool = False
    optimism_gap: float | None
    weights_taken: tuple[int, int] | None = None
    scores: dict[str, float]

    @property
    def split_fold(self) -> int:
        """The number of its fold in the split."""
        return self.fold or 0

    @property
    def coverage(self) -> float:
        """Share of the test videos with a usable face."""
        return self.num_covered_videos / self.num_test_videos


@dataclass(frozen=True)
class EvaluatedRun:
    """An evaluation with all that can be drawn of it; `segments` and `videos` as in their files."""

    arm: Arm
    emotions: tuple[str, ...]
    training: Progress
    segments: pd.DataFrame
    videos: pd.DataFrame
    explanation: RunExplanation


#: Draws an evaluated run into a folder.
Draw = Callable[[Path, EvaluatedRun], None]


def read_evaluation(run: Run, test: TestSet) -> tuple[Path, Evaluation]:
    """The folder and the result of a run's evaluation on a test set; raises `UserError` when there is none."""
    folder = _evaluation_folder(run, test)
    evaluation = find_json(folder / RESULT_FILE, Evaluation)
    if evaluation is None:
        raise UserError(f"{run.name} is not evaluated on the present test subset; run `fer evaluate` first.")
    return folder, evaluation


def _evaluation_folder(run: Run, test: TestSet) -> Path:
    return run.folder / f"test-{test.digest(CODE_VERSION)}"


def evaluate_run(settings: StudySettings, run: Run, test: TestSet, draw: Draw) -> tuple[Path, Evaluation]:
    """Evaluate a trained run, once for the same test set, have it drawn, and return the folder and the result.

    What has lost its content in that folder, or was set aside before, is made again with the rest.
    """
    folder = _evaluation_folder(run, test)
    broken = broken_files(folder)
    for path in broken:
        set_aside(path)
    done = find_json(folder / RESULT_FILE, Evaluation)
    if done and not broken and all((folder / name).is_file() for name in _FILES):
        return folder, done
    training = training_progress(run)
    with synced_folder(run.folder, last=(RESULT_FILE,)) as working:
        here = replace(run, folder=working.path)
        evaluation = _evaluate(settings, here, training, test, working.path / folder.name, draw)
    return folder, evaluation


def _evaluate(
    settings: StudySettings, run: Run, training: Progress, test: TestSet, folder: Path, draw: Draw
) -> Evaluation:
    emotions = settings.corpus.emotions
    arrays = test.load()
    model = load_trained(run.folder, run.name)
    how = model_network(model).pooling
    probabilities = predict(model, arrays)
    segments = predicted_segments(test.rows, probabilities, emotions)
    validation_rows = read_subset(Layout.of(settings).index, run.split_fold, VALIDATION, emotions)
    validation = predicted_segments(validation_rows, _validation_probabilities(settings, run, model), emotions)
    temperature = fit_video_temperature(validation, emotions, how)
    videos = predicted_videos(segments, test.videos, temperature, emotions, how)
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
        training_seconds=round(sum(epoch.seconds for epoch in training.history) + training.refit_seconds, 1),
        temperature=temperature,
        validation_uar=training.history[training.best_epoch - 1].val_uar,
        still_climbed=still_climbs(training.history),
        optimism_gap=_optimism_gap(run, training, model, arrays, test.rows, emotions),
        weights_taken=count_taken(run.folder),
        scores=score_tables(videos, segments, emotions),
    )
    for name, table in ((PREDICTIONS_FILE, segments), (VIDEOS_FILE, videos)):
        with atomic_write(folder / name) as temporary:
            table.to_parquet(temporary, index=False)
    explanation = explain_run(folder, emotions, run, model, test, arrays, probabilities)
    draw(folder, EvaluatedRun(run.arm, emotions, training, segments, videos, explanation))
    write_json(folder / RESULT_FILE, evaluation)
    keras.backend.clear_session()
    return evaluation


def _validation_probabilities(settings: StudySettings, run: Run, model: keras.Model) -> np.ndarray:
    """Probabilities of the validation segments, float32 (n, classes), by a model that was not trained on them."""
    arrays = run_arrays(settings, run, VALIDATION)
    if settings.training.refit == "none":
        return predict(model, arrays)
    return read_validation(run.folder, arrays.names)


def _optimism_gap(
    run: Run,
    training: Progress,
    model: keras.Model,
    arrays: SegmentSource,
    rows: pd.DataFrame,
    emotions: tuple[str, ...],
) -> float | None:
    """UAR of videos at the epoch that is best on the test subset, minus that at the epoch chosen on the other one."""
    paths = epoch_weights(run.folder)
    if len(paths) != len(training.history) or len(paths) < 2:
        return None  # not kept, or nothing was chosen
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
        segments = predicted_segments(rows, predict(model, arrays), emotions)
        uars.append(video_uar(segments, emotions, model_network(model).pooling))
    model.set_weights(kept)
    return max(uars) - uars[training.best_epoch - 1]
