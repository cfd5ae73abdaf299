"""What a video holds, be it a file or numbered images: its SHA-256, and whether it is still what the manifest says."""

import hashlib
import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome
from tasks.video.image_sequences import is_image_sequence, sequence_images, sequence_sha256, sequence_size_and_mtime


def content_sha256(path: Path) -> str:
    """SHA-256 of a video's content, in hexadecimal; raises `OSError`, or `VideoFault` when it is no image sequence."""
    if is_image_sequence(path):
        return sequence_sha256(sequence_images(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns: one of them changes when the content does.

    Raises as `content_sha256` does, and `VideoFault` for a pipe or a device: reading one may wait for ever.
    """
    if is_image_sequence(path):
        return sequence_size_and_mtime(sequence_images(path))
    stat = path.stat()
    if kind := special_kind(stat.st_mode):
        raise VideoFault(Outcome.UNDECODABLE, f"it is {kind}, not a file")
    return stat.st_size, stat.st_mtime_ns


def file_key(path: Path) -> Hashable:
    """What a video's file is known by, whatever path leads to it: the same through links and for other spellings.

    Size and time of change stand beside the inode, which some network file systems make up. Numbered images are known
    by the first of them.
    """
    try:
        is_sequence = is_image_sequence(path)
        stat = (sequence_images(path)[0].path if is_sequence else path).stat()
    except (OSError, VideoFault, ValueError):  # no file, or none that a name can mean
        return os.path.abspath(path)
    return is_sequence, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


_KINDS = {S_IFIFO: "a named pipe", S_IFSOCK: "a socket", S_IFCHR: "a device", S_IFBLK: "a device"}


def special_kind(mode: int) -> str:
    """What a file is that is neither regular nor a folder, such as `a named pipe`; empty for those two.

    Args:
        mode: `st_mode` of the file, links followed.
    """
    return _KINDS.get(S_IFMT(mode), "")


@dataclass(frozen=True)
class VideoFile:
    """A file as the manifest describes it, or as it was when it was looked at."""

    path: Path
    sha256: str
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "VideoFile":
        """A file as it is now; raises `VideoFault` (`file_missing`, `unreadable`) when it cannot be read."""
        try:
            state = content_state(path)
            return cls(path, content_sha256(path), *state)
        except FileNotFoundError as error:
            raise VideoFault(Outcome.FILE_MISSING, "there is no such file") from error
        except OSError as error:
            raise _unreadable(error) from error

    def check_unchanged(self) -> None:
        """Raise `VideoFault` (`unreadable`) when the file is gone, or was written to since the manifest was made."""
        try:
            state = content_state(self.path)
        except OSError as error:
            raise _unreadable(error) from error
        if state != (self.size_bytes, self.mtime_ns):
            raise VideoFault(Outcome.UNREADABLE, "it was changed while it was to be prepared; run the same again")

    def check_content(self) -> None:
        """Read the whole file again; raise `VideoFault` (`unreadable`) when that fails or gives something else.

        What cannot be decoded is a fault of the data only when the data is there.
        """
        try:
            sha256 = content_sha256(self.path)
        except OSError as error:
            raise _unreadable(error) from error
        if sha256 != self.sha256:
            raise VideoFault(Outcome.UNREADABLE, "reading it gives another content each time; check disk and share")


def _unreadable(error: OSError) -> VideoFault:
    return VideoFault(Outcome.UNREADABLE, f"the file cannot be read: {error.strerror or error}")
