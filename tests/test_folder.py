"""The adapters for anyone's own folder: with classes and people in its paths, and without labels."""

from pathlib import Path

import pytest

from fer_models.errors import UseError
from tasks.adapters import ADAPTERS
from tasks.adapters.source import SourceVideo
from tasks.outcomes import Outcome
from tasks.settings import CorpusSettings


def read(root: Path, adapter: str = "folder") -> list[SourceVideo]:
    return ADAPTERS[adapter](CorpusSettings(adapter=adapter, root=root))


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_class_and_person_come_from_the_path(tmp_path: Path) -> None:
    (video,) = read(make(tmp_path, "anger/anna/day 1/clip.MP4"))
    path = tmp_path / "anger" / "anna" / "day 1" / "clip.MP4"
    assert video == SourceVideo("anger/anna/day 1/clip.MP4", "folder", path, "anna", "anger", "anger")


@pytest.mark.parametrize(("folder", "emotion"), [("Happy", "happiness"), ("SAD", "sadness"), (" joy ", "happiness")])
def test_usual_spellings_of_a_class(tmp_path: Path, folder: str, emotion: str) -> None:
    (video,) = read(make(tmp_path, f"{folder}/anna/clip.avi"))
    assert (video.emotion, video.label_raw, video.status) == (emotion, folder, Outcome.OK)


def test_one_name_in_two_places_is_two_videos_of_one_person(tmp_path: Path) -> None:
    videos = read(make(tmp_path, "anger/anna/1.mp4", "fear/anna/1.mp4", "fear/ben/1.mp4"))
    assert [video.video_id for video in videos] == ["anger/anna/1.mp4", "fear/anna/1.mp4", "fear/ben/1.mp4"]
    assert [video.subject for video in videos] == ["anna", "anna", "ben"]


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("clip.mp4", Outcome.LABEL_MISSING, "no label"),
        ("anger/clip.mp4", Outcome.LABEL_MISSING, "no subject"),
        ("boredom/anna/clip.mp4", Outcome.OUT_OF_SCOPE, "'boredom'"),
    ],
)
def test_what_cannot_be_used_keeps_its_row(tmp_path: Path, name: str, status: Outcome, word: str) -> None:
    (video,) = read(make(tmp_path, name))
    assert video.status is status
    assert word in video.reason


def test_only_visible_video_files_count(tmp_path: Path) -> None:
    make(tmp_path, "anger/anna/a.mp4", "anger/anna/a.srt", "anger/anna/.part-12-a.mp4", "anger/anna/notes.txt")
    (tmp_path / "anger" / "anna" / "folder.mp4").mkdir()
    assert [video.path.name for video in read(tmp_path)] == ["a.mp4"]


def test_an_empty_folder_has_no_videos(tmp_path: Path) -> None:
    assert read(tmp_path) == []


@pytest.mark.parametrize("adapter", ["folder", "videos"])
def test_a_folder_that_is_not_there(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(UseError, match=r"nowhere.*set corpus.root"):
        read(tmp_path / "nowhere", adapter)


def test_videos_without_labels_are_ok_but_nameless(tmp_path: Path) -> None:
    videos = read(make(tmp_path, "b.mp4", "deep/a.webm", "deep/a.txt"), "videos")
    assert [video.video_id for video in videos] == ["b.mp4", "deep/a.webm"]
    assert {(video.subject, video.emotion, video.status) for video in videos} == {("", "", Outcome.OK)}
