"""Files below a data root, wherever that lies: whole or not there, and read and listed by few requests.

A local file is written under a temporary name in the same folder, then renamed. One of an object store is written to a
temporary folder, then uploaded: an upload is whole or leaves nothing.
"""

import hashlib
import io
import os
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from fer_models.errors import StorageError
from tasks.places import as_remote

if TYPE_CHECKING:
    import pandas as pd

    from tasks.remote import RemotePath

_TEMPORARY = ".part-"
#: Files that are fetched at once.
_BATCH = 32
#: The end of a Parquet file that holds its footer, unless it has hundreds of row groups.
_FOOTER_BYTES = 2**16


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary local path; when the block ends well its file becomes `path`, else it is removed.

    Raises:
        OSError, StorageError: the file cannot be put there; what was there before stays.
    """
    if remote := as_remote(path):
        with tempfile.TemporaryDirectory(prefix="fer-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            remote.upload({temporary: remote})
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, model: BaseModel) -> None:
    """Write a pydantic model as JSON, whole or not at all."""
    write_text(path, model.model_dump_json(indent=2) + "\n")


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, whole or not at all."""
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_frame(path: Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """A Parquet file as a data frame."""
    import pandas as pd  # workers, which write shards, do without

    return pd.read_parquet(readable(path), columns=columns)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file."""
    return next(read_tables([path], columns))


def read_tables(paths: Sequence[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Parquet files in order, with the metadata of each; of an object store many are fetched at once."""
    if paths and (store := as_remote(paths[0])):
        for batch in _batches(paths):
            for content in store.read_many(batch):
                yield pq.ParquetFile(pa.BufferReader(content)).read(columns=columns)
    else:
        for path in paths:
            with pq.ParquetFile(path) as file:
                table = file.read(columns=columns)
            yield table


def read_footers(paths: Sequence[Path]) -> Iterator[pq.FileMetaData]:
    """The metadata of Parquet files in order, without the rest of them."""
    if paths and (store := as_remote(paths[0])):
        for batch in _batches(paths):
            for remote, end in zip(batch, store.read_many(batch, last_bytes=_FOOTER_BYTES), strict=True):
                length = int.from_bytes(end[-8:-4], "little") + 8
                content = end if length <= len(end) else remote.read_bytes()
                yield pq.read_metadata(pa.BufferReader(content))
    else:
        for path in paths:
            yield pq.read_metadata(path)


def _batches(paths: Sequence[Path]) -> Iterator[list["RemotePath"]]:
    for start in range(0, len(paths), _BATCH):
        yield cast("list[RemotePath]", list(paths[start : start + _BATCH]))


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
def held_alone(path: Path) -> Iterator[bool]:
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
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise StorageError(f"{path} cannot be locked ({error}); is its folder writable?") from error
            alone = False
        yield alone


def leftovers(folder: Path) -> Iterator[Path]:
    """Temporary files below a folder: of processes that write them now, or that were killed. A store holds none."""
    return folder.rglob(f"{_TEMPORARY}*") if not as_remote(folder) and folder.is_dir() else iter(())


def remove_leftovers(folder: Path, older_than_s: float = 0.0) -> int:
    """Remove temporary files that a killed process left below a folder; returns how many.

    An object store holds none.

    Args:
        older_than_s: younger ones stay, for another process may be writing them.
    """
    num_removed = 0
    for path in leftovers(folder):
        with suppress(FileNotFoundError):  # renamed meanwhile by who wrote it
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()
                num_removed += 1
    return num_removed
