"""BlazeFace (Bazarevsky et al. 2019), two networks of MediaPipe through OpenCV: turned and half-hidden faces too.

The full-range network looks at a whole frame, or at overlapping tiles of a large one, and says where a face may be. The
short-range one looks at the surroundings of a face and says whether it is one, where exactly, and where its eyes are.
So each box is the short-range one's, and a face that is searched is believed when both networks see it.

Both take RGB padded to a square, from -1 to 1, and give a score, a box and six key points for each cell of one or two
grids (`ssd_anchors_calculator.cc` of MediaPipe).
"""

import functools
import threading
from pathlib import Path

import cv2
import numpy as np

from fer_models.errors import UserError
from tasks.video.boxes import Box, overlap
from tasks.video.detectors.detector import Face, Picture, eye_line_deg, square_inside

#: Cells along a side of each grid of a network, and how many predictions each of its cells makes.
_FULL_RANGE = (192, ((48, 1),))
_SHORT_RANGE = (128, ((16, 2), (8, 6)))
#: Side of the smallest wanted face in px of the full-range network's input. Measured on mead24, asl20 and a portrait,
#: half of the faces of 14 px had a score of 0.41 or more, 95 % of those of 16 px 0.45, all of 20 px 0.5.
_LEAST_SIDE_PX = 14.0
#: Least score, 0..1: of a place to be looked at closely, of a face that is searched, and of one known to be there. On
#: the real clips 95 % of faces turned by 45 degrees had 0.47 or more of the first network (0.41 where the lower half
#: was covered) and 0.73 of the second (0.56 where one side was covered); of what was none, the second gave 0.59 at
#: most where the first saw any.
_CANDIDATE_SCORE, _SEARCH_SCORE, _LOOK_SCORE = 0.45, 0.65, 0.6
#: A candidate is looked at in a window of so many of its sides.
_SURROUNDINGS = 1.8
#: A square of the Haar cascade has so many sides of the network's box, and its centre lies so many sides lower (up is
#: negative): medians over all faces of mead24 and asl20 that both found, every 12th frame (side 1.21 and 1.25, spread
#: 0.06; shift -0.16 in both, spread 0.03). So `min_face_px` means the same, and crops look alike.
_HAAR_SIDE, _HAAR_SHIFT = 1.23, -0.16
#: Boxes that overlap by more are one face.
_SAME_OVERLAP = 0.3
_KEY_POINTS = 6
#: Which of a prediction's pairs of numbers are places: all but width and height.
_IS_PLACE = np.arange(2 + _KEY_POINTS) != 1


def load(full_range: Path, short_range: Path) -> "BlazeFace":
    """The detector of two TFLite files.

    Raises:
        UserError: one is not the network that it should be.
    """
    networks = []
    for path, (side_px, grids) in ((full_range, _FULL_RANGE), (short_range, _SHORT_RANGE)):
        networks.append(_load_network(path.absolute(), path.stat().st_mtime_ns, side_px, grids, threading.get_ident()))
    return BlazeFace(*networks)


