"""Flow `fer-prepare`: corpus -> manifest -> tasks over all due videos -> shards -> ledger."""

import datetime
import time
from collections.abc import Iterator
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from fer_models.errors import UserError
from flows.limits import exclusive_preparation, stop_after_crashes
from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, run_name, settings_of
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.drift import measure_drift, record_drift
from tasks.dataset.pending import pending_videos
from tasks.outcomes import Outcome
from tasks.preparation.batches import Attempts, Batch, prepare_all
from tasks.preparation.in_use import using_shards
from tasks.preparation.measuring import remember_preparation
from tasks.preparation.scan import Scan, conclude, due_jobs, most_failures, scan_corpus
from tasks.steps.artifacts import ProgressArtifact, announce_videos, show_preparation
from tasks.steps.prepare import prepare_batch
from tasks.steps.runners import Runner, open_runner
from tasks.video.segments import VideoReport

_CLOCKS_DIFFER = datetime.timedelta(minutes=1)


@flow(name="fer-prepare", flow_run_name=run_name("prepare"), validate_parameters=False)
def prepare(
    preset: Preset = AS_CONFIGURED,
    config: str = "",
    overrides: Overrides = NO_OVERRIDES,
    videos: list[str] | None = None,
    allow_failures: bool = False,
    announce: bool = False,
) -> State:
    """Prepare what is new or changed, or failed without a fault of its data; the result is the ledger's counts.

    The run fails with `UserError` when videos failed in it, with their number and the reasons; retrying it tries those
    again.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"corpus.root": "/data/videos"}.
        videos: Ids of the only videos to prepare, again if need be.
        allow_failures: Complete although videos failed; more than `execution.max_failed_share` of them fail it anyway.
        announce: Emit the event `fer.videos.prepared`, which starts a study when enough videos are new.
    """
    stop_after_crashes()
    settings = settings_of(preset, config, overrides)
    if announce:
        settings = settings.for_watching()
    with exclusive_preparation(settings.data_root), using_shards(settings, "prepare"):
        scan = scan_corpus(settings, videos, since=_start_of_first_attempt())
        begun = time.monotonic()
        attempts = _prepare_due(scan, settings)
        remember_preparation(settings, attempts.reports, time.monotonic() - begun)
        conclusion = conclude(scan, settings, attempts)
        drift = measure_drift(settings, conclusion.newly_prepared)
    record_drift(Layout.of(settings).drift, drift)
    show_preparation(settings, conclusion, scan.changes, drift)
    for video in conclusion.failed.itertuples():
        get_run_logger().error("%s (%s): %s, %s", video.video_id, video.uri, video.outcome, video.message)
    if announce and len(conclusion.tried):
        announce_videos(settings, conclusion, len(pending_videos(settings)))
    if allow_failures or conclusion.failed.empty:
        return Completed(message=conclusion.sentence, data=conclusion.counts)
    return Failed(message=conclusion.sentence, data=UserError(conclusion.sentence))


def _start_of_first_attempt() -> str:
    """When a flow run that is retried was first started, as times in the ledger are written; else nothing.

    The server's clock says so, and a worker's may be a little behind.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.run_count < 2:
        return ""
    start = context.flow_run.start_time or context.flow_run.created
    return (start - _CLOCKS_DIFFER).astimezone(datetime.UTC).isoformat(timespec="seconds") if start else ""


def _prepare_due(scan: Scan, settings: StudySettings) -> Attempts:
    jobs = due_jobs(scan, settings)
    if not jobs:
        return Attempts()
    execution = settings.execution
    with ProgressArtifact("prepare", len(jobs)) as shown, open_runner(execution) as runner:

        def run(batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
            for reports in run_batches(batches, settings, runner):
                shown.advance(len(reports))
                yield reports

        return prepare_all(
            jobs,
            run,
            execution.retries,
            execution.retry_pause_s,
            most_failures(scan, settings),
            runner.capacity,
            scan.plan.done.values(),
        )


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
    if isinstance(result, UserError):
        raise result
    lost = VideoReport(outcome=Outcome.CRASHED, message=f"the task died: {result}")
    return {job.video.sha256: lost for job in batch.jobs}
