"""What one detector takes for a face and another does not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from pydantic import ValidationError
from test_video_blazeface import needs_the_real_thing
from test_video_faces import EMPTY, LEFT, RIGHT, Scripted, Still

from tasks.config.digests import model_files, model_sha256, prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.video import cutting
from tasks.video.boxes import Box, overlap
from tasks.video.cutting import prepare_video
from tasks.video.faces import FaceTracker
from tasks.video.second_opinion import SecondOpinion
from tasks.video.segments import FaceFrame, VideoReport

PATCH_PX, PATCH_Y = 110, 70


def draw_patch() -> np.ndarray:
    """Two dark bars above a third: a face to the Haar cascade. uint8 RGB (110, 110, 3)."""
    cells = np.full((24, 24), 150, np.uint8)
    cells[7:10, 3:10] = cells[7:10, 14:21] = 60
    cells[10:15, 11:13] = 200
    cells[17:19, 8:16] = 80
    return cv2.cvtColor(cv2.resize(cells, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_NEAREST), cv2.COLOR_GRAY2RGB)


def patch_box(frame: int) -> Box:
    """Where the patch lies in a frame."""
    return Box(360 + 2 * frame, PATCH_Y, PATCH_PX, PATCH_PX)


def draw_scene(num_frames: int = 68) -> list[np.ndarray]:
    """A person whose head is tilted too far for the cascade, and a patch that moves: uint8 RGB frames of 640x240."""
    face = draw_moving_face(0.0, 1, start=0.5)[0]
    matrix = cv2.getRotationMatrix2D((160, 115), 42, 1.0)
    tilted = cv2.warpAffine(face, matrix, (320, 240), borderMode=cv2.BORDER_REPLICATE)
    frames = []
    for number in range(num_frames):
        frame = np.hstack([tilted, draw_wall(1)[0]])
        x, y, side, _ = patch_box(number)
        frame[y : y + side, x : x + side] = draw_patch()
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("patch") / "patch.mp4"
    write_video(path, draw_scene(), FPS)
    return path


def share_of_patch(segments: list[FaceFrame], report: VideoReport) -> float:
    """Share of a video's segments whose box is the patch."""
    of_patch = [segment for segment in segments if overlap(Box(*segment.box), patch_box(segment.frame)) > 0.2]
    return len(of_patch) / report.num_segments


def test_a_patch_that_is_followed_as_a_face_goes_unnoticed_without_a_second_opinion(scene: Path) -> None:
    segments, report = prepare_video(scene, PrepareSettings())
    assert report.outcome is Outcome.OK
    assert share_of_patch(segments, report) == 1.0
    assert (report.num_asked, report.num_agreed) == (0, 0)


@pytest.mark.parametrize("stride", [4, 16])
def test_a_patch_that_no_second_opinion_shares_is_left_out_and_told(
    scene: Path, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "load_confirming", lambda settings: Scripted(Box(110, 60, 110, 110)))
    settings = PrepareSettings(segment_stride=stride).model_copy(update={"confirm": "blazeface"})
    segments, report = prepare_video(scene, settings)
    assert share_of_patch(segments, report) == 0.0
    assert report.outcome is Outcome.NO_FACE
    wanted = rf"no face was found in any segment; blazeface saw no face {report.num_asked} of {report.num_asked} times"
    assert report.message.startswith(wanted)
    assert report.num_agreed == report.num_found == 0 < report.num_asked


@needs_the_real_thing
def test_blazeface_tells_the_patch_and_finds_the_tilted_person(scene: Path) -> None:
    segments, report = prepare_video(scene, PrepareSettings(confirm="blazeface"))
    assert share_of_patch(segments, report) == 0.0
    assert "blazeface saw no face" in report.message
    segments, report = prepare_video(scene, PrepareSettings(detector="blazeface", confirm="none"))
    assert report.outcome is Outcome.OK
    assert report.num_covered == report.num_segments
    assert all(overlap(Box(*segment.box), Box(100, 60, 120, 120)) > 0.5 for segment in segments)
    assert 0.5 < report.mean_score <= 1


@needs_the_real_thing
def test_blazeface_confirms_a_face_that_is_one(moving_face: Path) -> None:
    _, plain = prepare_video(moving_face, PrepareSettings())
    _, report = prepare_video(moving_face, PrepareSettings(confirm="blazeface"))
    assert report.num_agreed == report.num_asked > 0
    assert (report.message, report.num_covered) == (plain.message, plain.num_covered)


def test_a_followed_face_is_asked_about_every_12_frames_and_let_go() -> None:
    """It was a face, and became a jacket."""
    second = Scripted(LEFT)
    opinion = SecondOpinion(second)
    tracker = FaceTracker(Scripted(LEFT), 48, opinion)
    found = []
    for index in range(40):
        if index == 20:
            second.faces = []
        found.append(tracker.find(Still(EMPTY, index))[0])
    assert [face is not None for face in found] == [True] * 24 + [False] * 16
    assert opinion.num_agreed == 2, "at the search, and after 12 frames"


def test_the_face_that_both_see_is_taken_though_another_is_larger() -> None:
    tracker = FaceTracker(Scripted(LEFT, RIGHT), 48, SecondOpinion(Scripted(RIGHT)))
    face, num_faces = tracker.find(Still(EMPTY, 0))
    assert (face.box, num_faces) == (RIGHT, 1)


def test_the_second_opinion_is_asked_about_the_surroundings() -> None:
    opinion = SecondOpinion(Scripted(RIGHT))
    assert opinion.agrees(Still(EMPTY), RIGHT)
    assert opinion.agrees(Still(EMPTY), RIGHT._replace(x=RIGHT.x + 12))
    assert not opinion.agrees(Still(EMPTY), LEFT)
    assert (opinion.num_asked, opinion.num_agreed) == (3, 2)


def test_a_search_is_for_new_faces_and_those_confirmed_before_are_looked_at() -> None:
    second = Scripted(LEFT)
    opinion = SecondOpinion(second)
    assert opinion.agrees(Still(EMPTY), LEFT)
    assert second.num_searches == 1
    assert opinion.agrees(Still(EMPTY), LEFT, before=True)
    assert second.num_searches == 1


def test_another_detector_is_another_one() -> None:
    with pytest.raises(ValidationError, match="haar finds the faces already; a second opinion is that of another"):
        PrepareSettings(confirm="haar")
    with pytest.raises(ValidationError, match="there is no detector 'nobody'"):
        PrepareSettings(confirm="nobody")
    with pytest.raises(ValidationError, match="detector yunet needs its ONNX file"):
        PrepareSettings(confirm="yunet")


def test_the_digest_knows_of_the_second_opinion_and_its_files(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    (tmp_path / "y.onnx").write_bytes(b"y")
    plain = PrepareSettings(detector_model=tmp_path / "x.onnx")
    confirmed = PrepareSettings(detector_model=tmp_path / "x.onnx", confirm="yunet")
    other = PrepareSettings(detector_model=tmp_path / "y.onnx", confirm="yunet")
    assert len({prepare_digest(settings) for settings in (plain, confirmed, other)}) == 3
    assert model_sha256(plain) == ""
    assert model_files("yunet", confirmed) == (tmp_path / "x.onnx",)