class _Network:
    """One of the two networks."""

    def __init__(self, network: cv2.dnn.Net, side_px: int, grids: tuple[tuple[int, int], ...]) -> None:
        self._network, self._side_px = network, side_px
        self._outputs = network.getUnconnectedOutLayersNames()
        self._anchors = np.concatenate([_cell_centres(cells, times) for cells, times in grids])

    def find(self, picture: Picture, window: Box, least_score: float) -> list[tuple[float, np.ndarray]]:
        """Scores, and centre, size and key points of each face, float (8, 2), in px of the window."""
        scale = self._side_px / max(window.width, window.height)
        width, height = (max(round(side * scale), 1) for side in (window.width, window.height))
        left, top = (self._side_px - width) // 2, (self._side_px - height) // 2
        padded = cv2.copyMakeBorder(
            picture.rgb_part(window, width, height),
            *(top, self._side_px - height - top, left, self._side_px - width - left),
            cv2.BORDER_CONSTANT,
            value=(127.5, 127.5, 127.5),
        )
        scores, points = self.run(padded, least_score)
        points *= self._side_px
        points[:, _IS_PLACE] -= (left, top)
        return _blended(scores, points * (window.width / width, window.height / height))

    def run(self, padded: np.ndarray, least_score: float) -> tuple[np.ndarray, np.ndarray]:
        """Predictions for a padded picture, uint8 RGB (S, S, 3), with at least that score.

        Returns:
            Scores (n,), and centres, sizes and key points (n, 8, 2) in sides of the picture.

        Raises:
            ValueError: outputs of another network.
        """
        self._network.setInput(cv2.dnn.blobFromImage(padded, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
        outputs = {output.shape: output for output in self._network.forward(self._outputs)}
        cells, numbers = len(self._anchors), 4 + 2 * _KEY_POINTS
        if set(outputs) != {(1, cells, 1), (1, cells, numbers)}:
            raise ValueError("outputs of other sizes")
        scores = 1 / (1 + np.exp(-np.clip(outputs[1, cells, 1].reshape(cells), -80, 80)))
        likely = np.flatnonzero(scores >= least_score)
        points = outputs[1, cells, numbers][0, likely].reshape(-1, numbers // 2, 2) / self._side_px
        points[:, _IS_PLACE] += self._anchors[likely, None]
        return scores[likely], points


@functools.cache
def _load_network(
    path: Path, modified_ns: int, side_px: int, grids: tuple[tuple[int, int], ...], thread: int
) -> _Network:
    """One network a file and thread: it must not be used by two threads at once."""
    try:
        network = _Network(cv2.dnn.readNetFromTFLite(np.frombuffer(path.read_bytes(), np.uint8)), side_px, grids)
        network.run(np.zeros((side_px, side_px, 3), np.uint8), 1.0)
    except (cv2.error, ValueError) as error:
        raise UserError(
            f"{path} is not the BlazeFace network for {side_px}x{side_px} px that OpenCV {cv2.__version__} reads; "
            "`fer weights get` fetches it."
        ) from error
    return network


class BlazeFace:
    """A `Detector` on the colour image."""

    def __init__(self, full_range: _Network, short_range: _Network) -> None:
        self._full_range, self._short_range = full_range, short_range

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        """See `Detector.detect`. A box is comparable with one of the Haar cascade."""
        if min(window.width, window.height) < low_px:
            return []
        if high_px is None:
            places = [_surroundings(place, window) for place in self._candidates(picture, window, low_px)]
            found = [face for place in places for face in self._look(picture, place, _SEARCH_SCORE, window)]
        else:
            found = self._look(picture, window, _LOOK_SCORE, window)
        return _distinct([face for face in found if low_px <= face.box.width <= (high_px or face.box.width)])

    def _candidates(self, picture: Picture, window: Box, low_px: int) -> list[Box]:
        """Where in a window the full-range network sees what may be a face."""
        faces = []
        for tile in _tiles(window, low_px):
            for score, points in self._full_range.find(picture, tile, _CANDIDATE_SCORE):
                faces.append(Face(square_inside(tuple(points[0]), float(points[1].mean()), tile), score))
        return [face.box for face in _distinct(faces)]

    def _look(self, picture: Picture, around: Box, least_score: float, window: Box) -> list[Face]:
        """The faces in the surroundings of one, their boxes inside the window."""
        shift = (around.x - window.x, around.y - window.y)
        found = self._short_range.find(picture, around, least_score)
        return [_face(score, points, window, shift) for score, points in found]


def _face(score: float, points: np.ndarray, window: Box, shift_px: tuple[int, int]) -> Face:
    """A face of a prediction, whose points lie `shift_px` further in the window."""
    side = float(points[1].mean())
    roll_deg = eye_line_deg(points[2], points[3], side)
    up = np.deg2rad(roll_deg or 0.0)
    centre = points[0] + shift_px + _HAAR_SHIFT * side * np.array([-np.sin(up), np.cos(up)])
    return Face(square_inside((centre[0], centre[1]), _HAAR_SIDE * side, window), score, roll_deg)


def _cell_centres(cells: int, times: int) -> np.ndarray:
    """Centres of a grid's cells, row by row, each so many times: float32 (cells * cells * times, 2), 0..1."""
    along = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    y, x = np.meshgrid(along, along, indexing="ij")
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), times, axis=0)


def _blended(scores: np.ndarray, points: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Weighted non-maximum suppression, as the original's: the best score, and the weighted mean of what overlaps."""
    order = np.argsort(-scores)
    found = []
    while len(order):
        corners = [points[order, 0] + sign * points[order, 1] / 2 for sign in (-1, 1)]
        common = np.maximum(np.minimum(corners[1], corners[1][0]) - np.maximum(corners[0], corners[0][0]), 0).prod(1)
        areas = points[order, 1].prod(1)
        same = common / (areas + areas[0] - common) > _SAME_OVERLAP
        same[0] = True  # whatever the size that a network gives
        group = order[same]
        weights = scores[group] / scores[group].sum()
        found.append((float(scores[group[0]]), np.tensordot(weights, points[group], 1)))
        order = order[~same]
    return found


def _surroundings(face: Box, window: Box) -> Box:
    """A square with the face in its middle, as far as it lies in the window."""
    margin = round((_SURROUNDINGS - 1) / 2 * face.width)
    left, top = max(face.x - margin, window.x), max(face.y - margin, window.y)
    right = min(face.x + face.width + margin, window.x + window.width)
    bottom = min(face.y + face.height + margin, window.y + window.height)
    return Box(left, top, right - left, bottom - top)


def _tiles(window: Box, low_px: int) -> list[Box]:
    """The window, or squares that overlap if the smallest face would be too small in the whole of it.

    Where their overlap holds any face that the window can hold, they are enough; else large ones are seen in the whole.
    """
    side = round(low_px * _FULL_RANGE[0] / _LEAST_SIDE_PX)
    long, short = max(window.width, window.height), min(window.width, window.height)
    if long <= side:
        return [window]
    lefts, tops = (_starts(length, side, 2 * low_px) for length in (window.width, window.height))
    squares = [
        Box(window.x + x, window.y + y, min(side, window.width), min(side, window.height)) for y in tops for x in lefts
    ]
    return squares if short <= 2 * side - long else [window, *squares]


def _starts(length: int, side: int, common: int) -> list[int]:
    """Where the fewest tiles start that cover a length and have so much in common."""
    if length <= side:
        return [0]
    number = -(-(length - common) // (side - common))
    return [round(start) for start in np.linspace(0, length - side, number)]


def _distinct(faces: list[Face]) -> list[Face]:
    """Of boxes that overlap the best one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -(face.score or 0.0)):
        if all(overlap(face.box, other.box) <= _SAME_OVERLAP for other in kept):
            kept.append(face)
    return kept
