"""Finding a face in grey frames and following it.

Viola-Jones cascades (Viola and Jones 2004, `haarcascade_frontalface_default` of OpenCV). A followed face is searched
around its last box, on a reduced image, at sizes near the last one; the whole frame is searched only when that fails.
"""

import functools
import threading
from typing import NamedTuple

import cv2
import numpy as np
from cv2.data import haarcascades

_CASCADE = "haarcascade_frontalface_default.xml"
#: Side that the smallest wanted face has on the reduced image of a whole-frame search; the cascade's window is 24.
_SEARCH_SIDE_PX = 30.0
#: Side that a followed face has on its reduced image.
_FOLLOW_SIDE_PX = 30.0
#: A followed face is searched within this many of its sides around its centre.
_FOLLOW_RANGE = 1.5
#: Share of a followed face's new box in the box that is used; the rest is the last one, against jitter.
_FOLLOW_GAIN = 0.5


class Box(NamedTuple):
    """A rectangle in px of the frame."""

    x: int
    y: int
    width: int
    height: int


class FaceTracker:
    """Follows one person through a video.

    Args:
        min_face_px: faces with a smaller side are not used.
    """

    def __init__(self, min_face_px: int) -> None:
        self._min_face_px = min_face_px
        self._cascade = _load_cascade(threading.get_ident())
        self._last: Box | None = None

    def find(self, grey: np.ndarray) -> tuple[Box | None, int]:
        """The box of the followed face in a frame, uint8 (height, width), and the number of faces seen.

        The number is that of the last search of a whole frame; while a face is being followed it is 1.
        """
        followed = self._follow(grey, self._last) if self._last else None
        if self._last and followed:
            self._last = _blend(self._last, followed)
            return self._last, 1
        faces = self.search(grey, self._min_face_px)
        self._last = max(faces, key=lambda box: box.width * box.height, default=None)
        return self._last, len(faces)

    def search(self, grey: np.ndarray, min_side_px: int) -> list[Box]:
        """All faces of at least `min_side_px` in a whole frame."""
        scale = min(_SEARCH_SIDE_PX / min_side_px, 1.0)
        return self._detect(grey, scale, 0, 0, min_side_px, None, min_neighbours=3)

    def _follow(self, grey: np.ndarray, last: Box) -> Box | None:
        reach = round(last.width * _FOLLOW_RANGE / 2)
        centre_x, centre_y = last.x + last.width // 2, last.y + last.height // 2
        left, top = max(centre_x - reach, 0), max(centre_y - reach, 0)
        window = grey[top : centre_y + reach, left : centre_x + reach]
        low, high = max(self._min_face_px, round(last.width * 0.8)), round(last.width * 1.35)
        faces = self._detect(window, min(_FOLLOW_SIDE_PX / last.width, 1.0), left, top, low, high, min_neighbours=1)
        return min(faces, key=lambda box: _distance(box, last), default=None)

    def _detect(
        self, grey: np.ndarray, scale: float, left: int, top: int, low_px: int, high_px: int | None, min_neighbours: int
    ) -> list[Box]:
        if min(grey.shape) < low_px:
            return []
        if scale < 1.0:
            size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
            step = max(1, int(0.5 / scale))  # a detector needs no finer average than of two by two px
            small = cv2.resize(grey[::step, ::step], size, interpolation=cv2.INTER_AREA)
        else:
            small = grey
        low = max(int(low_px * scale), 24)
        high = round(high_px * scale) if high_px else 0  # 0 is no limit
        hits = self._cascade.detectMultiScale(small, 1.1, min_neighbours, minSize=(low, low), maxSize=(high, high))
        height, width = grey.shape
        boxes = []
        for x, y, side, _ in hits:
            x0, y0 = max(round(x / scale), 0), max(round(y / scale), 0)
            edge = min(round(side / scale), width - x0, height - y0)
            if edge >= low_px:
                boxes.append(Box(left + x0, top + y0, edge, edge))
        return boxes


@functools.cache
def _load_cascade(thread: int) -> cv2.CascadeClassifier:
    """One classifier a thread: loading takes 10 ms, and one must not be used by two threads at once."""
    return cv2.CascadeClassifier(haarcascades + _CASCADE)


def _blend(last: Box, found: Box) -> Box:
    """A box between two, which is inside the frame when both are."""
    x, y, side, _ = (round(a + _FOLLOW_GAIN * (b - a)) for a, b in zip(last, found, strict=True))
    return Box(x, y, side, side)


def _distance(first: Box, second: Box) -> float:
    return abs(first.x + first.width / 2 - second.x - second.width / 2) + abs(
        first.y + first.height / 2 - second.y - second.height / 2
    )
