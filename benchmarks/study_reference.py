"""The published study's preparation, written down plainly: what the project's own preparation is measured against.

Each frame: load the cascades, `detectMultiScale(grey, 1.3, 1)` on the whole frame, take the first hit of the first
cascade that has one, drop crops under 90 px, resize the crop to one size. Between two frames with a face: Farneback
optical flow of the crops, drawn as HSV with the magnitude stretched to 0..255. A frame without a face breaks the chain.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from cv2.data import haarcascades

CASCADES = ("haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt.xml", "haarcascade_profileface.xml")
SIDE_PX = 48
MIN_FACE_PX = 90


def load_cascades() -> list[cv2.CascadeClassifier]:
    """The list of cascades that is tried in order."""
    return [cv2.CascadeClassifier(haarcascades + name) for name in CASCADES]


def prepare(path: Path, cascades: list[cv2.CascadeClassifier] | None = None) -> int:
    """Prepare a video as the study did; returns the number of face and flow pairs.

    Args:
        cascades: loaded once by the caller; the study loaded them for every frame (`None`).
    """
    num_pairs = 0
    previous: np.ndarray | None = None
    for image in _frames(path):
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        box = _first_face(grey, cascades if cascades is not None else load_cascades())
        if box is None or box[3] < MIN_FACE_PX:
            previous = None
            continue
        x, y, width, height = box
        face = cv2.resize(image[y : y + height, x : x + width], (SIDE_PX, SIDE_PX))
        small = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
        if previous is not None:
            draw_hsv(cv2.calcOpticalFlowFarneback(previous, small, None, 0.5, 3, 15, 3, 5, 1.2, 0))
            num_pairs += 1
        previous = small
    return num_pairs


def draw_hsv(optical_flow: np.ndarray) -> np.ndarray:
    """Hue is half the angle, value the magnitude stretched per frame: uint8 BGR."""
    magnitude, angle = cv2.cartToPolar(optical_flow[..., 0], optical_flow[..., 1])
    hsv = np.full((*magnitude.shape, 3), 255, np.uint8)
    hsv[..., 0] = angle * 180 / np.pi / 2
    hsv[..., 2] = cv2.normalize(magnitude, None, 0, 255, cv2.NORM_MINMAX)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _first_face(grey: np.ndarray, cascades: list[cv2.CascadeClassifier]) -> tuple[int, int, int, int] | None:
    for cascade in cascades:
        faces = cascade.detectMultiScale(grey, 1.3, 1)
        if len(faces):
            x, y, width, height = faces[0]
            return int(x), int(y), int(width), int(height)
    return None


def _frames(path: Path) -> Iterator[np.ndarray]:
    """BGR frames as OpenCV's reader gives them; decoded by PyAV on one thread, so that only the procedure differs."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="bgr24")
