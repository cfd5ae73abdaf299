"""Flow `fer-prepare`: corpus -> manifest -> tasks over all due videos -> shards -> ledger."""

import functools
import itertools
import os
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import StorageError
from tasks.configuration import resolve_settings
from tasks.fan_out import Batch, prepare_all
from tasks.outcomes import Outcome
from tasks.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.settings import StudySettings
from tasks.shards import VideoReport
from tasks.steps.prepare import prepare_batch

_CORES = os.cpu_count() or 1
#: Task runs under way at once: more than workers, so that none waits; few, so that a run that must stop does.
_UNDER_WAY = 2 * _CORES


@flow(name="fer-prepare", validate_parameters=False, task_runner=ThreadPoolTaskRunner(max_workers=_UNDER_WAY))
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
    execution = settings.execution
    attempts = prepare_all(
        due_jobs(scan, settings),
        functools.partial(_run_batches, settings=settings),
        execution.retries,
        execution.retry_pause_s,
        most_failures(scan, settings),
    )
    return conclude(scan, settings, attempts)


def _run_batches(batches: Iterator[Batch], settings: StudySettings) -> Iterator[dict[str, VideoReport]]:
    """Run each batch as a task, a few at once, and yield their reports as they end."""
    ended: SimpleQueue[tuple[Batch, Any]] = SimpleQueue()
    workers = settings.execution.workers or _CORES
    num_running = 0
    while True:
        for batch in itertools.islice(batches, _UNDER_WAY - num_running):
            future = prepare_batch.submit(
                batch.name, batch.jobs, settings.prepare, workers, settings.execution.timeout_s
            )
            future.add_done_callback(functools.partial(_put, ended, batch))
            num_running += 1
        if not num_running:
            return
        batch, future = ended.get()
        num_running -= 1
        yield _reports(batch, future.result(raise_on_failure=False))


def _put(ended: SimpleQueue[tuple[Batch, Any]], batch: Batch, future: Any) -> None:
    ended.put((batch, future))


def _reports(batch: Batch, result: Any) -> dict[str, VideoReport]:
    if isinstance(result, dict):
        return result
    if isinstance(result, StorageError):
        raise result
    lost = VideoReport(outcome=Outcome.CRASHED, message=f"the task died: {result}")
    return {job.video.sha256: lost for job in batch.jobs}
