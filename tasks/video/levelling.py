"""Crops that are turned until the eyes are level."""

from collections.abc import Callable
from math import ceil, cos, radians, sin

import cv2
import numpy as np

from tasks.video.boxes import Box

#: A part of a frame, resized: its box, width and height in px -> uint8 (height, width) or (height, width, 3).
Part = Callable[[Box, int, int], np.ndarray]
#: A crop is taken from a picture with so many times as many px along a side, so that turning blurs nothing.
_OVERSAMPLING = 2.0


def level_crop(part: Part, frame_size: tuple[int, int], box: Box, roll_deg: float, side_px: int) -> np.ndarray:
    """A square box of a frame, turned about its centre so that a line which is turned by `roll_deg` becomes level.

    Args:
        part: gives the parts of the frame.
        frame_size: height and width in px; what lies outside repeats the frame's edge.
        roll_deg: clockwise as one looks at it.

    Returns:
        uint8 (side_px, side_px) or (side_px, side_px, 3), as the parts are.
    """
    turn = np.array(
        [[cos(radians(roll_deg)), -sin(radians(roll_deg))], [sin(radians(roll_deg)), cos(radians(roll_deg))]]
    )
    centre = np.array([box.x + box.width / 2, box.y + box.height / 2])
    around = _around(centre, box.width * float(np.abs(turn[0]).sum()), frame_size)
    step = box.width / side_px  # px of the frame from one px of the crop to the next
    scale = min(_OVERSAMPLING / step, 1.0)
    width, height = (max(round(side * scale), 1) for side in (around.width, around.height))
    scales = np.array([width / around.width, height / around.height])
    # from the centre of a px of the crop to the frame, and on to px of the part, whose centres are whole numbers
    to_frame = step * turn
    corner = centre + to_frame @ np.full(2, (1 - side_px) / 2)
    matrix = np.column_stack([scales[:, None] * to_frame, scales * (corner - (around.x, around.y)) - 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = part(around, width, height)
    return cv2.warpAffine(picture, matrix, (side_px, side_px), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _around(centre: np.ndarray, side: float, frame_size: tuple[int, int]) -> Box:
    """A square about a centre, as far as it lies in the frame, and a px more on each side."""
    height, width = frame_size
    left, top = (max(int(value - side / 2) - 1, 0) for value in centre)
    right, bottom = (min(ceil(value + side / 2) + 1, most) for value, most in zip(centre, (width, height), strict=True))
    return Box(left, top, right - left, bottom - top)
