"""Child processes that decode videos, so that a video can crash or hang without taking anything else along."""

import atexit
import functools
from concurrent.futures import TimeoutError as FutureTimeoutError
from multiprocessing import get_context
from pathlib import Path

import cv2
from pebble import ProcessExpired, ProcessPool

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome
from tasks.preparation import prepare_file
from tasks.settings import PrepareSettings
from tasks.shards import VideoReport


@functools.cache
def worker_pool(workers: int) -> ProcessPool:
    """The pool of this process; its children are replaced when they die and end with this process."""
    pool = ProcessPool(max_workers=workers, context=get_context("spawn"), initializer=_start_worker)
    atexit.register(_end, pool)
    return pool


def prepare_in_worker(
    video: Path, sha256: str, shard: Path, settings: PrepareSettings, workers: int, timeout_s: float
) -> VideoReport:
    """Prepare a video in a child process.

    Raises:
        VideoFault: `timeout` after `timeout_s` seconds of work, `crashed` when the child died.
    """
    future = worker_pool(workers).schedule(prepare_file, args=[video, sha256, shard, settings], timeout=timeout_s)
    try:
        return future.result()
    except FutureTimeoutError as error:
        raise VideoFault(Outcome.TIMEOUT, f"it took longer than {timeout_s:g} s") from error
    except ProcessExpired as error:
        raise VideoFault(Outcome.CRASHED, f"the worker process died (exit code {error.exitcode})") from error


def _start_worker() -> None:
    cv2.setNumThreads(1)  # one core a worker


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
