"""How far a training run is: its finished epochs, and the checkpoints that go with them."""

from typing import Protocol

import keras
from pydantic import BaseModel


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
    """How far a run is; whoever reads it finds the checkpoints that it names."""

    history: list[Epoch]
    last_checkpoint: str
    best_checkpoint: str
    best_epoch: int
    finished: bool = False


class Checkpoints(Protocol):
    """Where a run keeps how far it is. What was committed is there after a kill at any moment."""

    def progress(self) -> Progress | None:
        """How far the run is; None when it begins, or when what its progress names is not there."""

    def commit(self, model: keras.Model, progress: Progress) -> None:
        """Keep the model under the name of the last checkpoint, then the progress; drop what it no longer names."""

    def load_last(self, progress: Progress) -> keras.Model:
        """The model as it was committed last, with its optimizer."""

    def load_best(self, progress: Progress) -> keras.Model | None:
        """The model of the best epoch; None when the run is done and has left its model."""

    def finish(self, model: keras.Model, progress: Progress) -> None:
        """Leave the model as the run's result, and drop the checkpoints."""
