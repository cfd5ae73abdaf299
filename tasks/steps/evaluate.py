"""Evaluating one run, as a Prefect task."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import evaluation, tracking
from tasks.evaluation import Evaluation
from tasks.runs import Run
from tasks.settings import StudySettings


@task(name="evaluate-arm", task_run_name="evaluate {run.name}", cache_policy=NO_CACHE)
def evaluate_arm(settings: StudySettings, run: Run, study_run: tracking.StudyRun) -> tuple[Path, Evaluation]:
    """Evaluate one trained arm on the test side and log it."""
    folder, result = evaluation.evaluate_run(settings, run)
    tracking.log_evaluation(settings, study_run, run, folder, result)
    return folder, result
