"""Flow `fer-train`: every arm, seed and fold of a study, one after another on one device."""

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import FerError, UseError
from tasks import tracking
from tasks.configuration import resolve_settings
from tasks.progress import say
from tasks.runs import plan_runs
from tasks.steps.train import train_arm


@flow(name="fer-train", validate_parameters=False, task_runner=ThreadPoolTaskRunner(max_workers=1))
def train(preset: str | None = None, config: str | None = None, overrides: dict[str, Any] | None = None) -> list[str]:
    """Train what is not trained yet; a failed arm leaves the others alone. Returns the names of the runs."""
    settings = resolve_settings(preset, config, overrides)
    runs = plan_runs(settings)
    due = [run for run in runs if not run.trained]
    study_run = tracking.open_study(settings)
    futures = {run.name: train_arm.submit(settings, run, study_run) for run in due}
    failures = {}
    for name, future in futures.items():
        result = future.result(raise_on_failure=False)
        if isinstance(result, FerError):
            failures[name] = str(result)
        elif isinstance(result, BaseException):
            raise result
    say(f"Trained {len(due) - len(failures)} of {len(runs)} runs, {len(runs) - len(due)} were trained before.")
    if failures:
        raise UseError("; ".join(f"{name} was not trained: {message}" for name, message in failures.items()))
    return [run.name for run in runs]
