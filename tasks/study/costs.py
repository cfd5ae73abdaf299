"""What the training of a study's arms takes, said before any of it begins, so that none dies of it in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from fer_models.errors import UserError
from fer_models.models.arms import Arm
from fer_models.models.sizes import ModelSize, size_of
from fer_models.training.compiled import device_bytes
from fer_models.training.memory import Memory, TrainingData, training_memory
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.index import count_frames, read_subset
from tasks.memory import free_bytes
from tasks.progress import echo
from tasks.study.needs import shape_of
from tasks.study.runs import Run, training_of

#: Before anything is prepared nobody knows how much there will be.
_NO_DATA = TrainingData(0, 0, 0)


@dataclass(frozen=True)
class ArmCost:
    """What the training of an arm takes."""

    arm: Arm
    size: ModelSize
    memory: Memory


def say_costs(settings: StudySettings, runs: Sequence[Run], here: bool) -> None:
    """Say what the training of these runs takes: a line an arm, for the fold with the most data.

    Args:
        here: they are trained on this machine, so that it must have the memory.

    Raises:
        UserError: it has not; unless `execution.exceed_memory`.
    """
    arms = {run.arm.name: run.arm for run in runs if not run.members}
    if not arms:
        return
    folds = {run.split_fold for run in runs}
    data = max((data_of(settings, fold) for fold in folds), key=lambda one: one.num_bytes)
    costs = [_cost(settings, arm, data) for arm in arms.values()]
    width = max(map(len, arms))
    echo("Training takes, by estimate" + (f", of {_in_gb(free)} of free memory:" if (free := free_bytes()) else ":"))
    for cost in costs:
        number, memory = f"{cost.size.trained:,}", _in_gb(cost.memory.total)
        echo(f"  {cost.arm.name:<{width}} {number:>12} parameters, {memory:>8}")
    if here:
        _check(settings, costs)


def check_memory(settings: StudySettings) -> None:
    """Raise `UserError` when an arm of a study takes more memory than there is, however little data it will have."""
    _check(settings, [_cost(settings, arm, _NO_DATA) for arm in settings.all_arms() if not arm.num_members])


def memory_of(settings: StudySettings, arm: Arm, data: TrainingData) -> int:
    """Bytes that the training of an arm takes at its peak, beside what the process takes anyway."""
    return _cost(settings, arm, data).memory.total


def _cost(settings: StudySettings, arm: Arm, data: TrainingData) -> ArmCost:
    training = training_of(settings, arm)
    size = size_of(arm, settings.model, len(settings.corpus.emotions), shape_of(settings), training)
    return ArmCost(arm, size, training_memory(size, settings.model, training, data, arm.is_solved, device_bytes()))


def data_of(settings: StudySettings, fold: int) -> TrainingData:
    """What a run on a fold has in memory."""
    train, validation = (
        read_subset(Layout.of(settings).index, fold, subset, settings.corpus.emotions) for subset in (TRAIN, VALIDATION)
    )
    num_frames = count_frames(train) + count_frames(validation)
    return TrainingData(num_frames * shape_of(settings).frame_bytes, len(train), train["video_id"].nunique())


def _check(settings: StudySettings, costs: Sequence[ArmCost]) -> None:
    free, device = free_bytes(), device_bytes()
    on_device = _computes_on_a_device()
    for cost in sorted(costs, key=lambda one: one.memory.total, reverse=True):
        memory = cost.memory
        of_machine = memory.data if on_device else memory.total
        if free is not None and of_machine > free:
            _complain(settings, cost, of_machine, f"{_in_gb(free)} are free")
        elif device is not None and memory.total > device:
            _complain(settings, cost, memory.total, f"the device has {_in_gb(device)}")


def _complain(settings: StudySettings, cost: ArmCost, taken: int, there_is: str) -> None:
    """Raise `UserError`, or say so where it is to be tried all the same."""
    memory = cost.memory
    parts = f"data {_in_gb(memory.data)}, weights {_in_gb(memory.model)}, computation {_in_gb(memory.step)}"
    sentence = f"The training of {cost.arm.name} takes about {_in_gb(taken)} of memory ({parts}), and {there_is}"
    if settings.execution.exceed_memory:
        echo(f"{sentence}; it is tried all the same.")
        return
    width = "model.backbone_width" if cost.arm.family in ("backbone", "zhang2019") else "model.width"
    lower = ["training.batch_size", width, *(["prepare.frames_per_segment"] if cost.size.takes_frames else [])]
    raise UserError(
        f"{sentence}. Lower {', '.join(lower[:-1])} or {lower[-1]}, leave it out of the arms, or have it tried all the "
        "same with execution.exceed_memory=true, for this is an estimate."
    )


def _in_gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"


def _computes_on_a_device() -> bool:
    return any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices())
