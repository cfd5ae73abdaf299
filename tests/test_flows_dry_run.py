"""`fer study --dry-run` checks what can be checked, says what would be done, and does nothing."""

from pathlib import Path

import pytest
from test_corpus_proposal import own_folder, touch
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app


def dry_run(*pairs: str) -> str:
    options = [word for pair in pairs for word in ("--set", pair)]
    result = CliRunner().invoke(app, ["study", "--dry-run", "--preset", "modern", *options])
    if result.exception:
        raise result.exception
    return result.output


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 people, and a video of a class that nobody asked for."""
    monkeypatch.chdir(tmp_path)
    return touch(own_folder(tmp_path / "v", 20), "contempt/p0/1.mp4")


ARMS = "arms=[gap-sum, hog-svm]"


def test_what_would_be_done(corpus: Path) -> None:
    said = dry_run("corpus.root=v", "corpus.emotions=[happiness, sadness]", ARMS, "seeds=3")
    assert "Corpus: 80 videos of 20 people; not used: 1 out_of_scope.\n" in said
    assert "Classes: happiness 40, sadness 40.\n" in said
    assert "People: about 12 train, 4 validation, 4 test (holdout).\n" in said.replace(
        "4 test, 4 validation", "4 validation, 4 test"
    )
    assert "Preparation: nothing is prepared with these settings yet.\n" in said
    assert "Training: 2 arms with 3 seeds in each fold: gap-sum, hog-svm.\n" in said
    assert [path.name for path in corpus.parent.iterdir()] == ["v"]


def test_folds_are_counted(corpus: Path) -> None:
    said = dry_run("corpus.root=v", "corpus.emotions=[happiness, sadness]", ARMS, "split.protocol=kfold")
    assert "in the first of 5 folds (kfold)" in said


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["corpus.root=w"], "There is no folder 'w'"),
        (
            ["corpus.root=v", "corpus.emotions=[fear, anger]"],
            "No video of 'v' has a person and one of the classes fear, anger",
        ),
        (["corpus.root=v", "arms=[lstm-fused]"], "The arm lstm-fused needs segments of"),
        (
            ["corpus.root=v", "corpus.emotions=[happiness, sadness]", "split.protocol=kfold", "split.folds=21"],
            "20 people are too few",
        ),
    ],
)
def test_what_the_study_would_stop_with(corpus: Path, pairs: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        dry_run(ARMS, *pairs)
    assert words in str(error.value)
    assert [path.name for path in corpus.parent.iterdir()] == ["v"]


def test_files_that_are_named_but_not_there_are_told(corpus: Path) -> None:
    rows = [f"v/{path.relative_to('v')},{path.parts[2]},{path.parts[1]}" for path in sorted(Path("v").rglob("*.mp4"))]
    Path("labels.csv").write_text("\n".join(["path,subject,emotion", *rows, "gone.mp4,p1,sadness"]))
    table = ["corpus.adapter=table", "corpus.root=labels.csv", "corpus.emotions=[happiness, sadness]", ARMS]
    assert "Corpus: 80 videos of 20 people; not used: 1 file_missing, 1 out_of_scope.\n" in dry_run(*table)
    for path in Path("v").rglob("*.mp4"):
        path.unlink()
    with pytest.raises(UserError, match=r"No video of 'labels\.csv' has .* \(81 file_missing, 1 out_of_scope\)"):
        dry_run(*table)
