"""Video files that cannot be used, or only in part: each must end in its outcome, with a sentence that says why."""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from odd_usable_videos import CONTAINERS, EXTRA_8K_MB, OK, Case, Writer, face, good
from video_surgery import (
    cut,
    encode,
    encode_sound,
    encode_subtitles,
    enlarged,
    flip_bits,
    moving_face,
    mp3_with_cover,
    patch,
    rewritten,
    wall,
    without_fragment,
)

from tasks.outcomes import Outcome

TRUNCATED = frozenset({Outcome.TRUNCATED})
UNDECODABLE = frozenset({Outcome.UNDECODABLE})
NO_FACE = frozenset({Outcome.NO_FACE})
TOO_SHORT = frozenset({Outcome.TOO_SHORT})
ANY_END = frozenset(Outcome) - {Outcome.CRASHED, Outcome.TIMEOUT}


def bad(name: str, write: Writer, says: str, outcomes: frozenset[Outcome] = UNDECODABLE, **more: object) -> Case:
    return Case(name, write, outcomes, says, **more)  # type: ignore[arg-type]


def holds(content: bytes | str) -> Writer:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


CUTS = [
    bad(
        f"cut/{name}-{number + 1}-of-20",
        rewritten(write, cut((number + 0.5) / 20)),
        "breaks off",
        TRUNCATED,
        file_name=file_name,
        quick=number == 10 and name in ("mp4-index-first", "mp4-index-last", "mkv", "mpegts"),
    )
    for name, (write, file_name) in CONTAINERS.items()
    for number in range(20)
]


def flips() -> list[Case]:
    """Damage in the middle of a file: what is left is used, what is damaged is not, nothing crashes."""
    sources = {
        "mp4": (CONTAINERS["mp4-index-last"][0], 0.02),
        "mkv": (CONTAINERS["mkv"][0], 0.0),
        "mpegts": (CONTAINERS["mpegts"][0], 0.0),
        "avi": (CONTAINERS["avi"][0], 0.0),
        "vp9": (face("libvpx-vp9", container="webm"), 0.0),
        "mjpeg": (face("mjpeg", "yuvj420p", "avi"), 0.02),
    }
    return [
        Case(
            f"flips/{name}-{seed}",
            rewritten(write, flip_bits(seed, first=first)),
            OK | UNDECODABLE if name == "mp4" else ANY_END,  # its boxes tell that nothing was cut off
            file_name=f"clip.{name}" if name in ("mkv", "avi") else "clip.mp4",
            quick=seed == 0 and name == "mp4",
        )
        for name, (write, first) in sources.items()
        for seed in range(20)
    ]


def fragments() -> list[Case]:
    """A fragmented MP4 of four fragments, as players fetch it piece by piece."""
    write = CONTAINERS["mp4-fragmented"][0]
    return [
        good("fragments/middle-missing", rewritten(write, without_fragment(1)), shows=None, num_frames=24),
        good("fragments/last-missing", rewritten(write, without_fragment(-1)), shows=None, num_frames=30),
        good("fragments/first-missing", rewritten(write, without_fragment(0)), shows=None, num_frames=24),
    ]


def with_mdat(header: Callable[[int], bytes]) -> Callable[[bytes], bytes]:
    """Give the pictures of an MP4 whose index stands first another header of 16 bytes, made of their length."""

    def change(content: bytes) -> bytes:
        at = content.index(b"mdat") - 4
        assert content[at - 8 : at] == b"\0\0\0\x08free"
        length = int.from_bytes(content[at : at + 4], "big")
        return content[: at - 8] + header(length) + content[at + 8 :]

    return change


def wide(size: int) -> bytes:
    """A 64-bit size."""
    return b"\0\0\0\x01mdat" + size.to_bytes(8, "big")


#: What a recorder may leave as the size of the pictures; all mean the same to a player, for the index is whole.
MDAT_HEADERS: dict[str, Callable[[int], bytes]] = {
    "64-bit": lambda length: wide(length + 8),
    "64-bit-zero": lambda length: wide(0),
    "64-bit-of-its-header": lambda length: wide(16),
    "64-bit-too-small": lambda length: wide(1000),
    "up-to-the-end": lambda length: b"\0\0\0\x08free\0\0\0\0mdat",
    "of-its-header": lambda length: b"\0\0\0\x08free\0\0\0\x08mdat",
}


