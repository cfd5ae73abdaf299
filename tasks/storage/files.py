"""Files below a data root, wherever that lies: whole or not there, and read and listed by few requests.

A local file is written under a temporary name in the same folder, brought to the disk, then renamed: a power cut leaves
it whole or as it was. One of an object store is written to a temporary folder, then uploaded: an upload is whole or
leaves nothing.

A file that lost its content all the same (an older version wrote it, a copy broke off) is recognised when it is read.
What can be made again is set aside, with a sentence, and counts as not there.
"""

import hashlib
import io
import os
import shutil
import sqlite3
import tempfile
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from fer_models.errors import BrokenFile, StorageError, UserError
from tasks.progress import echo
from tasks.storage.disk import make_folder, put_in_place, sync_folder
from tasks.storage.expected import Expected
from tasks.storage.locations import as_remote

if TYPE_CHECKING:
    import pandas as pd


_Record = TypeVar("_Record", bound=BaseModel)

#: Begins the name of what is not finished.
TEMPORARY = ".part-"
#: What is wrong with a file that lost its content.
LOST = "has lost its content"
#: Before the name of a file that was set aside.
BROKEN = "broken-"
#: Whether nothing is set aside now.
_ONLY_READING = ContextVar("only_reading", default=False)
#: What the files of a kind end with.
_ENDS = {".parquet": b"PAR1", ".json": b"}", ".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}
#: Files of these kinds are zip archives, which end with a table of their contents.
_ARCHIVES = frozenset({".keras", ".npz"})


@contextmanager
def atomic_write(path: Path, name_lasts: bool = True) -> Iterator[Path]:
    """Yield a temporary local path; when the block ends well its file becomes `path`, else it is removed.

    Args:
        name_lasts: without it a power cut may take the file, whole, until `sync_names` was called; for who writes many.

    Raises:
        OSError, StorageError: the file cannot be put there; what was there before stays.
    """
    if remote := as_remote(path):
        with tempfile.TemporaryDirectory(prefix="fer-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            remote.upload({temporary: remote})
        return
    make_folder(path.parent) if name_lasts else path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        put_in_place(temporary, path, name_lasts)
    finally:
        temporary.unlink(missing_ok=True)


def sync_names(paths: Iterable[Path]) -> None:
    """Bring the names of written files to the disk, with those of the folders that hold them."""
    folders = {path.parent for path in paths if not as_remote(path)}
    for folder in sorted(folders | {folder.parent for folder in folders}):
        if folder.is_dir():
            sync_folder(folder)


def write_text(path: Path, text: str, private: bool = False) -> None:
    """Write a text file, whole or not at all.

    Args:
        private: no other user of this machine may read it.
    """
    with atomic_write(path) as temporary:
        temporary.touch(0o600 if private else 0o666)
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, model: BaseModel) -> None:
    """Write a pydantic model as JSON, whole or not at all."""
    write_text(path, model.model_dump_json(indent=2) + "\n")


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def find_frame(path: Path, expected: Expected | None = None, columns: list[str] | None = None) -> "pd.DataFrame | None":
    """A Parquet file that can be made again, as a data frame; None when it is not there, or broken and set aside.

    Raises:
        UserError: something that is no file stands in its place.
    """
    try:
        return read_frame(path, expected, columns) if is_file(path) else None
    except BrokenFile as error:
        set_aside(path, error.fault)
        return None


def find_json(path: Path, kind: type[_Record]) -> _Record | None:
    """The same of a model that was written as JSON."""
    try:
        return kind.model_validate_json(path.read_bytes()) if is_file(path) else None
    except FileNotFoundError:  # it goes while it is looked for
        return None
    except ValidationError as error:
        set_aside(path, record_fault(error))
        return None


def record_fault(error: ValidationError) -> str:
    """What is wrong with a record, as the end of a sentence that begins with its file."""
    first = error.errors()[0]
    if first["type"] == "json_invalid" or not first["loc"]:
        return LOST
    return f"holds something else than this version reads, at {'.'.join(map(str, first['loc']))[:80]!r}"


def is_file(path: Path) -> bool:
    """Whether a file is there, to be read.

    Raises:
        UserError: something else is there, which could not be read or would be waited for.
    """
    if path.is_file():
        return True
    if not as_remote(path) and os.path.lexists(path):
        found = "folder" if path.is_dir() else "link that leads nowhere" if path.is_symlink() else "pipe or device"
        raise UserError(f"{path} is a {found} where a file belongs; move it away, then run the same command again.")
    return False


def read_frame(path: Path, expected: Expected | None = None, columns: list[str] | None = None) -> "pd.DataFrame":
    """A Parquet file as a data frame.

    Raises:
        BrokenFile: it is not whole, or does not hold what is expected.
    """
    with recognised(path), pq.ParquetFile(readable(path), page_checksum_verification=True) as file:
        table = file.read(columns=columns)
        frame = table.to_pandas()
    if expected and (fault := expected.fault_of(table)):
        raise BrokenFile(path, fault)
    return frame


@contextmanager
def recognised(path: Path) -> Iterator[None]:
    """Turn what pyarrow says of a file that is not whole into `BrokenFile`; faults of the disk stay what they are."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenFile(path, LOST, detail=str(error).splitlines()[0][:200].rstrip(".")) from error


def is_whole(path: Path) -> bool:
    """Whether a file is there and has the end that its kind has, told without reading the rest.

    In an object store every file that is there is whole.
    """
    if as_remote(path) or not path.is_file():
        return path.is_file()
    if path.suffix in _ARCHIVES:
        return zipfile.is_zipfile(path)
    wanted = _ENDS.get(path.suffix, b"")
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - len(wanted) - 1))
        end = file.read()
    return bool(end) and end.rstrip(b"\n").endswith(wanted)


def broken_files(folder: Path) -> list[Path]:
    """The files in a folder that are not whole, except those that are still being written or were set aside."""
    if as_remote(folder) or not folder.is_dir():
        return []
    return [path for path in finished_files(folder) if not (is_whole(path) and _is_intact(path))]


def finished_files(folder: Path) -> list[Path]:
    """The files in a local folder, sorted, except those that are still being written or were set aside."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith((".", BROKEN))]


def _is_intact(path: Path) -> bool:
    """Whether the checksums of an archive hold; other files are looked at when they are read."""
    if path.suffix not in _ARCHIVES:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error):
        return False


