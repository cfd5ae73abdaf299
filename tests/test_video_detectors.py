"""The detectors behind their one interface. YuNet's file is a small network of the tests' own (`yunet_model`)."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall, predicted_rows
from pydantic import ValidationError
from yunet_model import write_blob_detector

from fer_models.errors import UserError
from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.registries import DETECTORS, WITH_MODEL_FILE
from tasks.config.resolving import resolve_settings
from tasks.config.saved_preparation import carried_prepare, carry_prepare
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.video.boxes import Box, overlap
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_detector
from tasks.video.segments import FaceFrame

BLOB_PX = 88
#: Side of the boxes that the network gives, in its own px: the reduced side of a blob of `BLOB_PX`, whether it is
#: searched (min_face_px is 20 px) or followed (0.82 of it are 30 px).
NETWORK_SIDE_PX = 20 / 48 * BLOB_PX


class Still:
    """A picture from an RGB array."""

    index = 0

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = rgb
        self.grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        part = self.rgb[box.y : box.y + box.height, box.x : box.x + box.width]
        return cv2.resize(part, (width_px, height_px), interpolation=cv2.INTER_AREA)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_blob_detector(tmp_path / "blobs.onnx", NETWORK_SIDE_PX)


def yunet(model: Path) -> PrepareSettings:
    return PrepareSettings(detector="yunet", detector_model=model, segment_stride=4)


def draw_blobs(num_frames: int, step_px: int, *starts: tuple[int, int]) -> list[np.ndarray]:
    """Bright squares that move to the right on a dark wall: uint8 RGB frames of 400x240."""
    frames = [np.full((240, 400, 3), 20, np.uint8) for _ in range(num_frames)]
    for number, frame in enumerate(frames):
        for x, y in starts:
            left = x + step_px * number
            frame[y : y + BLOB_PX, left : left + BLOB_PX] = 250
    return frames


def boxes_of(segments: list[FaceFrame]) -> list[Box]:
    return [Box(*segment.box) for segment in segments]


def test_the_registry_and_the_settings_name_the_same_detectors() -> None:
    assert set(DETECTORS) >= WITH_MODEL_FILE
    for name in DETECTORS:
        file = Path("model.onnx") if name in WITH_MODEL_FILE else None
        assert PrepareSettings(detector=name, detector_model=file).detector == name
    with pytest.raises(ValidationError, match="there are haar, yunet"):
        PrepareSettings(detector="mtcnn")


def test_haar_finds_a_drawn_face_in_a_window_and_nowhere_else() -> None:
    picture = Still(draw_moving_face(0.0, 1)[0])
    haar = load_detector(PrepareSettings())
    ((found, _, _),) = haar.detect(picture, Box(0, 0, 320, 240), 48)
    assert overlap(found, Box(48, 66, 96, 96)) > 0.5, "the face is centred at 0.3 of 320 px"
    ((again, _, _),) = haar.detect(picture, Box(20, 30, 160, 180), 48, 150)
    assert overlap(found, again) > 0.8, "boxes are in px of the whole frame"
    assert haar.detect(picture, Box(170, 30, 150, 180), 48) == []
    assert haar.detect(Still(draw_wall(1)[0]), Box(0, 0, 320, 240), 48) == []


def test_yunet_gives_squares_in_px_of_the_frame(network: Path) -> None:
    detector = load_detector(yunet(network))
    picture = Still(draw_blobs(1, 0, (40, 60), (250, 100))[0])
    found = sorted(face.box for face in detector.detect(picture, Box(0, 0, 400, 240), 48))
    assert [box.width for box in found] == [box.height for box in found] == [BLOB_PX, BLOB_PX]
    assert overlap(found[0], Box(40, 60, BLOB_PX, BLOB_PX)) > 0.75
    assert overlap(found[1], Box(250, 100, BLOB_PX, BLOB_PX)) > 0.75
    near = detector.detect(picture, Box(228, 78, 132, 132), round(0.82 * BLOB_PX), 114)[0].box
    assert overlap(near, Box(250, 100, BLOB_PX, BLOB_PX)) > 0.75
    assert detector.detect(picture, Box(0, 0, 400, 240), 300) == [], "no subset of the frame is so long"


def test_yunet_prepares_a_video_and_follows(tmp_path: Path, network: Path) -> None:
    path = tmp_path / "blob.mp4"
    write_video(path, draw_blobs(36, 2, (60, 70)), FPS)
    segments, report = prepare_video(path, yunet(network))
    assert report.outcome is Outcome.OK
    assert report.num_covered == report.num_segments == 6
    for segment, box in zip(segments, boxes_of(segments), strict=True):
        assert overlap(box, Box(60 + 2 * segment.frame, 70, BLOB_PX, BLOB_PX)) > 0.6, "cells lie 20 px apart"
        assert segment.num_faces == 1


def test_yunet_and_a_video_without_a_face(tmp_path: Path, network: Path) -> None:
    path = tmp_path / "dark.mp4"
    write_video(path, draw_blobs(20, 0), FPS)
    assert prepare_video(path, yunet(network))[1].outcome is Outcome.NO_FACE


def test_a_frame_gives_its_parts_in_colour_at_any_size(tmp_path: Path) -> None:
    path = tmp_path / "halves.mp4"
    halves = np.zeros((120, 160, 3), np.uint8)
    halves[:, :80] = (200, 40, 40)
    halves[:, 80:] = (40, 40, 200)
    write_video(path, [halves] * 2, FPS)
    part = next(decode(path, Video())).rgb_part(Box(0, 0, 160, 120), 64, 48)
    assert part.shape == (48, 64, 3)
    assert np.abs(part[:, 4:28].mean((0, 1)) - (200, 40, 40)).max() < 12
    assert np.abs(part[:, 36:60].mean((0, 1)) - (40, 40, 200)).max() < 12


def test_the_digest_follows_the_content_of_the_model(tmp_path: Path, network: Path) -> None:
    moved = tmp_path / "elsewhere" / "same.onnx"
    moved.parent.mkdir()
    shutil.copy(network, moved)
    other = write_blob_detector(tmp_path / "other.onnx", 50.0)
    assert prepare_digest(yunet(network)) == prepare_digest(yunet(moved))
    assert prepare_digest(yunet(network)) != prepare_digest(yunet(other))
    unused = PrepareSettings(detector_model=other)
    assert prepare_digest(unused) == prepare_digest(PrepareSettings()), "haar reads no file"


def test_yunet_needs_a_file() -> None:
    with pytest.raises(ValidationError, match="detector yunet needs its ONNX file"):
        PrepareSettings(detector="yunet")
    with pytest.raises(UserError, match=r"prepare\.detector_model: detector yunet needs its ONNX file"):
        resolve_settings(overrides={"prepare.detector": "yunet"})


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for use in (load_detector, prepare_digest):
        with pytest.raises(UserError, match=r"no model of the detector yunet at '.*gone\.onnx'; set prepare"):
            use(yunet(tmp_path / "gone.onnx"))


@pytest.mark.parametrize("fault", ["empty", "text", "cut", "other outputs"])
def test_a_file_that_is_no_yunet_model_is_one_sentence(
    tmp_path: Path, network: Path, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.onnx"
    if fault == "other outputs":
        write_blob_detector(path, NETWORK_SIDE_PX, ("cls", "obj"))
    else:
        content = network.read_bytes()
        path.write_bytes({"empty": b"", "text": b"not a model", "cut": content[: len(content) // 2]}[fault])
    with pytest.raises(UserError, match="is not a YuNet model that OpenCV"):
        load_detector(yunet(path))
    assert capfd.readouterr().err == ""


def test_a_trained_model_carries_its_detector(tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = yunet(Path(network.name))
    carried = carry_prepare(settings)
    monkeypatch.chdir(tmp_path.parent)
    assert prepare_digest(carried_prepare(carried)) == prepare_digest(yunet(network))
    moved = network.rename(tmp_path / "moved.onnx")
    with pytest.raises(UserError, match=r"found by yunet with a file that is not at .*--detector-model"):
        carried_prepare(carried)
    assert carried_prepare(carried, moved).detector_model == moved
    with pytest.raises(UserError, match=r"--detector-model"):
        carried_prepare(carried, write_blob_detector(tmp_path / "other.onnx", 50.0))


def test_a_model_without_a_detector_file_carries_just_its_settings() -> None:
    settings = PrepareSettings(segment_stride=4)
    assert carried_prepare(carry_prepare(settings)) == settings
    earlier = settings.model_copy(update={"pair": "neighbours"})
    assert carried_prepare({"segment_stride": 4}) == earlier, "as models of earlier versions carry them"
    assert carried_prepare(None) == PrepareSettings(pair="neighbours")


def test_prediction_says_once_that_the_file_is_gone(tmp_path: Path, network: Path, moving_face: Path) -> None:
    from fer_models.models.arms import get_arm
    from fer_models.models.building import build_model
    from fer_models.settings import ModelSettings

    model = build_model(get_arm("gap-sum"), ModelSettings(width=4, head_units=8), prepare=carry_prepare(yunet(network)))
    model.save(tmp_path / "model.keras")
    blob = tmp_path / "blob.mp4"
    write_video(blob, draw_blobs(20, 0, (100, 60)), FPS)
    predicted = predicted_rows(tmp_path / "model.keras", [blob])
    assert predicted["outcome"].tolist() == ["ok"]
    network.unlink()
    with pytest.raises(UserError, match="--detector-model"):
        predicted_rows(tmp_path / "model.keras", [blob, moving_face])
