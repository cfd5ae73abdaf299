"""Child processes that decode videos, so that a video can crash or hang without taking anything else along."""

import atexit
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from typing import Any, TypeVar

import cv2
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from fer_models.errors import StorageError, UserError, VideoFault
from tasks.outcomes import Outcome
from tasks.video import opencv

_T = TypeVar("_T")
DIED = "the worker process died"


def call_each(
    function: Callable[..., _T], calls: Sequence[Sequence[Any]], workers: int, timeout_s: float
) -> list[_T | VideoFault]:
    """What a function gives for each of these arguments in child processes: its value, or the fault it ended with.

    That is `timeout` after `timeout_s` seconds of work, and `crashed` when the child died. When a child dies before it
    has said which call it took, the pool cannot go on: what it left is then tried one by one in another.

    Raises:
        StorageError: a call raised it; what was not begun is left alone.
    """
    ended = _run(function, calls, workers, timeout_s)
    for number, arguments in enumerate(calls):
        if number not in ended:
            alone = _run(function, [arguments], workers, timeout_s)
            ended[number] = alone.get(0, VideoFault(Outcome.CRASHED, DIED))
    return [ended[number] for number in range(len(calls))]


def _run(
    function: Callable[..., _T], calls: Sequence[Sequence[Any]], workers: int, timeout_s: float
) -> dict[int, _T | VideoFault]:
    """What became of those calls, by their numbers, that the pool came to before it broke, if it does."""
    pool = worker_pool(workers)
    futures: list[ProcessFuture] = []
    try:
        for arguments in calls:
            try:
                futures.append(pool.schedule(function, arguments, timeout=timeout_s))
            except RuntimeError:  # the pool is broken
                break
        ended = {number: _await(pool, future, timeout_s) for number, future in enumerate(futures)}
        return {number: one for number, one in ended.items() if one is not None}
    finally:
        for future in futures:
            future.cancel()  # does nothing to those that ended
        # a child that is ended too late may have taken another call already
        wait(futures, timeout=_CANCEL_S if pool.active else 0.0)


def _await(pool: ProcessPool, future: ProcessFuture, timeout_s: float) -> Any:
    """The value of a call or the fault it ended with; None when the pool broke before that was known."""
    while not wait([future], timeout=_LOOK_S).done:
        if not pool.active:
            return None
    try:
        return result_of(future, timeout_s)
    except VideoFault as fault:
        return fault
    except BrokenProcessPool:
        return None


def result_of(future: ProcessFuture, timeout_s: float) -> Any:
    """The value of a call that has ended.

    Args:
        timeout_s: what it was given, for the message.

    Raises:
        VideoFault: one that the call raised; `timeout`; `crashed` when the child died, or for anything else that was
            raised: a bug that one video shows must not end the others.
        StorageError: the call raised it.
        BrokenProcessPool: the pool broke before more was known.
    """
    try:
        return future.result()
    except (StorageError, VideoFault, BrokenProcessPool):
        raise
    except FutureTimeoutError as error:
        raise VideoFault(Outcome.TIMEOUT, f"it took longer than {timeout_s:g} s") from error
    except ProcessExpired as error:
        raise VideoFault(Outcome.CRASHED, f"{DIED} (exit code {error.exitcode})") from error
    except Exception as error:
        raise VideoFault(Outcome.CRASHED, f"{type(error).__name__}: {error}") from error


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


def _start_worker() -> None:
    cv2.setNumThreads(1)  # one core per worker


def end_pools() -> None:
    """End the children of this process; who needs a pool next starts others, in the environment of then."""
    while _pools:
        _end(_pools.popitem()[1])


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
