"""Logs a study to MLflow: one experiment per study, a parent run, a child run per arm and seed.

Everything is logged from files that are on disk already, so a study can be logged again, or into another store.
What has been logged is remembered beside those files, per parent run. Nothing that is remembered or logged tells where
the data root lies, except the addresses of artifacts, which follow it (`tasks.tracking.mlflow_database`).
"""

import importlib.metadata
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import mlflow
import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from pydantic import BaseModel

from fer_models.models.building import streams_of
from fer_models.models.card import ModelCard
from fer_models.training.progress import Epoch
from tasks.config.digests import digest, study_part
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import read_manifest
from tasks.corpus.scope import manifest_of_study
from tasks.dataset.index import index_digest, read_subset
from tasks.dataset.splits import SUBSETS, read_split, split_of_study
from tasks.storage.addresses import without_user
from tasks.storage.files import find_json, finished_files, write_json
from tasks.storage.local_copies import local_copy
from tasks.storage.locations import as_remote
from tasks.study.comparison import HEADLINE, METRICS, ArmResult, best_result
from tasks.study.evaluation import Evaluation
from tasks.study.initial_weights import TRANSFERS_FILE
from tasks.study.pretrained import origins_of
from tasks.study.runs import Run, own_training, training_of, training_progress, treatment_of
from tasks.tracking.champion_run import RECORD
from tasks.tracking.connection import connect, is_local, shown, sync_artifacts, tracking_uri
from tasks.tracking.logged_model import log_card, log_model
from tasks.tracking.metric_names import metric_names
from tasks.tracking.mlflow_database import artifacts_of


class StudyRun(BaseModel):
    """The parent run of a study, remembered in its folder; `tracking_uri` is empty for the data root's own database."""

    tracking_uri: str
    experiment_id: str
    run_id: str
    digest: str


class ChildRun(BaseModel):
    """The child run of a training run, remembered in its folder.

    Args:
        evaluation, card, others: what was logged last of its evaluation, of its card, and of other corpora.
    """

    parent_id: str
    run_id: str
    evaluation: str = ""
    card: str = ""
    others: str = ""


def page_of(study_run: StudyRun) -> str | None:
    """Address of a study's page, when MLflow is a server."""
    server = without_user(study_run.tracking_uri).rstrip("/")
    if not server.startswith("http"):
        return None
    return f"{server}/#/experiments/{study_run.experiment_id}/runs/{study_run.run_id}"


def open_study(settings: StudySettings) -> StudyRun:
    """The parent run for these settings and data: the one from before, or a new one. Opens no test subset."""
    layout = Layout.of(settings)
    client = connect(layout)
    emotions = settings.corpus.emotions
    manifest = manifest_of_study(read_manifest(layout.manifest), emotions)
    manifest_digest = digest(manifest[["video_id", "sha256", "subject", "emotion", "status"]].to_csv(index=False))
    split = split_of_study(read_split(layout.split), manifest, emotions).drop(columns="fold_name")
    split = split.sort_values(["fold", "video_id", "sha256"])
    data = {"manifest": manifest_digest, "split": split.to_csv(index=False), "shards": layout.prepared.name}
    identity = digest(study_part(settings), data)
    remembered = find_json(layout.mlflow_record, StudyRun)
    uri = tracking_uri(layout)
    store = "" if is_local(uri, layout) else shown(uri)
    if remembered and remembered.digest == identity and _exists(client, remembered.run_id):
        return remembered.model_copy(update={"tracking_uri": store})
    experiment_id = _experiment(client, settings.name, layout)
    run = client.create_run(experiment_id, run_name=f"{settings.name} study", tags={"fer.kind": "study"})
    with mlflow.start_run(run_id=run.info.run_id, nested=True):
        kept = {name: value for name, value in settings.recorded().items() if name not in ("arms", "seeds")}
        mlflow.log_params(_flat(kept))
        arms = ", ".join(arm.name for arm in settings.all_arms())
        mlflow.set_tags({"arms": arms, "seeds": ", ".join(map(str, settings.seeds)), **_revision()})
        mlflow.log_dict(settings.recorded(), "settings.yaml")
        _log_table(layout, "manifest", manifest.drop(columns=["mtime_ns"]), layout.manifest, manifest_digest)
    sync_artifacts(layout, run.info.run_id)
    study_run = StudyRun(tracking_uri=store, experiment_id=experiment_id, run_id=run.info.run_id, digest=identity)
    write_json(layout.mlflow_record, study_run)
    return study_run


