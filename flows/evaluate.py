"""Flow `fer-evaluate`: every trained run on the test side -> MLflow -> report."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import UseError
from tasks import tracking
from tasks.champion import crown
from tasks.configuration import resolve_settings
from tasks.layout import Layout
from tasks.progress import progress, say
from tasks.report import write_report
from tasks.report_input import collect
from tasks.runs import plan_runs
from tasks.steps.evaluate import evaluate_arm


@flow(name="fer-evaluate", validate_parameters=False, task_runner=ThreadPoolTaskRunner(max_workers=1))
def evaluate(preset: str | None = None, config: str | None = None, overrides: dict[str, Any] | None = None) -> Path:
    """Evaluate every run of a study and write its report; returns the path of the report."""
    settings = resolve_settings(preset, config, overrides)
    layout = Layout.of(settings)
    runs = plan_runs(settings)
    untrained = [run.name for run in runs if not run.trained]
    if untrained:
        raise UseError(f"{len(untrained)} runs are not trained ({untrained[0]}, ...); run `fer train` first.")
    study_run = tracking.open_study(settings)
    futures = [evaluate_arm.submit(settings, run, study_run) for run in runs]
    with progress("Evaluating", len(runs)) as advance:
        for run, future in zip(runs, futures, strict=True):
            future.result()
            advance(run.name)
    source = collect(settings)
    report = write_report(source, layout.report)
    tracking.close_study(settings, study_run, source.results, layout.report)
    say(crown(settings, study_run, source.results))
    return report
