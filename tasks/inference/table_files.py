"""Tables of predictions as files: CSV, Parquet or JSON lines, by the end of the name."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pandas as pd

from fer_models.errors import UserError
from tasks.storage.files import atomic_write
from tasks.storage.spreadsheets import write_csv

#: What a table of predictions has a row for.
By = Literal["video", "segment", "frame"]
#: Rows that are written at a time: a table of a long video takes little memory beside its own.
_ROWS = 5000


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False, row_group_size=_ROWS)


def write_json_lines(path: Path, table: pd.DataFrame) -> None:
    """Write a table as JSON lines, an object a row, whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        if table.empty:
            file.write("\n")  # a file of no bytes is taken for one that lost its content
        for start in range(0, len(table), _ROWS):
            rows = table.iloc[start : start + _ROWS]
            file.write(rows.to_json(orient="records", lines=True, force_ascii=False, double_precision=12))


_WRITERS: MappingProxyType[str, Callable[[Path, pd.DataFrame], None]] = MappingProxyType(
    {".csv": write_csv, ".parquet": write_parquet, ".jsonl": write_json_lines}
)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, whole or not at all, in the form that the name asks for.

    Raises:
        UserError: the name ends in none of `.csv`, `.parquet` and `.jsonl`.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UserError(f"A table is written as {', '.join(_WRITERS)}; {str(path)!r} ends in none of them.")
    writer(path, table)
