"""`make audit`: the age of a lock, and what pip-audit says of it."""

import datetime
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_house_rules import ROOT

SCRIPT = ROOT / ".ci" / "audit.py"


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "audit", module)  # where its dataclass looks
    spec.loader.exec_module(module)
    return module


def auditor_that_says(text: str) -> None:
    """A program in the place of pip-audit."""
    program = Path("build/audit/bin/pip-audit")
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    program.chmod(0o755)


def test_the_age_is_that_of_the_last_change(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    Path("some.lock").write_text("a==1\n")
    today = datetime.date.today()
    before = (today - datetime.timedelta(100)).isoformat()
    assert audit.age_days(Path("some.lock"), today) is None
    who = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": f"{before}T12:00:00", "GIT_COMMITTER_DATE": f"{before}T12:00:00"}
    for words in (["init", "-q"], ["add", "some.lock"], ["commit", "-qm", "lock"]):
        subprocess.run(["git", *words], check=True, env=os.environ | who | dates)
    assert audit.age_days(Path("some.lock"), today) == 100
    auditor_that_says(json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}))
    assert audit.main("some.lock") == 1, "it is old"
    assert capsys.readouterr().out.splitlines() == [
        "some.lock: last changed 100 days ago; `make lock` renews it",
        "some.lock: 0 known vulnerabilities in 1 packages",
    ]


def test_vulnerabilities_are_lines(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}]},
        {"name": "b", "version": "3", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]},
        {"name": "c", "version": "1", "vulns": []},
        {"name": "d", "skip_reason": "not found"},
    ]
    auditor_that_says(json.dumps({"dependencies": found, "fixes": []}))
    assert audit.main("no.lock") == 1
    assert capsys.readouterr().out.splitlines() == [
        "no.lock: its age is unknown",
        "no.lock: 2 known vulnerabilities in 3 packages; of 1 nothing is known",
        "  a 1: PYSEC-1, mended in 1.1, 2.0",
        "  b 3: PYSEC-2, not mended yet",
    ]


@pytest.mark.parametrize(
    "said", ["", "Connection refused", "{}", '{"dependencies": [{"name": "a", "skip_reason": "x"}]}']
)
def test_that_nobody_could_be_asked_is_a_sentence(
    audit: ModuleType, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index that knows of no vulnerabilities, of any package, is none to trust."""
    auditor_that_says(said)
    assert audit.main("no.lock") == 1
    assert "no package index that knows of vulnerabilities answers here" in capsys.readouterr().out


def test_no_index_is_named() -> None:
    assert "://" not in SCRIPT.read_text(encoding="utf-8")
