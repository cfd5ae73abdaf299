"""YuNet (Wu et al. 2023) through OpenCV's `FaceDetectorYN`: turned and tilted faces too.

Its network is an ONNX file that the user gives: `face_detection_yunet_2023mar.onnx` of OpenCV's model zoo, or one with
the same inputs and outputs.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from fer_models.errors import UserError
from tasks.video.boxes import Box
from tasks.video.detectors.detector import Face, Picture, eye_line_deg, square_inside

#: Outputs of the network for cells of so many px, and the numbers that each gives a cell.
_CELLS_PX = (8, 16, 32)
_NUMBERS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
#: Side that the smallest wanted face has on the reduced image: of a search, and of a look at a known place.
_SEARCH_SIDE_PX, _LOOK_SIDE_PX = 20.0, 30.0
#: Least score, 0..1, of a face that is searched and of one that is known to be there.
_SEARCH_SCORE, _LOOK_SCORE = 0.8, 0.6
#: Boxes that overlap by more are one face.
_SAME_OVERLAP = 0.3
_MOST_CANDIDATES = 500


def load(model: Path) -> "YuNet":
    """The detector of a model file.

    Raises:
        UserError: it is not a YuNet model.
    """
    return YuNet(_load_network(model.absolute(), model.stat().st_mtime_ns, threading.get_ident()))


@functools.cache
def _load_network(model: Path, modified_ns: int, thread: int) -> cv2.FaceDetectorYN:
    """One network a file and thread: it must not be used by two threads at once."""
    content = np.frombuffer(model.read_bytes(), np.uint8)
    try:
        with _quiet():
            _check_outputs(cv2.dnn.readNetFromONNX(content))
            return cv2.FaceDetectorYN.create(
                "onnx", content, np.empty(0, np.uint8), (32, 32), _LOOK_SCORE, _SAME_OVERLAP, _MOST_CANDIDATES
            )
    except (cv2.error, ValueError) as error:
        raise UserError(
            f"{model} is not a YuNet model that OpenCV {cv2.__version__} reads; "
            "face_detection_yunet_2023mar.onnx of OpenCV's model zoo is one."
        ) from error


def _check_outputs(network: cv2.dnn.Net) -> None:
    """`FaceDetectorYN` reads its outputs without looking how long they are, so that is looked at once."""
    side = 64
    network.setInput(np.zeros((1, 3, side, side), np.float32))
    names = [f"{kind}_{cell}" for kind in _NUMBERS for cell in _CELLS_PX]
    wanted = [numbers * (side // cell) ** 2 for numbers in _NUMBERS.values() for cell in _CELLS_PX]
    if [output.size for output in network.forward(names)] != wanted:
        raise ValueError("outputs of other sizes")


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV writes every error to stderr, beside raising it."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


class YuNet:
    """A `Detector` on the colour image, reduced so that the smallest wanted face is just large enough."""

    def __init__(self, network: cv2.FaceDetectorYN) -> None:
        self._network = network

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        """See `Detector.detect`. A box is the square around the network's, which is higher than wide."""
        if min(window.width, window.height) < low_px:
            return []
        scale = min((_LOOK_SIDE_PX if high_px else _SEARCH_SIDE_PX) / low_px, 1.0)
        width, height = (max(round(side * scale), 1) for side in (window.width, window.height))
        bgr = cv2.cvtColor(picture.rgb_part(window, width, height), cv2.COLOR_RGB2BGR)
        self._network.setInputSize((width, height))
        self._network.setScoreThreshold(_LOOK_SCORE if high_px else _SEARCH_SCORE)
        found = self._network.detect(bgr)[1]
        faces = [_face(row, scale, window) for row in (found if found is not None else [])]
        return [face for face in faces if low_px <= face.box.width <= (high_px or face.box.width)]


def _face(row: np.ndarray, scale: float, window: Box) -> Face:
    """A row of `FaceDetectorYN`: x, y, width, height, five points (the eyes first), score, in px of the window."""
    x, y, width, height = (float(value) for value in row[:4] / scale)
    side = max(width, height)
    box = square_inside((x + width / 2, y + height / 2), side, window)
    return Face(box, float(row[14]), eye_line_deg(row[4:6] / scale, row[6:8] / scale, side))
