"""Shards, which are many: read one after the other, of an object store by few requests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.parquet as pq

from fer_models.errors import BrokenFile
from tasks.storage.files import is_file, recognised, set_aside
from tasks.storage.locations import as_remote

if TYPE_CHECKING:
    from tasks.storage.remote import RemotePath

#: Files that are fetched at once.
_BATCH = 32
#: The end of a Parquet file that holds its footer, unless it has hundreds of row groups.
_FOOTER_BYTES = 2**16


def read_tables(paths: Sequence[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Shards in order, with the metadata of each; of an object store many are fetched at once.

    Raises:
        BrokenFile: one is not whole; it was set aside.
    """
    if paths and (store := as_remote(paths[0])):
        for batch in _batches(paths):
            for remote, content in zip(batch, store.read_many(batch), strict=True):
                with whole_shard(cast(Path, remote)):
                    table = pq.ParquetFile(pa.BufferReader(content)).read(columns=columns)
                yield table
    else:
        for path in paths:
            with whole_shard(path), pq.ParquetFile(path) as file:
                table = file.read(columns=columns)
            yield table


def find_footers(paths: Sequence[Path]) -> Iterator[pq.FileMetaData | None]:
    """The metadata of shards in order, without the rest of them; None for one that is not whole, and was set aside."""
    if paths and (store := as_remote(paths[0])):
        for batch in _batches(paths):
            for remote, end in zip(batch, store.read_many(batch, last_bytes=_FOOTER_BYTES), strict=True):
                length = int.from_bytes(end[-8:-4], "little") + 8
                content = end if length <= len(end) else remote.read_bytes()
                yield _find_footer(cast(Path, remote), pa.BufferReader(content))
    else:
        for path in paths:
            yield _find_footer(path, path)


def _find_footer(path: Path, source: Path | pa.NativeFile) -> pq.FileMetaData | None:
    try:
        with whole_shard(path):
            return pq.read_metadata(source)
    except BrokenFile:
        return None


@contextmanager
def whole_shard(path: Path) -> Iterator[None]:
    """Set a shard aside that turns out to be broken while the block reads it.

    Raises:
        BrokenFile: it was set aside.
        UserError: it is no file.
    """
    if not as_remote(path):  # an object store has nothing but files, and each question is a request
        is_file(path)
    try:
        with recognised(path):
            yield
    except BrokenFile as error:
        set_aside(path, error.fault)
        raise BrokenFile(path, error.fault, "Run `fer prepare` again, which makes a new one.", error.detail) from error


def _batches(paths: Sequence[Path]) -> Iterator[list["RemotePath"]]:
    for start in range(0, len(paths), _BATCH):
        yield cast("list[RemotePath]", list(paths[start : start + _BATCH]))
