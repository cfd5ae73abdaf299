"""A Grad-CAM map over a picture: grey where the model did not look, from blue over green to red where it did."""

import cv2
import numpy as np

_SHARE_LEAST, _SHARE_MOST = 0.15, 0.6


def draw_heat(picture: np.ndarray, heat: np.ndarray, side_px: int) -> np.ndarray:
    """A map float (h, w) in 0..1 over a picture uint8 RGB (H, W, 3): uint8 RGB (side_px, side_px, 3)."""
    size = (side_px, side_px)
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2GRAY)[..., None]
    smooth = np.clip(cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    share = (_SHARE_LEAST + (_SHARE_MOST - _SHARE_LEAST) * smooth)[..., None]
    return ((1 - share) * grey + share * _colours(smooth)).astype(np.uint8)


def draw_heat_scale(width_px: int, height_px: int) -> np.ndarray:
    """Its legend, uint8 RGB (height_px, width_px, 3): 0 at the left, 1 at the right, as over a middle grey."""
    ramp = np.tile(np.linspace(0, 1, width_px, dtype=np.float32), (height_px, 1))
    share = (_SHARE_LEAST + (_SHARE_MOST - _SHARE_LEAST) * ramp)[..., None]
    return ((1 - share) * 128 + share * _colours(ramp)).astype(np.uint8)


def _colours(values: np.ndarray) -> np.ndarray:
    return cv2.applyColorMap((values * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
