"""The alias `champion` moves only for a model that beats the present one beyond the noise."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest

from fer_models.labels import EMOTIONS
from fer_models.models.arms import get_arm
from fer_models.statistics.intervals import interval
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.study.comparison import ArmResult, SeedResult, arm_predictions
from tasks.tracking import champion
from tasks.tracking.champion import promote_if_better
from tasks.tracking.champion_run import ALIAS, RECORD, champions_among
from tasks.tracking.connection import connect
from tasks.tracking.mlflow_log import StudyRun

NUM_SUBJECTS, NUM_SEEDS = 12, 3


def videos(share_right: float, seed: int, first_subject: int = 0) -> pd.DataFrame:
    """Each subject shows every class once; the given share of the videos is recognised."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(first_subject, first_subject + NUM_SUBJECTS):
        for number, emotion in enumerate(EMOTIONS):
            right = rng.random() < share_right
            rows.append(
                {
                    "video_id": f"p{subject}-{emotion}",
                    "sha256": f"{subject}{emotion}",
                    "subject": f"p{subject}",
                    "emotion": emotion,
                    "predicted": emotion if right else EMOTIONS[(number + 1 + rng.integers(5)) % 6],
                    "num_segments": 1,
                }
            )
    return pd.DataFrame(rows)


def arm_result(name: str, share_right: float, first_subject: int = 0) -> ArmResult:
    num_runs = 1 if get_arm(name).num_members else NUM_SEEDS
    tables = [videos(share_right, seed, first_subject) for seed in range(num_runs)]
    predictions = arm_predictions(tables, EMOTIONS, get_arm(name))
    scores = predictions.scores("uar")
    seeds = tuple(
        SeedResult(
            seed, (SimpleNamespace(arm=name, seed=seed, fold=None, validation_uar=0.5 + seed / 100),), table, table,
            {"video_uar": float(scores[seed])},
        )
        for seed, table in enumerate(tables)
    )  # fmt: skip
    return ArmResult(get_arm(name), seeds, predictions, interval(predictions, "uar"))


class Study:
    """A study in a store of its own; each `run` is another run of it."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.settings = StudySettings(name=name, data_root=folder)
        self.client = connect(Layout.of(self.settings))
        self.experiment = self.client.create_experiment(name, (folder / "artifacts").as_uri())
        self.registered: list[str] = []
        patch.setattr(champion, "_register", self._register)

    def _register(self, client: mlflow.MlflowClient, settings: StudySettings, run: StudyRun, best: ArmResult) -> str:
        """What `_register` does, without a trained model behind it."""
        if not self.registered:
            client.create_registered_model(settings.name)
        version = client.create_model_version(settings.name, source=f"runs:/{run.run_id}/model", run_id=run.run_id)
        for tag, value in {"fer.study_run": run.run_id, "arm": best.arm.name}.items():
            client.set_model_version_tag(settings.name, version.version, tag, value)
        client.set_registered_model_alias(settings.name, ALIAS, version.version)
        self.registered.append(best.arm.name)
        return str(version.version)

    def run(self, *results: ArmResult) -> str:
        run_id = self.client.create_run(self.experiment).info.run_id
        (Layout.of(self.settings).study).mkdir(parents=True, exist_ok=True)
        study_run = StudyRun(tracking_uri="", experiment_id=self.experiment, run_id=run_id, digest="")
        sentence = promote_if_better(self.settings, study_run, results)
        assert self.client.get_run(run_id).data.tags[ALIAS] == sentence
        return sentence


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one MLflow store, for making one takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def study(store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    return Study(request.node.name, store, monkeypatch)


def test_the_best_arm_is_the_first_champion_if_it_beats_chance(study: Study) -> None:
    sentence = study.run(arm_result("gap-sum", 0.6), arm_result("gap-average", 0.4))
    assert "is the first champion: it beats chance" in sentence
    assert study.registered == ["gap-sum"]


def test_chance_is_no_champion(study: Study) -> None:
    assert "does not exclude chance" in study.run(arm_result("gap-sum", 1 / 6))
    assert study.registered == []


def test_only_a_clear_difference_takes_the_title(study: Study) -> None:
    study.run(arm_result("gap-sum", 0.5))
    assert "is not made champion, +" in study.run(arm_result("gap-average", 0.53))
    assert study.registered == ["gap-sum"]
    sentence = study.run(arm_result("flatten-sum", 0.85))
    assert "is the new champion, +" in sentence
    assert "(version 1, gap-sum): better" in sentence
    assert study.registered == ["gap-sum", "flatten-sum"]


def test_an_ensemble_takes_the_title_from_another_one(study: Study) -> None:
    """Neither tells of seed noise; the models that it is put together from do."""
    study.run(arm_result("gap-sum", 0.4), arm_result("gap-sum.ensemble3", 0.5))
    assert "is not made champion, +" in study.run(
        arm_result("flatten-sum", 0.4), arm_result("flatten-sum.ensemble3", 0.53)
    )
    sentence = study.run(arm_result("flatten-sum", 0.7), arm_result("flatten-sum.ensemble3", 0.95))
    assert "Flatten + sum, ensemble of 3 seeds (UAR" in sentence
    assert "(version 1, gap-sum.ensemble3): better" in sentence
    assert study.registered == ["gap-sum.ensemble3", "flatten-sum.ensemble3"]


def test_a_champion_of_other_videos_is_not_compared(study: Study) -> None:
    study.run(arm_result("gap-sum", 0.5))
    assert "was tested on other videos" in study.run(arm_result("flatten-sum", 0.9, first_subject=50))
    assert study.registered == ["gap-sum"]


def test_the_champion_of_this_very_run_stays(study: Study) -> None:
    results = [arm_result("gap-sum", 0.6)]
    run_id = study.client.create_run(study.experiment).info.run_id
    study_run = StudyRun(tracking_uri="", experiment_id=study.experiment, run_id=run_id, digest="")
    promote_if_better(study.settings, study_run, results)
    assert "is the champion already" in promote_if_better(study.settings, study_run, results)
    assert study.registered == ["gap-sum"]


def test_the_champion_of_a_data_root_is_known_by_its_run(study: Study) -> None:
    study.run(arm_result("gap-sum", 0.6))
    champion_run = study.client.get_model_version_by_alias(study.settings.name, ALIAS).run_id
    layout = Layout.of(study.settings)
    models = [layout.runs / name / "model.keras" for name in ("best", "other", "unlogged")]
    for model, run_id in zip(models, (champion_run, "another", None), strict=True):
        model.parent.mkdir(parents=True)
        if run_id:
            (model.parent / RECORD).write_text(f'{{"parent_id": "x", "run_id": "{run_id}"}}')
    nameless = layout.root / "studies" / "never-logged" / "runs" / "best" / "model.keras"
    assert champions_among([*models, nameless], layout.root) == {models[0]: "1"}
