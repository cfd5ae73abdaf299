"""The engine of training: takes the steps of an epoch with a Keras model, and predicts. Which epochs, and what becomes
of the model, is for `fer_models.training.fitting`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from fer_models.errors import TrainingDiverged
from fer_models.models.building import model_network
from fer_models.models.network import layer_output, model_inputs
from fer_models.segments import SegmentInputs, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.training.progress import Epoch
from fer_models.training.sampling import epoch_batches
from fer_models.training.schedules import learning_rate
from fer_models.treatments import TREATMENTS

#: Rows predicted at once; one size only, so that a compiled step is compiled once.
_PREDICT_BATCH = 256


@dataclass(frozen=True)
class Steps:
    """What the steps of an epoch gave: loss and accuracy, and the learning rate and the segments of the last one."""

    loss: float
    accuracy: float
    learning_rate: float
    last_names: np.ndarray


class Engine:
    """Takes the training steps of one model.

    The trainer is the model without its softmax, as the losses want logits. Layers and optimizer are the model's own,
    so that a checkpoint of the model holds all that changes.

    Args:
        model: with fresh weights, or as an earlier attempt left it, with its optimizer.
        labels: int (n,), of the training segments.
    """

    def __init__(self, model: keras.Model, labels: np.ndarray, settings: TrainingSettings) -> None:
        self.model = model
        self._treatment = TREATMENTS[settings.treatment]
        self._settings = settings
        if not model.compiled:
            optimizer = keras.optimizers.RMSprop(settings.learning_rate, rho=settings.rho)
            model.compile(optimizer, jit_compile=_uses_xla())
        self._trainer = keras.Model(model.inputs, layer_output(model, model_network(model).logits))
        self._trainer.compile(
            model.optimizer,
            loss=self._treatment.loss(labels, self.num_classes),
            weighted_metrics=["accuracy"],
            jit_compile=_uses_xla(),
        )
        self._make_variables(labels[:1])

    def _make_variables(self, labels: np.ndarray) -> None:
        """Make those of optimizer, loss and metrics; made in the first step, they have TensorFlow trace it twice."""
        self.model.optimizer.build(self._trainer.trainable_variables)
        logits, weights = np.zeros((len(labels), self.num_classes), np.float32), np.ones(len(labels), np.float32)
        for make in (self._trainer.compute_loss, self._trainer.compute_metrics):
            make(None, labels, logits, weights)
        self._trainer.reset_metrics()

    @property
    def num_classes(self) -> int:
        """Of the model's output."""
        return int(self.model.output_shape[-1])

    def train_epoch(self, train: SegmentSource, seed: int, history: Sequence[Epoch]) -> Steps:
        """Take the steps of the epoch that follows `history`.

        Raises:
            TrainingDiverged: the loss is not finite any more.
        """
        settings, number = self._settings, len(history)
        drawn = self._treatment.rows(train.labels, seed, number)
        batches = [drawn[batch] for batch in epoch_batches(len(drawn), settings.batch_size, seed, number)]
        weights = self._treatment.weights(train.labels, self.num_classes)
        _seed_draws(self.model, number)
        steps = []
        rate = settings.learning_rate
        for step, rows in enumerate(batches):
            rate = learning_rate(settings.schedule, settings.learning_rate, number + step / len(batches), history)
            self._trainer.optimizer.learning_rate = rate
            sample_weights = weights[train.labels[rows]].astype(np.float32)
            logs = self._trainer.train_on_batch(
                model_inputs(self.model, train.batch(rows)),
                train.labels[rows],
                sample_weight=sample_weights,
                return_dict=True,
            )
            steps.append((float(logs["loss"]), float(logs["accuracy"]), float(sample_weights.sum())))
            if not math.isfinite(float(logs["loss"])):
                raise TrainingDiverged(
                    f"The loss became {float(logs['loss'])} in epoch {number + 1}, step {step + 1} of "
                    f"{len(batches)}, at learning rate {rate:g}; the batch held {listed(train.names[rows])}. "
                    "Lower training.learning_rate, or look at those segments."
                )
        losses, accuracies, masses = np.array(steps).T  # Keras forgets the batches before the one at hand
        accuracy = float(np.average(accuracies, weights=masses))
        return Steps(float(losses.mean()), accuracy, rate, train.names[batches[-1]])

    def weights_are_finite(self) -> bool:
        """Whether no weight of the model is NaN or infinite."""
        return all(bool(np.isfinite(weight).all()) for weight in self.model.get_weights())


def predict(model: keras.Model, segments: SegmentInputs) -> np.ndarray:
    """Probabilities float32 (n, classes) of segments, in their order."""
    parts = []
    for start in range(0, len(segments), _PREDICT_BATCH):
        rows = np.arange(start, start + _PREDICT_BATCH) % len(segments)  # the last batch is filled up
        batch = model.predict_on_batch(model_inputs(model, segments.batch(rows)))
        parts.append(np.asarray(batch, np.float32))
    return np.concatenate(parts)[: len(segments)]


def listed(names: np.ndarray, most: int = 8) -> str:
    """The first of some names, and how many more there are."""
    first = ", ".join(map(str, names[:most]))
    return first if len(names) <= most else f"{first} and {len(names) - most} more"


def _uses_xla() -> bool:
    """XLA is what makes JAX fast; on TensorFlow's CPU it costs more than it gives."""
    return bool(keras.backend.backend() == "jax")


def _seed_draws(model: keras.Model, epoch: int) -> None:
    """Set the model's random generators to where they stand at the start of an epoch; Keras does not save them."""
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            first = int(np.asarray(keras.ops.convert_to_numpy(variable))[0])
            variable.assign(np.array([first, epoch << 20], np.uint32))