def without_size(content: bytes) -> bytes:
    """An AVI that does not tell its size, as a recorder leaves it that had no time to go back."""
    return content[:4] + bytes(4) + content[8:]


def blank_behind(share: float) -> Callable[[bytes], bytes]:
    """A file of full size of which only the first share arrived."""
    return lambda content: content[: int(len(content) * share)] + bytes(len(content) - int(len(content) * share))


def listed() -> list[Case]:
    """Files that break off although the sizes in them say nothing of it, and the same ones whole."""
    index_first = CONTAINERS["mp4-index-first"][0]
    cases = []
    for name, header in MDAT_HEADERS.items():
        write = rewritten(index_first, with_mdat(header))
        cases.append(good(f"listed/{name}-whole", write))
        cases += [
            bad(
                f"listed/{name}-cut-{share:g}",
                rewritten(write, cut(share)),
                "its header lists 34",
                TRUNCATED,
                quick=share == 0.7 and name == "64-bit-of-its-header",
            )
            for share in (0.3, 0.7, 0.97)
        ]
    for codec, pix_fmt in (("mpeg4", "yuv420p"), ("mjpeg", "yuvj420p")):
        write = rewritten(face(codec, pix_fmt, "avi"), without_size)
        cases.append(good(f"listed/avi-{codec}-whole", write, "clip.avi"))
        cases += [
            bad(f"listed/avi-{codec}-cut-{share:g}", rewritten(write, cut(share)), "breaks off", TRUNCATED)
            for share in (0.5, 0.7, 0.9)
        ]
    return cases


def reserved() -> list[Case]:
    """Files whose space was reserved and not filled up to the end, as a download that stopped leaves them."""
    more = {
        "mov-mjpeg": (face("mjpeg", "yuvj420p", "mov", muxer={"movflags": "+faststart"}), "clip.mov"),
        "mp4-h265": (face("libx265", muxer={"movflags": "+faststart"}), "clip.mp4"),
        "mp4-vp9": (face("libvpx-vp9", container="mp4", muxer={"movflags": "+faststart"}), "clip.mp4"),
        "mkv-vp9": (face("libvpx-vp9", container="matroska"), "clip.mkv"),
        "avi-mjpeg": (face("mjpeg", "yuvj420p", "avi"), "clip.avi"),
    }
    return [
        bad(
            f"reserved/{name}-{share:g}",
            rewritten(write, blank_behind(share)),
            "",
            TRUNCATED | (UNDECODABLE if share < 0.5 else TRUNCATED),
            file_name=file_name,
            quick=share == 0.7 and name in ("mp4-index-first", "mkv"),
        )
        for name, (write, file_name) in (CONTAINERS | more).items()
        for share in (0.3, 0.7)
    ]


def picture(suffix: str) -> bytes:
    return cv2.imencode(suffix, moving_face()[0][..., ::-1])[1].tobytes()


def only(*kinds: bytes) -> Callable[[bytes], bytes]:
    """Keep the boxes of those kinds of an MP4."""

    def keep(content: bytes) -> bytes:
        at, kept = 0, []
        while at + 8 <= len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            kept += [content[at : at + length]] if content[at + 4 : at + 8] in kinds else []
            at += length
        return b"".join(kept)

    return keep


def zeroed(content: bytes) -> bytes:
    """An MP4 whose pictures were never written, as a download leaves that reserved its space."""
    start = content.index(b"mdat") + 4
    length = int.from_bytes(content[start - 8 : start - 4], "big") - 8
    return content[:start] + bytes(length) + content[start + length :]


