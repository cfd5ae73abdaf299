"""A study's folder as first weights: which model each arm begins with, and what is told of it."""

import os
from pathlib import Path

import pandas as pd
import pytest
from test_study_runs import base, change, folders  # noqa: F401  # a fixture

from fer_models.errors import UserError
from fer_models.models.arms import ARMS, ensemble_of
from fer_models.models.building import build_model, model_lineage
from fer_models.models.lineage import Lineage
from fer_models.settings import ModelSettings
from fer_models.training.progress import Epoch, Progress
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.storage.files import write_json, write_text
from tasks.study.earlier_study import earlier_runs, in_order
from tasks.study.initial_weights import TRANSFERS_FILE, check_first_weights, count_taken, first_weights
from tasks.study.run_names import RunName, read_run_name, run_folder_name
from tasks.study.runs import build_run_model, own_training, plan_runs

MODERN = ModelSettings(form="modern", width=4)
NOTHING = Lineage()
_EMPTY_ARCHIVE = b"PK\x05\x06" + bytes(18)


def add_run(
    study: Path,
    arm: str,
    uar: float,
    seed: int = 1,
    fold: int | None = None,
    digits: str = "0" * 12,
    model: ModelSettings | None = None,
    lineage: Lineage = NOTHING,
) -> Path:
    """A trained run of a study; returns its model, which is one where it is said how it is built."""
    folder = study / "runs" / run_folder_name(arm, seed, fold, digits)
    folder.mkdir(parents=True)
    values = {"learning_rate": 1.0, "train_loss": 1.0, "train_accuracy": 0.0, "val_loss": 1.0, "val_accuracy": 0.0}
    epochs = [
        Epoch(epoch=number, val_uar=one, monitored=one, seconds=0.0, **values)
        for number, one in enumerate((uar, 1.0), start=1)  # the last one is not the chosen one
    ]
    progress = Progress(history=epochs, last_checkpoint="a", best_checkpoint="a", best_epoch=1, finished=True)
    write_json(folder / "progress.json", progress)
    settings = StudySettings(corpus={"adapter": "images"}, model=model or MODERN)
    write_text(folder / "settings.json", settings.model_dump_json())
    path = folder / "model.keras"
    path.write_bytes(_EMPTY_ARCHIVE)
    if model:
        build_model(ARMS[arm], model, ("anger", "fear"), seed=9, lineage=lineage).save(path)
    return path


def chosen(study: Path, arm: str) -> list[str]:
    return [run.model.parent.name.rpartition("-")[0] for run in in_order(earlier_runs(study), arm)]


@pytest.mark.parametrize(
    ("arm", "seed", "fold"), [("gap-sum", 1, None), ("gap-sum+focal", -3, None), ("temporal-only", 12, 4)]
)
def test_a_runs_folder_tells_what_it_is(arm: str, seed: int, fold: int | None) -> None:
    name = run_folder_name(arm, seed, fold, "0123456789ab")
    assert read_run_name(name) == RunName(arm, seed, fold)
    assert name.startswith("optical-flow-only-fold4-seed12-") or arm != "temporal-only"
    for other in ("gap-sum.ensemble3-0123456789ab", "broken-gap-sum", "gap-sum-seed1-0123", ".part-x"):
        assert read_run_name(other) is None


def test_the_runs_of_a_study_tell_what_they_are(base: StudySettings) -> None:  # noqa: F811
    assert [read_run_name(run.folder.name) for run in plan_runs(base)] == [
        RunName(run.arm.name, run.seed, run.fold) for run in plan_runs(base)
    ]


def test_validation_decides_which_model_is_the_best(tmp_path: Path) -> None:
    """Of an arm the best run, of arms the one with the best mean; the arm's own comes first where there is one."""
    for seed, uar in ((1, 0.5), (2, 0.9), (3, 0.1)):
        add_run(tmp_path, "gap-sum", uar, seed)
    for fold, uar in ((0, 0.5), (1, 0.7)):
        add_run(tmp_path, "spatial-only", uar, fold=fold)
    add_run(tmp_path, "gap-sum+focal", 0.55)
    add_run(tmp_path, "hog-svm", 0.99)
    assert chosen(tmp_path, "gap-average") == ["spatial-only-fold1-seed1", "gap-sum+focal-seed1", "gap-sum-seed2"]
    assert chosen(tmp_path, "gap-sum")[0] == "gap-sum-seed2"
    assert chosen(tmp_path, "gap-sum+focal")[0] == "gap-sum+focal-seed1"
    assert chosen(tmp_path, "gap-sum+smote") == ["gap-sum+focal-seed1", "gap-sum-seed2", "spatial-only-fold1-seed1"]


