"""`fer init` asks in a terminal, and what it writes can be run."""

import sys
from pathlib import Path

import pytest
from pseudo_terminal import Seen, in_terminal
from test_corpus_proposal import own_folder, touch
from typer.testing import CliRunner

from flows.cli import app
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import SampleCorpus, plan_clips, write_corpus

ROOT = Path(__file__).parent.parent
WHERE, LAYOUT = "emotion)? ", "another layout ["


def answered(folder: Path, *types: tuple[str, str], options: tuple[str, ...] = ()) -> Seen:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "init", *options]
    return in_terminal(command, types, columns=300, cwd=folder, env={"PYTHONPATH": str(ROOT)})


def test_wrong_answers_are_asked_again(tmp_path: Path) -> None:
    own_folder(tmp_path / "my videos")
    seen = answered(
        tmp_path,
        (WHERE, "nowhere\r"),
        (WHERE, "'my videos' \r"),
        (LAYOUT, "foldr\r"),
        (LAYOUT, "table\r"),
        (LAYOUT, "\r"),
    )
    said = " ".join(seen.screen.text)
    for words in ("no folder or table 'nowhere'", "There is no adapter 'foldr' (did you mean 'folder'?)"):
        assert words in said
    assert seen.screen.text[-1].endswith("study.yaml is written; run: fer study --config study.yaml")
    assert seen.code == 0
    settings = resolve_settings(None, tmp_path / "study.yaml")
    assert (settings.corpus.adapter, settings.corpus.root) == ("folder", tmp_path / "my videos")


def test_a_corpus_in_use_is_recognised_and_another_layout_can_be_named(tmp_path: Path) -> None:
    for actor in ("01", "02", "03"):
        for emotion in ("03", "04"):
            touch(tmp_path / "films", f"Actor_{actor}/01-01-{emotion}-01-01-01-{actor}.mp4")
    seen = answered(tmp_path, (WHERE, "films\r"), (LAYOUT, "\r"))
    assert "Read as ravdess: 6 videos of 3 people." in seen.raw
    assert resolve_settings(None, tmp_path / "study.yaml").corpus.adapter == "ravdess"
    seen = answered(tmp_path, (WHERE, "films\r"), options=("--adapter", "ravdess", "--force"))
    assert LAYOUT not in seen.raw, "what was named is not asked"
    assert seen.code == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "end of file"])
def test_who_leaves_finds_nothing_written(tmp_path: Path, key: str) -> None:
    own_folder(tmp_path / "v")
    for types in ([(WHERE, key)], [(WHERE, "v\r"), (LAYOUT, key)]):
        seen = answered(tmp_path, *types)
        assert (seen.screen.text[-1], seen.code) == ("fer: Stopped; nothing was written.", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def by_table(root: Path) -> Path:
    touch(root, *(f"{person}{emotion}.mp4" for person in "abc" for emotion in ("joy", "fear")))
    rows = "".join(f"{person}{emotion}.mp4,{person},{emotion}\n" for person in "abc" for emotion in ("joy", "fear"))
    (root / "labels.csv").write_text(f"path,subject,emotion\n{rows}", encoding="utf-8")
    return root / "labels.csv"


def by_actor(root: Path) -> Path:
    names = (f"Actor_0{actor}/01-01-0{emotion}-01-01-01-0{actor}.mp4" for actor in (1, 2, 3) for emotion in (3, 4))
    return touch(root, *names)


def as_images(root: Path) -> Path:
    names = (f"train/{emotion}/{number}.jpg" for emotion in ("angry", "happy") for number in range(6))
    return touch(root, *names)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (own_folder, "16 videos of 4 people"),
        (by_table, "6 videos of 3 people"),
        (by_actor, "6 videos of 3 people"),
        (as_images, "12 videos of 12 people"),
    ],
)
def test_what_is_written_can_be_planned(
    make: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = make(tmp_path / "v")
    for words in (["init", str(root)], ["study", "--config", "study.yaml", "--dry-run"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.exception
    assert says in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml", "v"]


@pytest.mark.slow
@pytest.mark.trains
def test_what_is_written_runs(tmp_path: Path) -> None:
    """On a drawn corpus, sorted into folders by class and person as its owner would."""
    corpus = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180), faults=False)
    write_corpus(tmp_path / "drawn", corpus)
    drawn = {path.stem: path for path in (tmp_path / "drawn").rglob("*.mp4")}
    for clip in plan_clips(corpus):
        if clip.name in drawn:
            place = tmp_path / "v" / clip.emotion / clip.name.partition("_")[0] / f"{clip.name}.mp4"
            place.parent.mkdir(parents=True, exist_ok=True)
            drawn[clip.name].rename(place)
    command = [sys.executable, "-c", "from flows.cli import main; main()"]
    few = ["--config", "study.yaml", "--set", "training.steps=10", "--set", "arms=[majority, hog-svm, spatial-only]"]
    for words in (["init", "v"], ["study", *few]):
        seen = in_terminal([*command, *words], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout_s=900)
        assert seen.code == 0, seen.screen.text
        assert seen.screen.shows_cursor
    assert seen.screen.text[-1].startswith("Report: ")
    assert (tmp_path / "fer-data" / "v" / "studies" / "v" / "report" / "index.html").is_file()
