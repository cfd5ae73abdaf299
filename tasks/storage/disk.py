"""Renames that outlast a power cut: what a name promises is on the disk before the name is.

A system keeps what is written in memory for up to half a minute. Whatever moment its power goes, a file that was put in
place here is there whole, or what was there before it is.
"""

import errno
import os
from pathlib import Path

from fer_models.errors import StorageError

#: What file systems answer that cannot do this, and need not: there is nothing to wait for.
_NOTHING_TO_DO = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})


def put_in_place(temporary: Path, path: Path, name_lasts: bool = True) -> None:
    """Give a finished file of the same folder its name; what had that name before is replaced.

    Args:
        name_lasts: whether the name is to be on the disk too when this returns. Where many files are written their
            folders are synced together (`sync_folder`), and until then a cut may take a name, and the file with it.
    """
    sync_file(temporary)
    try:
        os.replace(temporary, path)
    except IsADirectoryError as error:
        raise StorageError(f"{path} is a folder where a file belongs; move it away, then run it again.") from error
    if name_lasts:
        sync_folder(path.parent)


def put_folder_in_place(temporary: Path, path: Path) -> None:
    """The same of a finished folder with all that is in it; raises `OSError` when there is one of that name."""
    sync_tree(temporary)
    os.rename(temporary, path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name != "nt":  # where folders cannot be opened
        _sync(folder, os.O_RDONLY)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, which outlast a power cut too."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_tree(folder: Path) -> None:
    """Wait until a folder with all that is in it is on the disk, written by whoever."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(parent) / name)
        sync_folder(Path(parent))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOTHING_TO_DO:
            raise
    finally:
        os.close(descriptor)
