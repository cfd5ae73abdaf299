"""Child processes that decode videos, so that a video can crash or hang without taking anything else along."""

import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from pathlib import Path

import cv2
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from fer_models.errors import StorageError, UserError, VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.storage.files import sync_names
from tasks.video import opencv
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

    A video ends as `timeout` after `timeout_s` seconds of work and as `crashed` when its child died. When a child dies
    before it has said which video it took, the pool cannot go on: what it left is then tried one by one in another.
    When this returns the shards are on the disk, with their names: no power cut takes them.

    Raises:
        StorageError: shards cannot be written; what was not begun is left alone.
    """
    reports = _run(jobs, settings, workers, timeout_s)
    for job in jobs:
        if job.video.sha256 not in reports:
            died = {job.video.sha256: VideoReport(outcome=Outcome.CRASHED, message="the worker process died")}
            reports |= _run([job], settings, workers, timeout_s) or died
    sync_names([job.shard for job in jobs])
    return reports


def _run(jobs: Sequence[Job], settings: PrepareSettings, workers: int, timeout_s: float) -> dict[str, VideoReport]:
    """The reports on those videos that the pool came to before it broke, if it does."""
    pool = worker_pool(workers)
    futures: list[ProcessFuture] = []
    try:
        for job in jobs:
            try:
                arguments = [job.video, job.shard, settings, job.replace]
                futures.append(pool.schedule(prepare_file, arguments, timeout=timeout_s))
            except RuntimeError:  # the pool is broken
                break
        told = zip(jobs, [_report(pool, future, timeout_s) for future in futures], strict=False)
        return {job.video.sha256: report for job, report in told if report}
    finally:
        for future in futures:
            future.cancel()  # does nothing to those that ended
        # a child that is ended too late may have taken another video already
        wait(futures, timeout=_CANCEL_S if pool.active else 0.0)


def worker_pool(workers: int) -> ProcessPool:
    """The pool of this process, for all its threads; its children are replaced when they die and end with it.

    Raises:
        UserError: this process may have no children.
    """
    if current_process().daemon:
        raise UserError(
            "A Dask worker under a nanny may not start processes, and every video is prepared in one of its own; "
            "start the workers with DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment."
        )
    with _ONE_AT_A_TIME:
        pool = _pools.get(workers)
        if pool is None or not pool.active:
            if pool is not None:
                _end(pool)
            pool = _pools[workers] = _open_pool(workers)
        return pool


_ONE_AT_A_TIME = threading.Lock()
#: The pool of each number of workers.
_pools: dict[int, ProcessPool] = {}
#: How often it is asked whether a pool is broken.
_LOOK_S = 1.0
#: In which a pool that goes on has ended what was cancelled.
_CANCEL_S = 10.0


def _open_pool(workers: int) -> ProcessPool:
    for name, value in opencv.ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    pool = ProcessPool(max_workers=workers, context=get_context("spawn"), initializer=_start_worker)
    atexit.register(end_pools)
    return pool


def _report(pool: ProcessPool, future: ProcessFuture, timeout_s: float) -> VideoReport | None:
    """What became of a video; None when the pool broke before that was known."""
    while not wait([future], timeout=_LOOK_S).done:
        if not pool.active:
            return None
    try:
        return future.result()
    except StorageError:
        raise
    except VideoFault as fault:
        return VideoReport(outcome=Outcome(fault.outcome), message=fault.message)
    except BrokenProcessPool:
        return None
    except FutureTimeoutError:
        return VideoReport(outcome=Outcome.TIMEOUT, message=f"it took longer than {timeout_s:g} s")
    except ProcessExpired as error:
        return VideoReport(outcome=Outcome.CRASHED, message=f"the worker process died (exit code {error.exitcode})")
    except Exception as error:  # a bug that one video shows must not end the others
        return VideoReport(outcome=Outcome.CRASHED, message=f"{type(error).__name__}: {error}")


def _start_worker() -> None:
    cv2.setNumThreads(1)  # one core per worker


def end_pools() -> None:
    """End the children of this process; the next preparation starts others, in the environment of then."""
    while _pools:
        _end(_pools.popitem()[1])


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
