"""An image file is a video of one frame: its pixels, whatever kind it is of, and what becomes of bad ones."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw_moving_face, write_images
from test_video_image_sequences import BAD, JPG, PNG, picture, read_all, save

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.fingerprint import content_sha256, content_state
from tasks.video.image_sequences import is_still

ENCODED = {suffix: cv2.imencode(suffix, picture())[1].tobytes() for suffix in (".bmp", ".tif", ".webp", ".ppm")}
DEPTHS = [(suffix, depth) for suffix in (".png", ".tif", ".pgm") for depth in (8, 16)]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".JPG", ".bmp", ".tiff", ".webp", ".ppm"])
def test_colours_of_every_usual_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a photo{suffix}"
    save(path, picture())
    (frame,), video = read_all(path)
    assert (video.width, video.height, video.codec, video.num_decoded, video.complete) == (60, 40, "still", 1, True)
    assert (video.declared_fps, video.duration_s, video.fps, frame.index, frame.pts_s) == (0.0, 0.0, 0.0, 0, 0.0)
    tolerance = 12 if suffix.lower() in (".jpg", ".jpeg", ".webp") else 0
    rgb = frame.rgb_crop(Box(0, 0, 40, 40), 40).astype(int)
    assert np.abs(rgb - picture()[:, :40, ::-1]).max() <= tolerance


@pytest.mark.parametrize(("suffix", "depth"), [*DEPTHS, (".jpg", 8)])
def test_grey_of_every_usual_depth(tmp_path: Path, suffix: str, depth: int) -> None:
    grey = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    path = tmp_path / f"1{suffix}"
    save(path, grey.astype(np.uint16) * 257 if depth == 16 else grey)
    (frame,), _ = read_all(path)
    assert np.abs(frame.grey.astype(int) - grey).max() <= (6 if suffix == ".jpg" else 1)
    assert np.ptp(frame.rgb_crop(Box(0, 0, 40, 40), 40).astype(int), axis=-1).max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotation_in_exif_is_carried_out(tmp_path: Path, orientation: int) -> None:
    """The eight values of EXIF's Orientation: where the blue left half and the red right half of the picture go."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(JPG[:2] + exif + JPG[2:])
    (frame,), video = read_all(path)
    upright = orientation < 5
    assert (video.width, video.height) == ((60, 40) if upright else (40, 60))
    near, far = Box(0, 0, 20, 20), Box(40, 0, 20, 20) if upright else Box(0, 40, 20, 20)
    blue, red = (near, far) if orientation in (1, 4, 5, 6) else (far, near)
    assert frame.rgb_crop(blue, 20)[..., 2].mean() > 150 > frame.rgb_crop(blue, 20)[..., 0].mean()
    assert frame.rgb_crop(red, 20)[..., 0].mean() > 150 > frame.rgb_crop(red, 20)[..., 2].mean()


CUT = [(suffix, content[: len(content) // 2]) for suffix, content in ENCODED.items()]


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        *[case for case in BAD if case[1]],
        *[(suffix, content, "damaged") for suffix, content in CUT],
        (".jpg", JPG[:-100], "damaged"),
        (".jpg", b"", "the file is empty"),
        (".jpg", b"\0\0\0\x18ftypmp42" + bytes(100), "damaged or none"),
    ],
)
def test_a_bad_image_is_undecodable_in_one_sentence(tmp_path: Path, suffix: str, content: bytes, words: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(VideoFault, match=words) as caught:
        read_all(path)
    assert caught.value.outcome is Outcome.UNDECODABLE
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("prepare", [PrepareSettings(), PrepareSettings(pair="none", segment_length=2)])
def test_settings_that_take_no_image_are_told(tmp_path: Path, prepare: PrepareSettings) -> None:
    (tmp_path / "1.png").write_bytes(PNG)
    _, report = prepare_video(tmp_path / "1.png", prepare)
    assert report.outcome is Outcome.TOO_SHORT
    assert report.message == "it is a single image; set prepare.pair=none and prepare.segment_length=1"


def test_a_face_in_an_image_is_found(tmp_path: Path) -> None:
    write_images(tmp_path, draw_moving_face(0.0, 1), prefix="photo", suffix=".jpg")
    (frame,), report = prepare_video(tmp_path / "photo00000001.jpg", PrepareSettings(pair="none", segment_length=1))
    assert (report.outcome, report.message, report.num_segments, report.num_covered) == (Outcome.OK, "", 1, 1)
    assert (report.fps, report.duration_s, frame.segment, frame.frame, frame.optical_flow) == (0.0, 0.0, 0, 0, None)


def test_what_is_not_there_or_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for name, outcome, words in (
        ("absent.png", Outcome.UNREADABLE, "cannot be opened"),
        ("pipe.png", Outcome.UNDECODABLE, "a named pipe"),
    ):
        with pytest.raises(VideoFault, match=words) as caught:
            read_all(tmp_path / name)
        assert caught.value.outcome is outcome


def test_which_paths_are_stills(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "st*r.png").write_bytes(PNG)
    for name, wanted in (
        ("a.png", True),
        ("st*r.png", True),
        ("b_*.png", False),
        ("folder.png", False),
        ("a.mp4", False),
    ):
        assert is_still(tmp_path / name) is wanted
    assert read_all(tmp_path / "st*r.png")[1].num_decoded == 1


def test_its_content_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG)
    assert content_sha256(tmp_path / "a.png") == content_sha256(tmp_path / "b.png")
    assert content_state(tmp_path / "a.png")[0] == len(PNG)
