"""Resizing of pictures and feature maps inside a model: bilinear, without aliasing, the same on every backend."""

from typing import Any

import keras
import numpy as np
from keras import ops


def resizing(side: int, new_side: int) -> np.ndarray:
    """Weights, float32 (new_side, side), of the old cells in each new one.

    The outer borders stay where they are. A smaller grid's cell is a mean over all that it covers, a larger one's lies
    between its neighbours.
    """
    step = side / new_side
    centres = (np.arange(new_side) + 0.5) * step - 0.5
    distances = np.abs(centres[:, np.newaxis] - np.arange(side))
    weights = np.maximum(1.0 - distances / max(step, 1.0), 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@keras.saving.register_keras_serializable(package="fer_models")
class ResizedMap(keras.layers.Layer):
    """Feature maps (batch, H, W, C) -> (batch, side, side, C)."""

    def __init__(self, side: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def call(self, feature_map: Any) -> Any:
        rows, columns = (ops.cast(resizing(size, self.side), self.compute_dtype) for size in feature_map.shape[1:3])
        return ops.einsum("ih,jw,bhwc->bijc", rows, columns, feature_map)

    def compute_output_spec(self, feature_map: Any) -> Any:
        shape = (feature_map.shape[0], self.side, self.side, feature_map.shape[3])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "side": self.side}
