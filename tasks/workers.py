"""Child processes that decode videos, so that a video can crash or hang without taking anything else along."""

import atexit
import functools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from pathlib import Path

import cv2
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from fer_models.errors import StorageError, UseError, VideoFault
from tasks import opencv
from tasks.contents import VideoFile
from tasks.files import sync_names
from tasks.outcomes import Outcome
from tasks.preparation import prepare_file
from tasks.settings import PrepareSettings
from tasks.shards import VideoReport


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

    A video ends as `timeout` after `timeout_s` seconds of work and as `crashed` when its child died. When this returns
    the shards are on the disk, with their names: no power cut takes them.

    Raises:
        StorageError: shards cannot be written; what was not begun is left alone.
    """
    pool = worker_pool(workers)
    futures = [
        pool.schedule(prepare_file, [job.video, job.shard, settings, job.replace], timeout=timeout_s) for job in jobs
    ]
    try:
        reports = {job.video.sha256: _report(future, timeout_s) for job, future in zip(jobs, futures, strict=True)}
    finally:
        for future in futures:
            future.cancel()  # does nothing to those that ended
    sync_names([job.shard for job in jobs])
    return reports


def worker_pool(workers: int) -> ProcessPool:
    """The pool of this process, for all its threads; its children are replaced when they die and end with it.

    Raises:
        UseError: this process may have no children.
    """
    if current_process().daemon:
        raise UseError(
            "A Dask worker under a nanny may not start processes, and every video is prepared in one of its own; "
            "start the workers with DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment."
        )
    with _ONE_AT_A_TIME:
        return _open_pool(workers)


_ONE_AT_A_TIME = threading.Lock()


@functools.cache
def _open_pool(workers: int) -> ProcessPool:
    for name, value in opencv.ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    pool = ProcessPool(max_workers=workers, context=get_context("spawn"), initializer=_start_worker)
    atexit.register(_end, pool)
    return pool


def _report(future: ProcessFuture, timeout_s: float) -> VideoReport:
    try:
        return future.result()
    except StorageError:
        raise
    except VideoFault as fault:
        return VideoReport(outcome=Outcome(fault.outcome), message=fault.message)
    except FutureTimeoutError:
        return VideoReport(outcome=Outcome.TIMEOUT, message=f"it took longer than {timeout_s:g} s")
    except ProcessExpired as error:
        return VideoReport(outcome=Outcome.CRASHED, message=f"the worker process died (exit code {error.exitcode})")
    except Exception as error:  # a bug that one video shows must not end the others
        return VideoReport(outcome=Outcome.CRASHED, message=f"{type(error).__name__}: {error}")


def _start_worker() -> None:
    cv2.setNumThreads(1)  # one core a worker


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
