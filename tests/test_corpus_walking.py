"""What of a folder is a video, what is passed over with a word, and what systems keep there."""

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import FPS, draw_wall

from fer_models.errors import UserError
from tasks.config.registries import ADAPTERS, load_module
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.images import Options
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.adapters.walking import images_below, videos_below
from tasks.corpus.sample.corpus import write_video

OF_SYSTEM = (
    "@eaDir",
    "$RECYCLE.BIN",
    "#recycle",
    ".Trashes",
    "lost+found",
    "__MACOSX",
    "System Volume Information",
) + (".Spotlight-V100", "#snapshot", "Network Trash Folder", "RECYCLER")


def read(root: Path, adapter: str = "folder") -> list[SourceVideo]:
    kind = Options if adapter == "images" else CorpusSettings
    return load_module(ADAPTERS, adapter).read(kind(adapter=adapter, root=root))


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("name", OF_SYSTEM)
def test_folders_of_systems_and_disk_stations_are_no_people(tmp_path: Path, name: str) -> None:
    make(tmp_path, "anger/anna/a.mp4", f"anger/anna/{name}/a.mp4", f"anger/{name}/a.mp4", f"{name}/anna/a.mp4")
    make(tmp_path, f"anger/anna/{name}/1.png", f"anger/anna/{name}/2.png")
    for adapter in ("folder", "videos"):
        assert [video.video_id for video in read(tmp_path, adapter)] == ["anger/anna/a.mp4"]
    assert images_below(tmp_path) == []


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "__MACOSX"])
def test_they_are_no_people_of_published_corpora(tmp_path: Path, name: str) -> None:
    images = [f"S005_001_{number:08d}.png" for number in (9, 10, 11)]
    make(tmp_path / "48", *(f"disgust/{image}" for image in images), *(f"{name}/x{image}" for image in images))
    assert [video.video_id for video in read(tmp_path / "48", "ckplus48")] == ["ckplus48/S005_001"]
    films, labels = "cohn-kanade-images", "Emotion"
    make(tmp_path / "ck", *(f"{films}/S005/001/{image}" for image in images), f"{films}/{name}/001/{images[0]}")
    make(tmp_path / "ck", f"{labels}/S005/001/S005_001_00000011_emotion.txt", f"{labels}/S005/{name}/x.txt")
    assert [video.video_id for video in read(tmp_path / "ck", "ckplus")] == ["ckplus/S005_001"]


def test_what_is_no_video_is_counted(tmp_path: Path, capsys: Any) -> None:
    make(tmp_path, "anger/anna/a.mp4", "anger/anna/a.srt", "anger/anna/b.srt", "notes.txt", "anger/anna/README")
    make(tmp_path, "anger/anna/a.jpg", "anger/anna/.DS_Store", "anger/anna/._a.mp4", "anger/anna/@eaDir/a.mp4")
    read(tmp_path)
    said = capsys.readouterr().err
    kinds = "4 (2 .srt, 1 .txt, 1 without a suffix)"
    assert said == f"Files below {tmp_path} that are passed over, by their names: {kinds}.\n"
    read(tmp_path)
    assert capsys.readouterr().err == "", "a corpus that is watched is read again and again"


def test_a_corpus_without_other_files_is_read_without_a_word(tmp_path: Path, capsys: Any) -> None:
    read(make(tmp_path, "anger/anna/a.mp4", "anger/ben/x/1.png", "anger/ben/x/2.png", "anger/anna/a.png"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", [".mp4", ".avi", ".mkv"])
def test_a_video_under_another_suffix_is_named(tmp_path: Path, kind: str, capsys: Any) -> None:
    make(tmp_path, "anger/anna/a.mp4", "anger/anna/notes.txt")
    write_video(tmp_path / f"video{kind}", draw_wall(2), FPS)
    (tmp_path / f"video{kind}").rename(tmp_path / "anger" / "anna" / "b.dat")
    assert [video.path.name for video in read(tmp_path)] == ["a.mp4"]
    said = capsys.readouterr().err
    assert "passed over, by their names: 2 (" in said
    assert "1 of them may hold a video: anger/anna/b.dat; give" in said


def test_images_pass_over_videos_with_a_word(tmp_path: Path, capsys: Any) -> None:
    read(make(tmp_path, "anger/1.png", "anger/clip.mp4"), "images")
    assert "passed over, by their names: 1 (1 .mp4)." in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path, capsys: Any) -> None:
    make(tmp_path, "anger/anna/a.mp4")
    os.mkfifo(tmp_path / "anger" / "anna" / "pipe")
    read(tmp_path)
    assert "1 (1 without a suffix)" in capsys.readouterr().err


def test_nobody_asks_who_does_not_want_to_know(tmp_path: Path, capsys: Any) -> None:
    assert videos_below(make(tmp_path, "a.txt")) == []
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name == "nt", reason="there it is the path")
@pytest.mark.parametrize(("adapter", "name"), [("folder", "my\\videos"), ("table", "my\\labels.csv")])
def test_backslashes_in_the_root_are_explained(tmp_path: Path, adapter: str, name: str) -> None:
    with pytest.raises(UserError, match=r"with / in place of \\\."):
        read(tmp_path / name, adapter)
