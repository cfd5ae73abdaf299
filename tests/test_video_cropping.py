"""Pictures that codec or container cut off at the sides, as players do."""

import struct
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from video_surgery import encode, moving_face

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.boxes import Box
from tasks.video.cropping import Margins, _elements, read_margins
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode

WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
MARGINS = Margins(left=20, right=12, top=10, bottom=6)


def clap(margins: Margins, width: int = 320, height: int = 240) -> bytes:
    """A clean aperture box."""
    shown = width - margins.left - margins.right, height - margins.top - margins.bottom
    right_by, down_by = margins.left - margins.right, margins.top - margins.bottom
    return struct.pack(">I4s4I4i", 40, b"clap", shown[0], 1, shown[1], 1, right_by, 2, down_by, 2)


def with_box(content: bytes, box: bytes) -> bytes:
    """An MP4 whose pictures stand in front of its index, with a box at the end of their description."""
    damaged, at = bytearray(content), 0
    for kind in WAY:
        at = content.index(kind, at)
        length = int.from_bytes(content[at - 4 : at], "big")
        damaged[at - 4 : at] = (length + len(box)).to_bytes(4, "big")
    entry = at + 12
    length = int.from_bytes(content[entry : entry + 4], "big")
    damaged[entry : entry + 4] = (length + len(box)).to_bytes(4, "big")
    damaged[entry + length : entry + length] = box
    return bytes(damaged)


def write_clap(path: Path, box: bytes, degrees: int = 0, num_frames: int = 3) -> None:
    encode(path, moving_face()[:num_frames], degrees=degrees)
    path.write_bytes(with_box(path.read_bytes(), box))


def copy_to_matroska(source: Path, path: Path) -> None:
    """FFmpeg writes the cropping of the one container as that of the other."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def assert_shows(path: Path, wanted: np.ndarray) -> None:
    video = Video()
    frame = next(iter(decode(path, video)))
    assert frame.size == frame.grey.shape == (video.height, video.width) == wanted.shape[:2]
    assert frame.grey.base is not None
    for image in (frame.picture(1000), frame.rgb_part(Box(0, 0, video.width, video.height), video.width, video.height)):
        assert np.abs(image.astype(int) - wanted).mean() < 4


def cut_off(image: np.ndarray, margins: Margins) -> np.ndarray:
    height, width = image.shape[:2]
    return image[margins.top : height - margins.bottom, margins.left : width - margins.right]


@pytest.mark.parametrize("margins", [MARGINS, Margins(right=16), Margins(top=41, bottom=40)])
def test_containers_cut_off_margins(tmp_path: Path, margins: Margins) -> None:
    write_clap(tmp_path / "clip.mp4", clap(margins))
    copy_to_matroska(tmp_path / "clip.mp4", tmp_path / "clip.mkv")
    for name in ("clip.mp4", "clip.mkv"):
        assert read_margins(tmp_path / name, 320, 240) == margins
        assert_shows(tmp_path / name, cut_off(moving_face()[0], margins))


def test_margins_belong_to_the_stored_picture_not_to_the_turned_one(tmp_path: Path) -> None:
    write_clap(tmp_path / "clip.mp4", clap(MARGINS), degrees=90)
    assert_shows(tmp_path / "clip.mp4", np.rot90(cut_off(moving_face()[0], MARGINS)))


def test_boxes_are_in_px_of_what_is_shown(tmp_path: Path) -> None:
    write_clap(tmp_path / "cut.mp4", clap(MARGINS), num_frames=20)
    encode(tmp_path / "whole.mp4", moving_face()[:20])
    (cut,), report = prepare_video(tmp_path / "cut.mp4", PrepareSettings())
    (whole,), _ = prepare_video(tmp_path / "whole.mp4", PrepareSettings())
    assert (report.width, report.height) == (288, 224)
    assert np.abs(np.subtract(whole.box[:2], cut.box[:2]) - (MARGINS.left, MARGINS.top)).max() <= 6


@pytest.mark.parametrize(
    "box",
    [
        clap(Margins(left=320)),
        clap(Margins(left=-8)),
        struct.pack(">I4s4I4i", 40, b"clap", 300, 0, 200, 0, 0, 0, 0, 0),
        clap(MARGINS)[:20],
        struct.pack(">I4s", 8, b"clap"),
    ],
)
def test_margins_that_cannot_be_are_none(tmp_path: Path, box: bytes) -> None:
    write_clap(tmp_path / "clip.mp4", box)
    assert_shows(tmp_path / "clip.mp4", moving_face()[0])


def test_what_is_no_container_has_no_margins(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    for content in (b"", b"text\n" * 50, b"\x1a\x45\xdf\xa3" * 9, b"\0\0\0\x08moov" * 9, bytes(range(256)) * 9):
        path.write_bytes(content)
        assert read_margins(path, 320, 240) == Margins()
    assert read_margins(tmp_path / "absent", 320, 240) == Margins()


#: Heads of EBML elements: the file's own, of no length, and a segment of a length that is left open.
EBML, OPEN_SEGMENT = b"\x1a\x45\xdf\xa3\x80", b"\x18\x53\x80\x67\x01" + b"\xff" * 7


@pytest.mark.parametrize("end", [b"\xec\x40", b"\xec\x01\xff", b"\xec", b"\x18\x53", b"\xae\x08", b"\0", b"\xec\0"])
def test_a_matroska_that_ends_within_an_element_has_no_margins(end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(EBML + OPEN_SEGMENT + b"\xec\x88" + bytes(8) + end)
    with path.open("rb") as file:
        parts = list(islice(_elements(file, 5, path.stat().st_size), 9))  # it was endless
        inside = list(islice(_elements(file, parts[0][1], path.stat().st_size), 9))
    assert [kind for kind, _, _ in parts] == [0x18538067]
    assert inside == [(0xEC, 19, 27)]
    assert read_margins(path, 320, 240) == Margins()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_the_codec_cuts_off_margins(tmp_path: Path, pix_fmt: str) -> None:
    """FFmpeg's decoders do that; their planes begin in the middle of their memory then."""
    encode(tmp_path / "whole.h264", moving_face()[:3], "libx264", pix_fmt)
    crop = ":".join(f"crop_{side}={getattr(MARGINS, side)}" for side in Margins._fields)
    with av.open(str(tmp_path / "whole.h264")) as old, av.open(str(tmp_path / "clip.h264"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        cropping = BitStreamFilterContext(f"h264_metadata={crop}", old.streams.video[0])
        for packet in old.demux(video=0):
            for cropped in cropping.filter(packet if packet.size else None):
                cropped.stream = stream
                new.mux(cropped)
    assert_shows(tmp_path / "clip.h264", cut_off(moving_face()[0], MARGINS))
