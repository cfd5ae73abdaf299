"""Where uploads lie: a folder of this user alone, which is gone with the server, or when the next one starts."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.storage.files import try_lock

_PREFIX = "fer-serve-"
#: Held as long as the server of a folder lives.
_LOCK = "lock"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder among the temporary ones that no other user can look into; it is removed with all that is in it.

    Those of servers that were killed are removed first.
    """
    _remove_left()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with try_lock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        with try_lock(folder / _LOCK) as is_left:
            pass
        if is_left:
            shutil.rmtree(folder, ignore_errors=True)
