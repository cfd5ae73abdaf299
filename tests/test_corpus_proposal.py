"""A configuration for a corpus that nobody has described: layouts are told apart, and what is written can be run."""

from pathlib import Path

import pytest
import stand_ins
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from tasks.config.resolving import resolve_settings
from tasks.corpus.proposal import as_configuration, propose, study_name
from tasks.corpus.reading import read_corpus


def touch(root: Path, *names: str) -> Path:
    """Empty files: a layout is told by names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def own_folder(root: Path, people: int = 4, classes: tuple[str, ...] = ("happy", "sad")) -> Path:
    names = (f"{one}/p{number}/{clip}.mp4" for one in classes for number in range(people) for clip in (1, 2))
    return touch(root, *names)


def written(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(as_configuration(propose(root), study_name(root)), encoding="utf-8")
    return path


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    root = own_folder(tmp_path / "my videos: #1")
    touch(root, "contempt/p0/1.mp4")
    path = written(root, tmp_path)
    settings = resolve_settings(None, path)
    assert (settings.name, settings.corpus.adapter, settings.corpus.root) == ("my-videos-1", "folder", root)
    assert settings.corpus.emotions == ("happiness", "sadness")
    assert (settings.split.protocol, settings.split.folds) == ("kfold", 4)
    assert settings.model.form == "modern"
    assert len(read_corpus(settings.corpus)) == 17
    text = path.read_text(encoding="utf-8")
    assert "# Read as folder: 17 videos of 4 people.\n" in text
    assert "videos: happiness 8, sadness 8; shown by fewer than 3 people and left out: contempt (1)" in text


def test_folders_of_classes_with_names_of_a_known_corpus(tmp_path: Path) -> None:
    """Whoever sorted its clips by class and person has folders of classes, whatever the clips are called."""
    names = (f"{one}/S00{who}/S00{who}_00{n}.mp4" for one in ("fear", "joy") for who in (1, 2, 3, 4) for n in (1, 2))
    root = touch(tmp_path, *names)
    found = propose(root)
    assert (found.adapter, len(found.videos), found.people) == ("folder", 16, 4)
    said = CliRunner().invoke(app, ["corpora", "check", str(root)]).output
    assert "16 files have names of BAUM-1" in said
    assert "it has folders of classes: corpus.adapter folder\n" in said


def test_many_people_are_held_out(tmp_path: Path) -> None:
    assert resolve_settings(None, written(own_folder(tmp_path / "v", 20), tmp_path)).split.protocol == "holdout"


def test_classes_of_words_that_nobody_knows(tmp_path: Path) -> None:
    path = written(own_folder(tmp_path / "v", 3, ("calm", "übermütig")), tmp_path)
    assert resolve_settings(None, path).corpus.emotions == ("calm", "übermütig")


def test_a_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{number}{emotion}.mp4,p{number},{emotion}\n" for number in range(5) for emotion in ("joy", "fear")]
    table.write_text("path,subject,emotion\n" + "".join(rows), encoding="utf-8")
    touch(tmp_path, *(row.partition(",")[0] for row in rows))
    corpus = resolve_settings(None, written(table, tmp_path)).corpus
    assert (corpus.adapter, corpus.root, corpus.emotions) == ("table", table, ("fear", "happiness"))


def test_face_crops_and_images_of_corpora_in_use(tmp_path: Path) -> None:
    crops = [
        f"{emotion}/S{person:03}_00{clip}_0000000{image}.png"
        for clip, emotion in enumerate(("anger", "happy"), start=1)
        for person in (10, 11, 12)
        for image in (1, 2, 3)
    ]
    settings = resolve_settings(None, written(touch(tmp_path / "CK", *crops), tmp_path))
    assert settings.corpus.adapter == "ckplus48"
    assert settings.prepare.precropped
    assert settings.prepare.face == "last"
    images = [f"train/{emotion}/{number}.jpg" for emotion in ("angry", "happy") for number in (17, 301, 4000)]
    settings = resolve_settings(None, written(touch(tmp_path / "faces", *images), tmp_path))
    assert (settings.corpus.adapter, settings.prepare.pair) == ("images", "none")


@pytest.mark.parametrize(
    ("people", "classes", "words"),
    [
        (4, ("happy",), ["8 videos of 4 people", "fewer than two classes", "names the person"]),
        (2, ("happy", "sad"), ["8 videos of 2 people", "by 3 people"]),
        (
            0,
            (),
            ["No video with a label and a subject", "<root>/<emotion>/<subject>/", "`path`, `subject` and `emotion`"],
        ),
    ],
)
def test_too_little_is_one_sentence(tmp_path: Path, people: int, classes: tuple[str, ...], words: list[str]) -> None:
    (tmp_path / "v").mkdir()
    with pytest.raises(UserError) as error:
        propose(own_folder(tmp_path / "v", people, classes))
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own_folder(tmp_path / "v")
    run = CliRunner().invoke
    result = run(app, ["init", "v"])
    assert result.exit_code == 0, result.output
    assert "16 videos of 4 people. study.yaml is written; run: fer study --config study.yaml" in result.output
    assert resolve_settings(None, Path("study.yaml")).corpus.root == tmp_path / "v"
    Path("study.yaml").write_text("name: mine\n", encoding="utf-8")
    refused = {
        "init v": "study.yaml is there already",
        "init": "Name the folder",
        "init w --force": "no folder or table",
    }
    refused["init v --force --adapter foldr"] = "there is no adapter 'foldr' (did you mean 'folder'"
    refused["init v --force --adapter table"] = "v"
    for line, words in refused.items():
        if line == "init":
            Path("study.yaml").unlink()
        error = run(app, line.split()).exception
        assert isinstance(error, UserError), line
        assert words in str(error)
    assert list(tmp_path.iterdir()) == [tmp_path / "v"]


@pytest.mark.parametrize(
    ("adapter", "precropped", "length", "protocol"),
    [
        ("dfew", False, 16, "official"),
        ("faces of dfew", True, 16, "official"),
        ("ferv39k", True, 16, "official"),
        ("cropped casme2", True, 2, "loso"),
        ("smic", False, 2, "loso"),
        ("oulucasia", False, 2, "kfold"),
    ],
)
def test_what_a_known_corpus_needs_is_proposed(
    tmp_path: Path, adapter: str, precropped: bool, length: int, protocol: str
) -> None:
    root = tmp_path / "data"
    draw = {
        "dfew": lambda: stand_ins.dfew(root, clips=70),
        "faces of dfew": lambda: stand_ins.dfew(root, "clip_224x224", clips=70),
        "cropped casme2": lambda: stand_ins.casme2(root, "reg_", "Cropped"),
        "oulucasia": lambda: stand_ins.oulucasia(root, 3),
    }
    draw.get(adapter, lambda: stand_ins.STAND_INS[adapter](root))()
    path = written(root, tmp_path)
    assert ("70 people, 70 of them videos that name nobody" in path.read_text(encoding="utf-8")) == ("dfew" in adapter)
    settings = resolve_settings(None, path)
    assert settings.corpus.adapter == adapter.split()[-1]
    assert (settings.prepare.precropped, settings.prepare.segment_length) == (precropped, length)
    assert settings.split.protocol == protocol
