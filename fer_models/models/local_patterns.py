"""Local binary patterns on three orthogonal planes (LBP-TOP) of the faces of a segment, as a layer.

After Zhao and Pietikäinen 2007, *Dynamic texture recognition using local binary patterns with an application to facial
expressions*. A pixel's pattern says which of its eight neighbours are as bright as it is or brighter: in its frame
(XY), and in the planes of time with its row (XT) and with its column (YT). The neighbours stand on a square of side 3
instead of a circle, so that nothing is interpolated.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from fer_models.models.histograms import GREY

#: The eight neighbours in turn, in the two axes of a plane.
_RING = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
#: By plane, the axes of (T, H, W) that it lies in.
_PLANES = ((1, 2), (0, 2), (0, 1))


def _uniform_bins() -> np.ndarray:
    """The bin of each of the 256 patterns: 58 with at most two changes on the way around, one for all others."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(uniform, np.cumsum(uniform) - 1, uniform.sum()).astype(np.int32)


_BINS = _uniform_bins()


@keras.saving.register_keras_serializable(package="fer_models")
class LocalBinaryPatterns(keras.layers.Layer):
    """Faces of segments, uint8 RGB (batch, T, S, S, 3), T >= 3 -> float32 (batch, blocks, blocks, 3 * 59).

    Of each block of the face the share of each of the 59 uniform patterns, over all inner frames: of XY, XT, then YT.

    Args:
        blocks: along each side; the pixels that are left over at the right and below do not count.
    """

    def __init__(self, blocks: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = blocks

    def call(self, faces: Any) -> Any:
        grey = ops.sum(ops.cast(faces, "float32") * ops.convert_to_tensor(GREY, "float32"), axis=-1)
        sizes = grey.shape[1:]  # T, H, W
        centre = grey[:, 1:-1, 1:-1, 1:-1]
        block_px = (sizes[1] - 2) // self.blocks
        side = block_px * self.blocks
        shares = []
        for axes in _PLANES:
            pattern = ops.zeros_like(centre, "int32")
            for number, steps in enumerate(_RING):
                start = [1, 1, 1]
                for axis, step in zip(axes, steps, strict=True):
                    start[axis] += step
                ends = [first + size - 2 for first, size in zip(start, sizes, strict=True)]
                neighbour = grey[:, start[0] : ends[0], start[1] : ends[1], start[2] : ends[2]]
                pattern += ops.cast(neighbour >= centre, "int32") * (1 << number)
            bins = ops.take(ops.convert_to_tensor(_BINS), pattern[:, :, :side, :side])
            # bin by bin, as all of them at once are 59 times the frames
            counts = [ops.mean(ops.cast(bins == one, "float32"), axis=1) for one in range(int(_BINS.max()) + 1)]
            shares.append(ops.average_pool(ops.stack(counts, axis=-1), block_px, block_px))
        return ops.concatenate(shares, axis=-1)

    def compute_output_spec(self, faces: Any) -> Any:
        size = (self.blocks, self.blocks, len(_PLANES) * (int(_BINS.max()) + 1))
        return keras.KerasTensor((faces.shape[0], *size), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "blocks": self.blocks}
