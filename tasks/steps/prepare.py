"""Preparing videos, as a Prefect task."""

from collections.abc import Sequence

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.preparation.workers import Job, prepare_videos
from tasks.steps.runners import videos_at_once


@task(name="prepare-videos", task_run_name="prepare {name}", cache_policy=NO_CACHE)
def prepare_batch(
    name: str, jobs: Sequence[Job], settings: PrepareSettings, workers: int | None, timeout_s: float
) -> State:
    """Turn each video into one shard, in child processes.

    The task run's result is the reports by SHA-256. It ends as failed, with the reasons, when some of the videos cannot
    be used; `name` says which videos these are.

    Args:
        workers: videos that this process prepares at once; None on a Dask worker that decides itself.
    """
    reports = prepare_videos(jobs, settings, workers or videos_at_once(), timeout_s)
    told = [(job, reports[job.video.sha256]) for job in jobs]
    failed = [
        f"{job.video_id} ({job.video.path}): {report.outcome}, {report.message}"
        for job, report in told
        if report.outcome is not Outcome.OK
    ]
    if failed:
        count = f"{len(failed)} of {len(jobs)} videos failed: " if len(jobs) > 1 else ""
        return Failed(message=count + "; ".join(failed), data=reports)
    (_, first), *others = told
    covered = f"{first.num_covered} of {first.num_segments} segments show a face"
    return Completed(message=f"{len(jobs)} videos" if others else covered, data=reports)
