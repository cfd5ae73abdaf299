"""`fer corpora check` names each corpus by its layout, and says what is wrong with copies that are not whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
import stand_ins
from stand_ins import STAND_INS, films, images
from typer.testing import CliRunner

from flows.cli import app
from tasks.config.registries import ADAPTERS
from tasks.config.resolving import resolve_settings
from tasks.corpus.catalogue import known_corpora
from tasks.corpus.checking import Checked, check_corpus
from tasks.corpus.reading import read_corpus
from tasks.corpus.recognising import look_at, nobodys_layout, recognise
from tasks.video.decoding import Video, decode

KNOWN = known_corpora()
NOT_WHOLE = "is all of it unpacked"
#: Corpora whose files have names of their own, so that they are known in a heap too.
NAMED = ("ckplus", "casme2", "samm", "cremad", "enterface", "mead", "ravdess", "rml", "savee", "baum1")
#: Corpora that are known by their folders, whatever the files are called.
PLACED = ("ravdess", "enterface", "rml", "savee", "casme2", "samm", "ckplus", "baum1")


def fitting(root: Path) -> list[str]:
    return [fit.adapter for fit in recognise(look_at(root), KNOWN)]


def checked(root: Path) -> Checked:
    sample = look_at(root)
    return check_corpus(sample, recognise(sample, KNOWN)[0])


def told(root: Path, *words: str) -> str:
    text = "\n".join(checked(root).oddities)
    assert all(word in text for word in words), text
    return text


def in_one_folder(root: Path) -> None:
    """All videos and images of a corpus, moved right into its root."""
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in {".mp4", ".avi", ".flv", ".jpg", ".jpeg", ".png", ".bmp"}:
            path.rename(root / path.name)


def with_other_names(root: Path) -> None:
    """All videos and images of a corpus in their folders, called otherwise."""
    for number, path in enumerate(sorted(root.rglob("*"))):
        if path.suffix.lower() in {".mp4", ".avi", ".flv", ".jpg", ".jpeg", ".png", ".bmp"}:
            path.rename(path.with_name(f"my recording no {number}{path.suffix}"))


def test_every_known_corpus_has_a_stand_in() -> None:
    assert set(STAND_INS) == set(KNOWN)
    assert set(ADAPTERS) - set(KNOWN) == {"folder", "images", "several", "table", "videos"}


@pytest.mark.parametrize("adapter", STAND_INS)
def test_each_corpus_is_told_from_all_others(tmp_path: Path, adapter: str) -> None:
    STAND_INS[adapter](tmp_path / "data")
    assert fitting(tmp_path / "data") == [adapter]
    found = checked(tmp_path / "data")
    assert found.usable
    assert {video.emotion for video in found.usable} <= {*found.fit.about.classes, "neutral", "anger"}
    assert not found.fit.lacking
    video = Video()
    frames = list(decode(found.usable[0].path, video))
    assert (len(frames) > 1, video.complete, video.width, video.height) == (True, True, 160, 120)


@pytest.mark.parametrize("form", ["clip_224x224", "faces", "frames", "afew", "reg_"])
def test_other_forms_of_a_corpus_are_known_too(tmp_path: Path, form: str) -> None:
    root = tmp_path / "data"
    if form == "clip_224x224":
        stand_ins.dfew(root, form)
    elif form == "afew":
        stand_ins.afew(root, faces=True)
    elif form == "reg_":
        stand_ins.casme2(root, "reg_", "Cropped")
    else:
        stand_ins.mafw(root, form)
    assert fitting(root) == [{"clip_224x224": "dfew", "afew": "afew", "reg_": "casme2"}.get(form, "mafw")]


@pytest.mark.parametrize("adapter", NAMED)
def test_a_flattened_copy_is_known_by_its_names(tmp_path: Path, adapter: str) -> None:
    root = tmp_path / "data"
    STAND_INS[adapter](root)
    in_one_folder(root)
    fits = recognise(look_at(root), KNOWN)
    assert adapter in [fit.adapter for fit in fits]
    fit = next(fit for fit in fits if fit.adapter == adapter)
    if fit.about.signs.folders:
        assert any("but not its folders" in oddity for oddity in check_corpus(look_at(root), fit).oddities)


@pytest.mark.parametrize("adapter", PLACED)
def test_a_renamed_copy_is_known_by_its_folders(tmp_path: Path, adapter: str) -> None:
    root = tmp_path / "data"
    STAND_INS[adapter](root)
    with_other_names(root)
    assert fitting(root) == [adapter]
    told(root, "but under other names, as when they are renamed")


def half_unpacked(root: Path) -> None:
    """Every second video or image of a corpus is still in an archive."""
    for number, path in enumerate(sorted(root.rglob("*"))):
        if number % 2 and path.suffix.lower() in {".mp4", ".avi", ".flv", ".jpg", ".jpeg", ".png", ".bmp"}:
            path.unlink()
    (root / "part 2.zip").touch()


#: What is said of a copy, by what was done to it. Where files may have any names, new ones take nothing away, and names
#: that tell all need no folders.
SAID = {
    in_one_folder: ("but not its folders", "is no name of", "lies or is called as in", "holds no", "set corpus.root"),
    with_other_names: ("but under other names", "is no name of", "lies or is called as in"),
    half_unpacked: ("1 archive is still packed: part 2.zip",),
}
ANY_NAMES = ("afew", "caer", "ferv39k", "mmi", "oulucasia", "smic")


@pytest.mark.parametrize("change", SAID)
@pytest.mark.parametrize("adapter", STAND_INS)
def test_a_copy_that_is_not_as_given_out_is_known_and_what_is_wrong_is_said(
    tmp_path: Path, adapter: str, change: Callable[[Path], None]
) -> None:
    root = tmp_path / f"{KNOWN[adapter].title} copy"
    STAND_INS[adapter](root)
    change(root)
    sample = look_at(root)
    fits = {fit.adapter: fit for fit in recognise(sample, KNOWN)}
    assert adapter in fits
    found = check_corpus(sample, fits[adapter])
    is_whole = (change is with_other_names and adapter in ANY_NAMES) or (
        change is in_one_folder and adapter == "cremad"
    )
    said = any(words in oddity for words in SAID[change] for oddity in found.oddities)
    assert found.usable if is_whole else said, found.oddities


@pytest.mark.parametrize("adapter", ["dfew", "mafw"])
def test_names_that_many_have_count_beside_the_lists_alone(tmp_path: Path, adapter: str) -> None:
    films(tmp_path / "own", "anger/anna/00001.mp4", "fear/ben/00002.mp4")
    assert fitting(tmp_path / "own") == []
    root = tmp_path / "data"
    STAND_INS[adapter](root)
    in_one_folder(root)
    assert fitting(root) == [adapter]
    told(root, "but not its folders, as when all are put into one: 00001.mp4")


@pytest.mark.parametrize(
    ("name", "adapters"),
    [
        ("CREMA_D", ["cremad"]),
        ("my CASME 2 (raw)", ["casme2"]),
        ("CK+48", ["ckplus48"]),
        ("meadow", []),
        ("cosmic films", []),
        ("rmlx", []),
    ],
)
def test_a_folder_that_is_called_as_a_corpus_is_taken_for_a_copy_of_it(
    tmp_path: Path, name: str, adapters: list[str]
) -> None:
    films(tmp_path / name, "holiday/beach.mp4")
    assert fitting(tmp_path / name) == adapters
    if adapters:
        told(tmp_path / name, "No video or image lies or is called as in")


def test_an_archive_alone_says_what_it_is(tmp_path: Path) -> None:
    films(tmp_path, "CAER.zip")
    told(tmp_path, "1 archive is still packed: CAER.zip", "expected CAER/train/Anger/0001.avi")


def test_a_half_unpacked_copy_says_what_is_missing(tmp_path: Path) -> None:
    stand_ins.ravdess(tmp_path)
    films(tmp_path, "Video_Speech_Actor_03.zip", "Actor_04/01-01-01-01-01-01-04.mp4.crdownload")
    (tmp_path / "Actor_01" / "01-01-01-01-01-01-01.mp4").write_bytes(b"")
    (tmp_path / "Actor_01" / "._01-01-01-01-01-01-01.mp4").touch()
    told(
        tmp_path,
        "16 of 1,440 clips and 2 of 24 people; is all of it unpacked?",
        "1 archive is still packed: Video_Speech_Actor_03.zip",
        "1 download is not finished",
        "1 file is empty: Actor_01/01-01-01-01-01-01-01.mp4",
        "1 hidden files",
    )


def test_lists_and_sheets_that_are_not_there_are_named(tmp_path: Path) -> None:
    stand_ins.casme2(tmp_path / "casme2")
    (tmp_path / "casme2" / "CASME2-coding-20140508.xlsx").unlink()
    told(tmp_path / "casme2", "Not there: CASME2-coding-20140508.xlsx", "no sheet of labels")
    stand_ins.dfew(tmp_path / "dfew")
    for path in (tmp_path / "dfew").rglob("*.csv"):
        path.unlink()
    told(tmp_path / "dfew", "Not there: EmoLabel_DataSplit", "label_missing: 22")


def test_a_part_of_a_corpus_is_known(tmp_path: Path) -> None:
    stand_ins.caer(tmp_path)
    assert fitting(tmp_path / "CAER" / "validation" / "Anger") == ["caer"]
    stand_ins.rml(tmp_path / "rml")
    assert fitting(tmp_path / "rml" / "rml-2") == ["rml"]
    films(tmp_path / "train only", "Train/Angry/1.avi")
    assert fitting(tmp_path / "train only") == ["afew", "caer"]


def test_what_is_no_known_corpus_is_not_taken_for_one(tmp_path: Path) -> None:
    films(tmp_path / "own", "anger/anna/day 1.mp4", "joy/ben/2.mp4", "holiday.mp4")
    images(tmp_path / "fer2013" / "train" / "angry", "Training_1.jpg", "Training_2.jpg")
    images(tmp_path / "fer2013" / "test" / "happy", "PublicTest_1.jpg")
    films(tmp_path / "holiday", "beach/1.mp4", "mountains/2.mp4")
    layouts = {"own": "folder", "fer2013": "images", "holiday": ""}
    for name, layout in layouts.items():
        sample = look_at(tmp_path / name)
        assert recognise(sample, KNOWN) == []
        assert nobodys_layout(sample, KNOWN) == layout


def test_the_command_lists_and_checks(tmp_path: Path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["corpora"])
    assert listed.exit_code == 0
    for name, about in KNOWN.items():
        assert name in listed.output
        for words in (
            about.licence,
            about.citation,
            about.ask,
            about.layout[0],
            about.verified,
            about.classes[0],
            about.unconfirmed,
        ):
            assert words in listed.output
    stand_ins.mafw(tmp_path / "data")
    looked = run.invoke(app, ["corpora", "check", str(tmp_path / "data")])
    assert looked.exit_code == 0
    assert "MAFW: corpus.adapter mafw" in looked.output
    assert "official folds: 1 2, 2 2, 3 2, 4 2, 5 2" in looked.output
    assert "10 usable clips, nobody named" in looked.output
    (tmp_path / "empty").mkdir()
    assert run.invoke(app, ["corpora", "check", str(tmp_path / "empty")]).exit_code == 1
    assert run.invoke(app, ["corpora", "list", "ravdes"]).exit_code == 1


def test_of_several_folders_the_command_writes_what_a_study_of_all_says(tmp_path: Path) -> None:
    for adapter in ("ravdess", "cremad", "savee"):
        STAND_INS[adapter](tmp_path / adapter)
    roots = [str(tmp_path / adapter) for adapter in ("ravdess", "cremad", "savee")]
    looked = CliRunner().invoke(app, ["corpora", "check", *roots])
    assert looked.exit_code == 0, looked.output
    text = looked.output.partition("For a study of all of them:")[2]
    assert "# only some have calm (1 of 3), surprise (2 of 3); label_map says" in text
    (tmp_path / "study.yaml").write_text(text)
    settings = resolve_settings(None, tmp_path / "study.yaml")
    assert settings.corpus.emotions == ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    assert {video.dataset for video in read_corpus(settings.corpus)} == {"ravdess", "cremad", "savee"}
    assert "name: ravdess2" in CliRunner().invoke(app, ["corpora", "check", roots[0], roots[1], roots[0]]).output
