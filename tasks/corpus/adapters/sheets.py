"""Excel sheets and CSV exports of them, as corpora come with: their rows by the names of columns."""

from collections.abc import Sequence
from pathlib import Path

from fer_models.errors import UserError
from tasks.storage.tables import Line, Row, cell_text, column_names, read_csv_lines


def read_sheet(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows below the header that hold something in one of the columns.

    The header is the first row that has all columns, so that lines above it make no difference.

    Args:
        columns: names in lower case; blanks, line breaks and case in the header make no difference.

    Raises:
        UserError: it is no sheet, or no row names the columns.
    """
    lines = sheet_lines(path, columns)
    wanted = [_plain(column) for column in columns]
    for at, line in enumerate(lines):
        header = [_plain(name) for name in column_names(line.cells)]
        if set(wanted) <= set(header):
            places = {column: header.index(name) for column, name in zip(columns, wanted, strict=True)}
            return [row for line in lines[at + 1 :] if any((row := _row(line, places)).cells.values())]
    raise UserError(f"{path} has no row that names the columns {', '.join(columns)}.")


def _plain(name: str) -> str:
    return "".join(name.lower().split())


def _row(line: Line, places: dict[str, int]) -> Row:
    cells = {column: line.cells[at] if at < len(line.cells) else "" for column, at in places.items()}
    return Row(f"row {line.number}", cells)


def sheet_lines(path: Path, columns: Sequence[str]) -> list[Line]:
    """All rows of a sheet with their numbers, from 1 on: of `Sheet1` where there is one, else of the first.

    Raises:
        UserError: it cannot be read.
    """
    from openpyxl import load_workbook  # only here, so that settings, which import adapters, stay light

    try:
        if path.suffix.lower() == ".csv":
            return list(read_csv_lines(path, columns))
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = book["Sheet1"] if "Sheet1" in book.sheetnames else book.worksheets[0]
        rows = enumerate(sheet.iter_rows(values_only=True), start=1)
        lines = [Line(number, [cell_text(value) for value in row]) for number, row in rows]
        book.close()
        return lines
    except UserError:
        raise
    except Exception as error:  # openpyxl raises many kinds on a damaged file
        raise UserError(f"{path} cannot be read as a sheet: {error}") from error
