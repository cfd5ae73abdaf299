"""Whether a file ends where its container says that it ends.

A decoder cannot tell a short video from the beginning of a long one. Containers can: their parts carry sizes, so that
a part which reaches beyond the end of the file proves that something was cut off, whatever the frame count, duration
or edit list in a header may say. What has no sizes (a raw stream, an MPEG programme stream) cannot be told. A file of
full size whose end is zeros has been cut too: its space was reserved before it was copied.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

#: None where the container does not tell.
Verdict = bool | None

_BLANK_BYTES = 4096
SEGMENT = 0x18538067  # id of the element of Matroska that holds all others
_UNKNOWN = 0xFFFFFFFF  # written by a muxer that could not go back to fill the size in


def breaks_off(path: Path) -> Verdict:
    """True when the end of a file is missing, False when it is there, None when that cannot be told.

    Raises:
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
        size = file.seek(0, os.SEEK_END)
        for belongs, check in _CHECKS:
            if belongs(head):
                return check(file, size)
        return _transport_stream(file, size)


def _mp4(file: BinaryIO, size: int) -> Verdict:
    """ISO/IEC 14496-12: a chain of boxes; the index (`moov`) and the pictures (`mdat`) must be whole."""
    at, seen, last = 0, set(), b""
    while at + 8 <= size:
        header = _read(file, at, 16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length == 0:  # up to the end of the file
            length = size - at
        if length < 8 or not kind.isalnum():
            break  # padding or other bytes behind the last box
        if at + length > size and (kind in (b"moov", b"mdat", b"moof") or b"moov" not in seen):
            return True
        seen.add(kind)
        last = kind
        at += length
    fragment_without_pictures = last == b"moof" or (b"moof" in seen and 0 < size - at < 8)
    return not {b"moov", b"mdat"} <= seen or fragment_without_pictures


def _matroska(file: BinaryIO, size: int) -> Verdict:
    """A live recording leaves the sizes of segment and clusters open."""
    at = 0
    while at < size:
        try:
            element = read_element(file, at)
        except EOFError:
            return True
        if element is None:
            return _is_blank_before(file, size) or None
        at = element.begin + (element.length or 0)
        if element.length is not None and element.kind == SEGMENT:  # that it knows its size is all there is to know
            return at > size or _is_blank_before(file, at)
    return at > size


class Element(NamedTuple):
    """Id of an EBML element, where its content begins, and bytes of that; None when the size is left open."""

    kind: int
    begin: int
    length: int | None


def read_element(file: BinaryIO, at: int) -> Element | None:
    """The header of the EBML element (RFC 8794) that begins there; None when none does.

    Raises:
        EOFError: the file ends within the header.
    """
    head = _read(file, at, 12)
    id_length = 9 - head[0].bit_length() if head else 0
    if id_length > 4:
        return None
    if len(head) <= id_length:
        raise EOFError(at)
    size_length = 9 - head[id_length].bit_length()
    if size_length > 8:
        return None
    begin = id_length + size_length
    if len(head) < begin:
        raise EOFError(at)
    unknown = (1 << 7 * size_length) - 1
    length = int.from_bytes(head[id_length:begin], "big") & unknown  # without the bit that marks the length of the size
    return Element(int.from_bytes(head[:id_length], "big"), at + begin, None if length == unknown else length)


def _riff(file: BinaryIO, size: int) -> Verdict:
    """AVI, and its further parts beyond 1 GB (OpenDML)."""
    at = 0
    while at + 8 <= size:
        header = _read(file, at, 8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length in (0, _UNKNOWN):
            return None if not at else False
        end = at + 8 + length + length % 2
        if _is_blank_before(file, end) and not _ends_in_junk(file, at + 12, end):
            return True
        at = end
    return at > size + 9  # some writers count the eight bytes of the header, and the last padding byte may lack


def _ends_in_junk(file: BinaryIO, at: int, end: int) -> bool:
    """Whether the last chunk of a RIFF part is padding, as some recorders write it."""
    while at < end:
        header = _read(file, at, 8)
        length = int.from_bytes(header[4:], "little")
        if not length:
            return False
        at += 8 + length + length % 2
        if header[:4] == b"JUNK" and at >= end:
            return True
    return False


def _flv(file: BinaryIO, size: int) -> Verdict:
    at = 9 + 4
    while at + 11 <= size:
        at += 11 + int.from_bytes(_read(file, at, 4)[1:], "big") + 4
    return at != size


def _asf(file: BinaryIO, size: int) -> Verdict:
    at = 0
    while at + 24 <= size:
        length = int.from_bytes(_read(file, at, 24)[16:], "little")
        if length < 24:  # a broadcast leaves the size open
            return None if length else _is_blank_before(file, size) or None
        at += length
    return at > size


def _ogg(file: BinaryIO, size: int) -> Verdict:
    """RFC 3533: pages of up to 255 segments."""
    at = 0
    while at < size:
        header = _read(file, at, 27 + 255)
        if len(header) < 27 or header[:4] != b"OggS":
            return True if b"OggS".startswith(header[:4]) or _is_blank_before(file, size) else None
        at += 27 + header[26] + sum(header[27 : 27 + header[26]])
    return at > size


def _gif(file: BinaryIO, size: int) -> Verdict:
    return not _read(file, max(size - 16, 0), 16).rstrip(b"\0").endswith(b";")


def _transport_stream(file: BinaryIO, size: int) -> Verdict:
    """MPEG-TS: packets of one size; where a cut falls between two of them it cannot be told."""
    for packet, first in ((188, 0), (192, 4), (204, 0)):
        if size >= 3 * packet and all(_read(file, first + number * packet, 1) == b"G" for number in range(3)):
            last = size // packet * packet - packet + first
            return True if size % packet or _read(file, last, 1) != b"G" else None
    return None


def _is_blank_before(file: BinaryIO, end: int) -> bool:
    """Whether a part ends in thousands of zeros: space that a copy or download reserved and never filled."""
    before = _read(file, max(end - _BLANK_BYTES, 0), min(_BLANK_BYTES, end))
    return len(before) == _BLANK_BYTES and not any(before)


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


_MP4_STARTS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot"}
_CHECKS: list[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], Verdict]]] = [
    (lambda head: head[4:8] in _MP4_STARTS, _mp4),
    (lambda head: head.startswith(b"\x1a\x45\xdf\xa3"), _matroska),
    (lambda head: head.startswith(b"RIFF"), _riff),
    (lambda head: head.startswith(b"FLV\x01"), _flv),
    (lambda head: head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), _asf),
    (lambda head: head.startswith(b"OggS"), _ogg),
    (lambda head: head.startswith(b"GIF8"), _gif),
]