NO_VIDEO = [
    bad("content/empty", holds(b""), "empty", quick=True),
    bad("content/one-byte", holds(b"x"), "of no known kind"),
    bad("content/zeros", holds(bytes(50_000)), "of no known kind"),
    bad("content/text", holds("This is no video.\n" * 200), "video", quick=True),
    bad("content/web-page", holds("<!DOCTYPE html><html><body>404 Not Found</body></html>"), "video", quick=True),
    bad("content/csv", holds("path,subject,emotion\na.mp4,anna,anger\n" * 100), "video"),
    bad("content/subtitles-as-text", holds("1\n00:00:00,000 --> 00:00:02,000\nHello\n\n"), "no video"),
    bad("content/zip", holds(b"PK\x03\x04" + bytes(range(256)) * 20), "video"),
    *(bad(f"content/random-{seed}", holds(np.random.default_rng(seed).bytes(40_000)), "") for seed in range(10)),
    bad("content/jpeg", holds(picture(".jpg")), "no video (a still picture", quick=True),
    bad("content/png", holds(picture(".png")), "no video (a still picture"),
    bad("content/sound-only", partial(encode_sound, container="mp4"), "no video stream, only audio", quick=True),
    bad("content/sound-only-wav", partial(encode_sound, codec="pcm_f32le", container="wav"), "only audio"),
    bad("content/subtitles-only", encode_subtitles, "no video stream, only subtitle"),
    bad("content/cover-only", mp3_with_cover, "only a cover picture", file_name="song.mp4"),
    bad("content/index-only", rewritten(face(), only(b"ftyp", b"moov")), "breaks off", TRUNCATED),
    bad("content/pictures-only", rewritten(face(), only(b"ftyp", b"mdat")), "breaks off", TRUNCATED),
    bad("content/pictures-zeroed", rewritten(face(), zeroed), "frame"),
]


def huge() -> list[Case]:
    """A few bytes that declare a picture of gigabytes: refused without asking for the memory."""
    mjpeg = face("mjpeg", "yuvj420p", "avi")
    gif, png, raw = face("gif", "rgb8", "gif"), face("png", "rgb24", "mov"), face("rawvideo", container="matroska")
    vp8 = face("libvpx", container="webm")
    cases = []
    for side in (65500, 16000):
        big, little, wide = (
            struct.pack(">HH", side, side),
            struct.pack("<HH", side, side),
            struct.pack(">II", side, side),
        )
        vp8_side = struct.pack("<HH", side % 16384, side % 16384)
        cases += [
            (f"mjpeg-{side}", rewritten(mjpeg, patch(b"\xff\xc0\x00\x11\x08", 5, big, -1))),
            (f"gif-{side}", rewritten(gif, patch(b"GIF89a", 6, little))),
            (f"png-{side}", rewritten(png, patch(b"IHDR", 4, wide, -1))),
            (f"raw-{side}", rewritten(raw, patch(b"\xb0\x82\x01\x40\xba\x81\xf0", 2, big[:2]))),
            (f"vp8-{side}", rewritten(vp8, patch(b"\x9d\x01\x2a", 3, vp8_side, -1))),
        ]
    return [
        Case(f"huge/{name}", write, ANY_END - OK, max_extra_mb=300, quick=name == "mjpeg-16000")
        for name, write in cases
    ]


def half_outside(path: Path) -> None:
    encode(path, [np.ascontiguousarray(frame[:, 96:]) for frame in [moving_face()[0]] * 20])


CONTENTS = [
    bad("content/no-face", lambda path: encode(path, wall(20)), "no face", NO_FACE, quick=True),
    bad("content/half-a-face", half_outside, "", NO_FACE | OK | {Outcome.FACE_TOO_SMALL}),
    bad(
        "content/tiny-face",
        lambda path: encode(path, moving_face((320, 240), 20, 22.0)),
        "less than min_face_px",
        frozenset({Outcome.FACE_TOO_SMALL}),
        quick=True,
    ),
    bad(
        "content/one-frame",
        lambda path: encode(path, moving_face()[:1]),
        "1 frame is fewer than one segment",
        TOO_SHORT,
        quick=True,
    ),
    bad("content/15-frames", lambda path: encode(path, moving_face()[:15]), "15 frames are fewer", TOO_SHORT),
    bad(
        "content/8k-one-frame",
        lambda path: encode(path, enlarged(1)),
        "1 frame is fewer",
        TOO_SHORT,
        max_extra_mb=EXTRA_8K_MB,
    ),
    *(
        bad(
            f"size/{width}x{height}",
            partial(encode, frames=[np.full((height, width, 3), 90, np.uint8)] * 20, codec="png", pix_fmt="rgb24"),
            "no face",
            NO_FACE,
            file_name="clip.mov",
        )
        for width, height in ((1, 1), (2, 2), (7, 3), (16, 1600), (4000, 18))
    ),
]

BAD = [*CUTS, *listed(), *reserved(), *flips(), *fragments(), *NO_VIDEO, *huge(), *CONTENTS]
