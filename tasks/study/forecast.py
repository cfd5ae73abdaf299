"""What a study will take of time, disk and memory, from what the like took on this machine before.

The time of a preparation grows with the pixels that are looked at, that of a training with the rows that its steps see.
"""

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fer_models.models.arms import Arm
from fer_models.training.memory import TrainingData
from fer_models.training.progress import Progress
from tasks.config.digests import digest, model_part
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.foresight import Foreseen
from tasks.outcomes import Outcome
from tasks.preparation.measuring import foresee_preparation, rows_of_a_video
from tasks.storage.locations import as_remote
from tasks.storage.measured import Measured, recall, remember
from tasks.study.costs import data_of, memory_of
from tasks.study.needs import shape_of
from tasks.study.runs import Run, num_epochs, own_training, plan_runs

#: Where MLflow keeps copies of models and figures, unless a server does.
_ARTIFACTS = "mlartifacts"


@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Args:
        seconds: by step of the study.
        disk_bytes: what it will leave below the data root.
        memory_bytes: of the process at its peak.
        unknown: what cannot be told, because nothing like it was measured here yet.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    disk_bytes: float = 0.0
    memory_bytes: float | None = None
    unknown: tuple[str, ...] = ()

    @property
    def total_s(self) -> float | None:
        """All of the time; None where a part of it is not known."""
        return None if self.unknown else sum(self.seconds.values())


@dataclass(frozen=True)
class Material:
    """What a study has to do.

    Args:
        due: videos to prepare.
        num_videos: all that can be used.
        train_share, validation_share: of the people, in the first fold.
        arms: of the runs that are to be trained, one a run.
        num_runs: all, those that are trained too.
        num_evaluations: runs to be evaluated.
    """

    due: Sequence[Path]
    num_videos: int
    train_share: float
    validation_share: float
    arms: Sequence[Arm]
    num_runs: int
    num_evaluations: int


def material_of(settings: StudySettings, foreseen: Foreseen, due: Sequence[Path]) -> Material:
    """What a study has to do of what was foreseen of its corpus, with these videos to prepare."""
    if Layout.of(settings).index.is_dir():
        runs = [run for run in plan_runs(settings) if not run.members]
        waiting = [run.arm for run in runs if not run.trained]
        done = [run for run in runs if not as_remote(run.folder) and any(run.folder.glob("test-*"))]
        num_runs, num_evaluations = len(runs), len(runs) - len(done)
    else:
        arms = [arm for arm in settings.all_arms() if not arm.num_members]
        waiting = arms * len(settings.seeds) * len(foreseen.folds)
        num_runs = num_evaluations = len(waiting)
    people = foreseen.folds[0] if foreseen.folds else {}
    share = {subset: people.get(subset, 0) / max(1, sum(people.values())) for subset in (TRAIN, VALIDATION)}
    return Material(
        due=due,
        num_videos=foreseen.outcomes.get(Outcome.OK, 0),
        train_share=share[TRAIN],
        validation_share=share[VALIDATION],
        arms=waiting,
        num_runs=num_runs,
        num_evaluations=num_evaluations,
    )


def forecast(settings: StudySettings, material: Material) -> Forecast:
    """What all of it will take."""
    seconds: dict[str, float] = {}
    unknown: list[str] = []
    disk = 0.0
    if start := recall("start", "flow"):
        seconds["starting"] = start.start_s / start.times
    rows = rows_of_a_video(settings)
    if material.due:
        if taken := foresee_preparation(settings, material.due):
            seconds["preparing"] = taken.seconds
            rows = rows or taken.rows / len(material.due)
            disk += taken.num_bytes + taken.rows * shape_of(settings).frame_bytes  # of the arrays beside the shards
        else:
            unknown.append("preparing videos")
    data = _data(settings, material, rows)
    for arm in material.arms:
        known, work = recall("train", arm.name, _cost_key(settings, arm)), _planned_rows(settings, arm, data)
        if known and (work or not known.work):
            seconds["training"] = seconds.get("training", 0.0) + known.seconds_for(work)
            disk += known.num_bytes / known.times
        elif arm.name not in unknown:
            unknown.append(arm.name)
    if material.num_evaluations:
        if (known := recall("evaluate", "run")) and known.work:
            seconds["evaluating"] = known.seconds_for(material.num_evaluations)
            disk += known.num_bytes * material.num_evaluations / known.work
        else:
            unknown.append("evaluating")
    beside = recall("memory", "train")
    arms = list({arm.name: arm for arm in material.arms}.values())
    memory = (
        beside.num_bytes / beside.times + max(memory_of(settings, arm, data) for arm in arms)
        if beside and arms
        else None
    )
    return Forecast(seconds, disk, memory, tuple(unknown))


def _data(settings: StudySettings, material: Material, rows: float) -> TrainingData:
    """What a training has, about: so many rows a video."""
    videos = material.num_videos * material.train_share
    both = material.num_videos * (material.train_share + material.validation_share)
    return TrainingData(round(both * rows * shape_of(settings).frame_bytes), round(videos * rows), round(videos))


def _cost_key(settings: StudySettings, arm: Arm) -> str:
    training = own_training(settings, arm)
    how = {
        "batch": training.batch_size,
        "precision": training.precision,
        "engine": training.engine,
        "refit": training.refit,
    }
    return digest(model_part(settings.model), how, {"shape": str(shape_of(settings))})


def _planned_rows(settings: StudySettings, arm: Arm, data: TrainingData) -> float:
    """Rows that the steps of a training see, if it does not end early."""
    training = own_training(settings, arm)
    if arm.is_solved or not training.steps:
        return float(num_epochs(settings, arm) * data.num_segments)
    return float(training.steps * training.batch_size)


def remember_training(settings: StudySettings, run: Run, progress: Progress, seconds: float) -> None:
    """Take note of what the training of a run took, all in all."""
    took = [epoch.seconds for epoch in progress.history]
    first = max(0.0, took[0] - median(took[1:])) if len(took) > 1 else 0.0  # in which it is compiled
    steps_s = sum(took) + progress.refit_seconds - first
    new = Measured(
        work=_planned_rows(settings, run.arm, data_of(settings, run.split_fold)),
        seconds=steps_s,
        start_s=max(0.0, seconds - steps_s),
        num_bytes=_bytes_below(run.folder),
    )
    remember("train", run.arm.name, _cost_key(settings, run.arm), new)


def remember_memory(settings: StudySettings, runs: Sequence[Run]) -> None:
    """Take note of what this process took at its peak beside what is computed of the training of these runs."""
    computed = [memory_of(settings, run.arm, data_of(settings, run.split_fold)) for run in runs if not run.members]
    if computed:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        remember("memory", "train", "", Measured(num_bytes=max(0.0, peak - max(computed))))


@contextmanager
def remembered_evaluation(settings: StudySettings, runs: Sequence[Run]) -> Iterator[None]:
    """Take note of what the block takes, which evaluates these runs and writes the report, if none was evaluated."""
    layout = Layout.of(settings)
    is_new = not as_remote(layout.root) and not any(True for run in runs for _ in run.folder.glob("test-*"))
    places = (layout.study, layout.root / _ARTIFACTS) if is_new else ()
    before, begun = sum(map(_bytes_below, places)), time.monotonic()
    yield
    if is_new:
        left = max(0.0, sum(map(_bytes_below, places)) - before)
        remember("evaluate", "run", "", Measured(len(runs), time.monotonic() - begun, num_bytes=left))


def _bytes_below(folder: Path) -> float:
    return (
        float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
        if not as_remote(folder)
        else 0.0
    )
