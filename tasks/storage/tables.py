"""Tables that users make, in CSV as any program writes it or in Parquet: the rows that hold something, as texts.

CSV may be separated by commas, semicolons or tabs, in UTF-8 or in the UTF-16 of Excel's "Unicode text", with or without
a byte order mark, and begin with Excel's line `sep=;`. Blank rows, other columns, and letter case and blanks in the
header make no difference.
"""

import csv
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fer_models.errors import UserError
from fer_models.names import plain_name

_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r"\"?sep=(.)\"?(?:\r\n|\r|\n)", re.IGNORECASE)
_END = "\0"


class Row(NamedTuple):
    """Cells of a table as trimmed texts, empty for none.

    Args:
        place: where the row begins, such as `line 5` of the file.
    """

    place: str
    cells: dict[str, str]


class Line(NamedTuple):
    """A row with all its cells, and the number of its first line in the file, from 1 on."""

    number: int
    cells: list[str]


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV or Parquet file in which one of the columns, whose names are in lower case, holds something.

    Raises:
        UserError: it is no table, lacks a column or has it twice, or a row has more cells than the header.
    """
    try:
        is_parquet = path.suffix.lower() in _PARQUET
        unit, lines = ("row", _parquet_lines(path)) if is_parquet else ("line", list(read_csv_lines(path, columns)))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from error
    if not lines:
        raise UserError(f"{path} cannot be read as a table: it is empty.")
    header = column_names(lines[0].cells)
    if missing := [column for column in columns if column not in header]:
        has = ", ".join(cell.strip() for cell in lines[0].cells)
        raise UserError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(columns)} and has {has}.")
    if twice := [column for column in columns if header.count(column) > 1]:
        raise UserError(f"{path} has the column {twice[0]} twice; remove one, or give it another name.")
    places = {column: header.index(column) for column in columns}
    rows = []
    for number, cells in lines[1:]:
        if any(cells[len(header) :]):
            raise UserError(
                f"{path} has {len(cells)} cells in {unit} {number} and {len(header)} in its header; "
                "put a text that holds a separator into quotation marks."
            )
        values = {column: cells[place] if place < len(cells) else "" for column, place in places.items()}
        if any(values.values()):
            rows.append(Row(f"{unit} {number}", values))
    return rows


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, trimmed.

    Raises:
        UserError: it is not text, or cannot be read.
    """
    try:
        text = _read_text(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    return [line for line in map(str.strip, re.split(r"\r\n|\r|\n", text)) if line]


def column_names(header: Iterable[str]) -> list[str]:
    """The names of columns without what makes no difference."""
    return [plain_name(cell).lower() for cell in header]


def cell_text(value: object) -> str:
    """A cell as text: a whole number without a fraction, nothing (None, not a number) as an empty text."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()


def read_csv_lines(path: Path, columns: Iterable[str]) -> Iterator[Line]:
    """The rows of a CSV file that are not blank, the header first, with trimmed cells.

    Args:
        columns: of the separators in use, the one that finds most of these names in the header is taken.

    Raises:
        UserError: it is not text, or a quotation mark is never closed.
        ValueError, OSError: it cannot be read.
    """
    text = _read_text(path)
    wanted = set(columns)
    if named := _SEPARATOR_LINE.match(text):
        separator, text = named[1], "\n" + text[named.end() :]  # lines keep their numbers
    else:
        separator = max(_SEPARATORS, key=lambda one: len(wanted & set(column_names(_header(text, one)))))
    for number, cells in _split(text, separator):
        if cells[0] == _END:
            return
        if cells[-1].endswith(_END):
            raise UserError(f"{path} opens a quotation mark in line {number} that is never closed.")
        if any(cells := [cell.strip() for cell in cells]):
            yield Line(number, cells)


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        raise UserError(f"{path} is an Excel workbook, whatever its name; save its sheet as CSV UTF-8.")
    is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    with suppress(UnicodeDecodeError):
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
        if "\0" not in text:
            return text
    raise UserError(f"{path} is not text in UTF-8; save it as CSV UTF-8.")


def _header(text: str, separator: str) -> list[str]:
    return next((cells for _, cells in _split(text, separator) if any(map(str.strip, cells))), [])


def _split(text: str, separator: str) -> Iterator[Line]:
    """All rows, the blank ones as one empty cell; the last is `_END` unless an open quotation mark takes it in."""
    rows = csv.reader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=separator, skipinitialspace=True)
    number = 1
    try:
        for cells in rows:
            yield Line(number, cells or [""])
            number = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {number}: {error}") from error


def _parquet_lines(path: Path) -> list[Line]:
    import pyarrow.parquet as pq  # only here, so that settings, which import adapters of corpora, stay light

    table = pq.ParquetFile(path).read()
    columns = [[cell_text(value) for value in column.to_pylist()] for column in table.columns]
    lines = [Line(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1)]
    return [Line(0, table.column_names), *lines]