def test_what_counts_as_a_run(tmp_path: Path) -> None:
    """Of two trainings of one run the later one; none that is under way, of an ensemble, or of an unknown arm."""
    old = add_run(tmp_path, "gap-sum", 0.9, digits="a" * 12)
    new = add_run(tmp_path, "gap-sum", 0.2, digits="b" * 12)
    os.utime(old, ns=(1, 1))
    add_run(tmp_path, "gap-average", 0.9).unlink()
    (tmp_path / "runs" / "gap-sum.ensemble2-0123456789ab").mkdir()
    add_run(tmp_path, "unheard-of", 0.9)
    assert [run.model for run in earlier_runs(tmp_path)] == [new]


@pytest.mark.parametrize(("content", "words"), [(None, "not that of a study"), ("runs", "has no trained model")])
def test_a_folder_without_models_is_refused(base, tmp_path: Path, content: str | None, words: str) -> None:  # noqa: F811
    folder = tmp_path / "other"
    (folder / (content or "")).mkdir(parents=True)
    with pytest.raises(UserError, match=words):
        check_first_weights(change(base, training={"initial_weights": str(folder)}))


def test_a_study_does_not_begin_with_its_own_models(base: StudySettings) -> None:  # noqa: F811
    add_run(Layout.of(base).study, "gap-sum", 0.9)
    with pytest.raises(UserError, match="cannot begin with models of its own"):
        plan_runs(change(base, training={"initial_weights": str(Layout.of(base).study)}))


@pytest.fixture
def later(base: StudySettings) -> StudySettings:  # noqa: F811
    """A study that is to begin with that of single images."""
    study = base.data_root / "stills" / "studies" / "images"
    training = {"initial_weights": str(study)}
    arms = ("gap-sum", "spatial-only", "temporal-only", "hog-svm")
    return change(base, model=MODERN.model_dump(), arms=arms, training=training)


@pytest.mark.trains
def test_each_arm_begins_with_the_model_that_fits_it(
    later: StudySettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights of a stream over faces go to arms with such a stream; one of motion alone begins fresh."""
    study = Path(later.training.initial_weights or "")
    spatial = add_run(study, "spatial-only", 0.4, model=MODERN, lineage=Lineage(videos=("earlier",)))
    add_run(study, "spatial-only", 0.3, seed=2)
    add_run(study, "gap-sum", 0.9, model=ModelSettings(form="modern", width=8))
    found = {arm.name: first_weights(later, arm) for arm in later.all_arms()}
    assert found == {"gap-sum": str(spatial), "spatial-only": str(spatial), "temporal-only": None, "hog-svm": None}
    assert first_weights(later, ensemble_of(ARMS["spatial-only"], 3)) == str(spatial)
    runs = {run.arm.name: run for run in plan_runs(later) if run.fold == 0}
    model = build_run_model(later, runs["gap-sum"], tmp_path / "two")
    lineage = model_lineage(model)
    assert lineage is not None
    (origin,) = lineage.origins
    assert origin.name == "images/spatial-only-seed1-000000000000"
    assert origin.trained_on == "the training and validation people of the study images (images)"
    assert "earlier" in lineage.videos
    assert (count_taken(tmp_path / "two") or (0,))[0] == 20
    rows = pd.read_csv(tmp_path / "two" / TRANSFERS_FILE).set_index("weight")["outcome"]
    assert set(rows[rows.index.str.startswith("spatial_conv")]) == {"taken"}
    assert set(rows[rows.index.str.startswith("temporal_")]) == {"not in the source"}
    fresh = model_lineage(build_run_model(later, runs["temporal-only"], tmp_path / "fresh"))
    assert (fresh and fresh.origins, (tmp_path / "fresh").exists()) == ((), False)
    told = own_training(later, ARMS["temporal-only"])
    assert told.initial_weights is None


@pytest.mark.trains
def test_the_model_that_is_taken_names_the_run(later: StudySettings) -> None:
    """Not where the study lies, nor its other models."""
    study = Path(later.training.initial_weights or "")
    add_run(study, "spatial-only", 0.4, model=MODERN)
    before = folders(later)
    moved = study.rename(study.with_name("moved"))
    elsewhere = change(later, training={"initial_weights": str(moved)})
    assert folders(elsewhere) == before
    add_run(moved, "spatial-only", 0.1, seed=2)
    assert folders(elsewhere) == before
    fresh = change(later, training={})
    assert {name.partition("-fold")[0] for name in folders(fresh) & before} == {"optical-flow-only", "hog-svm"}


@pytest.mark.trains
def test_a_study_that_fits_no_arm_is_refused_and_says_how_it_was_built(later: StudySettings) -> None:
    study = Path(later.training.initial_weights or "")
    add_run(study, "spatial-only", 0.4, model=ModelSettings(form="modern", width=8))
    with pytest.raises(UserError, match=r"No arm of this study .* built with model\.form=modern, model\.width=8\."):
        plan_runs(later)
