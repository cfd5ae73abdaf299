"""Histograms of oriented gradients of a face, and of oriented motion, as layers: classic descriptors inside a model.

After Dalal and Triggs 2005, *Histograms of oriented gradients for human detection*, and for motion Laptev et al. 2008,
*Learning realistic human actions from movies*. Every pixel votes for the one bin of its orientation; the cells of a
picture lie side by side, blocks of 2x2 cells overlap.
"""

import math
from typing import Any

import keras
from keras import ops

#: Weights of R, G and B in grey (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)
#: L2-Hys: the largest share that a bin keeps of a block.
_CLIP = 0.2
_BLOCK = 2


_TINY = 1e-7


def _length(blocks: Any) -> Any:
    return ops.sqrt(ops.sum(blocks * blocks, axis=-1, keepdims=True))


@keras.saving.register_keras_serializable(package="fer_models")
class GreyGradients(keras.layers.Layer):
    """Faces, uint8 RGB (batch, S, S, 3) -> central differences of their grey values, float32 (batch, S, S, 2).

    Grey is 0..1; the outermost pixels, which lack a neighbour, have 0.
    """

    def call(self, faces: Any) -> Any:
        grey = ops.sum(ops.cast(faces, "float32") * (ops.convert_to_tensor(GREY, "float32") / 255.0), axis=-1)
        dx = ops.pad(grey[:, :, 2:] - grey[:, :, :-2], ((0, 0), (0, 0), (1, 1)))
        dy = ops.pad(grey[:, 2:] - grey[:, :-2], ((0, 0), (1, 1), (0, 0)))
        return ops.stack([dx, dy], axis=-1)

    def compute_output_spec(self, faces: Any) -> Any:
        return keras.KerasTensor((*faces.shape[:-1], 2), dtype="float32")


@keras.saving.register_keras_serializable(package="fer_models")
class OrientationHistograms(keras.layers.Layer):
    """Vectors (batch, S, S, 2), dx and dy -> their histograms, float32 (batch, B, B, bins * 4), B = cells - 1.

    A cell's histogram is the mean over its pixels of the lengths of the vectors by orientation. Four neighbouring cells
    are a block, which is brought to length 1, clipped at 0.2 and brought to length 1 again (L2-Hys), but for the floor.

    Args:
        bins: of equal width.
        signed: orientations are told apart over 360 degrees, as motion asks for; else a vector counts as its opposite.
        cells: along each side; the pixels that are left over at the right and below do not count.
        floor: a block of length l ends with l / sqrt(l² + floor²): what is far below it is noise. In the unit of the
            vectors.
    """

    def __init__(self, bins: int, signed: bool, cells: int = 6, floor: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins, self.signed, self.cells, self.floor = bins, signed, cells, floor

    def call(self, vectors: Any) -> Any:
        side = vectors.shape[1] // self.cells * self.cells
        vectors = ops.cast(vectors[:, :side, :side], "float32")
        dx, dy = vectors[..., 0], vectors[..., 1]
        turn = 2 * math.pi if self.signed else math.pi
        angle = ops.arctan2(dy, dx)
        angle = ops.where(angle < 0, angle + 2 * math.pi, angle) % turn
        number = ops.minimum(ops.cast(ops.floor(angle / (turn / self.bins)), "int32"), self.bins - 1)
        votes = ops.one_hot(number, self.bins, dtype="float32") * ops.sqrt(dx * dx + dy * dy)[..., None]
        histograms = ops.average_pool(votes, side // self.cells, side // self.cells)
        last = self.cells - _BLOCK + 1
        corners = [histograms[:, y : y + last, x : x + last] for y in range(_BLOCK) for x in range(_BLOCK)]
        blocks = ops.concatenate(corners, axis=-1)
        length = _length(blocks)
        clipped = ops.minimum(blocks / (length + _TINY), _CLIP)
        return clipped / (_length(clipped) + _TINY) * (length / ops.sqrt(length * length + self.floor**2))

    def compute_output_spec(self, vectors: Any) -> Any:
        size = self.cells - _BLOCK + 1
        return keras.KerasTensor((vectors.shape[0], size, size, self.bins * _BLOCK**2), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        more = {"bins": self.bins, "signed": self.signed, "cells": self.cells, "floor": self.floor}
        return {**super().get_config(), **more}
