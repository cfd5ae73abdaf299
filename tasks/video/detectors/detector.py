"""What a face detector is given, and what it gives."""

from math import atan2, degrees
from typing import NamedTuple, Protocol

import numpy as np

from tasks.video.boxes import Box

#: Eyes that are less than this share of a face's side apart are those of a profile, and tell no level.
_LEAST_EYE_DISTANCE = 0.2


class Face(NamedTuple):
    """A face that was found.

    Args:
        box: a square in px of the whole frame.
        score: how sure the detector is, 0..1; None where it gives no such number.
        roll_deg: how far the line of the eyes is turned from level, clockwise as one looks at it; None where it is not
            known.
    """

    box: Box
    score: float | None = None
    roll_deg: float | None = None


class Picture(Protocol):
    """A frame as a detector looks at it; nothing is converted that it does not ask for."""

    @property
    def grey(self) -> np.ndarray:
        """Luma of the whole frame, uint8 (height, width)."""

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        """The box resized, uint8 RGB (height_px, width_px, 3)."""


class Detector(Protocol):
    """Finds faces in one picture and remembers nothing of it; one a thread."""

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        """The faces that lie in a window of a picture.

        Args:
            picture: the frame.
            window: where to look; the boxes that come back are squares inside it, in px of the whole frame.
            low_px: faces with a smaller side are not wanted.
            high_px: the largest side that is wanted. It says too that such a face was in the window a moment ago, so
                that weak evidence is enough; without it every face needs strong evidence.
        """


def eye_line_deg(left: np.ndarray, right: np.ndarray, side_px: float) -> float | None:
    """`Face.roll_deg` from two eyes, float (2,) x and y in px: the one at the left of an upright picture first."""
    dx, dy = (float(value) for value in right - left)
    if dx * dx + dy * dy < (_LEAST_EYE_DISTANCE * side_px) ** 2:
        return None
    return degrees(atan2(dy, dx))


def square_inside(centre: tuple[float, float], side_px: float, window: Box) -> Box:
    """A square in px of the frame, moved into the window where it sticks out. Its centre is in px of the window."""
    side = min(round(side_px), window.width, window.height)
    left = min(max(round(centre[0] - side / 2), 0), window.width - side)
    top = min(max(round(centre[1] - side / 2), 0), window.height - side)
    return Box(window.x + left, window.y + top, side, side)
