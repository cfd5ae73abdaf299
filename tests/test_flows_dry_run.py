"""`fer study --dry-run` checks what can be checked, says what would be done, and does nothing."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from test_corpus_proposal import own_folder, touch
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from tasks.corpus.sample.corpus import write_video
from tasks.storage.measured import Measured, remember


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
    monkeypatch.setattr("tasks.storage.measured._file", lambda: tmp_path.parent / f"{tmp_path.name}-measured.json")
    return touch(own_folder(tmp_path / "v", 20), "contempt/p0/1.mp4")


ARMS = "arms=[gap-sum, hog-svm]"


def test_what_would_be_done(corpus: Path) -> None:
    said = dry_run("corpus.root=v", "corpus.emotions=[happiness, sadness]", ARMS, "seeds=3")
    assert "Corpus: 80 videos of 20 people; not used: 1 out_of_scope.\n" in said
    assert "Classes: happiness 40, sadness 40.\n" in said
    assert "People: about 12 train, 4 validation, 4 test (holdout).\n" in said.replace(
        "4 test, 4 validation", "4 validation, 4 test"
    )
    assert "Preparation: 80 videos to prepare, nothing is prepared with these settings yet.\n" in said
    assert "Training: 6 runs: 2 arms with 3 seeds in each fold: gap-sum, hog-svm.\n" in said
    unknown = "preparing videos, gap-sum, hog-svm, evaluating"
    assert f"Time: not known; this machine has not measured yet: {unknown}. The first study measures it.\n" in said
    assert [path.name for path in corpus.parent.iterdir()] == ["v"]


def test_time_disk_and_memory_are_those_that_were_measured(corpus: Path) -> None:
    remember("start", "flow", "", Measured(start_s=20))
    for arm in ("gap-sum", "hog-svm"):
        remember("train", arm, "x", Measured(start_s=50, num_bytes=3e6))
    remember("evaluate", "run", "", Measured(work=2, seconds=20, num_bytes=1e6))
    remember("memory", "train", "", Measured(num_bytes=2e9))
    pairs = ("corpus.root=v", "corpus.emotions=[happiness, sadness]", ARMS, "seeds=3")
    said = dry_run(*pairs)
    known = "20 s for starting, 5 min for training, 1 min for evaluating"
    assert f"Time: {known}, as this machine took before, and what this machine has not measured yet: preparing" in said
    assert "Disk: more than 21 MB of " in said
    remember("prepare", "blazeface", "x", Measured(work=1, seconds=1, rows=1))
    for path in corpus.rglob("*.mp4"):
        path.unlink()
    for number, emotion in itertools.product(range(3), ("happy", "sad")):
        place = corpus / emotion / f"p{number}" / "1.mp4"
        write_video(place, [np.zeros((100, 100, 3), np.uint8)] * 50, 25)
    said = dry_run(*pairs)
    assert "Time: about 6 min, as this machine took before (20 s for starting, 3 s for preparing, 5 min " in said
    assert re.search(r"Memory: up to 2\.\d GB of .* that are free\.", said)


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
