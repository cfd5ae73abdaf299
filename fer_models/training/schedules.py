"""Learning rates as pure functions of what has happened so far, so that a resumed run needs no hidden state."""

import math
from collections.abc import Sequence
from typing import Protocol

from fer_models.settings import CosineSchedule, PlateauSchedule, Schedule, Triangular2Schedule


class EpochRecord(Protocol):
    """What a schedule may look at."""

    train_accuracy: float
    val_accuracy: float
    monitored: float


def learning_rate(
    schedule: Schedule, base: float, epoch_position: float, num_epochs: int, history: Sequence[EpochRecord]
) -> float:
    """The learning rate at a moment of training.

    Args:
        base: the learning rate that training starts with; of `cosine` the highest.
        epoch_position: epochs trained so far, with a fraction inside an epoch.
        num_epochs: epochs of the whole budget.
        history: the finished epochs; `monitored` is larger when better.
    """
    if isinstance(schedule, PlateauSchedule):
        return _plateau(schedule, base, history)
    if isinstance(schedule, Triangular2Schedule):
        return _triangular2(schedule, base, epoch_position - _last_restart(schedule, history))
    if isinstance(schedule, CosineSchedule):
        return _cosine(schedule, base, epoch_position / num_epochs)
    return base


def _plateau(schedule: PlateauSchedule, base: float, history: Sequence[EpochRecord]) -> float:
    """ReduceLROnPlateau."""
    best, wait, rate = float("-inf"), 0, base
    for epoch in history:
        if epoch.monitored > best:
            best, wait = epoch.monitored, 0
        else:
            wait += 1
        if wait >= schedule.patience:
            rate, wait = min(rate, max(rate * schedule.factor, schedule.minimum)), 0
    return rate


def _triangular2(schedule: Triangular2Schedule, base: float, position: float) -> float:
    """Smith 2017, eq. in section 3.2: a triangle between base and peak whose height halves every cycle."""
    cycle = int(position // (2 * schedule.half_cycle_epochs))
    distance = abs(position / schedule.half_cycle_epochs - 2 * cycle - 1)
    return base + base * (schedule.peak_factor - 1) * max(0.0, 1.0 - distance) / 2.0**cycle


def _cosine(schedule: CosineSchedule, base: float, share: float) -> float:
    """At a share of the budget, 0..1: of the rise, or of the half cosine that follows."""
    if share < schedule.warmup:
        return base * share / schedule.warmup
    return base * (1 + math.cos(math.pi * min(1.0, (share - schedule.warmup) / (1 - schedule.warmup)))) / 2


def _last_restart(schedule: Triangular2Schedule, history: Sequence[EpochRecord]) -> int:
    """The epoch at which the cycles last began: both accuracies had stalled for `restart_patience` epochs."""
    if schedule.restart_patience is None:
        return 0
    restart, wait = 0, 0
    best_train = best_val = float("-inf")
    for number, epoch in enumerate(history, start=1):
        better = epoch.train_accuracy > best_train or epoch.val_accuracy > best_val
        best_train, best_val = max(best_train, epoch.train_accuracy), max(best_val, epoch.val_accuracy)
        wait = 0 if better else wait + 1
        if wait >= schedule.restart_patience:
            restart, wait = number, 0
    return restart
