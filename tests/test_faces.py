import cv2
import numpy as np
from conftest import draw_moving_face, draw_wall

from tasks.faces import Box, FaceTracker


def grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def test_a_followed_box_moves_with_the_face() -> None:
    tracker = FaceTracker(48)
    found = [tracker.find(grey(frame))[0] for frame in draw_moving_face(3.0, 20)]
    boxes = [box for box in found if box]
    assert len(boxes) == 20
    moved = np.diff([box.x + box.width / 2 for box in boxes])
    assert np.mean(moved) == np.float64(3.0).round() or abs(np.mean(moved) - 3.0) < 0.3
    assert max(box.width for box in boxes) < 1.3 * min(box.width for box in boxes)
    first = boxes[0]
    assert abs(first.x + first.width / 2 - 96) < 10, "the face is centred at 0.3 of 320 px"


def test_no_face_is_found_on_a_wall() -> None:
    assert FaceTracker(48).find(grey(draw_wall(1)[0])) == (None, 0)


def test_faces_under_the_limit_are_not_used() -> None:
    frame = grey(draw_moving_face(0.0, 1, scale_px=40)[0])
    assert FaceTracker(48).find(frame)[0] is not None
    assert FaceTracker(120).find(frame)[0] is None


def test_boxes_stay_inside_the_frame() -> None:
    frames = draw_moving_face(6.0, 40, start=0.2)
    tracker = FaceTracker(48)
    for frame in frames:
        box, _ = tracker.find(grey(frame))
        if box:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= 320
            assert box.y + box.height <= 240


def test_the_person_already_followed_is_kept() -> None:
    left, right = (draw_moving_face(0.0, 1, person=p, scale_px=50, start=s)[0] for p, s in ((3, 0.25), (5, 0.75)))
    both = np.hstack([left[:, :160], right[:, 160:]])
    tracker = FaceTracker(40)
    tracker._last = Box(45, 80, 75, 75)
    box, _ = tracker.find(grey(both))
    assert box
    assert box.x + box.width / 2 < 160
    assert FaceTracker(40).find(grey(both))[1] == 2
