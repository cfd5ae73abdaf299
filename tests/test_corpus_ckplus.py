"""The adapter for CK+, on a small stand-in with the layout and the quirks of real copies."""

from pathlib import Path

import pytest

from fer_models.errors import UserError
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.ckplus import read
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome


def film(root: Path, clip: str, num_images: int = 4, named: str = "") -> None:
    subject, number = clip.split("_")
    folder = root / "cohn-kanade-images" / subject / number
    folder.mkdir(parents=True)
    for image in range(1, num_images + 1):
        (folder / f"{named or clip}_{image:08d}.png").touch()


def label(root: Path, clip: str, text: str, image: int = 4, named: str = "") -> None:
    subject, number = clip.split("_")
    folder = root / "Emotion" / subject / number
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{named or clip}_{image:08d}_emotion.txt").write_text(text)


def videos(root: Path) -> dict[str, SourceVideo]:
    return {video.video_id: video for video in read(CorpusSettings(adapter="ckplus", root=root))}


def only(root: Path) -> SourceVideo:
    (video,) = videos(root).values()
    return video


@pytest.mark.parametrize(
    ("code", "word", "emotion"),
    [
        (0, "neutral", "neutral"),
        (1, "anger", "anger"),
        (2, "contempt", "contempt"),
        (3, "disgust", "disgust"),
        (4, "fear", "fear"),
        (5, "happy", "happiness"),
        (6, "sadness", "sadness"),
        (7, "surprise", "surprise"),
    ],
)
def test_labels_are_numbers(tmp_path: Path, code: int, word: str, emotion: str) -> None:
    film(tmp_path, "S005_001")
    label(tmp_path, "S005_001", f"   {code}.0000000e+00\n")
    video = only(tmp_path)
    path = tmp_path / "cohn-kanade-images" / "S005" / "001"
    assert (video.video_id, video.dataset, video.path, video.subject) == (
        "ckplus/S005_001",
        "ckplus",
        path,
        "ckplus/S005",
    )
    assert (video.label_raw, video.emotion, video.status) == (word, emotion, Outcome.OK)


def test_a_clip_without_a_label_keeps_its_row(tmp_path: Path) -> None:
    film(tmp_path, "S005_001")
    film(tmp_path, "S005_002")
    label(tmp_path, "S005_001", "1.0")
    (tmp_path / "Emotion" / "S005" / "002").mkdir()
    found = videos(tmp_path)
    assert list(found) == ["ckplus/S005_001", "ckplus/S005_002"]
    assert (found["ckplus/S005_002"].status, found["ckplus/S005_002"].subject) == (Outcome.LABEL_MISSING, "ckplus/S005")


@pytest.mark.parametrize("text", ["8.0", "3.5", "-1", "nan", "inf", "glad", "1.0 2.0", "\udcff\x00"])
def test_a_label_that_means_no_class_is_not_guessed(tmp_path: Path, text: str) -> None:
    film(tmp_path, "S005_001")
    label(tmp_path, "S005_001", "")
    (path,) = (tmp_path / "Emotion").rglob("*.txt")
    path.write_bytes(text.encode(errors="surrogateescape"))
    video = only(tmp_path)
    assert video.status is Outcome.LABEL_CONFLICT
    assert "not a number from 0 to 7" in video.reason


def test_an_empty_label_is_missing(tmp_path: Path) -> None:
    film(tmp_path, "S005_001")
    label(tmp_path, "S005_001", "\n")
    assert only(tmp_path).status is Outcome.LABEL_MISSING
    assert "is empty" in only(tmp_path).reason


def test_contradictions_are_reported(tmp_path: Path) -> None:
    for clip in ("S005_001", "S005_002"):
        film(tmp_path, clip)
    film(tmp_path, "S005_003", named="S006_003")
    label(tmp_path, "S005_001", "1.0", image=3)
    label(tmp_path, "S005_001", "1.0", image=4)
    label(tmp_path, "S005_002", "1.0", named="S005_001")
    label(tmp_path, "S005_003", "1.0")
    found = list(videos(tmp_path).values())
    assert [video.status for video in found] == [Outcome.LABEL_CONFLICT] * 3
    assert "it has 2 labels: S005_001_00000003_emotion.txt, S005_001_00000004" in found[0].reason
    assert "S005_001_00000004_emotion.txt is named after another clip" in found[1].reason
    assert "images are named after another clip (S006_003_00000001.png)" in found[2].reason


def test_a_label_of_another_image_is_a_remark(tmp_path: Path) -> None:
    film(tmp_path, "S005_001", num_images=5)
    label(tmp_path, "S005_001", "1.0", image=4)
    video = only(tmp_path)
    assert video.status is Outcome.OK
    assert "named after image 4, but its last image is S005_001_00000005.png" in video.reason


def test_a_label_without_images_keeps_its_row(tmp_path: Path) -> None:
    film(tmp_path, "S005_001")
    label(tmp_path, "S006_001", "1.0")
    video = videos(tmp_path)["ckplus/S006_001"]
    assert video.status is Outcome.FILE_MISSING
    assert "no folder of its images" in video.reason


def test_a_folder_that_names_no_subject(tmp_path: Path) -> None:
    film(tmp_path, "extra_stuff")
    (tmp_path / "Emotion").mkdir()
    (tmp_path / "cohn-kanade-images" / ".cache" / "001").mkdir(parents=True)
    video = only(tmp_path)
    assert (video.status, video.subject) == (Outcome.LABEL_MISSING, "")


@pytest.mark.parametrize("images", ["", "extended-cohn-kanade-images/"])
@pytest.mark.parametrize("labels", ["", "Emotion_labels/"])
def test_unpacked_archives_may_lie_a_level_deeper(tmp_path: Path, images: str, labels: str) -> None:
    film(tmp_path / images, "S005_001")
    label(tmp_path / labels, "S005_001", "5.0")
    assert only(tmp_path).emotion == "happiness"


def test_the_root_may_be_the_folder_of_the_images(tmp_path: Path) -> None:
    film(tmp_path, "S005_001")
    label(tmp_path, "S005_001", "5.0")
    assert only(tmp_path / "cohn-kanade-images").status is Outcome.OK


@pytest.mark.parametrize("missing", ["Emotion", "cohn-kanade-images"])
def test_a_missing_half_is_named(tmp_path: Path, missing: str) -> None:
    root = tmp_path / "deep" / "er"
    film(root, "S005_001")
    label(root, "S005_001", "5.0")
    (root / missing).rename(root / "something")
    with pytest.raises(UserError, match=rf"no folder '{missing}'; set corpus.root"):
        videos(root)
