"""Flow `fer-prepare`: corpus -> manifest -> tasks over all due videos -> shards -> ledger."""

import functools
from collections.abc import Iterator
from typing import Any

from prefect import flow

from fer_models.errors import UseError
from tasks.configuration import resolve_settings
from tasks.fan_out import Attempts, Batch, prepare_all
from tasks.outcomes import Outcome
from tasks.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.settings import StudySettings
from tasks.shards import VideoReport
from tasks.steps.prepare import prepare_batch
from tasks.steps.runners import Runner, open_runner


@flow(name="fer-prepare", validate_parameters=False)
def prepare(
    preset: str | None = None,
    config: str | None = None,
    overrides: dict[str, Any] | None = None,
    videos: list[str] | None = None,
) -> dict[str, int]:
    """Prepare what is new, changed or failed for no fault of its data; return the ledger's counts.

    Args:
        videos: ids of the only videos to prepare, again if need be.
    """
    settings = resolve_settings(preset, config, overrides)
    scan = scan_corpus(settings, videos)
    jobs = due_jobs(scan, settings)
    if not jobs:
        return conclude(scan, settings, Attempts())
    execution = settings.execution
    with open_runner(execution) as runner:
        attempts = prepare_all(
            jobs,
            functools.partial(run_batches, settings=settings, runner=runner),
            execution.retries,
            execution.retry_pause_s,
            most_failures(scan, settings),
            runner.crew,
            scan.plan.settled.values(),
        )
    return conclude(scan, settings, attempts)


def run_batches(batches: Iterator[Batch], settings: StudySettings, runner: Runner) -> Iterator[dict[str, VideoReport]]:
    """Run each batch as a task, and yield their reports as they end."""
    fixed = {
        "settings": settings.prepare.anywhere(),
        "workers": runner.workers,
        "timeout_s": settings.execution.timeout_s,
    }
    calls = ((batch, {"name": batch.name, "jobs": batch.jobs, **fixed}) for batch in batches)
    for batch, result in runner.run(prepare_batch, calls):
        yield _reports(batch, result)


def _reports(batch: Batch, result: Any) -> dict[str, VideoReport]:
    if isinstance(result, dict):
        return result
    if isinstance(result, UseError):
        raise result
    lost = VideoReport(outcome=Outcome.CRASHED, message=f"the task died: {result}")
    return {job.video.sha256: lost for job in batch.jobs}
