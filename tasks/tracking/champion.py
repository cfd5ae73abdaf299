"""The registered model of a study.

A challenger takes the alias `champion` only when it beats the present one beyond the noise; else a sentence says why.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import mlflow
import pandas as pd
import pyarrow as pa
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fer_models.errors import UserError
from fer_models.models.arms import Arm, get_arm, member_name
from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.comparisons import compare_arms
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.storage.files import atomic_write
from tasks.storage.local_copies import local_copy
from tasks.study.comparison import ArmResult, arm_predictions, best_result, best_run
from tasks.tracking import connection, mlflow_log
from tasks.tracking.champion_run import ALIAS
from tasks.tracking.logged_model import shown_card

_ARTIFACTS = "comparison"


def promote_if_better(settings: StudySettings, study_run: mlflow_log.StudyRun, results: Sequence[ArmResult]) -> str:
    """Register the best arm's model if it deserves it; returns a sentence that says what was done and why."""
    layout = Layout.of(settings)
    client = connection.connect(layout)
    best = best_result(results)
    table = predictions_table(best)
    path = layout.champion_predictions
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False)
    with local_copy(path) as copy:
        client.log_artifact(study_run.run_id, str(copy), _ARTIFACTS)
    champion = _champion(client, settings.name)
    members = [one for one in results if best.arm.num_members and one.arm.name == member_name(best.arm)]
    deserved, sentence = _judge(champion, study_run, best, table, settings, members)
    if deserved:
        version = _register(client, settings, study_run, best)
        sentence += f" It is version {version} of the registered model {settings.name!r}."
    client.set_tag(study_run.run_id, ALIAS, sentence)
    return sentence


def predictions_table(result: ArmResult) -> pd.DataFrame:
    """What an arm predicted for each covered test video: seed, video_id, sha256, subject, emotion, predicted."""
    columns = ["video_id", "sha256", "subject", "emotion", "predicted"]
    parts = [seed.videos.loc[seed.videos["num_segments"] > 0, columns].assign(seed=seed.seed) for seed in result.seeds]
    return pd.concat(parts, ignore_index=True)


def _champion(client: mlflow.MlflowClient, name: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException:
        return None


def _judge(
    champion: ModelVersion | None,
    study_run: mlflow_log.StudyRun,
    best: ArmResult,
    table: pd.DataFrame,
    settings: StudySettings,
    members: Sequence[ArmResult],
) -> tuple[bool, str]:
    """Whether the best arm becomes the champion, and why.

    Args:
        table: its predictions.
        members: the arm that it is an ensemble of, if it is one: two ensembles alone tell nothing of seed noise.
    """
    chance = 1 / len(settings.corpus.emotions)
    scored = f"{best.arm.title} (UAR {100 * best.interval.estimate:.1f} %)"
    if champion is None:
        if best.interval.low > chance:
            return True, f"{scored} is the first champion: it beats chance beyond the noise."
        return False, f"{scored} is not made champion: its interval does not exclude chance ({100 * chance:.1f} %)."
    if champion.tags.get("fer.study_run") == study_run.run_id and champion.tags.get("arm") == best.arm.name:
        return False, f"{best.arm.title} of this study is the champion already (version {champion.version})."
    theirs = _read_predictions(champion, Layout.of(settings).champion_predictions.name)
    who = f"the champion (version {champion.version}, {champion.tags.get('arm')})"
    if theirs is None:
        return False, f"{scored} is not made champion: the predictions of {who} cannot be read any more."
    if _items(table) != _items(theirs):
        return False, f"{scored} is not made champion: {who} was tested on other videos, so they cannot be compared."
    emotions = settings.corpus.emotions
    arms = {
        "champion": _arm_predictions(theirs, emotions, _arm_of(champion)),
        "challenger": _arm_predictions(table, emotions, best.arm),
        **{one.arm.name: _arm_predictions(predictions_table(one), emotions, one.arm) for one in members},
    }
    num_seeds = min(one.num_seeds for one in arms.values())
    arms = {name: replace(one, predicted=one.predicted[:num_seeds]) for name, one in arms.items()}
    pair = compare_arms(arms, "uar", reference="champion", margin=settings.equivalence_margin)[0]
    difference = f"{100 * pair.difference:+.1f} points against {who}: {pair.verdict}"
    if pair.verdict == "better":
        return True, f"{scored} is the new champion, {difference}."
    return False, f"{scored} is not made champion, {difference}."


def _read_predictions(champion: ModelVersion, name: str) -> pd.DataFrame | None:
    try:
        run_id, artifact = champion.tags["fer.study_run"], f"{_ARTIFACTS}/{name}"
        return pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=artifact))
    except (MlflowException, OSError, KeyError, pa.ArrowInvalid):
        return None


def _items(table: pd.DataFrame) -> list[tuple[str, str]]:
    rows = table[table["seed"] == table["seed"].iloc[0]].sort_values(["sha256", "video_id"])
    return list(zip(rows["sha256"], rows["emotion"], strict=True))


def _arm_of(champion: ModelVersion) -> Arm | None:
    try:
        return get_arm(champion.tags.get("arm", ""))
    except UserError:  # of another version of this package
        return None


def _arm_predictions(table: pd.DataFrame, emotions: Sequence[str], arm: Arm | None) -> ArmPredictions:
    ordered = [rows.sort_values(["sha256", "video_id"]) for _, rows in table.groupby("seed")]
    return arm_predictions(ordered, emotions, arm)


def _register(
    client: mlflow.MlflowClient, settings: StudySettings, study_run: mlflow_log.StudyRun, best: ArmResult
) -> str:
    """Register the run of the arm that was best on the validation subset: the test subset chooses no model."""
    run = best_run(settings, best)
    run_id = mlflow_log.open_run(settings, study_run, run)
    model_id = client.get_run(run_id).outputs.model_outputs[0].model_id
    if not client.search_registered_models(f"name = '{settings.name}'"):
        client.create_registered_model(settings.name)
    card = shown_card(run)
    version = client.create_model_version(
        settings.name, f"models:/{model_id}", run_id, description=card, model_id=model_id
    )
    tags = {"fer.study_run": study_run.run_id, "arm": best.arm.name, "seed": run.seeds}
    tags["video_uar"] = f"{fmean(seed.scores['video_uar'] for seed in best.seeds):.4f}"
    for name, value in tags.items():
        client.set_model_version_tag(settings.name, version.version, name, value)
    client.set_registered_model_alias(settings.name, ALIAS, version.version)
    return str(version.version)
