"""The adapters for anyone's own folder: with classes and subjects in its paths, and without labels."""

from pathlib import Path

import pytest

from fer_models.errors import UserError
from tasks.config.registries import ADAPTERS, load_module
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome


def read(root: Path, adapter: str = "folder") -> list[SourceVideo]:
    return load_module(ADAPTERS, adapter).read(CorpusSettings(adapter=adapter, root=root))


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_class_and_subject_come_from_the_path(tmp_path: Path) -> None:
    (video,) = read(make(tmp_path, "anger/anna/day 1/clip.MP4"))
    path = tmp_path / "anger" / "anna" / "day 1" / "clip.MP4"
    assert video == SourceVideo("anger/anna/day 1/clip.MP4", "folder", path, "anna", "anger", "anger")


@pytest.mark.parametrize(("folder", "emotion"), [("Happy", "happiness"), ("SAD", "sadness"), (" joy ", "happiness")])
def test_usual_spellings_of_a_class(tmp_path: Path, folder: str, emotion: str) -> None:
    (video,) = read(make(tmp_path, f"{folder}/anna/clip.avi"))
    assert (video.emotion, video.label_raw, video.status) == (emotion, folder, Outcome.OK)


def test_one_name_in_two_places_is_two_videos_of_one_subject(tmp_path: Path) -> None:
    videos = read(make(tmp_path, "anger/anna/1.mp4", "fear/anna/1.mp4", "fear/ben/1.mp4"))
    assert [video.video_id for video in videos] == ["anger/anna/1.mp4", "fear/anna/1.mp4", "fear/ben/1.mp4"]
    assert [video.subject for video in videos] == ["anna", "anna", "ben"]


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("clip.mp4", Outcome.LABEL_MISSING, "no label"),
        ("anger/clip.mp4", Outcome.LABEL_MISSING, "no subject"),
        ("boredom/anna/clip.mp4", Outcome.OK, ""),
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


def test_a_folder_of_numbered_images_is_a_video(tmp_path: Path) -> None:
    make(tmp_path, *(f"happy/anna/day [1]/{number:04d}.png" for number in (1, 2, 10)), "happy/anna/b.mp4")
    make(tmp_path, "happy/ben/x/1.JPG", "happy/ben/x/2.jpg", "happy/ben/x/1.txt", "happy/ben/x/.DS_Store")
    assert [video.video_id for video in read(tmp_path)] == ["happy/anna/b.mp4", "happy/ben/x"]
    (tmp_path / "happy" / "anna" / "b.mp4").unlink()
    videos = read(tmp_path)
    path = tmp_path / "happy" / "anna" / "day [1]"
    assert videos[0] == SourceVideo("happy/anna/day [1]", "folder", path, "anna", "happiness", "happy")
    assert [video.status for video in videos] == [Outcome.OK, Outcome.OK]


@pytest.mark.parametrize(
    "names",
    [
        ("happy/anna/a.mp4", "happy/anna/1.jpg", "happy/anna/2.jpg"),
        ("happy/anna/a.mp4", "happy/anna/a/1.jpg", "happy/anna/a/2.jpg"),
        ("happy/anna/a.mp4", "happy/anna/poster.jpg"),
        ("happy/anna/a.mp4", "happy/anna/.thumbs/1.jpg", "happy/anna/.thumbs/2.jpg"),
    ],
)
def test_stills_beside_a_video_file_are_no_videos(tmp_path: Path, names: tuple[str, ...]) -> None:
    make(tmp_path, *names)
    for adapter in ("folder", "videos"):
        assert [video.video_id for video in read(tmp_path, adapter)] == ["happy/anna/a.mp4"]


def test_other_folders_of_images_are_no_videos(tmp_path: Path) -> None:
    make(tmp_path, "fear/anna/one/1.png", "fear/anna/two/a1.png", "fear/anna/two/b1.png", "fear/anna/photos/me.jpg")
    make(tmp_path, "fear/anna/above/1.png", "fear/anna/above/2.png", "fear/anna/above/below/note.txt")
    assert read(tmp_path) == []


def test_images_without_a_folder_of_their_own_name_no_subject(tmp_path: Path) -> None:
    (video,) = read(make(tmp_path, "fear/anna/1.png", "fear/anna/2.png"))
    assert (video.status, video.video_id) == (Outcome.LABEL_MISSING, "fear/anna")


def test_a_root_that_is_a_sequence_itself(tmp_path: Path) -> None:
    make(tmp_path / "clip 7", "1.png", "2.png")
    (video,) = read(tmp_path / "clip 7", "videos")
    assert (video.video_id, video.path) == ("clip 7", tmp_path / "clip 7")


def test_an_empty_folder_has_no_videos(tmp_path: Path) -> None:
    assert read(tmp_path) == []


@pytest.mark.parametrize("adapter", ["folder", "videos"])
def test_a_folder_that_is_not_there(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(UserError, match=r"nowhere.*set corpus.root"):
        read(tmp_path / "nowhere", adapter)


def test_videos_without_labels_are_ok_but_nameless(tmp_path: Path) -> None:
    videos = read(make(tmp_path, "b.mp4", "deep/a.webm", "deep/a.txt"), "videos")
    assert [video.video_id for video in videos] == ["b.mp4", "deep/a.webm"]
    assert {(video.subject, video.emotion, video.status) for video in videos} == {("", "", Outcome.OK)}
