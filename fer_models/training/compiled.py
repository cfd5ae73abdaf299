"""The compiled loops of training: `on_jax` and `on_tensorflow`, each with a `Program`, alone know a backend."""

import importlib
from typing import Any, Protocol

import keras
import numpy as np

from fer_models.training.blocks import Block, Blocks


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


def load_program(trainer: keras.Model, model: keras.Model, blocks: Blocks) -> Program:
    """That of the backend that Keras uses.

    Args:
        trainer: compiled, with all its variables made.
        model: which it trains.
        blocks: what makes inputs of the plan of a block.
    """
    return _module().Program(trainer, model, blocks)


def put(frames: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays of the device that Keras computes on."""
    return _module().put(frames)


def device_bytes() -> int | None:
    """What the device that Keras computes on has, as the backend tells it; None on a CPU, or where it does not tell."""
    is_cpu = all(device.lower().startswith("cpu") for device in keras.distribution.list_devices())
    return None if is_cpu or not is_known() else _module().device_bytes()


def _module() -> Any:
    return importlib.import_module(f"fer_models.training.on_{keras.backend.backend()}")
