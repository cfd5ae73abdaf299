"""What a release says of itself: numbers, dates, and a changelog that can be read."""

import datetime
import re
import tomllib

import yaml
from test_house_rules import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)


def test_numbers_and_dates_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    number, day = RELEASES[0]
    assert PROJECT["version"] == citation["version"] == number
    assert str(citation["date-released"]) == day
    assert datetime.date.fromisoformat(day)
    assert PROJECT["license"] == citation["license"]


def test_the_changelog_has_new_things_on_top_and_releases_in_order() -> None:
    sections = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert len(sections) == 1 + len(RELEASES)
    numbers = [tuple(map(int, number.split("."))) for number, _ in RELEASES]
    assert numbers == sorted(numbers, reverse=True)
    assert [day for _, day in RELEASES] == sorted((day for _, day in RELEASES), reverse=True)


def test_the_changelog_is_grouped() -> None:
    """Nobody reads a list of a hundred lines."""
    groups = re.split(r"^#{2,4} ", CHANGELOG, flags=re.MULTILINE)
    assert max(len(re.findall(r"^- ", group, re.MULTILINE)) for group in groups) <= 16
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
