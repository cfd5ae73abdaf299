"""Optical flow as a colour picture: hue is the direction, white is still, full colour is fast. And which of the frames
of a segment are shown.
"""

import cv2
import numpy as np

#: Motion in px (at the stored scale) that is drawn in full colour.
FULL_COLOUR_PX = 1.5
#: Frames of a segment that are shown side by side.
_MOST_FRAMES = 8


def shown_frames(num_frames: int) -> np.ndarray:
    """The positions of the frames of a segment that are shown: all, of many as many evenly spaced ones as fit, int."""
    return np.linspace(0, num_frames - 1, min(num_frames, _MOST_FRAMES)).round().astype(int)


def draw_optical_flow(optical_flow: np.ndarray) -> np.ndarray:
    """(dx, dy) float (H, W, 2) in px to uint8 RGB (H, W, 3)."""
    dx, dy = (np.ascontiguousarray(optical_flow[..., i], np.float32) for i in (0, 1))
    magnitude, angle_deg = cv2.cartToPolar(dx, dy, angleInDegrees=True)
    hsv = np.full((*dx.shape, 3), 255, np.uint8)
    hsv[..., 0] = angle_deg / 2
    hsv[..., 1] = np.clip(magnitude / FULL_COLOUR_PX * 255, 0, 255)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def draw_colour_wheel(side_px: int) -> np.ndarray:
    """Its legend, uint8 RGB (side_px, side_px, 3): still in the middle, full colour at the rim."""
    y, x = np.mgrid[:side_px, :side_px] * (2 / (side_px - 1)) - 1
    wheel = draw_optical_flow(np.stack([x, y], axis=-1) * FULL_COLOUR_PX)
    wheel[np.hypot(x, y) > 1] = 255
    return wheel
