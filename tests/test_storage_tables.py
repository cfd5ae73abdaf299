"""Tables as users' programs write them are read alike; what cannot be read is said in one sentence."""

import datetime
from pathlib import Path

import pandas as pd
import pytest

from fer_models.errors import UserError
from tasks.storage.tables import read_rows

COLUMNS = ("path", "subject")
ROWS = [("a, b.mp4", "Zoë"), ("c.mp4", "1")]
PLAIN = 'path,subject\n"a, b.mp4",Zoë\nc.mp4,1\n'


def read(folder: Path, content: str | bytes, name: str = "table.csv") -> list[tuple[str, str]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(row.cells["path"], row.cells["subject"]) for row in read_rows(path, COLUMNS)]


def refused(folder: Path, content: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, content)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder / "table.csv"))
    return message.removeprefix(str(folder / "table.csv"))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.removesuffix("\n"),
        "path;subject\na, b.mp4;Zoë\nc.mp4;1\n",
        "path\tsubject\na, b.mp4\tZoë\nc.mp4\t1\n".encode("utf-16"),
        "\ufeffsep=;\r\npath;subject\r\na, b.mp4;Zoë\r\nc.mp4;1\r\n",
        "sep=|\npath|subject\na, b.mp4|Zoë\nc.mp4|1\n",
        "path,subject,\n'a', x,\n".replace("'a', x,", '"a, b.mp4" , Zoë ,') + "c.mp4,1,,,\n",
        "\n,,\n" + PLAIN + ",,\n , \n\n",
        "Path , SUBJECT\n" + PLAIN.partition("\n")[2],
        "\ufeffpa\u200bth,\u00a0subject\n" + PLAIN.partition("\n")[2],
        'x,path,"sub;ject;subject",subject\n;;;,"a, b.mp4",,Zoë\n,c.mp4,,1\n',
        'note,subject,path\n"two\nlines",Zoë,"a, b.mp4"\n5"" screen,1,c.mp4\n',
        "note,note,path,subject\n,,c.mp4,1\n".replace("\n,,c", '\n,,"a, b.mp4",Zoë\n,,c'),
    ],
)
def test_all_these_say_the_same(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path, content) == ROWS


def test_the_line_in_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('path,subject\n\na,"two\nlines"\n,,\n\nb,1\nc\n')
    assert [row.place for row in read_rows(path, COLUMNS)] == ["line 3", "line 7", "line 8"]
    path.write_text("sep=,\npath,subject\na,1\n")
    assert [row.place for row in read_rows(path, COLUMNS)] == ["line 3"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", " cannot be read as a table: it is empty."),
        ("\n,,\n", " cannot be read as a table: it is empty."),
        ("file;person\na;b\n", " has no column path, subject; it needs path, subject and has file;person."),
        ("Path,path,subject\n", " has the column path twice; remove one, or give it another name."),
        ("path,subject\na, b.mp4,Zoë\n", " has 3 cells in line 2 and 2 in its header; put a text that holds a"),
        ('path,subject\na,1\n"b,2\nc,3\n', " opens a quotation mark in line 3 that is never closed."),
        ('path,subject\na,1\nb,"2\nc,3', " opens a quotation mark in line 3 that is never closed."),
        ("path,subject\nä,1\n".encode("latin-1"), " is not text in UTF-8; save it as CSV UTF-8."),
        (PLAIN.encode("utf-16-le"), " is not text in UTF-8; save it as CSV UTF-8."),
        (PLAIN.encode("utf-16") + b"\x00", " is not text in UTF-8; save it as CSV UTF-8."),
        (b"PK\x03\x04\x14\x00\x06\x00", " is an Excel workbook, whatever its name; save its sheet as CSV UTF-8."),
        (f"path,subject\na,{'x' * 200_000}\n", " cannot be read as a table: line 2: field larger than"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, content: str | bytes, words: str) -> None:
    assert words in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.5], ["1", "2.5"]),
        ([1, None], ["1", ""]),
        ([1.0, float("nan")], ["1", ""]),
        (pd.Series([1, None], dtype="Int64"), ["1", ""]),
        (pd.Series(["x ", None], dtype="category"), ["x", ""]),
        (["x", None], ["x", ""]),
        ([b"x", b"\xc3\xab"], ["x", "ë"]),
        ([datetime.date(2020, 1, 2), None], ["2020-01-02", ""]),
        ([10**17, 10**18], ["1" + "0" * 17, "1" + "0" * 18]),
    ],
)
def test_values_of_parquet(tmp_path: Path, values: list[object], texts: list[str]) -> None:
    pd.DataFrame({"Path ": ["a", "b"], "subject": values}).to_parquet(tmp_path / "table.parquet")
    rows = read_rows(tmp_path / "table.parquet", COLUMNS)
    assert [row.cells["subject"] for row in rows] == texts
    assert [row.place for row in rows] == ["row 1", "row 2"]


def test_an_index_of_parquet_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a"], "subject": [1]}).set_index("path").to_parquet(tmp_path / "table.pq")
    assert read_rows(tmp_path / "table.pq", COLUMNS)[0].cells == {"path": "a", "subject": "1"}
