"""Preparing one video, as a Prefect task."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from fer_models.errors import VideoFault
from tasks.settings import PrepareSettings
from tasks.shards import VideoReport
from tasks.workers import prepare_in_worker


def _is_transient(task: Any, task_run: Any, state: Any) -> bool:
    """Only faults that may go otherwise next time are worth another attempt."""
    try:
        state.result()
    except (VideoFault, OSError):
        return True
    except Exception:
        return False
    return False


@task(
    name="prepare-video",
    task_run_name="prepare {video_id}",
    cache_policy=NO_CACHE,
    retries=1,
    retry_condition_fn=_is_transient,
)
def prepare_video(
    video_id: str, uri: str, sha256: str, shard: Path, settings: PrepareSettings, workers: int, timeout_s: float
) -> VideoReport:
    """Turn one video into one shard, in a child process."""
    return prepare_in_worker(Path(uri), sha256, shard, settings, workers, timeout_s)
