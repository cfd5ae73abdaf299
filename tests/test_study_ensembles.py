"""A small study of two seeds with an ensemble, from its videos to its report."""

import zipfile

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import predicted_rows

import flows.train as train_module
from fer_models.errors import UserError
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.split import split
from flows.train import train
from tasks.config.layout import Layout
from tasks.config.model_card import read_card
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.dataset.folds import VALIDATION
from tasks.dataset.index import read_subset
from tasks.study.checkpoints import MODEL_FILE, PROGRESS_FILE, VALIDATION_FILE, read_progress
from tasks.study.evaluation import PREDICTIONS_FILE, Evaluation
from tasks.study.explanations import NO_MAPS, read_explanation
from tasks.study.runs import Run, plan_runs, train_run

pytestmark = pytest.mark.trains
EMOTIONS = ("anger", "happiness")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    folder = tmp_path_factory.mktemp("ensembles")
    corpus = SampleCorpus(seconds=0.8, size=(160, 120))
    for subject in range(4):
        for emotion in EMOTIONS:
            path = folder / "videos" / emotion / f"p{subject}" / "1.mp4"
            path.parent.mkdir(parents=True)
            write_video(path, render_clip(corpus, Clip(subject, 1, emotion)), corpus.fps)
    overrides = {
        "name": "ensembles",
        "data_root": str(folder / "data"),
        "corpus.adapter": "folder",
        "corpus.root": str(folder / "videos"),
        "corpus.emotions": list(EMOTIONS),
        "prepare.segment_stride": 4,
        "model.width": 2,
        "model.head_units": 8,
        "training.epochs": 1,
        "training.refit": "train_and_validation",
        "training.precision": "float32",
        "arms": ["gap-sum"],
        "seeds": 2,
        "ensemble": "seeds",
    }
    settings = resolve_settings(overrides=overrides)
    prepare(overrides=overrides)
    split(overrides=overrides)

    def train_elsewhere(runs: list[Run], parameters: dict, retries: int) -> dict:
        assert [run.name for run in runs] == [run.name for run in plan_runs(settings) if not run.members]
        for run in runs:
            train_run(settings, run, lambda epoch: None)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "train_on_workers", train_elsewhere)
        train(overrides=overrides, training="workers")
    evaluate(overrides=overrides)
    return settings


def the_ensemble(study: StudySettings) -> Run:
    (ensemble,) = [run for run in plan_runs(study) if run.members]
    return ensemble


def table(run: Run, name: str) -> pd.DataFrame:
    (path,) = run.folder.glob(f"test-*/{name}")
    return pd.read_parquet(path)


def test_an_ensemble_predicts_the_mean_of_its_members(study: StudySettings) -> None:
    ensemble = the_ensemble(study)
    columns = [f"p_{emotion}" for emotion in EMOTIONS]
    ours, *theirs = (table(run, PREDICTIONS_FILE) for run in (ensemble, *ensemble.members))
    assert len(ours)
    assert all(list(one["video_id"]) == list(ours["video_id"]) for one in theirs)
    mean = np.mean([one[columns] for one in theirs], axis=0)
    assert not np.allclose(theirs[0][columns], theirs[1][columns], atol=1e-3)
    assert ours[columns].to_numpy() == pytest.approx(mean, abs=1e-5)


def test_what_it_keeps_of_the_validation_people_is_of_models_that_had_not_seen_them(study: StudySettings) -> None:
    ensemble = the_ensemble(study)
    ours, *theirs = (pd.read_parquet(run.folder / VALIDATION_FILE) for run in (ensemble, *ensemble.members))
    assert list(ours["name"]) == list(theirs[0]["name"])
    assert ours[["0", "1"]].to_numpy() == pytest.approx(np.mean([one[["0", "1"]] for one in theirs], axis=0), abs=1e-6)
    progress = read_progress(ensemble.folder)
    assert progress
    (epoch,) = progress.history
    rows = read_subset(Layout.of(study).index, 0, VALIDATION, EMOTIONS)
    right = ours[["0", "1"]].to_numpy().argmax(axis=1) == rows["emotion"].map(EMOTIONS.index).to_numpy()
    assert epoch.val_accuracy == pytest.approx(right.mean())


def test_it_has_its_rows_in_the_report(study: StudySettings) -> None:
    report = Layout.of(study).report
    results = pd.read_csv(report / "results.csv")
    assert list(zip(results["arm"], results["seed"], strict=True)) == [
        ("gap-sum", "1"),
        ("gap-sum", "2"),
        ("gap-sum.ensemble2", "all"),
    ]
    sizes = dict(zip(results["arm"], results["num_parameters"], strict=True))
    assert sizes["gap-sum.ensemble2"] == 2 * sizes["gap-sum"]
    pairs = pd.read_csv(report / "comparison.csv")
    assert list(zip(pairs["first"], pairs["second"], strict=True)) == [("gap-sum", "gap-sum.ensemble2")]
    assert pairs["null_band"].notna().all(), "two seeds of the arm tell of it"
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "| GAP + sum, ensemble of 2 seeds |" in text
    assert "averages the probabilities of the models of all 2 seeds" in text
    assert "The same model trained with other seeds differs from itself" in text


def test_it_has_a_run_in_mlflow_and_no_maps(study: StudySettings) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{Layout.of(study).root.absolute() / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["ensembles"])
    (run,) = runs[runs["tags.arm"] == "gap-sum.ensemble2"].to_dict("records")
    assert (run["params.seed"], run["status"]) == ("1 + 2", "FINISHED")
    (folder,) = the_ensemble(study).folder.glob("test-*")
    assert read_explanation(folder).verdict == NO_MAPS


def test_it_has_a_card_of_its_own(study: StudySettings) -> None:
    ensemble = the_ensemble(study)
    card, *theirs = (read_card(run.folder / MODEL_FILE) for run in (ensemble, *ensemble.members))
    assert card
    assert (card.arm, card.seeds) == ("gap-sum.ensemble2", (1, 2))
    assert card.num_parameters == sum(one.num_parameters for one in theirs if one)
    assert "averages the probabilities of 2 models" in card.trained_on
    evaluation = Evaluation.model_validate_json(next(ensemble.folder.glob("test-*/evaluation.json")).read_bytes())
    assert card.temperature == evaluation.temperature
    assert card.scores["video_uar"].estimate == evaluation.scores["video_uar"]
    assert card.evaluation in {path.name for path in ensemble.folder.iterdir()}


def test_it_recognises_a_new_video(study: StudySettings) -> None:
    ensemble = the_ensemble(study)
    paths = [run.folder / MODEL_FILE for run in (ensemble, *ensemble.members)]
    ours, *theirs = (predicted_rows(path, [study.corpus.root / "anger" / "p0"]).iloc[0] for path in paths)
    assert ours["outcome"] == "ok"
    assert ours["p_anger"] == pytest.approx(np.mean([one["p_anger"] for one in theirs]), abs=1e-5)


def test_a_member_that_lost_its_content_is_set_aside(study: StudySettings) -> None:
    """Last of the module, for it breaks a run."""
    ensemble = the_ensemble(study)
    for name in (MODEL_FILE, PROGRESS_FILE):
        (ensemble.folder / name).unlink()
    member = ensemble.members[0]
    with zipfile.ZipFile(member.folder / MODEL_FILE, "w") as archive:
        archive.writestr("config.json", "no model")
    assert member.trained, "it looks whole"
    with pytest.raises(UserError, match="trains gap-sum, seed 1 anew"):
        train_run(study, ensemble, lambda epoch: None)
    assert not member.trained
    assert not ensemble.trained
