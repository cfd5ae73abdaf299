"""Flow `fer-prepare`: corpus -> manifest -> tasks over all due videos -> shards -> ledger."""

import datetime
import functools
import itertools
import os
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import StorageError
from flows.limits import alone_in
from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, run_name, settings_of
from tasks.drift import measure_drift, record_drift
from tasks.fan_out import Batch, prepare_all
from tasks.layout import Layout
from tasks.outcomes import Outcome
from tasks.pending import pending_videos
from tasks.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.settings import StudySettings
from tasks.shards import VideoReport
from tasks.steps.artifacts import ProgressArtifact, announce_videos, show_preparation
from tasks.steps.prepare import prepare_batch

_CORES = os.cpu_count() or 1
#: Task runs under way at once: more than workers, so that none waits; few, so that a run that must stop does.
_UNDER_WAY = 2 * _CORES
_CLOCKS_DIFFER = datetime.timedelta(minutes=1)


@flow(
    name="fer-prepare",
    flow_run_name=run_name("prepare"),
    validate_parameters=False,
    task_runner=ThreadPoolTaskRunner(max_workers=_UNDER_WAY),
)
def prepare(
    preset: Preset = AS_CONFIGURED,
    config: str = "",
    overrides: Overrides = NO_OVERRIDES,
    videos: list[str] | None = None,
    tolerant: bool = False,
    announce: bool = False,
) -> State:
    """Prepare what is new, changed or failed for no fault of its data; the result is the ledger's counts.

    The run fails when videos failed in it, with their number and the reasons; retrying it tries those again.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"corpus.root": "/data/videos"}.
        videos: Ids of the only videos to prepare, again if need be.
        tolerant: Complete although videos failed; more than `execution.max_failed_share` of them fail the run anyway.
        announce: Emit the event `fer.videos.prepared`, which starts a study when enough videos are new.
    """
    settings = settings_of(preset, config, overrides)
    if announce:
        settings = settings.watching()
    with alone_in(settings.data_root):
        scan = scan_corpus(settings, videos, since=_start_of_first_attempt())
        execution = settings.execution
        with ProgressArtifact("prepare", len(scan.plan.due)) as shown:
            attempts = prepare_all(
                due_jobs(scan, settings),
                functools.partial(_run_batches, settings=settings, shown=shown),
                execution.retries,
                execution.retry_pause_s,
                most_failures(scan, settings),
            )
        conclusion = conclude(scan, settings, attempts)
    drift = measure_drift(settings, conclusion.newly_prepared)
    record_drift(Layout.of(settings).drift, drift)
    show_preparation(settings, conclusion, scan.changes, drift)
    for video in conclusion.failed.itertuples():
        get_run_logger().error("%s (%s): %s, %s", video.video_id, video.uri, video.outcome, video.message)
    if announce and len(conclusion.tried):
        announce_videos(settings, conclusion, len(pending_videos(settings)))
    end = Completed if tolerant or conclusion.failed.empty else Failed
    return end(message=conclusion.sentence, data=conclusion.counts)


def _start_of_first_attempt() -> str:
    """When a flow run that is retried was first started, as times in the ledger are written; else nothing.

    The server's clock says so, and a worker's may be a little behind.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.run_count < 2:
        return ""
    start = context.flow_run.start_time or context.flow_run.created
    return (start - _CLOCKS_DIFFER).astimezone(datetime.UTC).isoformat(timespec="seconds") if start else ""


def _run_batches(
    batches: Iterator[Batch], settings: StudySettings, shown: ProgressArtifact
) -> Iterator[dict[str, VideoReport]]:
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
        reports = _reports(batch, future.result(raise_on_failure=False))
        shown.advance(len(reports))
        yield reports


def _put(ended: SimpleQueue[tuple[Batch, Any]], batch: Batch, future: Any) -> None:
    ended.put((batch, future))


def _reports(batch: Batch, result: Any) -> dict[str, VideoReport]:
    if isinstance(result, dict):
        return result
    if isinstance(result, StorageError):
        raise result
    lost = VideoReport(outcome=Outcome.CRASHED, message=f"the task died: {result}")
    return {job.video.sha256: lost for job in batch.jobs}
