"""Local folders that many processes share and one of them makes: whole or not there, and made once."""

import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tasks.progress import echo
from tasks.storage.disk import make_folder, put_folder_in_place
from tasks.storage.files import TEMPORARY, try_lock

_BETWEEN_LOOKS_S = 0.2


def make_once(path: Path, make: Callable[[Path], None]) -> None:
    """Have a folder made unless it is there; waits while another process makes it, and takes over when that ends.

    Args:
        make: writes what is to be in the folder into an empty one, which then gets the name.
    """
    began: float | None = time.monotonic()
    while not path.is_dir():
        make_folder(path.parent)
        with try_lock(path.with_name(f"{path.name}.lock")) as alone:
            if alone and not path.is_dir():
                _make(path, make)
            if alone:
                continue
        if began and time.monotonic() - began > 2.0:
            echo(f"Another process makes {path}; waiting for that.")
            began = None
        time.sleep(_BETWEEN_LOOKS_S)


def _make(path: Path, make: Callable[[Path], None]) -> None:
    """Called under the lock, so that every unfinished folder is that of a process which is gone."""
    for left in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    temporary.mkdir()
    try:
        make(temporary)
        put_folder_in_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