@contextmanager
def only_reading() -> Iterator[None]:
    """Set nothing aside in the block: what lost its content counts as not there, and stays where it is."""
    token = _ONLY_READING.set(True)
    try:
        yield
    finally:
        _ONLY_READING.reset(token)


def set_aside(path: Path, fault: str = LOST) -> None:
    """Rename a file that cannot be used, so that it counts as not there and is made again, and say so.

    Where another process was faster there is nothing left to do or to say.

    Args:
        fault: what is wrong with it, as the end of a sentence that begins with its name.
    """
    if _ONLY_READING.get():
        return
    aside = path.with_name(f"{BROKEN}{path.name}")
    try:
        if as_remote(path):
            content = path.read_bytes()
            with atomic_write(aside) as temporary:
                temporary.write_bytes(content)
            path.unlink()
        else:
            os.replace(path, aside)
    except FileNotFoundError:
        return
    echo(f"{path} {fault}; it is set aside as {aside.name} and made again.")


def readable(path: Path) -> Path | io.BytesIO:
    """What a library can read a file from: its path, or its content where it is not local."""
    return path if as_remote(path) is None else io.BytesIO(path.read_bytes())


def list_files(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that fit a pattern such as `*/*.parquet`; a folder that is not there has none."""
    if as_remote(folder):
        return list(list_sizes(folder, pattern))
    return list(folder.glob(pattern))


def list_sizes(folder: Path, pattern: str) -> dict[Path, int]:
    """The same, sorted, with their sizes in bytes."""
    if remote := as_remote(folder):
        return {cast(Path, path): size for path, size in remote.sizes().items() if path.matches(remote, pattern)}
    return {path: path.stat().st_size for path in sorted(folder.glob(pattern))}


def remove_files(paths: Sequence[Path]) -> None:
    """Remove files, and folders with all that is in them; what is not there is passed over."""
    remotes = [remote for path in paths if (remote := as_remote(path))]
    if remotes:
        remotes[0].remove([file for path in remotes for file in ([path] if path.is_file() else path.sizes())])
    for path in paths:
        if as_remote(path):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock for the block; yields False, and holds nothing, when another process does.

    The lock is SQLite's on an empty database: it ends with its process, however that ends, on every system. For a path
    in an object store it lies among the temporary files of this machine, and other machines know nothing of it.
    """
    if as_remote(path):
        path = Path(tempfile.gettempdir()) / f"fer-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        alone = True
        try:
            database = stack.enter_context(closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)))
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise StorageError(f"{path} cannot be locked ({error}); is its folder writable?") from error
            alone = False
        yield alone


def temporary_files(folder: Path) -> Iterator[Path]:
    """Temporary files below a folder: of processes that write them now, or that were killed. A store holds none."""
    return folder.rglob(f"{TEMPORARY}*") if not as_remote(folder) and folder.is_dir() else iter(())


def remove_temporary_files(folder: Path, older_than_s: float = 0.0) -> int:
    """Remove temporary files that a killed process left below a folder; returns how many.

    An object store holds none.

    Args:
        older_than_s: younger ones stay, for another process may be writing them.
    """
    num_removed = 0
    for path in temporary_files(folder):
        with suppress(FileNotFoundError):  # renamed meanwhile by who wrote it
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()
                num_removed += 1
    return num_removed
