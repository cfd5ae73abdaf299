import cv2
import numpy as np
from conftest import draw_moving_face, draw_wall

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.boxes import Box, overlap
from tasks.video.detectors import load_detector
from tasks.video.detectors.detector import Detector, Face, Picture
from tasks.video.faces import FaceTracker

HAAR = load_detector(PrepareSettings())


class Still:
    """A frame of a video from an RGB array."""

    def __init__(self, rgb: np.ndarray, index: int = 0) -> None:
        self.rgb = rgb
        self.grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        self.index = index

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        part = self.rgb[box.y : box.y + box.height, box.x : box.x + box.width]
        return cv2.resize(part, (width_px, height_px), interpolation=cv2.INTER_AREA)


class Scripted:
    """A detector that sees what it is told; only boxes in the window and of a wanted size come back."""

    def __init__(self, *faces: Box) -> None:
        self.faces = list(faces)
        self.num_searches = 0

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        self.num_searches += high_px is None
        return [
            Face(box)
            for box in self.faces
            if low_px <= box.width <= (high_px or box.width)
            and window.x <= box.x
            and window.y <= box.y
            and box.x + box.width <= window.x + window.width
            and box.y + box.height <= window.y + window.height
        ]


EMPTY = np.zeros((240, 320, 3), np.uint8)
LEFT, RIGHT = Box(20, 60, 80, 80), Box(200, 80, 64, 64)


def follow(detector: Detector, frames: list[np.ndarray], min_face_px: int = 48) -> list[tuple[Box | None, int]]:
    tracker = FaceTracker(detector, min_face_px)
    return [find(tracker, frame, index) for index, frame in enumerate(frames)]


def find(tracker: FaceTracker, frame: np.ndarray, index: int) -> tuple[Box | None, int]:
    """The box of the followed face, and the number of faces."""
    face, num_faces = tracker.find(Still(frame, index))
    return face and face.box, num_faces


def test_a_followed_box_moves_with_the_face() -> None:
    found = [box for box, _ in follow(HAAR, draw_moving_face(3.0, 20))]
    boxes = [box for box in found if box]
    assert len(boxes) == 20
    moved = np.diff([box.x + box.width / 2 for box in boxes])
    assert abs(np.mean(moved) - 3.0) < 0.3
    assert max(box.width for box in boxes) < 1.3 * min(box.width for box in boxes)
    first = boxes[0]
    assert abs(first.x + first.width / 2 - 96) < 10, "the face is centred at 0.3 of 320 px"


def test_a_face_that_comes_nearer_is_followed() -> None:
    sizes = [draw_moving_face(0.0, 1, scale_px=scale, start=0.5)[0] for scale in np.linspace(40, 80, 30)]
    boxes = [box for box, _ in follow(HAAR, sizes)]
    assert all(boxes)
    assert 1.6 < boxes[-1].width / boxes[0].width < 2.3


def test_no_face_is_found_on_a_wall() -> None:
    assert follow(HAAR, draw_wall(1)) == [(None, 0)]


def test_faces_under_the_limit_are_not_used() -> None:
    frames = draw_moving_face(0.0, 1, scale_px=40)
    assert follow(HAAR, frames, 48)[0][0] is not None
    assert follow(HAAR, frames, 120)[0][0] is None


def test_boxes_stay_inside_the_frame() -> None:
    for box, _ in follow(HAAR, draw_moving_face(6.0, 40, start=0.2)):
        if box:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= 320
            assert box.y + box.height <= 240


def two_faces(left_px: float, right_px: float) -> np.ndarray:
    """Two subjects side by side, uint8 RGB of 640x240."""
    left = draw_moving_face(0.0, 1, subject=3, scale_px=left_px, start=0.5)[0]
    right = draw_moving_face(0.0, 1, subject=5, scale_px=right_px, start=0.5)[0]
    return np.hstack([left, right])


def test_the_first_subject_is_kept_when_another_becomes_larger() -> None:
    before, after = two_faces(60, 50), two_faces(60, 84)
    (largest, num_faces), *_ = follow(HAAR, [after])
    assert largest.x > 320, "who comes first is the largest"
    assert num_faces == 2
    found = follow(HAAR, [before] * 10 + [after] * 10)
    assert all(box and box.x + box.width < 320 for box, _ in found)
    assert {num_faces for _, num_faces in found} == {2}


def test_another_is_not_taken_for_a_subject_who_is_out_of_sight_for_a_moment() -> None:
    detector = Scripted(LEFT, RIGHT)
    tracker = FaceTracker(detector, 48)
    assert find(tracker, EMPTY, 0) == (LEFT, 2)
    detector.faces = [RIGHT]
    assert find(tracker, EMPTY, 10) == (None, 1)
    detector.faces = [LEFT, RIGHT]
    assert find(tracker, EMPTY, 20) == (LEFT, 1)
    detector.faces = [RIGHT]
    assert find(tracker, EMPTY, 40) == (None, 1)
    assert find(tracker, EMPTY, 46) == (RIGHT, 1), "who is away for more than a second is no longer awaited"


def test_a_subject_who_jumps_a_little_is_the_same() -> None:
    detector = Scripted(LEFT)
    tracker = FaceTracker(detector, 48)
    find(tracker, EMPTY, 0)
    detector.faces = [moved := Box(120, 80, 80, 80), RIGHT]
    assert find(tracker, EMPTY, 16) == (moved, 2)


def test_faces_are_counted_again_now_and_then_and_not_at_every_frame() -> None:
    detector = Scripted(LEFT)
    tracker = FaceTracker(detector, 48)
    counts = []
    for index in range(550):
        detector.faces = [LEFT, RIGHT] if index >= 100 else [LEFT]
        box, num_faces = find(tracker, EMPTY, index)
        assert box == LEFT
        counts.append(num_faces)
    assert counts == [1] * 250 + [2] * 300
    assert detector.num_searches == 3


class Mistaken(Scripted):
    """Sees a face at `LEFT` whenever it is told that there was one, and only the true one when it searches."""

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        self.faces = [LEFT] if high_px or picture.index == 0 else [RIGHT]
        return super().detect(picture, window, low_px, high_px)


def test_what_no_search_confirms_is_let_go() -> None:
    found = follow(Mistaken(), [EMPTY] * 290)
    boxes = [box for box, _ in found]
    assert boxes[:275] == [LEFT] * 275
    assert boxes[275] == RIGHT, "the second search in a row found another and not this one"


def test_a_frame_of_another_size_is_searched() -> None:
    tracker = FaceTracker(HAAR, 48)
    wide = two_faces(60, 84)
    first, _ = find(tracker, wide, 0)
    assert first.x > 320
    box, _ = find(tracker, draw_moving_face(0.0, 1)[0], 1)
    assert overlap(box, Box(48, 66, 96, 96)) > 0.5
