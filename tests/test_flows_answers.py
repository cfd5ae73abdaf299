"""`--json` and `--quiet`: one shape for every command, and nothing else on standard output."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from test_corpus_proposal import own_folder, touch
from typer.main import get_command
from typer.testing import CliRunner, Result

from fer_models.errors import UserError
from flows.cli import app
from flows.cli.answers import Answers, answering, out
from tasks.diagnosis import diagnose
from tasks.diagnosis.check_result import CheckResult, State

ROOT = Path(__file__).parent.parent

#: Commands that end when somebody wants them to, or print what is read by programs as it is.
WITHOUT = {"up", "watch", "serve", "config", "weights path"}


def commands() -> Iterator[tuple[str, Any]]:
    """All commands with their names."""
    root: Any = get_command(app)
    for name, command in root.commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            yield f"{name} {inner}".rstrip(), one


def run(line: str, *more: str) -> Result:
    return CliRunner().invoke(app, [*line.split(), *more])


def answer(line: str, *more: str) -> dict[str, Any]:
    """What a command prints with `--json`, which is all that it prints on standard output."""
    result = run(line, *more, "--json")
    found = json.loads(result.stdout)
    assert list(found) == ["command", "ok", "error", "result", "notes", "tables"]
    assert found["ok"] is (result.exit_code == 0)
    assert (found["error"] is None) is not isinstance(result.exception, UserError)
    assert line.startswith(found["command"])
    for rows in found["tables"].values():
        assert all(list(row) == list(rows[0]) for row in rows), "rows have the same columns"
    return found


def test_every_command_that_ends_by_itself_has_both() -> None:
    having = {name for name, one in commands() if {"quiet", "as_json"} <= {option.name for option in one.params}}
    assert having == {name for name, _ in commands()} - WITHOUT


@pytest.mark.parametrize(
    ("line", "table", "row"),
    [
        ("corpora list ravdess dfew", "corpora", {"adapter": "ravdess", "title": "RAVDESS"}),
        ("weights list", "weights", {"name": "fer2013-mini-xception", "licence": "MIT", "is_default": True}),
        ("models hog-svm", "arms", {"arm": "hog-svm", "family": "linear", "trained_parameters": 5406, "needs": []}),
    ],
)
def test_a_table_comes_as_rows(line: str, table: str, row: dict[str, Any]) -> None:
    found = answer(line)
    assert found["tables"][table][0].items() >= row.items()
    assert found["result"]


def test_what_a_machine_lacks_comes_as_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = CheckResult("disk", State.ERROR, "full", "empty it")
    monkeypatch.setattr(diagnose, "__defaults__", ((lambda settings: [full],),))
    found = answer("doctor", "--set", f"data_root={tmp_path}")
    assert found["tables"]["checks"] == [{"name": "disk", "state": "error", "found": "full", "fix": "empty it"}]
    assert (found["ok"], found["error"]) == (False, None)
    assert found["result"] == "This has to be fixed first: 1 error, 0 warnings."
    assert run("doctor --quiet").stdout == "This has to be fixed first: 1 error, 0 warnings.\n"


def test_a_corpus_that_was_looked_at_comes_as_rows(tmp_path: Path) -> None:
    names = ["01-01-03-01-01-01-01.mp4", "01-01-04-01-01-01-01.mp4", "01-01-03-01-01-01-02.mp4"]
    touch(tmp_path, *(f"Actor_{name[-6:-4]}/{name}" for name in names))
    (row,) = answer(f"corpora check {tmp_path}")["tables"]["corpora"]
    assert (row["adapter"], row["usable"], row["people"]) == ("ravdess", 3, 2)
    assert row["classes"] == {"happiness": 2, "sadness": 1}


def test_a_mistake_is_told_in_json_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = answer("status")
    assert "run `fer prepare` first" in found["error"]
    assert (found["result"], found["tables"]) == (None, {})
    assert run("status --quiet").stdout == ""


def test_a_plan_comes_as_rows(tmp_path: Path) -> None:
    corpus = own_folder(tmp_path / "v", 20)
    pairs = (f"corpus.root={corpus}", "corpus.emotions=[happiness, sadness]", "arms=[gap-sum, hog-svm]")
    options = [word for pair in (*pairs, f"data_root={tmp_path / 'd'}") for word in ("--set", pair)]
    found = answer("study --dry-run --preset modern", *options)
    (row,) = found["tables"]["plan"]
    assert (row["videos"], row["videos_due"], row["people"], row["runs"], row["runs_due"]) == (80, 80, 20, 2, 2)
    assert (row["seconds"] is None) is bool(row["not_measured"])
    assert "Nothing was written" in found["result"]


def test_only_the_last_line_is_left_of_a_quiet_command(capsys: pytest.CaptureFixture[str]) -> None:
    result = run("weights list --quiet")
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{sum(row['here'] for row in answer('weights list')['tables']['weights'])} of ")


def test_numbers_and_texts_of_any_kind_are_json() -> None:
    """NaN is not, nor are numbers of NumPy, paths and words with signs that an encoding lacks."""
    console = typer.Typer()

    @console.command()
    @answering
    def odd() -> None:
        print("said by another")
        row = {"a": np.float32(0.5), "b": math.nan, "c": Path("x"), "d": "ü\udcff", "e": np.array([1, 2])}
        out.show("rows", [row])
        out.print("[bold]first[/]")
        out.print("the result")
        out.remark("a remark")

    result = CliRunner().invoke(console, ["--json"])
    found = json.loads(result.stdout)
    assert found["tables"]["rows"] == [{"a": 0.5, "b": None, "c": "x", "d": "ü\udcff", "e": [1, 2]}]
    assert (found["notes"], found["result"]) == (["a remark", "first"], "the result")
    assert result.stderr == "said by another\n"
    assert CliRunner().invoke(console, ["--quiet"]).stdout == "said by another\nthe result\n"


def test_an_answer_forgets_the_one_before() -> None:
    console = Answers()
    for word in ("one", "two"):
        with console.answering(word, quiet=False, as_json=True):
            console.print(word)
        assert console._sentences == [word]


def test_the_documentation_knows_the_tables() -> None:
    """Each name after `out.show(` stands in the page of the commands, and nothing else does as a table's name."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "flows").rglob("*.py")]
    shown = {name for text in sources for name in re.findall(r'\.show\(\s*"(\w+)"', text)}
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").partition("## For scripts")[2]
    assert set(re.findall(r"^\| `[^|]*\| `(\w+)`", page, re.MULTILINE)) == shown
