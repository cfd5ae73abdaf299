"""Video files that only look odd: they must end `ok`, with the drawn face in its place, upright and in its colours."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from video_surgery import (
    NUM_FRAMES,
    SIZE,
    Frames,
    encode,
    encode_raw,
    encode_streams,
    enlarged,
    moving_face,
    patch,
    rewritten,
    same_time_twice,
    two_faces,
    wall,
    with_dropped_frames,
    with_edit_list,
)

from tasks.outcomes import Outcome

Writer = Callable[[Path], None]
OK = frozenset({Outcome.OK})
TRUNCATED = frozenset({Outcome.TRUNCATED})
UNDECODABLE = frozenset({Outcome.UNDECODABLE})

#: Measured: 150 MB to decode 8K, 550 MB with the search of a whole frame for faces; a few frames more would be a leak.
EXTRA_8K_MB = 700.0


@dataclass(frozen=True)
class Case:
    """One file.

    Args:
        name: `<family>/<what is wrong>`.
        write: makes the file.
        outcomes: those that are right; one, unless chance has a say.
        says: a part of the message for users.
        shows: the frames as they were drawn, upright; what is prepared must look like them and move like them.
        num_frames: frames that must be decoded, where that is known.
        file_name: of the video.
        grey: the colour is lost on the way.
        tolerance: mean difference of 8-bit values between a stored face and the drawn one.
        step_px: motion of the face from frame to frame.
        coverage: least share of the segments that show the face.
        max_extra_mb: memory that it may take in a process of its own, over what a small video takes.
        quick: part of the short form.
    """

    name: str
    write: Writer
    outcomes: frozenset[Outcome] = OK
    says: str = ""
    shows: Callable[[], Frames] | None = None
    num_frames: int | None = None
    file_name: str = "clip.mp4"
    grey: bool = False
    tolerance: float = 9.0
    step_px: float = 3.0
    coverage: float = 1.0
    max_extra_mb: float | None = None
    quick: bool = field(default=False, kw_only=True)


def good(name: str, write: Writer, file_name: str = "clip.mp4", **more: object) -> Case:
    """A file that only looks odd: the moving face must come out whole."""
    settings = {"shows": moving_face, "num_frames": NUM_FRAMES} | more
    return Case(name, write, file_name=file_name, **settings)  # type: ignore[arg-type]


def bad(name: str, write: Writer, says: str, outcomes: frozenset[Outcome] = UNDECODABLE, **more: object) -> Case:
    return Case(name, write, outcomes, says, **more)  # type: ignore[arg-type]


def face(codec: str = "libx264", pix_fmt: str = "yuv420p", container: str | None = None, **more: object) -> Writer:
    """Writes the moving face."""
    return lambda path: encode(path, moving_face(), codec, pix_fmt, container, **more)  # type: ignore[arg-type]


def holds(content: bytes) -> Writer:
    return lambda path: path.write_bytes(content) and None


def short_groups(container: str, **muxer: str) -> Writer:
    """The moving face with a key frame every ten frames, as most recorders set them."""
    return face(container=container, options={"g": "10"}, muxer=muxer)


CONTAINERS: dict[str, tuple[Writer, str]] = {
    "mp4-index-first": (short_groups("mp4", movflags="+faststart"), "clip.mp4"),
    "mp4-index-last": (short_groups("mp4"), "clip.mp4"),
    "mp4-fragmented": (short_groups("mp4", movflags="+frag_keyframe+empty_moov+default_base_moof"), "clip.mp4"),
    "mkv": (short_groups("matroska"), "clip.mkv"),
    "webm": (face("libvpx", container="webm", audio_s=0, options={"g": "10"}), "clip.webm"),
    "webm-live": (face("libvpx", container="webm", options={"g": "10"}, muxer={"live": "1"}), "clip.webm"),
    "avi": (face("mpeg4", container="avi"), "clip.avi"),
    "mpegts": (short_groups("mpegts"), "clip.ts"),
    "flv": (face("flv", container="flv"), "clip.flv"),
    "wmv": (face("wmv2", container="asf"), "clip.wmv"),
    "gif": (face("gif", "rgb8", "gif"), "clip.mp4"),
}
WHOLE = [
    good(f"whole/{name}", write, file_name, tolerance=25.0 if name == "gif" else 9.0)
    for name, (write, file_name) in CONTAINERS.items()
]

CODECS = [
    good(f"codec/{codec}-{pix_fmt}{suffix}", face(codec, pix_fmt), f"clip{suffix}", tolerance=tolerance, grey=grey)
    for codec, pix_fmt, suffix, tolerance, grey in (
        ("libx265", "yuv420p", ".mp4", 9, False),
        ("libx265", "yuv420p10le", ".mp4", 9, False),
        ("libsvtav1", "yuv420p", ".mp4", 9, False),
        ("libvpx", "yuv420p", ".webm", 9, False),
        ("libvpx-vp9", "yuv420p", ".webm", 9, False),
        ("libvpx-vp9", "yuv444p", ".webm", 9, False),
        ("mpeg4", "yuv420p", ".mp4", 9, False),
        ("mpeg4", "yuv420p", ".avi", 9, False),
        ("msmpeg4v2", "yuv420p", ".avi", 9, False),
        ("mpeg2video", "yuv420p", ".mpg", 9, False),
        ("mpeg2video", "yuv422p", ".vob", 9, False),
        ("mpeg1video", "yuv420p", ".mpg", 9, False),
        ("mjpeg", "yuvj420p", ".avi", 9, False),
        ("mjpeg", "yuvj422p", ".mov", 9, False),
        ("mjpeg", "yuvj444p", ".mkv", 9, False),
        ("prores_ks", "yuv422p10le", ".mov", 9, False),
        ("prores_ks", "yuva444p10le", ".mov", 9, False),
        ("jpeg2000", "yuv420p", ".mov", 9, False),
        ("png", "rgb24", ".mov", 9, False),
        ("qtrle", "rgb24", ".mov", 9, False),
        ("svq1", "yuv410p", ".mov", 20, False),
        ("flv", "yuv420p", ".flv", 9, False),
        ("wmv2", "yuv420p", ".wmv", 9, False),
        ("snow", "yuv420p", ".avi", 12, False),
        ("huffyuv", "yuv422p", ".avi", 9, False),
        ("utvideo", "gbrp", ".avi", 9, False),
        ("rawvideo", "bgr24", ".avi", 9, False),
        ("rawvideo", "yuyv422", ".avi", 9, False),
        ("rawvideo", "yuv420p", ".avi", 9, False),
        ("rawvideo", "nv12", ".mkv", 9, False),
        ("rawvideo", "gray", ".avi", 9, True),
        ("libx264", "yuv422p", ".mp4", 9, False),
        ("libx264", "yuv444p", ".mp4", 9, False),
        ("libx264", "yuvj420p", ".mp4", 9, False),
        ("libx264", "yuv420p10le", ".mp4", 9, False),
        ("libx264", "yuv422p10le", ".mp4", 9, False),
        ("libx264", "yuv444p10le", ".mp4", 9, False),
        ("libx264", "gray", ".mp4", 9, True),
        ("libx264", "gray10le", ".mp4", 9, True),
        ("libx264", "nv12", ".mp4", 9, False),
        ("libx264rgb", "rgb24", ".mp4", 9, False),
        ("ffv1", "yuva420p", ".mkv", 9, False),
        ("ffv1", "yuv411p", ".mkv", 12, False),
        ("ffv1", "yuv440p", ".mkv", 9, False),
        ("ffv1", "gray16le", ".mkv", 9, True),
        ("ffv1", "bgr0", ".mkv", 9, False),
        ("ffv1", "gbrp12le", ".mkv", 9, False),
        ("ffv1", "yuv444p16le", ".mkv", 9, False),
    )
]
CODECS += [
    good("codec/libvpx-yuva420p.webm", face("libvpx", "yuva420p", options={"auto-alt-ref": "0"}), "clip.webm"),
    good("codec/rv20-yuv420p.rm", face("rv20", container="rm")),
]


def sized(width: int, height: int, codec: str = "mpeg4", suffix: str = ".mkv", **more: object) -> Case:
    frames = partial(moving_face, (width, height), 24)
    name, write = f"size/{width}x{height}-{codec}", lambda path: encode(path, frames(), codec)
    return good(name, write, f"clip{suffix}", shows=frames, num_frames=24, **more)


SIZES = [
    sized(641, 359, quick=True),
    sized(641, 359, "ffv1"),
    sized(641, 359, "libvpx-vp9", ".webm"),
    sized(321, 241),
    sized(322, 238, "libx264", ".mp4"),
    sized(359, 641),
    sized(1919, 1079, "libvpx", ".webm"),
]


def narrowed() -> Frames:
    """The moving face as an anamorphic camera stores it, 240x240 px."""
    return [cv2.resize(frame, (240, 240), interpolation=cv2.INTER_AREA) for frame in moving_face()]


def turned(degrees: int, size: tuple[int, int] = SIZE, codec: str = "libx264", pix_fmt: str = "yuv420p") -> Case:
    """A camera held sideways: the picture is stored turned, and the container says how to show it."""
    frames = partial(moving_face, size)

    def write(path: Path) -> None:
        stored = [np.ascontiguousarray(np.rot90(frame, -degrees // 90)) for frame in frames()]
        encode(path, stored, codec, pix_fmt, degrees=degrees)

    name = f"turned/{degrees}-{size[0]}x{size[1]}-{pix_fmt}"
    return good(name, write, shows=frames, quick=degrees == 90 and size == SIZE and pix_fmt == "yuv420p")


TURNED = [
    *(turned(degrees) for degrees in (90, 180, 270)),
    *(turned(degrees, (241, 319), "mpeg4") for degrees in (90, 180, 270)),
    *(turned(degrees, SIZE, "libx264", "yuv422p") for degrees in (90, 180, 270)),
    turned(90, SIZE, "libx264", "yuv444p"),
]

ANAMORPHIC = [
    good(
        f"anamorphic/{codec}-{pix_fmt}{suffix}",
        lambda path, codec=codec, pix_fmt=pix_fmt: encode(
            path, narrowed(), codec, pix_fmt, pixel_aspect=Fraction(4, 3)
        ),
        f"clip{suffix}",
        quick=suffix == ".ts",
    )
    for codec, pix_fmt, suffix in (
        ("libx264", "yuv420p", ".mp4"),
        ("libx264", "yuv420p", ".ts"),
        ("mpeg2video", "yuv420p", ".mpg"),
        ("mpeg4", "yuv420p", ".avi"),
        ("libx265", "yuv420p10le", ".mkv"),
        ("prores_ks", "yuv422p10le", ".mov"),
    )
]

STEADY = [40 * number for number in range(NUM_FRAMES)]
TIMES = [
    good("time/variable-rate", face(pts_ms=[40 * n + (n * n * 7) % 30 for n in range(NUM_FRAMES)]), quick=True),
    good("time/long-gap", face(pts_ms=[t if n < 17 else t + 9000 for n, t in enumerate(STEADY)])),
    good("time/frames-rarer-later", face(pts_ms=[40 * n if n < 17 else 400 * n for n in range(NUM_FRAMES)])),
    good("time/starts-late", face(container="matroska", pts_ms=[t + 93_600_000 for t in STEADY]), "clip.mkv"),
    good(
        "time/starts-below-zero",  # what lies before zero is not shown
        face(pts_ms=[t - 500 for t in STEADY], muxer={"avoid_negative_ts": "disabled"}),
        shows=lambda: moving_face()[13:],
        num_frames=NUM_FRAMES - 13,
    ),
    good("time/below-zero-mkv", face(pts_ms=[t - 500 for t in STEADY]), "clip.mkv"),
    good("time/none-h264", face(container="h264"), "clip.mp4"),
    good("time/none-mpeg4", face("mpeg4", container="m4v"), "clip.mpg"),
    good("time/none-mjpeg", face("mjpeg", "yuvj420p", container="mjpeg"), "clip.avi"),
    good("time/1000-fps", face(rate=1000)),
    good("time/1-fps", face("mpeg4", rate=1), "clip.avi"),
    good("time/same-time-twice", same_time_twice, "clip.mkv"),
    good("time/b-frames", face(options={"bf": "3", "preset": "medium", "b-adapt": "0"}), quick=True),
    good("time/b-frames-mkv", face(options={"bf": "3", "preset": "medium"}), "clip.mkv"),
    good("time/b-frames-avi", face(options={"bf": "2"}, container="avi"), "clip.avi"),
    good("time/open-groups", face("mpeg2video", options={"bf": "2", "g": "8"}), "clip.mpg"),
    good("time/open-groups-h264", face(options={"bf": "2", "g": "8", "x264-params": "open-gop=1"}), "clip.mp4"),
    good("time/no-key-frames", face(options={"x264-params": "intra-refresh=1:keyint=12"})),
    good(
        "time/trimmed-by-edit-list",
        rewritten(face(options={"bf": "2", "preset": "medium"}), with_edit_list(10)),
        shows=lambda: moving_face()[10:],
        num_frames=NUM_FRAMES - 10,
        quick=True,
    ),
    good("time/sound-is-longer", face(audio_s=5.0), quick=True),
    good("time/sound-is-longer-mkv", face(audio_s=5.0), "clip.mkv"),
    good("time/sound-is-longer-ts", face(audio_s=5.0), "clip.ts"),
    good("time/sound-is-longer-flv", face("flv", audio_s=5.0), "clip.flv"),
    good("time/sound-is-shorter", face(audio_s=0.5)),
    good(
        "time/dropped-frames-avi",
        rewritten(face("mjpeg", "yuvj420p", "avi"), with_dropped_frames),
        "clip.avi",
        shows=None,
        num_frames=26,
    ),
    good("time/interlaced", face("mpeg2video", options={"flags": "+ilme+ildct", "top": "1"}), "clip.mpg"),
    good("time/interlaced-h264", face(options={"flags": "+ilme+ildct", "x264-params": "tff=1"})),
]


def with_junk_at_its_end(content: bytes) -> bytes:
    """An AVI that was padded with zeros, which belong to it."""
    length = int.from_bytes(content[4:8], "little") + 8 + 9000
    return (
        content[:4] + length.to_bytes(4, "little") + content[8:] + b"JUNK" + (9000).to_bytes(4, "little") + bytes(9000)
    )


def face_then_black(path: Path) -> None:
    """Raw pictures, the last of them black: packets that hold nothing but zeros."""
    encode(path, [*moving_face(), *[np.zeros((240, 320, 3), np.uint8)] * 2], "rawvideo", "rgb24")


def several_streams() -> list[Case]:
    """Sound, other pictures, titles and rubbish beside or in front of the stream that counts."""
    face_then_wall = partial(encode_streams, streams=[moving_face(), wall(20)])
    title = {"title": "Caf\xe9"}

    def in_latin_1(content: bytes) -> bytes:
        assert "Caf\xe9".encode() in content
        return content.replace("Caf\xe9".encode(), b"Caf\xe9\xe9")

    rubbish = bytes(range(256)) * 8
    avi = face("mpeg4", container="avi")
    return [
        good("streams/two-videos", face_then_wall),
        good("streams/cover-behind", partial(encode_streams, streams=[moving_face()], cover=True)),
        good("streams/cover-in-front", partial(encode_streams, streams=[moving_face()], cover_first=True), quick=True),
        good("streams/sound", face(audio_s=1.4)),
        good("streams/title-in-latin-1", rewritten(face(metadata=title), in_latin_1)),
        good(
            "streams/title-in-latin-1-avi", rewritten(face("mpeg4", metadata=title), in_latin_1), "clip.avi", quick=True
        ),
        good("streams/rubbish-behind", rewritten(face(), lambda content: content + rubbish)),
        good("streams/zeros-behind", rewritten(face(), lambda content: content + bytes(4096))),
        good("streams/zeros-behind-avi", rewritten(avi, lambda content: content + bytes(9999)), "clip.avi"),
        good("streams/junk-at-the-end-avi", rewritten(avi, with_junk_at_its_end), "clip.avi"),
        good("streams/zeros-behind-mkv", rewritten(face(), lambda content: content + bytes(9999)), "clip.mkv"),
        good("streams/black-at-the-end", face_then_black, "clip.mov", shows=None, num_frames=NUM_FRAMES + 2),
        good("streams/rubbish-behind-mkv", rewritten(face(), lambda content: content + rubbish), "clip.mkv"),
        good("suffix/avi-named-mp4", face("mpeg4", container="avi"), quick=True),
        good("suffix/mkv-named-avi", face(container="matroska"), "clip.avi"),
        good("suffix/mp4-named-mpg", face(container="mp4"), "clip.mpg"),
        good("suffix/capitals", face(container="mp4"), "CLIP.MP4"),
        good("suffix/mpegts-named-mp4", face(container="mpegts")),
    ]


def made_higher() -> Frames:
    """The moving face on frames of 320x240 px that are shown as square ones."""
    return [cv2.resize(frame, (320, 320)) for frame in moving_face()]


def header_lies() -> list[Case]:
    """Numbers in a header that are not true, where the pictures themselves are whole."""
    mp4, avi, mkv = face(), face("mpeg4", container="avi"), face(container="matroska")
    mkv_hours = np.array(1e9, ">f8").tobytes()
    hours = (10**9).to_bytes(4, "big")
    return [
        good("lies/mp4-duration", rewritten(mp4, patch(b"mvhd", 20, hours)), quick=True),
        good("lies/mp4-track-duration", rewritten(mp4, patch(b"mdhd", 20, hours))),
        good("lies/mp4-size", rewritten(mp4, patch(b"avc1", 28, b"\xff\xff\xff\xff")), quick=True),
        good(  # which players take for the shape of the pixels
            "lies/mp4-shown-size", rewritten(mp4, patch(b"tkhd", 80, b"\xff\xff\x00\x00" * 2)), shows=made_higher
        ),
        good("lies/avi-number-of-frames", rewritten(avi, patch(b"avih", 24, b"\xff\xff\x00\x00"))),
        good("lies/avi-length", rewritten(avi, patch(b"strh", 40, b"\xff\xff\x00\x00"))),
        good("lies/avi-size", rewritten(avi, patch(b"avih", 40, b"\xff\xff\x00\x00" * 2))),
        good("lies/avi-riff-size-unknown", rewritten(avi, patch(b"RIFF", 4, bytes(4)))),
        good("lies/mkv-duration", rewritten(mkv, patch(b"\x44\x89\x88", 3, mkv_hours)), "clip.mkv"),
        good("lies/mkv-size", rewritten(mkv, patch(b"\xb0\x82\x01\x40\xba\x81\xf0", 2, b"\xff\xff")), "clip.mkv"),
    ]


def larger_and_smaller() -> list[Case]:
    """The resolution changes in the middle of a stream."""
    small, large = moving_face((320, 240), 20), moving_face((640, 480), 20, 144.0)
    orders = {"to-larger": [small, large], "to-smaller": [large, small], "there-and-back": [large, small, large]}
    return [
        good(
            f"resolution/{name}-{codec}-{container}",
            partial(encode_raw, parts=parts, container=container, codec=codec),
            file_name,
            shows=partial(sum, shown, []),
            num_frames=sum(map(len, shown)),
            quick=name == "to-smaller" and container == "mpegts",
        )
        for name, parts in orders.items()
        for codec, container, file_name, num_lost in (
            ("libx264", "mpegts", "clip.ts", 0),
            ("libx264", "h264", "clip.mp4", 0),
            ("mpeg2video", "mpeg2video", "clip.mpg", 1),  # its decoder loses the frame that it holds back at a change
            ("mjpeg", "mjpeg", "clip.mp4", 0),
        )
        for shown in ([*(part[: len(part) - num_lost] for part in parts[:-1]), parts[-1]],)
    ]


CONTENTS = [
    good(
        "content/8k-20-frames",
        lambda path: encode(path, enlarged(20)),
        shows=partial(enlarged, 20),
        num_frames=20,
        step_px=72.0,
        max_extra_mb=EXTRA_8K_MB,
    ),
    good("content/two-faces", lambda path: encode(path, two_faces()), shows=two_faces, num_frames=20),
    good(
        "content/face-in-the-last-third",
        lambda path: encode(path, wall(40) + moving_face(num_frames=20)),
        shows=lambda: wall(40) + moving_face(num_frames=20),
        num_frames=60,
        coverage=0.1,
        quick=True,
    ),
]

ODD = [
    *WHOLE,
    *CODECS,
    *SIZES,
    *TURNED,
    *ANAMORPHIC,
    *TIMES,
    *several_streams(),
    *header_lies(),
    *larger_and_smaller(),
    *CONTENTS,
]
