"""Viola-Jones cascade (Viola and Jones 2004, `haarcascade_frontalface_default` of OpenCV): frontal faces, fast."""

import functools
import threading

import cv2
import numpy as np
from cv2.data import haarcascades

from tasks.video.boxes import Box
from tasks.video.detectors.detector import Face, Picture

_CASCADE = "haarcascade_frontalface_default.xml"
#: Side of the cascade's own window; no smaller face can be found.
_CASCADE_SIDE_PX = 24
#: Side that the smallest wanted face has on the reduced image: of a search, of a look at a known place, and of the
#: second look that is taken when the first sees nothing.
_SEARCH_SIDE_PX, _LOOK_SIDE_PX, _SECOND_LOOK_SIDE_PX = 30.0, 24.0, 48.0
#: Windows that must agree on a face that is searched; one that is known to be there needs a single pair.
_SEARCH_WINDOWS, _LOOK_WINDOWS = 3, 1
#: A face is believed when it has this share of the windows of the best one in the picture. On real clips the mistakes
#: beside a face (a printed shirt, a collar, the hair with the forehead) have less, and a drawn second subject has more.
_LEAST_SHARE = 0.2


def load() -> "Haar":
    """The detector; its cascade comes with OpenCV."""
    return Haar(_load_cascade(threading.get_ident()))


@functools.cache
def _load_cascade(thread: int) -> cv2.CascadeClassifier:
    """One classifier a thread: loading takes 10 ms, and one must not be used by two threads at once."""
    return cv2.CascadeClassifier(haarcascades + _CASCADE)


class Haar:
    """A `Detector` on the grey image, reduced so that the smallest wanted face just fits the cascade's window."""

    def __init__(self, cascade: cv2.CascadeClassifier) -> None:
        self._cascade = cascade

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        """See `Detector.detect`."""
        grey = picture.grey[window.y : window.y + window.height, window.x : window.x + window.width]
        if not grey.size or min(grey.shape) < low_px:
            return []
        if high_px is None:
            found = self._scan(grey, _SEARCH_SIDE_PX / low_px, 1.1, _SEARCH_WINDOWS, low_px, None)
        else:
            found = self._scan(grey, _LOOK_SIDE_PX / low_px, 1.15, _LOOK_WINDOWS, low_px, high_px)
            found = found or self._scan(grey, _SECOND_LOOK_SIDE_PX / low_px, 1.05, _LOOK_WINDOWS, low_px, high_px)
        return [Face(Box(window.x + box.x, window.y + box.y, box.width, box.height)) for box in found]

    def _scan(
        self, grey: np.ndarray, scale: float, step: float, num_windows: int, low_px: int, high_px: int | None
    ) -> list[Box]:
        """Faces of at least `low_px` in an image reduced by `scale`, with sizes `step` apart."""
        scale = min(scale, 1.0)
        small = _reduce(grey, scale) if scale < 1.0 else grey
        low = max(int(low_px * scale), _CASCADE_SIDE_PX)
        high = round(high_px * scale) if high_px else 0  # 0 is no limit
        hits, windows = self._cascade.detectMultiScale2(
            small, step, num_windows, minSize=(low, low), maxSize=(high, high)
        )
        least = _LEAST_SHARE * max(windows, default=0)
        height, width = grey.shape
        boxes = []
        for (x, y, side, _), count in zip(hits, windows, strict=True):
            x0, y0 = max(round(x / scale), 0), max(round(y / scale), 0)
            edge = min(round(side / scale), width - x0, height - y0)
            if edge >= low_px and count >= least:
                boxes.append(Box(x0, y0, edge, edge))
        return boxes


def _reduce(grey: np.ndarray, scale: float) -> np.ndarray:
    size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
    step = max(1, int(0.5 / scale))  # a detector needs no finer average than of two by two px
    return cv2.resize(grey[::step, ::step], size, interpolation=cv2.INTER_AREA)
