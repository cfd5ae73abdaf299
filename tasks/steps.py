"""The Prefect tasks: thin wrappers, the only module of this package that imports Prefect."""

from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from fer_models.errors import VideoFault
from fer_models.training import Progress
from tasks import evaluation, tracking
from tasks.evaluation import Evaluation
from tasks.runs import Run, train_run
from tasks.settings import PrepareSettings, StudySettings
from tasks.shards import VideoReport
from tasks.workers import prepare_in_worker


def _is_transient(task: Any, task_run: Any, state: Any) -> bool:
    """Only faults that may go otherwise next time are worth another attempt."""
    try:
        state.result()
    except (VideoFault, OSError):
        return True
    except Exception:
        return False
    return False


@task(
    name="prepare-video",
    task_run_name="prepare {video_id}",
    cache_policy=NO_CACHE,
    retries=1,
    retry_condition_fn=_is_transient,
)
def prepare_video(
    video_id: str, uri: str, sha256: str, shard: Path, settings: PrepareSettings, workers: int, timeout_s: float
) -> VideoReport:
    """Turn one video into one shard, in a child process."""
    return prepare_in_worker(Path(uri), sha256, shard, settings, workers, timeout_s)


@task(name="train-arm", task_run_name="train {run.name}", cache_policy=NO_CACHE)
def train_arm(settings: StudySettings, run: Run, index: Path, study_run: tracking.StudyRun) -> Progress:
    """Train one arm with one seed, or go on with it, telling MLflow of every epoch."""
    run_id = tracking.open_run(settings, study_run, run)
    logged = tracking.num_logged_epochs(run_id)
    return train_run(
        settings, run, index, lambda epoch: tracking.log_epoch(run_id, epoch) if epoch.epoch > logged else None
    )


@task(name="evaluate-arm", task_run_name="evaluate {run.name}", cache_policy=NO_CACHE)
def evaluate_arm(
    settings: StudySettings, run: Run, index: pd.DataFrame, split: pd.DataFrame, study_run: tracking.StudyRun
) -> tuple[Path, Evaluation]:
    """Evaluate one trained arm on the test side and log it."""
    folder, result = evaluation.evaluate_run(settings, run, index, split)
    tracking.log_evaluation(settings, study_run, run, folder, result, index)
    return folder, result
