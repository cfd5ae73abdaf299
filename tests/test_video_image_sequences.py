"""Numbered images are a video: their order, their pixels, and what becomes of bad ones."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw_moving_face, write_images

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.faces import Box
from tasks.video.frames import Frame
from tasks.video.image_sequences import (
    chosen_images,
    describe_gaps,
    holds_one_sequence,
    images_between,
    is_image_sequence,
    sequence_images,
    sequence_sha256,
    sequence_size_and_mtime,
)

ODD_NAMES = [
    "plain",
    "with space",
    "br[a]ckets",
    "quo'te\"s",
    "st*r",
    "ünïcode 表情",
    "new\nline",
    "100%d",
    "#{x}$HOME",
]


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names_of(path: Path) -> list[str]:
    return [image.path.name for image in sequence_images(path)]


def read_all(path: Path) -> tuple[list[Frame], Video]:
    video = Video()
    return list(decode(path, video)), video


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth BGR picture, uint8 (height, width, 3), whose left half is blue and whose right half is red."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 200
    image[:, width // 2 :, 2] = 180
    return cv2.GaussianBlur(image, (0, 0), 3)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("img*{3,9}.jpg", ["img3.jpg", "img9.jpg"]),
        ("img*{9,3}.jpg", ["img3.jpg", "img9.jpg"]),
        ("img*{4-9}.jpg", ["img5.jpg", "img9.jpg"]),
        ("img*{0-99}.JPG", ["img3.jpg", "img5.jpg", "img9.jpg", "img10.jpg"]),
        ("img*{1}.jpg", VideoFault),
        ("img*{3,4}.jpg", VideoFault),
        ("img*{20-30}.jpg", VideoFault),
        ("img*{9-3}.jpg", VideoFault),
        ("*", ["img3.jpg", "img5.jpg", "img9.jpg", "img10.jpg"]),
    ],
)
def test_some_of_the_images_are_a_video(tmp_path: Path, pattern: str, wanted: list[str] | type[VideoFault]) -> None:
    path = touch(tmp_path / "br{1,2}ces", "img10.jpg", "img9.jpg", "img3.jpg", "img5.jpg", "notes.txt") / pattern
    assert is_image_sequence(path)
    if isinstance(wanted, list):
        assert names_of(path) == wanted
        assert describe_gaps(path, sequence_images(path)) == (
            "" if "," in pattern else describe_gaps(path.parent, sequence_images(path))
        )
    else:
        with pytest.raises(VideoFault, match="no image with the number"):
            sequence_images(path)


def test_images_of_any_name_come_in_natural_order(tmp_path: Path) -> None:
    names = ["a 10.jpg", "a 9 b.jpg", "B2.png", "b 1.jpg", "cover.jpg"]
    path = touch(tmp_path / "odd", *names, "._a.jpg", "Thumbs.db") / "*"
    assert names_of(path) == ["a 9 b.jpg", "a 10.jpg", "B2.png", "b 1.jpg", "cover.jpg"]
    assert [image.number for image in sequence_images(path)] == [1, 2, 3, 4, 5]
    with pytest.raises(VideoFault, match="no images"):
        sequence_images(touch(tmp_path / "empty") / "*")


def test_a_pair_of_images_is_a_video_of_two_frames(tmp_path: Path) -> None:
    for number in range(40, 60):
        save(tmp_path / f"img{number}.png", picture())
    frames, video = read_all(chosen_images(tmp_path, "img40.png", (46, 59)))
    assert (len(frames), video.complete) == (2, True)
    assert [frame.pts_s * 30 for frame in frames] == pytest.approx([0, 13])
    assert len(read_all(images_between(tmp_path, "img40.png", 46, 49))[0]) == 4


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["10.png", "9.png", "1.png"], ["1.png", "9.png", "10.png"]),
        (["S005_001_00000002.png", "S005_001_00000001.png"], ["S005_001_00000001.png", "S005_001_00000002.png"]),
        (["f2.JPG", "f1.jpeg", "f3.Tiff", "f4.bmp"], ["f1.jpeg", "f2.JPG", "f3.Tiff", "f4.bmp"]),
        (["a1.png", "a2.png", "._a1.png", "Thumbs.db", "notes.txt", "a3.npy"], ["a1.png", "a2.png"]),
    ],
)
def test_images_come_by_their_numbers(tmp_path: Path, names: list[str], wanted: list[str]) -> None:
    assert names_of(touch(tmp_path / "clip", *names)) == wanted


def test_a_pattern_picks_one_of_the_sequences_in_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "S010_004_00000019.png", "S010_004_00000018.png", "S010_0040_1.png", "S011_004_00000001.png")
    assert names_of(tmp_path / "S010_004_*.png") == ["S010_004_00000018.png", "S010_004_00000019.png"]
    assert is_image_sequence(tmp_path / "S010_004_*.png")
    assert not is_image_sequence(tmp_path / "S010_004_00000019.png")
    assert not is_image_sequence(tmp_path / "S010_*.mp4")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_folders_and_prefixes_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    write_images(folder, draw_moving_face(1.0, 2, size=(64, 48)), prefix=f"{name} ")
    for path in (folder, folder / f"{name} *.png"):
        frames, video = read_all(path)
        assert [frame.index for frame in frames] == [0, 1]
        assert video.complete


@pytest.mark.parametrize(
    ("path", "outcome", "words"),
    [
        ("empty", Outcome.UNDECODABLE, "holds no numbered images"),
        ("posters", Outcome.UNDECODABLE, "holds no numbered images"),
        ("two", Outcome.UNDECODABLE, r"images of 2 sequences; name one, such as a_\*\.png"),
        ("twice", Outcome.UNDECODABLE, r"2 of its images have the number 1 \(01\.jpg, 1\.png\)"),
        ("two/c_*.png", Outcome.FILE_MISSING, r"no image c_\*\.png"),
        ("absent/c_*.png", Outcome.FILE_MISSING, r"no image c_\*\.png"),
    ],
)
def test_what_is_no_sequence_is_told_apart(tmp_path: Path, path: str, outcome: Outcome, words: str) -> None:
    touch(tmp_path / "empty")
    touch(tmp_path / "posters", "poster.png", "cover.jpg")
    touch(tmp_path / "two", "a_1.png", "a_2.png", "b_1.png")
    touch(tmp_path / "twice", "1.png", "01.jpg", "2.png")
    with pytest.raises(VideoFault, match=words) as caught:
        read_all(tmp_path / path)
    assert caught.value.outcome == outcome
    assert prepare_video(tmp_path / path, PrepareSettings())[1].outcome is outcome


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["1.png", "2.png"], True),
        (["1.png", "2.png", "1.txt", ".DS_Store"], True),
        (["1.png"], False),
        (["a1.png", "b1.png"], False),
        (["1.png", "2.png", "poster.png"], False),
        (["poster.png", "cover.png"], False),
        ([], False),
    ],
)
def test_folders_that_are_found_as_videos(names: list[str], wanted: bool) -> None:
    assert holds_one_sequence(names) is wanted


def test_times_follow_the_numbers_and_gaps_are_told(tmp_path: Path) -> None:
    for number in (3, 4, 7, 9):
        save(tmp_path / f"{number}.png", picture())
    frames, video = read_all(tmp_path)
    assert [frame.pts_s * 30 for frame in frames] == pytest.approx([0, 1, 4, 6])
    assert (video.width, video.height, video.codec, video.num_decoded, video.complete) == (60, 40, "images", 4, True)
    assert (video.declared_fps, video.duration_s, video.fps) == (30.0, pytest.approx(7 / 30), pytest.approx(4 / 7 * 30))
    remark = describe_gaps(tmp_path, sequence_images(tmp_path))
    assert remark == "3 numbers are missing among its images, the first after 4"
    (tmp_path / "9.png").unlink()
    (tmp_path / "7.png").rename(tmp_path / "5.png")
    assert describe_gaps(tmp_path, sequence_images(tmp_path)) == ""


@pytest.mark.parametrize(
    ("suffix", "depth", "channels"),
    [(suffix, depth, channels) for suffix in (".png", ".tif") for depth in (8, 16) for channels in (1, 3, 4)]
    + [(suffix, 8, channels) for suffix in (".jpg", ".bmp") for channels in (1, 3)],
)
def test_pixels_of_every_usual_kind(tmp_path: Path, suffix: str, depth: int, channels: int) -> None:
    image = picture()
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    stored = {1: grey, 3: image, 4: np.dstack([image, grey])}[channels]
    save(tmp_path / f"1{suffix}", stored.astype(np.uint16) * 257 if depth == 16 else stored)
    (frame,), _ = read_all(tmp_path)
    rgb = frame.rgb_crop(Box(0, 0, 40, 40), 40).astype(int)
    wanted = image[:, :40, ::-1] if channels > 1 else np.repeat(grey[:, :40, None], 3, axis=2)
    tolerance = 6 if suffix == ".jpg" else 0
    assert np.abs(rgb - wanted).max() <= tolerance
    assert np.abs(frame.grey.astype(int) - grey).max() <= max(tolerance, 1)
    assert frame.grey_crop(Box(10, 10, 20, 20), 10).shape == (10, 10)


def test_a_rotation_in_exif_is_carried_out(tmp_path: Path) -> None:
    plain = cv2.imencode(".jpg", picture())[1].tobytes()
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    (tmp_path / "1.jpg").write_bytes(plain[:2] + exif + plain[2:])
    (frame,), video = read_all(tmp_path)
    assert (video.width, video.height) == (40, 60)
    top, bottom = frame.rgb_crop(Box(0, 0, 20, 20), 20), frame.rgb_crop(Box(0, 40, 20, 20), 20)
    assert top[..., 2].mean() > 150 > top[..., 0].mean()
    assert bottom[..., 0].mean() > 150 > bottom[..., 2].mean()


def png_of(width: int, height: int) -> bytes:
    """A black PNG, small in bytes whatever its size in px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


