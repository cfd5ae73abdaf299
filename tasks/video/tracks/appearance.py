"""What somebody looks like: the colours of the face, which tell apart people who come near each other."""

import cv2
import numpy as np

from tasks.video.boxes import Box
from tasks.video.detectors.detector import Picture

#: What is left out of a face's box, in sides: above, at the left and right, and below. The rest holds no background,
#: which changes when somebody moves; with hair and collar fewer people were told apart (mead24 before other walls).
_ABOVE, _BESIDE, _BELOW = 0.1, 0.15, 0.05
_SIDE_PX = 32
#: Bins of luma and of the two colour differences, which faces hold a part of.
_BINS, _COLOUR_RANGE = (8, 16, 16), (72, 184)


def describe(picture: Picture, face: Box) -> np.ndarray:
    """The colour histogram of a face, blurred: square roots of shares, float32 (2048,)."""
    left, top = face.x + round(_BESIDE * face.width), face.y + round(_ABOVE * face.height)
    right = face.x + round((1 - _BESIDE) * face.width)
    bottom = face.y + round((1 - _BELOW) * face.height)
    rgb = picture.rgb_part(Box(left, top, right - left, bottom - top), _SIDE_PX, _SIDE_PX)
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    ycc[..., 1:] = np.clip(ycc[..., 1:], _COLOUR_RANGE[0], _COLOUR_RANGE[1] - 1)
    counts = cv2.calcHist([ycc], [0, 1, 2], None, list(_BINS), [0, 256, *_COLOUR_RANGE, *_COLOUR_RANGE])
    for axis in range(3):
        counts = _blurred(counts, axis)
    return np.sqrt(counts.ravel() / _SIDE_PX**2)


def _blurred(counts: np.ndarray, axis: int) -> np.ndarray:
    """With a quarter of each bin in either neighbour along an axis."""
    along = np.swapaxes(counts, 0, axis)
    shared = along / 2
    shared[1:] += along[:-1] / 4
    shared[:-1] += along[1:] / 4
    shared[[0, -1]] += along[[0, -1]] / 4
    return np.swapaxes(shared, 0, axis)


def blended(old: np.ndarray, new: np.ndarray, share: float) -> np.ndarray:
    """A description between two, with that share of the new one."""
    return np.sqrt((1 - share) * old**2 + share * new**2)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Hellinger distance of two descriptions, 0 (the same colours) to 1 (none in common)."""
    return float(np.sqrt(max(1.0 - float(first @ second), 0.0)))