def _log_table(layout: Layout, name: str, table: pd.DataFrame, source: Path, table_digest: str) -> None:
    place = str(source) if as_remote(source) else source.relative_to(layout.root).as_posix()
    dataset = mlflow.data.from_pandas(table, source=place, name=name, digest=table_digest)
    mlflow.log_input(dataset, name)


def open_run(settings: StudySettings, study_run: StudyRun, run: Run) -> str:
    """The id of the child run of a training run, created and described when it is new."""
    client = connect(Layout.of(settings))
    child = find_json(run.folder / RECORD, ChildRun)
    if child and child.parent_id == study_run.run_id and _exists(client, child.run_id):
        return child.run_id
    options = {f"arm.{name}": _text(value) for name, value in run.arm.options.items()}
    tags = {
        "mlflow.parentRunId": study_run.run_id,
        "fer.kind": "arm",
        "arm": run.arm.name,
        "seed": run.seeds,
        "fold": "all" if run.fold is None else run.fold_name,
        "treatment": treatment_of(settings, run.arm),
        "precision": training_of(settings, run.arm).precision,
        "family": run.arm.family,
        **options,
        "streams": " + ".join(streams_of(run.arm)),
        **_origin_tags(settings, run),
        "backend": keras.backend.backend(),
        **_revision(),
    }
    created = client.create_run(study_run.experiment_id, run_name=run.name, tags=tags)
    parameters = {"arm": run.arm.name, "seed": run.seeds, "family": run.arm.family, **options}
    parameters |= _flat(settings.model_dump(mode="json", include={"model", "training", "prepare"}))
    parameters["training.treatment"] = treatment_of(settings, run.arm)
    client.log_batch(created.info.run_id, params=[Param(name, _text(value)) for name, value in parameters.items()])
    write_json(run.folder / RECORD, ChildRun(parent_id=study_run.run_id, run_id=created.info.run_id))
    return created.info.run_id


def _origin_tags(settings: StudySettings, run: Run) -> dict[str, str]:
    """Where the first weights of a run come from."""
    origins = origins_of(own_training(settings, run.arm), settings.model, run.arm)
    unknown = "not known"
    columns = {
        "weights": [one.name for one in origins],
        "weights.sha256": [one.sha256 for one in origins],
        "weights.licence": [one.licence or unknown for one in origins],
        "weights.trained_on": [one.trained_on or unknown for one in origins],
    }
    return {name: " + ".join(values) for name, values in columns.items() if values}


def log_epoch(run_id: str, epoch: Epoch, client: mlflow.MlflowClient | None = None) -> None:
    """Log one epoch's metrics, its number being the step."""
    values = epoch.model_dump(exclude={"epoch", "monitored"})
    metrics = [Metric(name, float(value), 0, epoch.epoch) for name, value in values.items()]
    (client or mlflow.MlflowClient()).log_batch(run_id, metrics=metrics)


def num_logged_epochs(run_id: str) -> int:
    """How many epochs a child run has in MLflow already."""
    return max((metric.step for metric in mlflow.MlflowClient().get_metric_history(run_id, "val_uar")), default=0)


