"""BlazeFace behind the interface of detectors, with networks of the tests' own (`blazeface_model`).

The last tests take the published weights and real clips, and are skipped where these are not.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from blazeface_model import write_blob_blazeface
from conftest import FPS
from pydantic import ValidationError
from test_video_detectors import BLOB_PX, Still, draw_blobs

from fer_models.errors import UserError
from tasks.config.digests import model_sha256, prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.registries import WITH_WEIGHTS
from tasks.config.saved_preparation import carried_prepare, carry_prepare
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.video.boxes import Box, overlap
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_detector
from tasks.video.detectors.blazeface import _tiles
from tasks.weights.cache import find
from tasks.weights.registry import WEIGHTS, get_record

DATA = Path(os.environ.get("FER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
#: Sides of a blob in the box that is given for it, and how many of them higher the box's centre lies: those of faces.
SIDE, RISE = 1.23, 0.16


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blob_blazeface(tmp_path_factory.mktemp("blazeface"))


def blazeface(folder: Path | None, **others: object) -> PrepareSettings:
    return PrepareSettings(detector="blazeface", detector_model=folder, **{"segment_stride": 4, **others})


def around_blob(x: int, y: int) -> Box:
    """The box of a blob whose upper left corner lies there."""
    side = round(SIDE * BLOB_PX)
    return Box(round(x + BLOB_PX / 2 - side / 2), round(y + BLOB_PX * (0.5 - RISE) - side / 2), side, side)


def test_what_is_searched_and_what_is_followed_have_boxes_like_those_of_haar(networks: Path) -> None:
    detector = load_detector(blazeface(networks))
    picture = Still(draw_blobs(1, 0, (60, 80), (250, 110))[0])
    faces = sorted(detector.detect(picture, Box(0, 0, 400, 240), 48))
    assert len(faces) == 2
    assert overlap(faces[0].box, around_blob(60, 80)) > 0.85
    assert overlap(faces[1].box, around_blob(250, 110)) > 0.85
    assert all(face.box.width == face.box.height for face in faces)
    assert all(0.9 < face.score <= 1 and face.roll_deg == pytest.approx(0, abs=1) for face in faces)
    near = around_blob(250, 110)
    (followed,) = detector.detect(picture, Box(near.x - 27, near.y - 27, near.width + 54, near.height + 54), 89, 140)
    assert overlap(followed.box, near) > 0.8
    assert detector.detect(picture, Box(0, 0, 400, 240), 130) == []
    assert detector.detect(picture, Box(0, 0, 400, 240), 300) == [], "no side of the frame is so long"


def test_a_large_window_is_looked_at_in_tiles_that_hold_every_face() -> None:
    assert _tiles(Box(5, 7, 640, 360), 48) == [Box(5, 7, 640, 360)]
    wide = _tiles(Box(0, 0, 800, 360), 48)
    assert wide == [Box(0, 0, 658, 360), Box(142, 0, 658, 360)], "what they share holds any face of that window"
    whole, *tiles = _tiles(Box(100, 50, 1920, 1080), 48)
    assert whole == Box(100, 50, 1920, 1080)
    assert {(tile.width, tile.height) for tile in tiles} == {(658, 658)}
    for x, y in ((100, 50), (1972, 50), (1010, 590), (1972, 1082), (600, 640)):
        assert any(
            tile.x <= x and tile.y <= y and x + 48 <= tile.x + tile.width and y + 48 <= tile.y + tile.height
            for tile in tiles
        )


def test_small_faces_of_a_large_frame_are_found_in_its_tiles(networks: Path) -> None:
    frame = np.full((900, 1600, 3), 20, np.uint8)
    frame[500 : 500 + BLOB_PX, 1300 : 1300 + BLOB_PX] = 250
    detector = load_detector(blazeface(networks))
    (face,) = detector.detect(Still(frame), Box(0, 0, 1600, 900), 30)
    assert overlap(face.box, around_blob(1300, 500)) > 0.8
    assert detector.detect(Still(frame), Box(0, 0, 1600, 900), 250) == [], "the whole frame is enough for such a side"


def test_a_tilted_face_tells_its_roll_and_its_box_moves_along_its_own_axis(tmp_path: Path) -> None:
    tilted = load_detector(blazeface(write_blob_blazeface(tmp_path, eye_slope=0.5)))
    (face,) = tilted.detect(Still(draw_blobs(1, 0, (150, 80))[0]), Box(0, 0, 400, 240), 48)
    assert face.roll_deg == pytest.approx(np.degrees(np.arctan(0.5)), abs=1), "its right eye in the picture is lower"
    level = around_blob(150, 80)
    to_the_right = face.box.x + face.box.width / 2 - level.x - level.width / 2
    assert to_the_right == pytest.approx(RISE * BLOB_PX * np.sin(np.arctan(0.5)), abs=2)


def test_a_video_is_prepared_and_its_face_followed(tmp_path: Path, networks: Path) -> None:
    path = tmp_path / "blob.mp4"
    write_video(path, draw_blobs(36, 2, (60, 80)), FPS)
    segments, report = prepare_video(path, blazeface(networks))
    assert report.outcome is Outcome.OK
    assert report.num_covered == report.num_segments == 6
    for segment in segments:
        assert overlap(Box(*segment.box), around_blob(60 + 2 * segment.frame, 80)) > 0.7
        assert segment.num_faces == 1
    dark = tmp_path / "dark.mp4"
    write_video(dark, draw_blobs(20, 0), FPS)
    assert prepare_video(dark, blazeface(networks))[1].outcome is Outcome.NO_FACE


def test_the_digest_follows_the_content_of_both_files(tmp_path: Path, networks: Path) -> None:
    moved, other = tmp_path / "moved", tmp_path / "other"
    shutil.copytree(networks, moved)
    shutil.copytree(networks, other)
    with (other / "face_detection_short_range.tflite").open("ab") as file:
        file.write(b"\0")
    assert prepare_digest(blazeface(networks)) == prepare_digest(blazeface(moved))
    assert prepare_digest(blazeface(networks)) != prepare_digest(blazeface(other))


def test_the_names_of_the_registry_of_weights_count_too(tmp_path: Path, networks: Path) -> None:
    for name in WITH_WEIGHTS["blazeface"]:
        record = get_record(name)
        shutil.copy(networks / record.published_name, tmp_path / record.file_name)
    assert model_sha256(blazeface(tmp_path)) == model_sha256(blazeface(networks))


def test_weights_that_are_not_there_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "cache"))
    for use in (load_detector, prepare_digest):
        with pytest.raises(UserError, match=r"blazeface-full-range .* `fer weights get blazeface-full-range"):
            use(blazeface(None))
        with pytest.raises(
            UserError, match=r"not in '.*folder' as face_detection_full_range\.tflite.*`fer weights get"
        ):
            use(blazeface(tmp_path / "folder"))


@pytest.mark.parametrize("fault", ["empty", "text", "cut", "the other network"])
def test_a_file_that_is_not_the_network_is_one_sentence(
    tmp_path: Path, networks: Path, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(networks, tmp_path / "wrong")
    path = tmp_path / "wrong" / "face_detection_full_range.tflite"
    content = {
        "empty": b"",
        "text": b"not a model",
        "cut": path.read_bytes()[: path.stat().st_size // 2],
        "the other network": (networks / "face_detection_short_range.tflite").read_bytes(),
    }[fault]
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"face_detection_full_range\.tflite is not the BlazeFace network for 192x192 px"
    ):
        load_detector(blazeface(path.parent))
    assert capfd.readouterr().err == ""


def test_a_trained_model_carries_the_weights_it_was_trained_with(
    tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(networks, moved)
    carried = carry_prepare(blazeface(moved))
    assert carried_prepare(carried).detector_model == moved
    shutil.rmtree(moved)
    with pytest.raises(UserError, match=r"found by blazeface with a file that is not at .*--detector-model"):
        carried_prepare(carried)
    assert carried_prepare(carried, networks).detector_model == networks
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="fer weights get"):
        carried_prepare({**carried, "detector_model": None})


def test_every_detector_with_weights_names_records() -> None:
    assert {name for names in WITH_WEIGHTS.values() for name in names} <= set(WEIGHTS)
    with pytest.raises(ValidationError, match="there is no detector 'blazefaces'"):
        PrepareSettings(detector="blazefaces")


needs_the_real_thing = pytest.mark.skipif(
    not DATA.is_dir() or not all(find(name) for name in WITH_WEIGHTS["blazeface"]),
    reason="the real clips or the published weights are not here",
)


@needs_the_real_thing
def test_real_faces_have_the_boxes_that_haar_gives_them() -> None:
    """So that `min_face_px` means the same."""
    haar, blaze = load_detector(PrepareSettings()), load_detector(blazeface(None))
    sides, offsets = [], []
    for path in [*sorted((DATA / "asl20").glob("*.mkv"))[::5], *sorted((DATA / "mead24").rglob("*.mp4"))[::6]]:
        for frame in decode(path, Video()):
            if frame.index % 20:
                continue
            window = Box(0, 0, frame.size[1], frame.size[0])
            (first,), (second,) = haar.detect(frame, window, 48), blaze.detect(frame, window, 48)
            assert overlap(first.box, second.box) > 0.6
            sides.append(second.box.width / first.box.width)
            offsets.append((second.box.y - first.box.y + (second.box.height - first.box.height) / 2) / first.box.width)
    assert len(sides) > 20
    assert np.median(sides) == pytest.approx(1, abs=0.05)
    assert np.median(offsets) == pytest.approx(0, abs=0.04)


@needs_the_real_thing
def test_no_face_is_found_where_there_is_none() -> None:
    _, report = prepare_video(DATA / "clips" / "no_face.mp4", PrepareSettings(detector="blazeface"))
    assert report.outcome is Outcome.NO_FACE
