"""Flow `fer-prepare`: corpus -> manifest -> one task a video -> shards -> ledger."""

import os
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import VideoFault
from tasks.configuration import resolve_settings
from tasks.files import remove_leftovers
from tasks.layout import Layout
from tasks.ledger import Plan, check_failed_share, count_outcomes, plan_preparation, write_ledger
from tasks.manifest import build_manifest, check_labels
from tasks.outcomes import Outcome
from tasks.progress import progress, say
from tasks.sample.corpus import SampleCorpus, write_corpus
from tasks.settings import StudySettings
from tasks.shards import VideoReport, shard_path
from tasks.steps.prepare import prepare_video

_WORKERS = os.cpu_count() or 1


@flow(name="fer-prepare", validate_parameters=False, task_runner=ThreadPoolTaskRunner(max_workers=2 * _WORKERS))
def prepare(
    preset: str | None = None, config: str | None = None, overrides: dict[str, Any] | None = None
) -> dict[str, int]:
    """Prepare what is new or failed in a transient way, and return the ledger's counts."""
    settings = resolve_settings(preset, config, overrides)
    layout = Layout.of(settings)
    if settings.corpus.draw_sample:
        write_corpus(settings.corpus.root, SampleCorpus())
    manifest = build_manifest(settings.corpus, layout.manifest)
    if settings.corpus.adapter != "videos":
        check_labels(manifest, settings.corpus.emotions)
    remove_leftovers(layout.shards, older_than_s=60.0)
    plan = plan_preparation(manifest, layout.ledger, layout.shards)
    reports = {**plan.settled, **_prepare_due(plan, layout, settings)}
    ledger = write_ledger(layout.ledger, manifest, reports, set(plan.due["sha256"]), layout.shards)
    counts = count_outcomes(ledger)
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"{len(ledger)} videos, {len(plan.due)} of them prepared now: {listed}.")
    check_failed_share(ledger, settings.execution.max_failed_share)
    return counts


def _prepare_due(plan: Plan, layout: Layout, settings: StudySettings) -> dict[str, VideoReport]:
    if plan.due.empty:
        return {}
    execution = settings.execution
    futures: dict[PrefectFuture[VideoReport], str] = {}
    for video in plan.due.itertuples():
        sha256 = str(video.sha256)
        future = prepare_video.submit(
            video_id=str(video.video_id),
            uri=str(video.uri),
            sha256=sha256,
            shard=shard_path(layout.shards, sha256).absolute(),
            settings=settings.prepare,
            workers=execution.workers or _WORKERS,
            timeout_s=execution.timeout_s,
        )
        futures[future] = sha256
    with progress("Preparing videos", len(futures)) as advance:
        reports = {}
        for future in as_completed(list(futures)):
            report = reports[futures[future]] = _report(future)
            advance("" if report.outcome is Outcome.OK else f"{report.outcome}: {report.message}")
    return reports


def _report(future: PrefectFuture[VideoReport]) -> VideoReport:
    result: Any = future.result(raise_on_failure=False)
    if isinstance(result, VideoReport):
        return result
    if isinstance(result, VideoFault):
        return VideoReport(outcome=Outcome(result.outcome), message=result.message)
    return VideoReport(outcome=Outcome.CRASHED, message=str(result) or type(result).__name__)
