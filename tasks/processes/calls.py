"""A call in a child process that its parent looks at now and then, while it does something else."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tasks.processes.pool import result_of, worker_pool

#: In which a pool that goes on has ended what was cancelled.
_CANCEL_S = 10.0


class Call:
    """A call that a child takes as soon as one is free.

    Args:
        workers: children of the pool.
        timeout_s: after so many seconds of work it ends as `timeout`; None for never.

    Raises:
        BrokenProcessPool: the pool broke just now; the next call gets another one.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Sequence[Any], workers: int, timeout_s: float | None = None
    ) -> None:
        self._pool, self._timeout_s = worker_pool(workers), timeout_s
        try:
            self._future = self._pool.schedule(function, arguments, timeout=timeout_s)
        except RuntimeError as error:
            raise BrokenProcessPool(str(error)) from error

    def is_over(self) -> bool:
        """Whether it has ended; raises `BrokenProcessPool` when that will never be known."""
        if self._future.done():
            return True
        if not self._pool.active:
            raise BrokenProcessPool("a child died before it had said which call it took")
        return False

    def is_begun(self) -> bool:
        """Whether a child is at it."""
        return bool(self._future.running())

    def result(self) -> Any:
        """Its value, once it is over; raises as `tasks.processes.pool.result_of`."""
        return result_of(self._future, self._timeout_s or 0.0)

    def cancel(self) -> bool:
        """End it, with its child, if it is not over; returns whether it was not."""
        return bool(self._future.cancel())


def await_cancelled(calls: Iterable[Call]) -> None:
    """Wait until the children of cancelled calls are gone: one that is ended late may have taken another call."""
    futures = [call._future for call in calls if call._pool.active]
    wait(futures, timeout=_CANCEL_S)
