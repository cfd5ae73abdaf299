"""CSV files for spreadsheet programs: every one that is written here, so that no cell becomes a formula in them."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.storage.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

#: How a cell begins that a spreadsheet program computes: after blanks and signs that nobody sees, full-width too. A
#: program that takes semicolons or tabs for separators sees cells within a text.
_FORMULA = re.compile(
    r"((?:^|[;\t\r\n])[\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff\"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])"
)


#: Rows that are made text at a time.
_ROWS = 5000


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV, whole or not at all; a long one takes little memory beside its own."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for start in range(0, max(len(table), 1), _ROWS):
            file.write(csv_text(table.iloc[start : start + _ROWS], header=not start))


def csv_text(table: "pd.DataFrame", header: bool = True) -> str:
    """A table as CSV; a text that would be a formula gets an apostrophe before it, numbers stay numbers.

    See OWASP, CSV injection.
    """
    safe = table.rename(columns=_plain)
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if column.dtype.kind not in "biufcmM":
            safe.isetitem(position, column.map(_plain))
    return str(safe.to_csv(index=False, header=header, lineterminator="\n"))


def _plain(cell: Hashable) -> Hashable:
    if not isinstance(cell, str) or _is_number(cell):
        return cell
    return _FORMULA.sub(r"\1'", re.sub("\r\n?", "\n", cell))  # pandas leaves a lone carriage return without quotes


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
