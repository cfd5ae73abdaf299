"""Taking the motion of the head out of optical flow, so that what the face itself does is left, and how large that is.

A head that turns or nods moves every pixel of the face; the muscles move few of them by less.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from fer_models.segments import SegmentInputs, SegmentShape
from fer_models.settings import HeadMotion

#: Rounds of fitting; after each, pixels that move otherwise count less.
_ROUNDS = 3
#: Segments that a scale is measured on.
_MOST_SEGMENTS = 2000
#: A scale is never smaller, in px of a face stored at 48 px: that is noise.
_SMALLEST_PX = 0.02


@keras.saving.register_keras_serializable(package="fer_models")
class HeadMotionRemoval(keras.layers.Layer):
    """Optical flow (batch, .., S, S, 2), dx and dy -> the same without the motion of the head, float32.

    Args:
        head_motion: `remove_shift` takes the median of dx and of dy away; `remove_similarity` the shift, turn and zoom
            that fit best, found by least squares in which pixels that move otherwise count less from round to round
            (weights of Geman and McClure, by the median distance).
    """

    def __init__(self, head_motion: HeadMotion, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head_motion = head_motion

    def call(self, optical_flow: Any) -> Any:
        flow = ops.cast(optical_flow, "float32")
        side = flow.shape[-2]
        pixels = ops.reshape(flow, (-1, side * side, 2))
        if self.head_motion == "remove_shift":
            head = ops.median(pixels, axis=1, keepdims=True)
        else:
            head = self._similarity(pixels, side)
        return ops.reshape(pixels - head, (-1, *flow.shape[1:]))

    def _similarity(self, pixels: Any, side: int) -> Any:
        """The motion of each pixel under the best similarity transform, (batch, S * S, 2)."""
        y, x = (np.mgrid[:side, :side] - (side - 1) / 2) / side
        places = np.stack([x.ravel(), y.ravel()], axis=-1)[np.newaxis].astype(np.float32)
        turned = np.stack([-places[..., 1], places[..., 0]], axis=-1)
        weights = ops.ones_like(pixels[..., :1])
        head = ops.zeros_like(pixels)
        for round_number in range(_ROUNDS):
            if round_number:
                squares = ops.sum((pixels - head) ** 2, axis=-1, keepdims=True)
                scale = ops.median(squares, axis=1, keepdims=True) + 1e-6
                weights = 1.0 / (1.0 + squares / scale) ** 2
            total = ops.sum(weights, axis=1, keepdims=True)
            centre = ops.sum(weights * places, axis=1, keepdims=True) / total
            turned_centre = ops.concatenate([-centre[..., 1:], centre[..., :1]], axis=-1)
            shift = ops.sum(weights * pixels, axis=1, keepdims=True) / total
            spread = ops.sum(weights * (places - centre) ** 2, axis=(1, 2), keepdims=True)
            zoom, turn = (
                ops.sum(weights * (one - middle) * (pixels - shift), axis=(1, 2), keepdims=True) / spread
                for one, middle in ((places, centre), (turned, turned_centre))
            )
            head = shift + zoom * (places - centre) + turn * (turned - turned_centre)
        return head

    def compute_output_spec(self, optical_flow: Any) -> Any:
        return keras.KerasTensor(optical_flow.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_motion": self.head_motion}


def motion_scale_px(segments: SegmentInputs, head_motion: HeadMotion, quantile: float, seed: int) -> float:
    """The length of motion vectors that this share of the pixels does not exceed, in px of a face stored at 48 px.

    Args:
        segments: the training subset; up to 2,000 of them are looked at.
        head_motion: what is taken out before, as in the settings of models.
    """
    number = min(len(segments), _MOST_SEGMENTS)
    rows = np.sort(np.random.default_rng(seed).choice(len(segments), number, replace=False))
    lengths = []
    for part in np.array_split(rows, max(1, number // 200)):
        flow = segments.batch(part)["optical_flow"][:, 0].astype(np.float32)
        if head_motion != "keep":
            flow = ops.convert_to_numpy(HeadMotionRemoval(head_motion)(flow))
        lengths.append(np.linalg.norm(flow, axis=-1).ravel())
    scale = SegmentShape().side_px / segments.shape.side_px
    return max(_SMALLEST_PX, float(np.quantile(np.concatenate(lengths), quantile)) * scale)
