"""How far a training run is: its finished epochs, and the checkpoints that go with them."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import keras
import numpy as np
from pydantic import BaseModel

from fer_models.statistics.metrics import Scores

#: Of a monitored value: a point of UAR or accuracy, or 0.01 nats.
_NOTABLE_RISE = 0.01
#: Epochs whose monitored values are averaged where the choice is a smoothed one.
_SMOOTHED = 3


class Epoch(BaseModel):
    """One finished epoch. `monitored` is the monitored value with its sign turned so that larger is better.

    `train_loss` is what was minimised, penalties included; `val_loss` is plain cross entropy whatever the treatment.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_uar: float
    monitored: float
    seconds: float


class Progress(BaseModel):
    """How far a run is; whoever reads it finds the checkpoints that it names.

    Args:
        history: of the epochs that were validated.
        best_epoch: the chosen one.
        finished: there will be no further such epoch.
        num_refitted, refit_seconds: epochs of the training on all that was seen, which may follow, and their time.
    """

    history: list[Epoch]
    last_checkpoint: str
    best_checkpoint: str
    best_epoch: int
    finished: bool = False
    num_refitted: int = 0
    refit_seconds: float = 0.0


def chosen_epoch(history: Sequence[Epoch], choose: str) -> int:
    """Number of the epoch that becomes the model; `choose` as in the settings of a training.

    Each epoch is judged by what was known at its end, so that a later one never brings back another than the one chosen
    so far.
    """
    values = [epoch.monitored for epoch in history]
    if choose == "last" or (choose == "smoothed" and len(values) < _SMOOTHED):
        return len(values)
    if choose == "best":
        return 1 + int(np.argmax(values))
    means = np.convolve(values, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="valid")
    return _SMOOTHED + int(np.argmax(means))


def still_climbs(history: Sequence[Epoch]) -> bool:
    """Whether validation still rose when the budget ended, so that a larger one might have given a better model.

    Judged by the last third of the epochs, four or more: the straight line through their monitored values rises by
    more than `_NOTABLE_RISE` over it, and its slope is more than twice its standard error.
    """
    last = np.array([epoch.monitored for epoch in history[-max(4, len(history) // 3) :]])
    if len(last) < 4:
        return False
    epochs = np.arange(len(last)) - (len(last) - 1) / 2
    slope = (epochs * last).sum() / (epochs**2).sum()
    residuals = last - last.mean() - slope * epochs
    error = np.sqrt((residuals**2).sum() / (len(last) - 2) / (epochs**2).sum())
    return bool(slope * (len(last) - 1) > _NOTABLE_RISE and slope > 2 * error)


class Checkpoints(Protocol):
    """Where a run keeps how far it is. What was committed is there after a kill at any moment."""

    def progress(self) -> Progress | None:
        """How far the run is; None when it begins, or when what its progress names is not there."""

    def commit(self, model: keras.Model, progress: Progress) -> None:
        """Keep the model under the name of the last checkpoint, then the progress; drop what it no longer names."""

    def load_last(self, progress: Progress) -> keras.Model:
        """The model as it was committed last, with its optimizer."""

    def load_best(self, progress: Progress) -> keras.Model | None:
        """The model of the chosen epoch; None when the run is done and has left its model."""

    def keep_validation(self, names: np.ndarray, probabilities: np.ndarray) -> None:
        """Keep what a model that was not trained on them says of the validation segments: (n,) and (n, classes)."""

    def finish(self, model: keras.Model, progress: Progress) -> None:
        """Leave the model as the run's result, and drop the checkpoints."""


def take_one_epoch(
    make: Callable[[], tuple[keras.Model, Epoch]], checkpoints: Checkpoints, on_epoch: Callable[[Epoch], None]
) -> Progress:
    """Leave the model of a training that takes one go in `checkpoints`, unless it is there.

    Args:
        make: the model, and the epoch that tells of it, whose `seconds` are measured here.
    """
    progress = checkpoints.progress()
    if not progress:
        start = time.monotonic()
        model, epoch = make()
        epoch = epoch.model_copy(update={"seconds": round(time.monotonic() - start, 3)})
        name = "epoch-0001.keras"
        progress = Progress(history=[epoch], last_checkpoint=name, best_checkpoint=name, best_epoch=1, finished=True)
        checkpoints.commit(model, progress)
    on_epoch(progress.history[0])
    if best := checkpoints.load_best(progress):
        checkpoints.finish(best, progress)
    return progress


def only_epoch(train: Scores, validation: Scores, monitor: str) -> Epoch:
    """The epoch that tells of a training that takes one go, for `take_one_epoch`.

    Args:
        train, validation: scores of the rows that were learnt from, and of the validation rows.
        monitor: as in the settings of a training.
    """
    return Epoch(
        epoch=1,
        learning_rate=0.0,
        train_loss=train.loss,
        train_accuracy=train.accuracy,
        val_loss=validation.loss,
        val_accuracy=validation.accuracy,
        val_uar=validation.uar,
        monitored=monitored_value(validation, monitor),
        seconds=0.0,
    )


def monitored_value(scores: Scores, monitor: str) -> float:
    """The monitored value of validation scores, larger when better."""
    return {"val_loss": -scores.loss, "val_accuracy": scores.accuracy, "val_uar": scores.uar}[monitor]
