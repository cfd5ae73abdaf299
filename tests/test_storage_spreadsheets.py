"""Tables for spreadsheet programs: what names hold stays text there."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.dataset.findings import Check, Finding, Severity, write_findings
from tasks.storage.spreadsheets import csv_text, write_csv


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("http://x")',
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\ufeff=1",
        "\u200b=1",
        "\x00=1",
        "\uff1d1+1",
        "\uff0dx",
        "\uff20x",
        "\uff0d\uff0d",
        '"=1',
        "'=1",
        "=",
    ],
)
def test_no_text_becomes_a_formula(name: str) -> None:
    ((head,), (cell,)) = cells(csv_text(pd.DataFrame({name: [name]})))
    for found in (head, cell):
        assert len(found) == len(name) + 1
        seen = found.lstrip('\ufeff\u200b\x00 \t\r\n"')
        assert seen[0] == "'"
        assert seen.count("'") == name.count("'") + 1


def test_a_separator_of_other_countries_starts_no_formula_either() -> None:
    """A German spreadsheet program takes the semicolons that list names for separators."""
    (_, (cell,)) = cells(csv_text(pd.DataFrame({"where": ["anna (train); =evil (test)\t@x; ok"]})))
    assert cell == "anna (train); '=evil (test)\t'@x; ok"


@pytest.mark.parametrize("name", ["anna", "a=b", "S001_001", "a-b", "3-1", "it's", "", "x@y", 'ünï, "cödé"'])
def test_other_texts_stay_as_they_are(name: str) -> None:
    (_, (cell, _)) = cells(csv_text(pd.DataFrame({"a": [name], "b": [1]})))
    assert cell == name


def test_numbers_stay_numbers() -> None:
    table = pd.DataFrame(
        {
            "int": [-1, 2],
            "float": [-0.5, np.nan],
            "mixed": [-3, "-x"],
            "text": ["-0.5", "+1e-3"],
            "bool": [True, False],
            "none": [None, "=1"],
        }
    )
    assert csv_text(table).splitlines() == [
        "int,float,mixed,text,bool,none",
        "-1,-0.5,-3,-0.5,True,",
        "2,,'-x,+1e-3,False,'=1",
    ]
    back = pd.read_csv(io.StringIO(csv_text(table)))
    assert back["float"].iloc[0] == -0.5
    assert table["none"].iloc[1] == "=1", "the table itself stays as it is"


def test_tables_without_rows_and_of_categories() -> None:
    assert csv_text(pd.DataFrame({"a": []})) == "a\n"
    assert csv_text(pd.DataFrame({"a": pd.Categorical(["=1", "b", "=1"])})) == "a\n'=1\nb\n'=1\n"
    assert csv_text(pd.DataFrame({"a": pd.array(["=1", None], dtype="string")})) == 'a\n\'=1\n""\n'
    assert csv_text(pd.DataFrame([["=1", 2]], columns=["a", "a"])) == "a,a\n'=1,2\n"


def test_an_audit_of_a_hostile_name(tmp_path: Path) -> None:
    finding = Finding(Check.NAMES, Severity.WARNING, "@SUM(1) looks like =SUM(1)", ("=a (train)", "-b (test)"), "look")
    write_findings(tmp_path / "audit.csv", [finding])
    table = pd.read_csv(tmp_path / "audit.csv")
    assert table["what"].tolist() == ["'@SUM(1) looks like =SUM(1)"]
    assert table["where"].tolist() == ["'=a (train); '-b (test)"]


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_csv(tmp_path / "new" / "a.csv", pd.DataFrame({"a": ["ü"]}))
    assert (tmp_path / "new" / "a.csv").read_text(encoding="utf-8") == "a\nü\n"


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_a_long_table_is_written_part_by_part(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.spreadsheets._ROWS", 2)
    table = pd.DataFrame(
        {"a": ["=1", None, "x\ny", 0.1, 2][:count], "b": pd.array([1, None, 3, 4, 5][:count], "Int64")}
    )
    write_csv(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == csv_text(table)
