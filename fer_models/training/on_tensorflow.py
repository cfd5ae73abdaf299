"""The compiled loop on TensorFlow: a `while_loop` around Keras's own step, whose variables change where they are."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_models.models.building import model_network
from fer_models.training.blocks import Block, Blocks


def put(frames: dict[str, np.ndarray]) -> dict[str, Any]:
    """Tensors on the device."""
    return {name: tf.convert_to_tensor(values) for name, values in frames.items()}


def device_bytes() -> int | None:
    """What the first GPU has for TensorFlow."""
    from tensorflow.python.client import device_lib

    found = device_lib.list_local_devices()
    return next((int(one.memory_limit) for one in found if one.device_type == "GPU"), None)


class Program:
    """See `fer_models.training.compiled.Program`."""

    def __init__(self, trainer: keras.Model, model: keras.Model, blocks: Blocks, spreads: bool = False) -> None:
        self._trainer, self._model, self._blocks = trainer, model, blocks
        self._views = model_network(model).views
        self._loop = tf.function(self._take, autograph=False)
        self._look = tf.function(self._predict, autograph=False)

    def train(self, block: Block) -> np.ndarray:
        """Take the steps; their losses and accuracies, float64 (k, 2)."""
        found = self._loop(block.frames, put(block.plan), tf.constant(block.num_steps))
        return np.asarray(found, np.float64)

    def _take(self, frames: dict[str, Any], plan: dict[str, Any], num_steps: Any) -> Any:
        def step(number: Any, found: Any) -> tuple[Any, Any]:
            own = {name: values[number] for name, values in plan.items()}
            self._trainer.optimizer.learning_rate.assign(own["rate"])
            self._trainer.reset_metrics()
            logs = self._trainer.train_step((self._blocks.inputs(frames, own), own["targets"], own["weights"]))
            return number + 1, found.write(number, tf.stack([logs["loss"], logs["accuracy"]]))

        empty = tf.TensorArray(tf.float32, size=num_steps, element_shape=(2,))
        _, found = tf.while_loop(lambda number, _: number < num_steps, step, (tf.constant(0), empty))
        return found.stack()

    def predict(self, block: Block) -> np.ndarray:
        """Probabilities of the rows of all steps, float32 (k * b, classes), the mean over the model's views."""
        return np.asarray(self._look(block.frames, put(block.plan), tf.constant(block.num_steps)))

    def _predict(self, frames: dict[str, Any], plan: dict[str, Any], num_steps: Any) -> Any:
        def step(number: Any, found: Any) -> tuple[Any, Any]:
            own = {name: values[number] for name, values in plan.items()}
            each = [self._model(one, training=False) for one in self._blocks.views(frames, own, self._views)]
            return number + 1, found.write(number, tf.add_n(each) / len(each))

        size, classes = plan["weights"].shape[1], self._model.output_shape[-1]
        empty = tf.TensorArray(tf.float32, size=num_steps, element_shape=(size, classes))
        _, found = tf.while_loop(lambda number, _: number < num_steps, step, (tf.constant(0), empty))
        return found.concat()
