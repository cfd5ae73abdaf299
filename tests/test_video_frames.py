"""The picture that players show: shape of the pixels, turned and mirrored cameras, colours, interlaced material."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from video_surgery import add_video, encode, moving_face, patch

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.frames import Frame, _to_rgb
from tasks.video.previews import read_stills

FACE = Box(70, 40, 120, 120)
WIDE, HIGH = (240, 240), (320, 180)  # what is left of 320x240 px once they are squeezed


def squeezed(size: tuple[int, int], num_frames: int = 3) -> list[np.ndarray]:
    """The moving face as an anamorphic camera stores it."""
    return [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in moving_face()[:num_frames]]


def first_frame(path: Path) -> tuple[Frame, Video]:
    video = Video()
    frames = list(decode(path, video))
    return frames[0], video


def assert_shows(frame: Frame, drawn: np.ndarray, tolerance: float = 6.0) -> None:
    """Grey image, crops and the picture to look at are those of the drawn frame, and of its size."""
    height, width = drawn.shape[:2]
    assert frame.size == frame.grey.shape == (height, width)
    wanted = drawn[FACE.y : FACE.y + FACE.height, FACE.x : FACE.x + FACE.width].astype(int)
    for image in (frame.rgb_crop(FACE, FACE.width), frame.rgb_part(FACE, FACE.width, FACE.height)):
        assert np.abs(image.astype(int) - wanted).mean() < tolerance
    picture = frame.picture(1000)
    assert picture.shape == drawn.shape
    assert np.abs(picture.astype(int) - drawn).mean() < tolerance


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize(("size", "aspect"), [(WIDE, Fraction(4, 3)), (HIGH, Fraction(3, 4))])
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".h264"])
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, suffix: str, size: tuple[int, int], aspect: Fraction, pix_fmt: str
) -> None:
    path = tmp_path / f"clip{suffix}"
    encode(path, squeezed(size), "libx264", pix_fmt, pixel_aspect=aspect)
    frame, video = first_frame(path)
    assert (video.width, video.height) == (320, 240)
    assert_shows(frame, moving_face()[0])


@pytest.mark.parametrize(("size", "shown"), [(WIDE, (320, 240)), (HIGH, (240, 180)), (HIGH, (640, 480))])
def test_a_container_alone_may_tell_the_shape_of_pixels(
    tmp_path: Path, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    """The size of a track in MP4, of which only the proportions count."""
    path = tmp_path / "clip.mp4"
    encode(path, squeezed(size), "mpeg4")
    path.write_bytes(patch(b"tkhd", 80, struct.pack(">II", shown[0] << 16, shown[1] << 16))(path.read_bytes()))
    assert_shows(first_frame(path)[0], moving_face()[0])


def test_a_dvd_is_stretched(tmp_path: Path) -> None:
    path = tmp_path / "clip.mpg"
    encode(path, squeezed(WIDE), "mpeg2video", pixel_aspect=Fraction(4, 3))
    assert_shows(first_frame(path)[0], moving_face()[0])


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_camera_has_stretched_pixels_too(tmp_path: Path, degrees: int) -> None:
    """The shape of the pixels is that of the stored picture, so a quarter turn makes them high."""
    drawn = moving_face()[0]
    stored = np.rot90(drawn, -degrees // 90)
    narrow = cv2.resize(stored, (stored.shape[1] * 3 // 4, stored.shape[0]), interpolation=cv2.INTER_AREA)
    encode(tmp_path / "clip.mp4", [narrow] * 3, degrees=degrees, pixel_aspect=Fraction(4, 3))
    assert_shows(first_frame(tmp_path / "clip.mp4")[0], drawn)


def test_an_anamorphic_face_is_prepared_as_the_square_one(tmp_path: Path) -> None:
    settings = PrepareSettings(segment_stride=4)
    encode(tmp_path / "square.mp4", moving_face())
    encode(tmp_path / "narrow.mp4", squeezed(WIDE, 34), pixel_aspect=Fraction(4, 3))
    square, narrow = (prepare_video(tmp_path / f"{name}.mp4", settings) for name in ("square", "narrow"))
    assert narrow[1] == square[1]
    for first, second in zip(square[0], narrow[0], strict=True):
        assert np.abs(np.subtract(first.box, second.box)).max() <= 8
        motions = [
            np.median(segment.optical_flow[14:38, 14:34, 0].astype(float)) * segment.box[2] / 48  # 75 px a second
            for segment in (first, second)
        ]
        assert motions == pytest.approx([2.5, 2.5], abs=0.3)


def test_the_container_has_the_last_word_on_the_shape_of_pixels(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode(path, squeezed(WIDE), pixel_aspect=Fraction(4, 3))
    path.write_bytes(patch(b"pasp", 4, (2).to_bytes(4, "big") + (1).to_bytes(4, "big"))(path.read_bytes()))
    assert first_frame(path)[0].size == (240, 480)


def test_the_shape_of_pixels_may_change_on_the_way(tmp_path: Path) -> None:
    """A broadcast goes from 4:3 to 16:9 between two programmes."""
    pieces = []
    for number, aspect in enumerate((Fraction(4, 3), Fraction(16, 9))):
        piece = tmp_path / f"{number}.mpg"
        encode(piece, squeezed(WIDE, 12), "mpeg2video", container="mpeg2video", pixel_aspect=aspect)
        pieces.append(piece.read_bytes())
    (tmp_path / "clip.mpg").write_bytes(b"".join(pieces))
    sizes = [frame.size for frame in decode(tmp_path / "clip.mpg", Video())]
    assert sizes[:8] == [(240, 320)] * 8
    assert sizes[-8:] == [(240, 427)] * 8


def test_a_shape_that_no_pixel_has_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode(path, squeezed(WIDE), pixel_aspect=Fraction(4, 3))
    for width, height in ((2**31 - 1, 1), (1, 2**31 - 1), (0, 1), (1, 0), (9, 2)):
        values = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        path.write_bytes(patch(b"pasp", 4, values)(path.read_bytes()))
        assert max(first_frame(path)[0].size) <= 4 * 240


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True), (True, True)])
def test_mirrored_and_turned_pictures_are_put_right(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    """Front cameras mirror; the display matrix turns first and mirrors then."""
    drawn = moving_face()[0]
    unmirrored = drawn[:: -1 if vflip else 1, :: -1 if hflip else 1]
    stored = np.ascontiguousarray(np.rot90(unmirrored, -degrees // 90))
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = add_video(container, [stored])
        stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
    assert_shows(first_frame(path)[0], drawn)


def test_a_still_has_the_boxes_in_place(tmp_path: Path) -> None:
    encode(tmp_path / "clip.mp4", squeezed(WIDE), pixel_aspect=Fraction(4, 3))
    still = read_stills(tmp_path / "clip.mp4", [1])[1]
    assert still.picture.shape == (240, 320, 3)
    assert still.scale == 1.0


def plain(pix_fmt: str, matrix: int, colour_range: int, size: tuple[int, int] = (64, 48)) -> Frame:
    """A frame of one colour."""
    frame = av.VideoFrame(*size, pix_fmt)
    deep = pix_fmt.endswith("10le")
    for plane, value in zip(frame.planes, (90, 100, 180), strict=True):
        one = (value * 4).to_bytes(2, "little") if deep else bytes([value])
        plane.update(one * (plane.buffer_size // len(one)))
    frame.colorspace, frame.color_range = matrix, colour_range
    return Frame(0, 0.0, frame)


#: RGB of Y, Cb, Cr = 90, 100, 180 by matrix, in studio and in full range.
COLOURS = {
    1: ((179, 64, 27), (172, 71, 38)),
    5: ((169, 55, 30), (163, 62, 40)),
    6: ((169, 55, 30), (163, 62, 40)),
    7: ((179, 65, 28), (172, 72, 39)),
    9: ((174, 58, 26), (167, 65, 37)),
}


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize("matrix", COLOURS)
@pytest.mark.parametrize("full", [False, True])
def test_colours_follow_the_declared_matrix_and_range(pix_fmt: str, matrix: int, full: bool) -> None:
    frame = plain(pix_fmt, matrix, 2 if full else 1)
    wanted = COLOURS[matrix][full or pix_fmt.startswith("yuvj")]
    for image in (frame.rgb_crop(Box(8, 8, 32, 32), 16), frame.picture(1000)):
        assert image[4, 4].tolist() == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("size", "matrix"),
    [((320, 240), 5), ((720, 576), 5), ((1024, 576), 5), ((1280, 720), 1), ((1920, 1080), 1), ((720, 1280), 1)],
)
def test_colours_that_declare_no_matrix_are_those_of_their_size(
    pix_fmt: str, size: tuple[int, int], matrix: int
) -> None:
    frame = plain(pix_fmt, 2, 0, size)
    for image in (frame.rgb_crop(Box(8, 8, 32, 32), 16), frame.picture(2000)):
        assert image[4, 4].tolist() == pytest.approx(COLOURS[matrix][0], abs=3)


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("mpeg2video", ".mpg", {"flags": "+ilme+ildct", "top": "1"}),
        ("libx264", ".mp4", {"flags": "+ilme+ildct", "x264-params": "tff=1"}),
        ("libx264", ".ts", {"flags": "+ilme+ildct", "x264-params": "bff=1"}),
        ("rawvideo", ".mov", {"field_order": "tt"}),
    ],
)
def test_interlaced_material_is_remarked(tmp_path: Path, codec: str, suffix: str, options: dict[str, str]) -> None:
    path = tmp_path / f"clip{suffix}"
    encode(path, moving_face(), codec, "uyvy422" if codec == "rawvideo" else "yuv420p", options=options)
    _, report = prepare_video(path, PrepareSettings())
    assert report.outcome == "ok"
    assert "it is interlaced" in report.message


def test_hdr_is_remarked_and_an_ordinary_video_is_not(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "hdr.mp4"), "w") as container:
        stream = add_video(container, moving_face(), "libx265", "yuv420p10le")
        stream.codec_context.color_trc = 16
        for image in moving_face():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    encode(tmp_path / "plain.mp4", moving_face())
    messages = {
        name: prepare_video(tmp_path / f"{name}.mp4", PrepareSettings())[1].message for name in ("hdr", "plain")
    }
    assert "HDR" in messages["hdr"]
    assert messages["plain"] == ""


def test_a_frame_is_converted_once_for_all_its_parts() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    frame = Frame(0, 0.0, av.VideoFrame.from_ndarray(picture, format="bgr24"))
    before = _to_rgb.cache_info().misses
    for x in range(0, 500, 50):
        part = frame.rgb_part(Box(x, 40, 100, 80), 100, 80)
        assert (part == picture[40:120, x : x + 100, ::-1]).all()
    assert _to_rgb.cache_info().misses == before + 1
