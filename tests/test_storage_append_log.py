"""Journals keep what they were told, and when."""

import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tasks.storage.append_log import append_rows, read_journal

SCHEMA = pa.schema([("time", pa.string()), ("event", pa.string()), ("count", pa.int32())])


def test_rows_are_added_after_those_before(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal.parquet"
    append_rows(path, SCHEMA, pd.DataFrame({"count": [3, 1], "event": ["new", "gone"]}))
    first = read_journal(path, SCHEMA)
    append_rows(path, SCHEMA, pd.DataFrame({"count": [2], "event": ["new"]}), timespec="milliseconds")
    journal = read_journal(path, SCHEMA)
    pd.testing.assert_frame_equal(journal.head(2), first)
    assert journal[["event", "count"]].values.tolist() == [["new", 3], ["gone", 1], ["new", 2]]
    assert journal["count"].dtype == "int32"
    times = [datetime.datetime.fromisoformat(time) for time in journal["time"]]
    assert times == sorted(times)
    assert [len(time) for time in journal["time"]] == [25, 25, 29]


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.parquet"
    empty = read_journal(path, SCHEMA)
    assert empty.empty
    assert list(empty.columns) == SCHEMA.names
    append_rows(path, SCHEMA, empty.drop(columns="time"))
    assert not path.exists()
