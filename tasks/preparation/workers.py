"""Many videos prepared at once, each in a child process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.processes.pool import call_each
from tasks.storage.files import sync_names
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import VideoReport


@dataclass(frozen=True)
class Job:
    """A video to prepare, and where its shard belongs; `replace` one that is there."""

    video_id: str
    video: VideoFile
    shard: Path
    replace: bool = False


def prepare_videos(
    jobs: Sequence[Job], settings: PrepareSettings, workers: int, timeout_s: float
) -> dict[str, VideoReport]:
    """Prepare videos in child processes; returns a report for each, by SHA-256.

    A video ends as `timeout` after `timeout_s` seconds of work and as `crashed` when its child died.
    When this returns the shards are on the disk, with their names: no power cut takes them.

    Raises:
        StorageError: shards cannot be written; what was not begun is left alone.
    """
    calls = [[job.video, job.shard, settings, job.replace] for job in jobs]
    ended = call_each(prepare_file, calls, workers, timeout_s)
    sync_names([job.shard for job in jobs])
    return {job.video.sha256: _report(one) for job, one in zip(jobs, ended, strict=True)}


def _report(ended: VideoReport | VideoFault) -> VideoReport:
    if isinstance(ended, VideoFault):
        return VideoReport(outcome=Outcome(ended.outcome), message=ended.message)
    return ended
