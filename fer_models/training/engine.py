"""The engine of training: takes the steps of an epoch with a Keras model, and predicts. Which epochs, and what becomes
of the model, is for `fer_models.training.fitting`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from fer_models.errors import TrainingDiverged
from fer_models.models.building import freeze_layers, model_network
from fer_models.models.network import layer_output, model_inputs
from fer_models.segments import Batch, SegmentInputs, SegmentSource
from fer_models.settings import TrainingSettings, Views
from fer_models.training.blocks import Blocks, Step
from fer_models.training.compiled import device_bytes, find_put, is_known, load_program, spread_devices
from fer_models.training.losses import SoftTargetLoss, soft_targets
from fer_models.training.mixing import draw_mixing, with_mixing
from fer_models.training.optimizers import AveragedWeights, Pace, make_optimizer
from fer_models.training.progress import Epoch
from fer_models.training.sampling import batches_of_steps, steps_of_pass
from fer_models.training.schedules import learning_rate
from fer_models.training.views import views_of
from fer_models.treatments import TREATMENTS

#: Rows predicted at once; one size only, so that a compiled step is compiled once.
PREDICT_BATCH = 256


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
    so that a checkpoint of the model holds all that changes. Between epochs the model's weights are the averaged ones
    where the settings ask for averages.

    Args:
        model: with fresh weights, or as an earlier attempt left it, with its optimizer.
        labels: int (n,), of the training segments.

    Raises:
        UserError: the settings spread the steps over several devices, and that cannot be here.
    """

    def __init__(self, model: keras.Model, labels: np.ndarray, settings: TrainingSettings) -> None:
        self.model = model
        self._treatment = TREATMENTS[settings.treatment]
        self._settings = settings
        self._network = model_network(model)
        if not model.compiled:
            pace = self._pace_pretrained(labels)
            model.compile(make_optimizer(settings, pace), jit_compile=_uses_xla())
        self._trainer = keras.Model(model.inputs, layer_output(model, self._network.logits))
        if self._mixes:
            self._trainer = with_mixing(self._trainer)
        loss = self._treatment.loss(labels, self.num_classes)
        self._trainer.compile(
            model.optimizer,
            loss=SoftTargetLoss(loss) if self._softens else loss,
            weighted_metrics=["accuracy"],
            jit_compile=_uses_xla(),
        )
        self._make_variables(labels[:1])
        self._averages = AveragedWeights(model.optimizer, self._trainer.trainable_variables)
        self._predict_rows = PREDICT_BATCH
        if settings.data_parallel:
            devices = spread_devices(min(settings.batch_size, len(self._treatment.rows(labels, 0, 0))))
            self._predict_rows = -(-PREDICT_BATCH // devices) * devices
        self._blocks: Blocks | None = None
        if settings.engine != "steps" and is_known():
            put = find_put(settings.data_parallel)
            self._blocks = Blocks(model, put, settings.engine, settings.block_mb * 2**20, device_bytes())
            self._program = load_program(self._trainer, model, self._blocks, settings.data_parallel)

    def _make_variables(self, labels: np.ndarray) -> None:
        """Make those of optimizer, loss and metrics; made in the first step, they have TensorFlow trace it twice."""
        self.model.optimizer.build(self._trainer.trainable_variables)
        logits, weights = np.zeros((len(labels), self.num_classes), np.float32), np.ones(len(labels), np.float32)
        targets = soft_targets(labels, self.num_classes, 0.0) if self._softens else labels
        for make in (self._trainer.compute_loss, self._trainer.compute_metrics):
            make(None, targets, logits, weights)
        self._trainer.reset_metrics()

    def _pace_pretrained(self, labels: np.ndarray) -> Pace | None:
        """Freeze the layers whose weights others trained, or say how they are trained; None where nothing is.

        So it is with those that an earlier training of ours gave. Their normalisation is not trainable from the start.
        """
        settings, network = self._settings, self._network
        freeze_layers(self.model, settings)
        earlier = {*network.pretrained, *network.taken}
        slow = {id(one) for name in earlier for one in self.model.get_layer(name).trainable_variables}
        numbers = tuple(n for n, variable in enumerate(self.model.trainable_variables) if id(variable) in slow)
        wait_steps = round(settings.pretrained_warmup * self._num_steps(labels))
        return Pace(numbers, settings.pretrained_rate, wait_steps) if numbers else None

    def _num_steps(self, labels: np.ndarray, seed: int = 0) -> int:
        """Of the whole training."""
        settings = self._settings
        num_rows = len(self._treatment.rows(labels, seed, 0))
        return settings.steps or settings.epochs * steps_of_pass(num_rows, settings.batch_size)

    @property
    def _mixes(self) -> bool:
        return bool(self._settings.mixup or self._settings.cutmix)

    @property
    def _softens(self) -> bool:
        return bool(self._mixes or self._settings.label_smoothing)

    @property
    def num_classes(self) -> int:
        """Of the model's output."""
        return int(self.model.output_shape[-1])

    def train_epoch(self, train: SegmentSource, seed: int, history: Sequence[Epoch]) -> Steps:
        """Take the steps of the epoch that follows `history`.

        Raises:
            TrainingDiverged: the loss is not finite any more.
        """
        number = len(history)
        steps = self._steps(train.labels, seed, history)
        _seed_draws(self.model, number)
        self._averages.exchange()
        found: list[np.ndarray] = []
        for values in self._take(train, steps):
            if (bad := np.flatnonzero(~np.isfinite(values[:, 0]))).size:
                at = len(found) + bad[0]
                raise TrainingDiverged(
                    f"The loss became {values[bad[0], 0]} in epoch {number + 1}, step {at + 1} of {len(steps)}, at "
                    f"learning rate {steps[at].rate:g}; the batch held {listed(train.names[steps[at].rows])}. "
                    "Lower training.learning_rate, or look at those segments."
                )
            found.extend(values)
        self._averages.exchange()
        losses, accuracies = np.array(found).T
        accuracy = float(np.average(accuracies, weights=[float(step.weights.sum()) for step in steps]))
        return Steps(float(losses.mean()), accuracy, steps[-1].rate, train.names[steps[-1].rows])

    def predict(self, segments: SegmentSource) -> np.ndarray:
        """As the function of that name, in the way in which the engine trains."""
        if not self._blocks:
            return predict(self.model, segments)
        size = self._predict_rows
        rows = (np.arange(first, first + size) % len(segments) for first in range(0, len(segments), size))  # filled up
        nothing = np.zeros(size, np.float32)
        steps = [Step(one, 0.0, nothing, nothing) for one in rows]
        blocks = self._blocks.of_steps(segments, steps, len(steps))
        return np.concatenate([*map(self._program.predict, blocks)])[: len(segments)]

    def _take(self, train: SegmentSource, steps: list[Step]) -> Iterator[np.ndarray]:
        """Losses and accuracies of the steps, (k, 2), as many at a time as the engine takes in one go."""
        if self._blocks:
            most_steps = -(-self._num_steps(train.labels) // self._settings.epochs)
            yield from map(self._program.train, self._blocks.of_steps(train, steps, most_steps))
            return
        for step in steps:
            self._trainer.optimizer.learning_rate = step.rate
            inputs = [*model_inputs(self.model, train.batch(step.rows)), *step.mixing]
            logs = self._trainer.train_on_batch(inputs, step.targets, sample_weight=step.weights, return_dict=True)
            yield np.array([[float(logs["loss"]), float(logs["accuracy"])]])

    def _steps(self, labels: np.ndarray, seed: int, history: Sequence[Epoch]) -> list[Step]:
        """The steps of the epoch that follows `history`."""
        settings, number = self._settings, len(history)
        class_weights = self._treatment.weights(labels, self.num_classes)
        batches = self._batches(labels, seed, number)
        steps = []
        for step, rows in enumerate(batches):
            position = number + step / len(batches)
            rate = learning_rate(settings.schedule, settings.learning_rate, position, settings.epochs, history)
            targets, weights = labels[rows], class_weights[labels[rows]].astype(np.float32)
            if self._softens:
                targets = soft_targets(targets, self.num_classes, settings.label_smoothing)
            if self._mixes:
                mixing = draw_mixing(len(rows), settings, np.random.default_rng([seed, number, step, 2]))
                own = mixing.label_share
                weights = own * weights + (1 - own) * weights[mixing.partner]
                targets = own[:, None] * targets + (1 - own[:, None]) * targets[mixing.partner]
                steps.append(Step(rows, rate, targets, weights, tuple(mixing.arrays())))
            else:
                steps.append(Step(rows, rate, targets, weights))
        return steps

    def _batches(self, labels: np.ndarray, seed: int, epoch: int) -> list[np.ndarray]:
        """Rows of each batch of an epoch, which is a pass over the rows, or its share of a budget of steps."""
        settings = self._settings

        def draw(number: int) -> np.ndarray:
            return self._treatment.rows(labels, seed, number)

        steps = self._num_steps(labels, seed)
        first, end = (number * steps // settings.epochs for number in (epoch, epoch + 1))
        return list(batches_of_steps(first, end, draw, settings.batch_size, seed))

    def weights_are_finite(self) -> bool:
        """Whether no weight of the model is NaN or infinite."""
        return all(bool(np.isfinite(weight).all()) for weight in self.model.get_weights())


def predict(model: keras.Model, segments: SegmentInputs, batch_size: int = PREDICT_BATCH) -> np.ndarray:
    """Probabilities float32 (n, classes) of segments, in their order: the mean over the model's views."""
    return outputs(model, segments, model_network(model).views, batch_size)


def outputs(
    model: keras.Model, segments: SegmentInputs, views: Views = "none", batch_size: int = PREDICT_BATCH
) -> np.ndarray:
    """What a model of one output gives for segments, float32 (n, ...), in their order: the mean over these views.

    Args:
        batch_size: segments that are asked for at once; a graph is built for each number that was not used before.
    """
    parts = []
    for start in range(0, len(segments), batch_size):
        rows = np.arange(start, start + batch_size) % len(segments)  # the last batch is filled up
        parts.append(outputs_of_batch(model, segments.batch(rows), views))
    return np.concatenate(parts)[: len(segments)]


def outputs_of_batch(model: keras.Model, batch: Batch, views: Views = "none") -> np.ndarray:
    """The same of the segments of one batch, float32 (b, ...)."""
    found = [np.asarray(model.predict_on_batch(model_inputs(model, one)), np.float32) for one in views_of(batch, views)]
    mean: np.ndarray = sum(found[1:], start=found[0]) / np.float32(len(found))
    return mean


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
