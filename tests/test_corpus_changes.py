"""What changed in a corpus is told by content."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.corpus.changes import echo_changes, find_changes, read_changes, record_changes


def table(**videos: tuple[str, str, str]) -> pd.DataFrame:
    """video_id -> sha256, emotion, subject."""
    rows = [(name, *values) for name, values in videos.items()]
    return pd.DataFrame(rows, columns=["video_id", "sha256", "emotion", "subject"])


BEFORE = table(
    same=("s1", "anger", "anna"),
    old_name=("s2", "fear", "ben"),
    edited=("s3", "fear", "ben"),
    deleted=("s4", "anger", "carl"),
    corrected=("s5", "anger", "carl"),
    lost_file=("", "anger", "carl"),
)
NOW = table(
    same=("s1", "anger", "anna"),
    new_name=("s2", "fear", "ben"),
    edited=("s3b", "fear", "ben"),
    corrected=("s5", "sadness", "carl"),
    added=("s6", "fear", "dora"),
    other_lost_file=("", "anger", "carl"),
)


def test_every_kind_of_change_is_told_apart() -> None:
    changes = find_changes(BEFORE, NOW)
    assert set(changes.itertuples(index=False, name=None)) == {
        ("renamed", "new_name", "old_name"),
        ("new", "added", ""),
        ("new", "other_lost_file", ""),
        ("removed", "deleted", ""),
        ("removed", "lost_file", ""),
        ("changed", "edited", ""),
        ("relabelled", "corrected", "anger, carl"),
    }


def test_a_copy_is_new_and_a_name_that_was_exchanged_is_changed() -> None:
    before = table(a=("s1", "anger", "anna"), b=("s2", "anger", "anna"))
    assert find_changes(before, table(a=("s1", "anger", "anna"), b=("s2", "anger", "anna"), c=("s1", "anger", "anna")))[
        "change"
    ].tolist() == ["new"]
    exchanged = find_changes(before, table(a=("s2", "anger", "anna"), b=("s1", "anger", "anna")))
    assert exchanged["change"].tolist() == ["changed", "changed"]


def test_nothing_changed_and_nothing_to_compare_with() -> None:
    assert find_changes(BEFORE, BEFORE).empty
    assert find_changes(None, NOW).empty


def test_changes_are_said_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = find_changes(BEFORE, NOW)
    echo_changes(changes)
    said = capsys.readouterr().err
    assert "1 renamed: old_name -> new_name" in said
    assert "2 new: added, other_lost_file" in said
    record_changes(tmp_path / "changes.parquet", changes)
    record_changes(tmp_path / "changes.parquet", find_changes(NOW, NOW))
    record_changes(tmp_path / "changes.parquet", find_changes(NOW, BEFORE))
    kept = read_changes(tmp_path / "changes.parquet")
    assert len(kept) == 14
    assert kept["change"].value_counts()["renamed"] == 2
