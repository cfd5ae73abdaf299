"""What is named to predict on: files, folders, tables and lists, and what their videos are called."""

import os
from pathlib import Path

import pandas as pd
import pytest

from fer_models.errors import UserError
from tasks.inference.sources import NamedVideo, find_videos, is_there, list_videos


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three files, two folders; what is in them does not matter here."""
    for name in ("clips/a.mp4", "clips/deep/b.mp4", "c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(*sources: Path) -> dict[str, str]:
    return {video.name: video.path.name for video in list_videos(sources)}


def test_videos_of_folders_are_called_by_the_way_to_them(clips: Path) -> None:
    assert names(clips / "clips") == {"a.mp4": "a.mp4", "deep/b.mp4": "b.mp4"}
    assert names(clips) == {"c.mp4": "c.mp4", "clips/a.mp4": "a.mp4", "clips/deep/b.mp4": "b.mp4"}
    assert names(clips / "clips" / "deep" / "b.mp4") == {"b.mp4": "b.mp4"}


def test_a_video_that_is_named_twice_is_one(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clips)
    found = find_videos([Path("c.mp4"), clips, Path("clips/../c.mp4")])
    assert [path.name for path in found] == ["c.mp4", "a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("t.csv", "path\nclips/a.mp4\nc.mp4\n"),
        ("t.CSV", "Subject;Path\nanna;clips\\a.mp4\n\nben;c.mp4\n"),
        ("t.txt", "clips/a.mp4\n\n  c.mp4\r\n"),
    ],
)
def test_paths_of_a_table_are_relative_to_it(clips: Path, table: str, text: str) -> None:
    (clips / table).write_text(text)
    assert list_videos([clips / table]) == [
        NamedVideo(clips / "clips" / "a.mp4", "clips/a.mp4"),
        NamedVideo(clips / "c.mp4", "c.mp4"),
    ]


def test_videos_outside_of_the_tables_folder_are_called_by_all_of_their_path(clips: Path) -> None:
    (clips / "deep" / "tables").mkdir(parents=True)
    table = clips / "deep" / "tables" / "t.txt"
    table.write_text(f"../../c.mp4\n{clips}/clips/a.mp4\n../tables/own.mp4\n")
    whole = clips.relative_to("/").as_posix()
    assert [video.name for video in list_videos([table])] == [f"{whole}/c.mp4", f"{whole}/clips/a.mp4", "own.mp4"]


def test_what_a_table_names_may_be_missing_and_what_a_command_names_may_not(clips: Path) -> None:
    table = clips / "t.txt"
    table.write_text("\n".join(f"gone{number}.mp4" for number in range(12)) + "\nc.mp4")
    assert len(list_videos([table])) == len(find_videos([table])) == 13
    table.write_text("\n".join(f"gone{number}.mp4" for number in range(12)))
    with pytest.raises(UserError, match=r"There is no video at .*gone0\.mp4, .*gone7\.mp4 and 4 more\.$"):
        find_videos([table])
    with pytest.raises(UserError, match=r"There is no video at .*here\.mp4\.$"):
        list_videos([table, clips / "here.mp4"])


def test_a_bad_entry_of_a_folder_is_one_of_its_videos(clips: Path) -> None:
    (clips / "clips" / "dangling.mp4").symlink_to(clips / "gone.mp4")
    os.mkfifo(clips / "clips" / "pipe.mp4")
    assert set(names(clips / "clips")) == {"a.mp4", "dangling.mp4", "deep/b.mp4", "pipe.mp4"}
    assert len(find_videos([clips / "clips"])) == 4


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "file\na.mp4\n", "has no column path; it needs path and has file"),
        ("t.txt", "PK\x03\x04", "is an Excel workbook"),
        ("t.txt", "", "There is no video at"),
        ("t.csv", "path\n", "There is no video at"),
    ],
)
def test_a_table_that_names_nothing(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        list_videos([tmp_path / name])


@pytest.mark.parametrize("name", ["none\0such.mp4", "a" * 300 + ".mp4", "a/" * 3000 + "b.mp4", "gone.mp4"])
def test_a_name_that_no_file_can_have_leads_nowhere(tmp_path: Path, name: str) -> None:
    assert not is_there(tmp_path / name)
    pd.DataFrame({"path": [name]}).to_parquet(tmp_path / "t.parquet")
    assert [video.path for video in list_videos([tmp_path / "t.parquet"])] == [tmp_path / name]
