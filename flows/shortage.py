"""A full disk or too little memory, in whatever words a library tells of it, as one sentence."""

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fer_models.errors import FerError, UserError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: By which libraries tell of a full disk.
FULL_WORDS = ("database or disk is full", "No space left on device", "Disk quota exceeded")
_MEMORY_WORDS = ("can't start new thread", "Cannot allocate memory", "error return without exception set")
_MEMORY_KINDS = ("ResourceExhaustedError", "ArrayMemoryError")
#: A disk with less room is the one that is meant.
_LITTLE_BYTES = 20_000_000


@contextmanager
def shortages_named(*folders: Path) -> Iterator[None]:
    """Raise `UserError` for what is due to a full disk or to too little memory.

    Args:
        folders: in which the block writes.

    Raises:
        UserError: with the disk, or with what memory this process may take.
    """
    try:
        yield
    except FerError:
        raise
    except Exception as error:
        if sentence := _shortage(error, folders):
            raise UserError(sentence) from error
        raise


def _shortage(error: BaseException, folders: Sequence[Path]) -> str:
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, MemoryError) or _is_told(one, _MEMORY_WORDS) or type(one).__name__ in _MEMORY_KINDS:
            return f"There is not enough memory{_memory()}; end other programs, or use a smaller training.batch_size."
    for one in chain:
        if getattr(one, "errno", None) in _FULL or _is_told(one, FULL_WORDS):
            named = [Path(str(one.filename))] if isinstance(one, OSError) and one.filename else []
            return (
                f"The disk of {_fullest([*named, *folders])} is full; make room (fer clean), or name another with "
                "--data-root; the same command continues from here."
            )
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _is_told(error: BaseException, words: Sequence[str]) -> bool:
    said = str(error)
    return any(word in said for word in words)


def _fullest(places: Sequence[Path]) -> Path:
    """The first of these places whose disk has next to no room, or else the first; the temporary folder is another."""
    known = [*places, Path(tempfile.gettempdir())]
    for place in known:
        there = next((folder for folder in (place, *place.absolute().parents) if folder.exists()), Path("/"))
        with suppress(OSError):
            if shutil.disk_usage(there).free < _LITTLE_BYTES:
                return place
    return known[0]


def _memory() -> str:
    from tasks.memory import address_limit_bytes, free_bytes

    if limit := address_limit_bytes():
        return f": ulimit -v allows this process {limit / 1e9:.1f} GB"
    free = free_bytes()
    return f": {free / 1e9:.1f} GB are free" if free is not None else ""
