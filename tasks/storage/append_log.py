"""Journals: Parquet files that grow by rows, each with the time at which it was added."""

import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tasks.storage.expected import Expected
from tasks.storage.files import find_frame, write_table


def append_rows(path: Path, schema: pa.Schema, rows: pd.DataFrame, timespec: str = "seconds") -> None:
    """Add rows, with the present time, to the journal at `path`; without rows nothing is written.

    Args:
        schema: the columns of the journal, `time` among them.
        rows: the other columns.
        timespec: to what the time is exact, see `datetime.isoformat`.
    """
    if rows.empty:
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec=timespec)
    journal = pd.concat([read_journal(path, schema), rows.assign(time=now)], ignore_index=True)
    write_table(path, pa.Table.from_pandas(journal[schema.names], schema=schema, preserve_index=False))


def read_journal(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """All rows of a journal, oldest first; none when there is no file yet."""
    journal = find_frame(path, Expected(schema, core=("time",), may_be_empty=True))
    return schema.empty_table().to_pandas() if journal is None else journal
