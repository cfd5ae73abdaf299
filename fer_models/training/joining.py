"""Makes the ensemble of trained models, where others are trained: nothing is learnt, and its scores are measured.

In and out as of `fer_models.training.fitting.fit`, with one epoch, whose `train_loss` is plain cross entropy.
"""

from collections.abc import Callable

import keras
import numpy as np

from fer_models.segments import SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training.engine import predict
from fer_models.training.progress import Checkpoints, Epoch, Progress, only_epoch, take_one_epoch


def join(
    build: Callable[[], keras.Model],
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    members_kept: Callable[[np.ndarray], np.ndarray],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Progress:
    """Leave the model that `build` puts together in `checkpoints`.

    Args:
        members_kept: with `refit`, what the members kept of the validation segments of these names, (n,): the mean of
            their probabilities before they were trained on those, float32 (n, classes). It is kept of the ensemble too.
    """

    def make() -> tuple[keras.Model, Epoch]:
        model = build()
        if settings.refit == "none":
            probabilities = predict(model, validation)
        else:
            probabilities = members_kept(validation.names)
            checkpoints.keep_validation(validation.names, probabilities)
        classes = [str(number) for number in range(model.output_shape[-1])]
        seen = score(validation.labels, probabilities, classes)
        learnt = score(train.labels, predict(model, train), classes)
        return model, only_epoch(learnt, seen, settings.monitor)

    return take_one_epoch(make, checkpoints, on_epoch)
