"""Evaluating one run, as a Prefect task."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.config.settings import StudySettings
from tasks.report.run_figures import draw_run
from tasks.study.cards import card_run
from tasks.study.evaluation import Evaluation, evaluate_run
from tasks.study.other_corpora.scores import evaluate_on_others
from tasks.study.runs import Run
from tasks.study.test_set import own_test_set
from tasks.tracking import mlflow_log, other_corpora_log


@task(name="evaluate-arm", task_run_name="evaluate {run.name}", cache_policy=NO_CACHE)
def evaluate_arm(settings: StudySettings, run: Run, study_run: mlflow_log.StudyRun) -> tuple[Path, Evaluation]:
    """Evaluate one trained arm on the test subset and on other corpora, leave its model's card and log it."""
    folder, result = evaluate_run(settings, run, own_test_set(settings, run), draw_run)
    others = evaluate_on_others(settings, run)
    card = card_run(settings, run, folder, result, others)
    mlflow_log.log_evaluation(settings, study_run, run, folder, result, card)
    other_corpora_log.log_run(settings, study_run, run, others)
    return folder, result