def log_evaluation(
    settings: StudySettings, study_run: StudyRun, run: Run, folder: Path, evaluation: Evaluation, card: ModelCard
) -> None:
    """Log the history, test scores, figures, predictions, the model of a run and its card, as far as is not done yet.

    Args:
        folder: of the evaluation.
        card: which lies in the run's folder.
    """
    run_id = open_run(settings, study_run, run)
    child = find_json(run.folder / RECORD, ChildRun)
    assert child
    if child.card != (known_as := digest(card.model_dump(mode="json"))):
        log_card(connect(Layout.of(settings)), run_id, run)
        sync_artifacts(Layout.of(settings), run_id)
        child = child.model_copy(update={"card": known_as})
        write_json(run.folder / RECORD, child)
    if child.evaluation == folder.name:
        return
    progress = training_progress(run)
    for epoch in progress.history[num_logged_epochs(run_id) :]:
        log_epoch(run_id, epoch)
    with mlflow.start_run(run_id=run_id, nested=True):
        counts = {
            "num_parameters": evaluation.num_parameters,
            "best_epoch": evaluation.best_epoch,
            "training_seconds": evaluation.training_seconds,
            "still_climbed": int(evaluation.still_climbed),
        }
        scores = {f"test_{name}": value for name, value in evaluation.scores.items()}
        logged_as = metric_names(scores)
        mlflow.log_metrics({logged_as[name]: value for name, value in scores.items()} | counts)
        with local_copy(folder) as copy:
            for path in finished_files(copy):
                mlflow.log_artifact(str(path), "figures" if path.suffix in (".png", ".jpg") else "test")
        with local_copy(run.folder) as copy:
            if (transfers := copy / TRANSFERS_FILE).is_file():
                mlflow.log_artifact(str(transfers))
        mlflow.log_dict(settings.recorded(), "settings.yaml")
        model_id = log_model(settings, run)
    mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
    sync_artifacts(Layout.of(settings), run_id, f"models/{model_id}")
    write_json(run.folder / RECORD, child.model_copy(update={"evaluation": folder.name}))


def log_finished_files(folder: Path, place: str) -> None:
    """Log to the active run what is finished in a folder and in the folders below it.

    Args:
        place: where the files stand among the run's artifacts.
    """
    with local_copy(folder) as copy:
        for part in (copy, *(path for path in sorted(copy.iterdir()) if path.is_dir())):
            for path in finished_files(part):
                mlflow.log_artifact(str(path), "/".join((place, *part.relative_to(copy).parts)))


def close_study(
    settings: StudySettings, study_run: StudyRun, results: Sequence[ArmResult], report: Path, summary: str
) -> None:
    """Log the comparison, the report and the data to the parent run.

    Args:
        report: its folder.
        summary: Markdown that stands on the run's page.
    """
    layout = Layout.of(settings)
    client = connect(layout)
    best = best_result(results)
    first = min(evaluation.split_fold for evaluation in best.seeds[0].evaluations)
    index = pd.concat([read_subset(layout.index, first, subset, settings.corpus.emotions) for subset in SUBSETS])
    with mlflow.start_run(run_id=study_run.run_id, nested=True):
        _log_table(layout, "index", index.drop(columns=["box"]), layout.index, index_digest(index))
        mlflow.set_tag("best_arm", best.arm.name)
        mlflow.set_tag("mlflow.note.content", summary)
        mlflow.log_metrics({f"best_test_{metric}": best.mean(metric) for metric in METRICS})
        for result in results:
            arm = key_of(result.arm.name)
            mlflow.log_metrics({f"mean_{metric}/{arm}": result.mean(metric) for metric in METRICS})
            bounds = {"low": result.interval.low, "high": result.interval.high, "seed_sd": result.sd(HEADLINE) or 0.0}
            mlflow.log_metrics({f"{HEADLINE}_{name}/{arm}": value for name, value in bounds.items()})
        log_finished_files(report, "report")
    client.set_terminated(study_run.run_id, "FINISHED")
    sync_artifacts(layout, study_run.run_id)


def key_of(arm: str) -> str:
    """An arm in the name of a metric, where MLflow takes no plus sign."""
    return arm.replace("+", " ")


def _experiment(client: mlflow.MlflowClient, name: str, layout: Layout) -> str:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "active":
        return found.experiment_id
    if found:
        client.restore_experiment(found.experiment_id)
        return found.experiment_id
    local = is_local(tracking_uri(layout), layout)
    artifacts = artifacts_of(layout.root) if local else None
    return client.create_experiment(name, artifacts, tags={"mlflow.experimentKind": "custom_model_development"})


def _exists(client: mlflow.MlflowClient, run_id: str) -> bool:
    try:
        return client.get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException:
        return False


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _text(value: Any) -> str:
    return " + ".join(value) if isinstance(value, tuple) else str(value)


def _revision() -> dict[str, str]:
    tags = {"fer.version": importlib.metadata.version("fer-pipeline")}
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        tags["mlflow.source.git.commit"] = found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass  # installed without its repository
    return tags