PNG = cv2.imencode(".png", picture())[1].tobytes()
JPG = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


BAD = [
    (".png", b"", "is empty"),
    (".png", b"no image at all", "damaged or none"),
    (".png", PNG[: len(PNG) // 2], "damaged"),
    (".jpg", JPG[: len(JPG) // 2], "damaged"),
    (".png", PNG[:60] + bytes(40) + PNG[100:], "damaged"),
    (".png", png_of(9000, 9000), "too many pixels"),
]


def write_four(folder: Path, suffix: str, bad: int, content: bytes) -> None:
    for number in range(1, 5):
        (folder / f"{number}{suffix}").write_bytes(JPG if suffix == ".jpg" else PNG)
    (folder / f"{bad}{suffix}").write_bytes(content)


@pytest.mark.parametrize(("suffix", "content", "words"), BAD)
def test_a_bad_first_image_makes_it_undecodable(tmp_path: Path, suffix: str, content: bytes, words: str) -> None:
    write_four(tmp_path, suffix, 1, content)
    _, report = prepare_video(tmp_path, PrepareSettings(segment_length=2))
    assert report.outcome is Outcome.UNDECODABLE
    assert report.message.startswith(f"1{suffix} ")
    assert words in report.message


@pytest.mark.parametrize("position", [3, 4])
@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [*BAD, (".png", cv2.imencode(".png", picture(30, 60))[1].tobytes(), "60x30 px, those before it 60x40")],
)
def test_a_bad_later_image_ends_the_video_and_is_named(
    tmp_path: Path, position: int, suffix: str, content: bytes, words: str
) -> None:
    write_four(tmp_path, suffix, position, content)
    segments, report = prepare_video(tmp_path, PrepareSettings(precropped=True, segment_length=2, segment_stride=1))
    assert report.outcome is Outcome.TRUNCATED
    assert report.message.startswith(f"it breaks off after {position - 1} frames: {position}{suffix} ")
    assert words in report.message
    assert len(segments) == position - 2, "what is whole can be looked at"


def test_an_image_that_goes_away_meanwhile(tmp_path: Path) -> None:
    write_four(tmp_path, ".png", 4, PNG)
    frames = decode(tmp_path, video := Video())
    next(frames)
    (tmp_path / "3.png").unlink()
    assert len(list(frames)) == 1
    assert (video.complete, video.fault) == (False, "3.png cannot be read (No such file or directory)")


@pytest.mark.parametrize("num_images", [1, 2])
def test_too_few_images_are_too_short_and_the_setting_is_named(tmp_path: Path, num_images: int) -> None:
    write_images(tmp_path, draw_moving_face(1.0, num_images, size=(64, 48)))
    _, report = prepare_video(tmp_path, PrepareSettings(segment_length=3))
    assert report.outcome is Outcome.TOO_SHORT
    assert "prepare.segment_length is 3 and can be as low as 2" in report.message


def test_frames_of_images_are_prepared_as_those_of_a_file(tmp_path: Path) -> None:
    """Three px to the right a frame, found by the detector."""
    write_images(tmp_path, draw_moving_face(3.0, 20))
    segments, report = prepare_video(tmp_path, PrepareSettings(segment_stride=4))
    assert (report.outcome, report.num_segments, report.num_covered) == (Outcome.OK, 2, 2)
    dx = [np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) * s.box[2] / 48 for s in segments]
    assert dx == pytest.approx([3.0, 3.0], abs=0.3)


def test_the_hash_is_that_of_names_and_contents(tmp_path: Path) -> None:
    def sha256() -> str:
        return sequence_sha256(sequence_images(folder))

    folder = touch(tmp_path / "clip")
    for number in (1, 2, 10):
        (folder / f"a_{number}.png").write_bytes(bytes([number]))
    seen = [sha256()]
    folder = folder.rename(tmp_path / "renamed")
    assert sha256() == seen[0]
    assert sequence_sha256(sequence_images(folder / "a_*.png")) == seen[0]
    (folder / "notes.txt").touch()
    assert sha256() == seen[0]
    (folder / "a_10.png").write_bytes(b"other")
    seen.append(sha256())
    (folder / "a_10.png").rename(folder / "a_11.png")
    seen.append(sha256())
    (folder / "a_11.png").unlink()
    seen.append(sha256())
    assert len(set(seen)) == 4


def test_size_and_time_notice_every_change(tmp_path: Path) -> None:
    def facts() -> tuple[int, int]:
        return sequence_size_and_mtime(sequence_images(folder))

    def age(*paths: Path) -> None:
        for path in paths:
            os.utime(path, ns=(10**18, 10**18))

    folder = touch(tmp_path / "clip")
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(b"xy")
    age(*folder.iterdir(), folder)
    assert facts() == (6, 10**18)
    (folder / "1.png").write_bytes(b"zz")
    assert facts()[1] > 10**18, "same size, changed"
    age(folder / "1.png", folder)
    (folder / "3.png").rename(folder / "4.png")
    assert facts()[1] > 10**18, "renamed"
    age(folder)
    (folder / "4.png").unlink()
    assert facts()[0] == 4, "removed"
