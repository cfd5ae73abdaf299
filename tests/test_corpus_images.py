"""The adapter for corpora of single images: expressions, subjects and numbers of the usual layouts."""

import os
from pathlib import Path

import pytest
from test_corpus_folder import make

from fer_models.errors import UserError
from fer_models.names import plain_name
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.adapters import images
from tasks.corpus.adapters.images import Options, read
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome
from tasks.preparation.scan import scan_corpus


def found(root: Path, **options: object) -> list[SourceVideo]:
    return read(Options(adapter="images", root=root, **options))


@pytest.mark.parametrize(
    ("name", "emotion", "subject"),
    [
        ("happy/a photo.jpg", "happiness", "happy/a photo.jpg"),
        ("train/angry/Training_10118481.jpg", "anger", "train/angry/Training_10118481.jpg"),
        ("Test-set/Sad/im1.WEBP", "sadness", "Test-set/Sad/im1.WEBP"),
        ("PublicTest/fear/7.png", "fear", "PublicTest/fear/7.png"),
        ("anger/S010_004_00000017.png", "anger", "ckplus/S010"),
        ("validation/anger/s010_004_00000017.png", "anger", "ckplus/S010"),
        ("surprise/anna/day 1/3.tiff", "surprise", "anna"),
        ("train/surprise/anna/S010_004_00000017.png", "surprise", "anna"),
        ("3/im.png", "3", "3/im.png"),
    ],
)
def test_expression_and_subject(tmp_path: Path, name: str, emotion: str, subject: str) -> None:
    (image,) = found(make(tmp_path, name))
    assert (image.video_id, image.path, image.status) == (name, tmp_path / name, Outcome.OK)
    assert (image.emotion, image.subject) == (emotion, subject)


@pytest.mark.parametrize(
    ("codes", "emotions"),
    [
        ("none", ["1", "3"]),
        ("rafdb", ["surprise", "disgust"]),
        ("fer2013", ["disgust", "happiness"]),
        ("affectnet", ["happiness", "surprise"]),
    ],
)
def test_what_numbers_mean(tmp_path: Path, codes: str, emotions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "train/1/train_00001_aligned.jpg", "test/03/test_0001_aligned.jpg")
    shown = found(tmp_path, codes=codes)
    assert sorted(image.emotion for image in shown) == sorted(emotions)
    assert [image.label_raw for image in shown] == ["03", "1"]
    assert ("corpus.codes" in capsys.readouterr().err) == (codes == "none")


def test_names_say_who_is_seen_where_the_corpus_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "anger/KA.AN1.39.tiff", "fear/KA.FE1.45.tiff", "fear/YM.FE1.67.tiff", "fear/other.tiff")
    shown = found(tmp_path, subject_pattern=r"^([A-Z]{2})\.")
    assert [image.subject for image in shown] == ["KA", "KA", "YM", ""]
    assert [image.status for image in shown] == [Outcome.OK] * 3 + [Outcome.LABEL_MISSING]
    assert shown[3].reason == "corpus.subject_pattern finds no subject in its name"
    assert capsys.readouterr().err == ""


def test_that_nobody_is_named_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(make(tmp_path, "fear/1.png", "fear/2.png", "fear/anna/3.png"))
    assert capsys.readouterr().err.count("Nothing tells who is seen in 2 of 3 images") == 1


def test_what_cannot_be_used_keeps_its_row(tmp_path: Path) -> None:
    shown = found(make(tmp_path, "lost.png", "train/lost.png"))
    assert [image.status for image in shown] == [Outcome.LABEL_MISSING] * 2
    assert all("no expression's folder" in image.reason for image in shown)


def test_only_visible_images_count(tmp_path: Path) -> None:
    make(tmp_path, "fear/a.png", "fear/.b.png", "fear/c.mp4", "fear/notes.txt", ".thumbs/fear/d.png")
    (tmp_path / "fear" / "folder.png").mkdir()
    (tmp_path / "fear" / "circle").symlink_to(tmp_path)
    assert [image.video_id for image in found(tmp_path)] == ["fear/a.png"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(", "it .*no regular expression"), ("^[A-Z]+", "it has no group"), (f"({'a' * 1000})", "at most 1000")],
)
def test_a_pattern_that_is_none_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UserError, match=rf"corpus\.subject_pattern: .*{words}"):
        resolve_settings(None, None, {"corpus.adapter": "images", "corpus.subject_pattern": pattern})


@pytest.mark.parametrize("pattern", [r"^((a+)+)b$", r"(a|a)*b", r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)=b"])
def test_a_pattern_that_would_never_end_is_one_sentence(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_PATIENCE_S", 0.5)
    make(tmp_path, f"fear/{'a' * 200}.png")
    with pytest.raises(UserError, match=r"^corpus\.subject_pattern takes longer than 0\.5 s for the names of 1 images"):
        found(tmp_path, subject_pattern=pattern)


def test_a_pattern_finds_its_group_in_any_name(tmp_path: Path) -> None:
    make(
        tmp_path, "fear/'שרה' 😀 \ud83d\ude00 x_1.png".encode("utf-16", "surrogatepass").decode("utf-16"), "fear/_2.png"
    )
    (tmp_path / "fear" / os.fsdecode(b"\xff_3.png")).touch()
    subjects = [image.subject for image in found(tmp_path, subject_pattern=r"^(?:(.+))?_\d")]
    assert sorted(subjects) == sorted(["'שרה' 😀 😀 x", "", plain_name(os.fsdecode(b"\xff"))])


def test_options_of_this_adapter_are_settings(tmp_path: Path) -> None:
    settings = resolve_settings(None, None, {"corpus.adapter": "images", "corpus.codes": "rafdb"})
    assert isinstance(settings.corpus, Options)
    again = StudySettings.model_validate(settings.model_dump())
    assert again.corpus == settings.corpus


@pytest.mark.parametrize("prepare", [{}, {"prepare.pair": "none"}])
def test_images_are_not_prepared_as_if_they_moved(tmp_path: Path, prepare: dict[str, str]) -> None:
    overrides = {"corpus.adapter": "images", "corpus.root": tmp_path, "data_root": tmp_path / "data", **prepare}
    with pytest.raises(UserError, match=r"--set prepare\.pair=none --set prepare\.segment_length=1, or begin with"):
        scan_corpus(resolve_settings(None, None, overrides))
    assert not list(tmp_path.iterdir())
