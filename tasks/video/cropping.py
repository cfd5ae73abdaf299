"""What a container cuts off the decoded pictures: `clap` of MP4 (ISO/IEC 14496-12), PixelCrop of Matroska (RFC 9559).

FFmpeg's decoders apply the cropping that the codec declares; that of the container is left to players.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tasks.video.truncation import SEGMENT, read_element

_Parts = Callable[[BinaryIO, int, int], Iterator[tuple[object, int, int]]]

#: Kinds of parts, one within the other, with the bytes that stand before the parts inside; None is any kind.
_CLAP: tuple[tuple[object, int], ...] = (
    *((kind, 0) for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl")),
    *((b"stsd", 8), (None, 78), (b"clap", 0)),
)
_VIDEO: tuple[tuple[object, int], ...] = tuple((kind, 0) for kind in (SEGMENT, 0x1654AE6B, 0xAE, 0xE0))
_PIXEL_CROPS = (0x54CC, 0x54DD, 0x54BB, 0x54AA)  # left, right, top, bottom
_CLUSTER = 0x1F43B675


class Margins(NamedTuple):
    """Pixels to cut off each side of a stored picture."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def read_margins(path: Path, width: int, height: int) -> Margins:
    """What a container cuts off its pictures of that size; of several streams of them the first that says so counts.

    Margins that would leave nothing are those of a broken header, and none.
    """
    try:
        with path.open("rb") as file:
            margins = _margins(file, width, height)
    except (OSError, ValueError, ZeroDivisionError):
        return Margins()
    fits = min(margins) >= 0 and margins.left + margins.right < width and margins.top + margins.bottom < height
    return margins if fits else Margins()


def _margins(file: BinaryIO, width: int, height: int) -> Margins:
    head = file.read(12)
    size = file.seek(0, 2)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        for start, end in _find(file, 0, size, _VIDEO, _elements):
            crops = (part for part in _elements(file, start, end) if part[0] in _PIXEL_CROPS)
            if found := {kind: _read(file, at, min(after - at, 8)) for kind, at, after in crops}:
                return Margins(*(int.from_bytes(found.get(kind, b""), "big") for kind in _PIXEL_CROPS))
    elif head[4:8].isalnum():
        for start, _ in _find(file, 0, size, _CLAP, _boxes):
            values = [int.from_bytes(_read(file, start + at, 4), "big", signed=True) for at in range(0, 32, 4)]
            shown_width, shown_height, x, y = (Fraction(*values[at : at + 2]) for at in range(0, 8, 2))
            left, top = (width - shown_width) / 2 + x, (height - shown_height) / 2 + y
            return Margins(*map(round, (left, width - left - shown_width, top, height - top - shown_height)))
    return Margins()


def _find(
    file: BinaryIO, start: int, end: int, way: Sequence[tuple[object, int]], parts: _Parts
) -> Iterator[tuple[int, int]]:
    """Where the content of each part at the end of a way begins and ends."""
    if not way:
        yield start, end
        return
    (wanted, skipped), further = way[0], way[1:]
    for kind, inner, after in parts(file, start, end):
        if wanted in (None, kind):
            yield from _find(file, inner + skipped, after, further, parts)


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[object, int, int]]:
    """Kind, begin and end of the content of each box, up to the first fragment."""
    while at + 8 <= end:
        header = _read(file, at, 16)
        length, kind, begin = int.from_bytes(header[:4], "big"), header[4:8], 8
        if length == 1:
            length, begin = int.from_bytes(header[8:], "big"), 16
        if length < begin or at + length > end or kind == b"moof":
            return
        yield kind, at + begin, at + length
        at += length


def _elements(file: BinaryIO, at: int, end: int) -> Iterator[tuple[object, int, int]]:
    """Id, begin and end of the content of each element, up to the first cluster."""
    with suppress(EOFError):
        while at < end:
            element = read_element(file, at)
            if element is None or element.kind == _CLUSTER or element.begin > end:
                return
            at = end if element.length is None else min(element.begin + element.length, end)
            yield element.kind, element.begin, at


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)
