"""The compiled loop on TensorFlow: a `while_loop` around Keras's own step, whose variables change where they are."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_models.training.blocks import Block


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

    def __init__(self, trainer: keras.Model, inputs: Callable[[dict[str, Any], dict[str, Any]], list[Any]]) -> None:
        self._trainer, self._inputs = trainer, inputs
        self._loop = tf.function(self._take, autograph=False)

    def train(self, block: Block) -> np.ndarray:
        """Take the steps; their losses and accuracies, float64 (k, 2)."""
        found = self._loop(block.frames, put(block.plan), tf.constant(block.num_steps))
        return np.asarray(found, np.float64)

    def _take(self, frames: dict[str, Any], plan: dict[str, Any], num_steps: Any) -> Any:
        def step(number: Any, found: Any) -> tuple[Any, Any]:
            own = {name: values[number] for name, values in plan.items()}
            self._trainer.optimizer.learning_rate.assign(own["rate"])
            self._trainer.reset_metrics()
            logs = self._trainer.train_step((self._inputs(frames, own), own["targets"], own["weights"]))
            return number + 1, found.write(number, tf.stack([logs["loss"], logs["accuracy"]]))

        empty = tf.TensorArray(tf.float32, size=num_steps, element_shape=(2,))
        _, found = tf.while_loop(lambda number, _: number < num_steps, step, (tf.constant(0), empty))
        return found.stack()
