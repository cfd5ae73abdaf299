"""The compiled loops of training: `on_jax` and `on_tensorflow`, each with a `Program`, alone know a backend."""

import importlib
from typing import Any, Protocol

import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.training.blocks import Block, Blocks, Put


class Program(Protocol):
    """Takes the steps of a block in one call, as `trainer.train_on_batch` takes one."""

    @staticmethod
    def put(frames: dict[str, np.ndarray]) -> dict[str, Any]:
        """Arrays of the device."""

    def train(self, block: Block) -> np.ndarray:
        """Take the steps; their losses and accuracies, float64 (k, 2)."""

    def predict(self, block: Block) -> np.ndarray:
        """Probabilities of the rows of all steps, float32 (k * b, classes), the mean over the model's views."""


def is_known() -> bool:
    """Whether there is a compiled loop for the backend that Keras uses."""
    return keras.backend.backend() in ("tensorflow", "jax")


def spread_devices(rows: int) -> int:
    """How many devices share the rows of each step of a training that is spread over all of them.

    Raises:
        UserError: the backend that Keras uses has no way of it, or the devices cannot share that many rows equally.
    """
    if (backend := keras.backend.backend()) != "jax":
        raise UserError(
            f"training.data_parallel is for JAX, and Keras computes on {backend} here, which trains on one device: set "
            "KERAS_BACKEND=jax, or leave data_parallel out."
        )
    devices = _module().num_devices()
    if rows % devices:
        near = " or ".join(str(one) for one in (rows // devices * devices, -(-rows // devices) * devices) if one)
        raise UserError(
            f"{devices} devices cannot share {rows} segments of a step equally, as training.data_parallel wants it: "
            f"set training.batch_size to {near}, at most as many as there are training segments."
        )
    return devices


def load_program(trainer: keras.Model, model: keras.Model, blocks: Blocks, spreads: bool) -> Program:
    """That of the backend that Keras uses.

    Args:
        trainer: compiled, with all its variables made.
        model: which it trains.
        blocks: what makes inputs of the plan of a block.
        spreads: over all devices, see `spread_devices`.
    """
    return _module().Program(trainer, model, blocks, spreads)


def find_put(spreads: bool) -> Put:
    """What puts arrays on the device that Keras computes on, or on all of them."""
    return _module().put_everywhere if spreads else _module().put


def device_bytes() -> int | None:
    """What the device that Keras computes on has, as the backend tells it; None on a CPU, or where it does not tell."""
    is_cpu = all(device.lower().startswith("cpu") for device in keras.distribution.list_devices())
    return None if is_cpu or not is_known() else _module().device_bytes()


def _module() -> Any:
    return importlib.import_module(f"fer_models.training.on_{keras.backend.backend()}")
