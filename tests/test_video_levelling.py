"""Crops with level eyes, and the motion in them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FPS, draw_moving_face
from pydantic import ValidationError
from test_video_faces import EMPTY, Still

from fer_models.errors import UserError
from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.video import cutting
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.detectors.detector import Face, Picture, eye_line_deg
from tasks.video.faces import FaceTracker
from tasks.video.levelling import level_crop

FACE = Box(96, 55, 120, 120)
#: The face of `draw_moving_face(.., start=0.5)` lies here.
CENTRE = (160.0, 115.0)
LEVELLED = PrepareSettings(detector="blazeface", align="eyes", segment_stride=4)


class Tilted:
    """A detector that sees a face in the middle, with that roll."""

    def __init__(self, roll_deg: float | None) -> None:
        self.roll_deg = roll_deg

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Face]:
        return [Face(FACE, 0.9, self.roll_deg)]


def turned(frame: np.ndarray, roll_deg: float) -> np.ndarray:
    """A frame turned clockwise, as one looks at it, about the middle of the face."""
    matrix = cv2.getRotationMatrix2D(CENTRE, -roll_deg, 1.0)
    return cv2.warpAffine(frame, matrix, frame.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def part_of(frame: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda box, width, height: cv2.resize(
        frame[box.y : box.y + box.height, box.x : box.x + box.width], (width, height), interpolation=cv2.INTER_AREA
    )


@pytest.mark.parametrize("side_px", [48, 96, 200])
def test_no_roll_is_the_plain_crop(side_px: int) -> None:
    frame = draw_moving_face(0.0, 1, start=0.5)[0]
    crop = level_crop(part_of(frame), (240, 320), FACE, 0.0, side_px).astype(int)
    plain = part_of(frame)(FACE, side_px, side_px).astype(int)
    assert np.abs(crop - plain).mean() < 1.5


@pytest.mark.parametrize("roll_deg", [-40.0, -15.0, 20.0, 35.0])
def test_a_tilted_face_looks_like_the_upright_one(roll_deg: float) -> None:
    frame = draw_moving_face(0.0, 1, start=0.5)[0]
    box = Box(100, 55, 120, 120)  # centred on the face
    plain = part_of(frame)(box, 48, 48).astype(int)
    level = level_crop(part_of(turned(frame, roll_deg)), (240, 320), box, roll_deg, 48).astype(int)
    tilted = part_of(turned(frame, roll_deg))(box, 48, 48).astype(int)
    middle = np.s_[6:-6, 6:-6]
    assert np.abs(level - plain)[middle].mean() < 4
    assert np.abs(tilted - plain)[middle].mean() > 6, "the test sees a face that is not levelled"


def test_what_lies_outside_the_frame_repeats_its_edge() -> None:
    frame = np.zeros((100, 100), np.uint8)
    frame[:, :50], frame[:, 50:] = 40, 200
    crop = level_crop(part_of(frame), (100, 100), Box(0, 0, 100, 100), 30.0, 48)
    assert set(np.unique(crop[[0, 0, -1, -1], [0, -1, 0, -1]])) == {40, 200}


@pytest.mark.parametrize("pair", [1 / 30, "neighbours", "first_last"])
@pytest.mark.parametrize("roll_deg", [0.0, 20.0, -35.0])
def test_a_known_shift_comes_back_in_the_levelled_crop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: float | str, roll_deg: float
) -> None:
    """Three px along the line of the eyes are three px to the right, for both frames are turned alike."""
    monkeypatch.setattr(cutting, "load_detector", lambda settings: Tilted(roll_deg))
    steps = 15 if pair == "first_last" else 1
    path = tmp_path / "tilted.mp4"
    frames = [turned(frame, roll_deg) for frame in draw_moving_face(3.0 / steps, 20, start=0.48)]
    write_video(path, frames, FPS)
    segments, report = prepare_video(path, LEVELLED.model_copy(update={"pair": pair}))
    assert report.outcome is Outcome.OK
    first = segments[0].optical_flow[14:38, 14:34].astype(float) * FACE.width / 48
    wanted_px = 3.0 if isinstance(pair, str) else 3.0 * FPS / 30
    assert np.median(first[..., 0]) == pytest.approx(wanted_px, abs=0.3)
    assert np.median(first[..., 1]) == pytest.approx(0.0, abs=0.3)
    monkeypatch.setattr(cutting, "load_detector", lambda settings: Tilted(None))
    (unknown, *_), _ = prepare_video(path, LEVELLED)
    (plain, *_), _ = prepare_video(path, LEVELLED.model_copy(update={"align": "none"}))
    assert np.array_equal(unknown.face, plain.face), "without eyes nothing is turned"
    assert np.array_equal(unknown.face, segments[0].face) == (roll_deg == 0.0)


def test_the_roll_is_smoothed_and_outlives_a_profile() -> None:
    detector = Tilted(10.0)
    tracker = FaceTracker(detector, 48)
    rolls = []
    for index, roll_deg in enumerate([10.0, 10.0, 20.0, None, 20.0]):
        detector.roll_deg = roll_deg
        face, _ = tracker.find(Still(EMPTY, index))
        rolls.append(face.roll_deg)
    assert rolls == pytest.approx([10.0, 10.0, 16.0, 16.0, 18.4])


def test_the_eyes_of_a_profile_tell_no_level() -> None:
    assert eye_line_deg(np.array([0.0, 0.0]), np.array([30.0, 30.0]), 100.0) == pytest.approx(45)
    assert eye_line_deg(np.array([0.0, 0.0]), np.array([30.0, -30.0]), 100.0) == pytest.approx(-45)
    assert eye_line_deg(np.array([0.0, 0.0]), np.array([8.0, 8.0]), 100.0) is None


def test_a_frame_gives_level_crops_in_grey_and_colour(tmp_path: Path) -> None:
    path = tmp_path / "tilted.mp4"
    upright = draw_moving_face(0.0, 1, start=0.5)[0]
    write_video(path, [turned(upright, 25.0), upright], FPS)
    box = Box(100, 55, 120, 120)
    tilted, plain = decode(path, Video())
    middle = np.s_[6:-6, 6:-6]
    for crop in ("grey_crop", "rgb_crop"):
        level, wanted = getattr(tilted, crop)(box, 48, 25.0), getattr(plain, crop)(box, 48)
        assert level.shape == wanted.shape
        assert np.abs(level.astype(int) - wanted.astype(int))[middle].mean() < 4


def test_a_detector_without_eyes_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValidationError, match="detector haar does not say where the eyes are; blazeface and yunet do"):
        PrepareSettings(align="eyes")
    with pytest.raises(UserError, match=r"prepare\.align: detector haar does not say") as error:
        resolve_settings(overrides={"prepare.align": "eyes"})
    assert "\n" not in str(error.value)
    with pytest.raises(ValidationError, match="precropped frames are used as they are"):
        PrepareSettings(detector="blazeface", precropped=True, align="eyes")


def test_the_digest_knows_of_levelling_where_there_is_any(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").touch()
    yunet = {"detector": "yunet", "detector_model": tmp_path / "x.onnx"}
    assert prepare_digest(PrepareSettings(**yunet, align="eyes")) != prepare_digest(PrepareSettings(**yunet))
