"""A function of each of many files, several at a time: to ask a disk or share takes waiting."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tasks.cores import whole_cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
#: Of very many files so many are handed to a thread at once: that takes longer than to ask a local disk for one.
_MOST_IN_BATCH, _LEAST_BATCHES = 32, 64


def map_in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """The results in the order of the items."""
    threads = min(8, whole_cores() * 2)
    size = max(1, min(_MOST_IN_BATCH, len(items) // (threads * _LEAST_BATCHES)))

    def of_batch(start: int) -> list[_Result]:
        return [function(item) for item in items[start : start + size]]

    with ThreadPoolExecutor(threads) as pool:
        for results in pool.map(of_batch, range(0, len(items), size)):
            yield from results
