"""Whole files or none: write under a temporary name in the same folder, then rename."""

import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from fer_models.errors import StorageError

_TEMPORARY = ".part-"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well it becomes `path`, else it is removed."""
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


@contextmanager
def held_alone(path: Path) -> Iterator[bool]:
    """Hold a lock for the block; yields False, and holds nothing, when another process does.

    The lock is SQLite's on an empty database: it ends with its process, however that ends, on every system.
    """
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
    """Temporary files below a folder: of processes that write them now, or that were killed."""
    return folder.rglob(f"{_TEMPORARY}*") if folder.is_dir() else iter(())


def remove_leftovers(folder: Path, older_than_s: float = 0.0) -> int:
    """Remove temporary files that a killed process left below a folder; returns how many.

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
