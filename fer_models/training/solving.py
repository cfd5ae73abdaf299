"""Solves for the last, linear layer of a model instead of training it: a support vector machine over its input.

In and out as of `fer_models.training.fitting.fit`, with one epoch.
"""

from collections.abc import Callable

import keras
import numpy as np

from fer_models.segments import JoinedSegments, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training.engine import predict
from fer_models.training.machines import choose_machine, fit_again, learning_rows
from fer_models.training.progress import Checkpoints, Epoch, Progress, only_epoch, take_one_epoch


def solve(
    build: Callable[[], keras.Model],
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refit: Callable[[int], None] = lambda epochs: None,
) -> Progress:
    """Find the weights of the layer of the logits, and leave the model in `checkpoints`.

    The machine learns from segments, or from videos where the model classifies those. Of a treatment of rare classes
    the rows and the weights are used, not the loss nor the second stage. With `refit` the machine of the chosen C and
    temperature is found again from the rows of both subsets.
    """

    def make() -> tuple[keras.Model, Epoch]:
        model = build()
        epoch, probabilities = _solve(model, train, validation, settings)
        if settings.refit != "none":
            checkpoints.keep_validation(validation.names, probabilities)
        return model, epoch

    return take_one_epoch(make, checkpoints, on_epoch)


def _solve(
    model: keras.Model, train: SegmentSource, validation: SegmentSource, settings: TrainingSettings
) -> tuple[Epoch, np.ndarray]:
    """Set the layer; returns how that went, and what a model that was not shown them says of the validation rows."""
    classes = [str(number) for number in range(model.output_shape[-1])]
    rows = learning_rows(model, train, settings)
    machine = choose_machine(model, rows, validation, settings)
    probabilities = predict(model, validation)
    scores = score(validation.labels, probabilities, classes)
    fitted = score(rows.labels, machine.probabilities(rows.features), classes)
    if settings.refit != "none":
        fit_again(model, machine, JoinedSegments(train, validation), settings)
    return only_epoch(fitted, scores, settings.monitor), probabilities
