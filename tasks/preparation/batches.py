"""Sharing many videos out to tasks, and trying again what failed for no fault of its own.

Knows nothing of Prefect: how a batch of videos is run is given by the caller.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tasks.outcomes import RETRIED, Outcome
from tasks.preparation.workers import Job
from tasks.progress import echo, progress
from tasks.video.segments import VideoReport

#: Up to so many videos have a task each, so that Prefect's page shows them. A task run costs up to 40 ms of CPU time,
#: and a server loses records beyond some thousands of them a flow run, so for more videos ...
_MOST_SINGLE = 1000
#: ... there are about this many tasks ...
_TASKS = 64
#: ... and no task has more videos than this, so that progress shows.
_MOST_VIDEOS = 256
#: Where a task costs more than that (`WorkerCapacity.task_cost_s`), they are so large that it stays below this share.
_MOST_OVERHEAD = 0.05
#: So many batches a worker, if there are videos enough: then few workers are idle while the last ones end.
_BATCHES_A_WORKER = 4


@dataclass(frozen=True)
class WorkerCapacity:
    """Who prepares batches: how many of them at once, and what a task costs beside its videos, in seconds.

    The cost counts where it is worth a thought, on clusters; 0 says that it does not matter. `videos_per_task` is what
    the settings say; None leaves it to `batch_size`.
    """

    num_workers: int = 1
    task_cost_s: float = 0.0
    videos_per_task: int | None = None


@dataclass(frozen=True)
class Batch:
    """Videos that one task prepares, and a name that says which."""

    name: str
    jobs: Sequence[Job]


#: Runs batches and yields their reports, by SHA-256, in the order in which they end.
RunBatches = Callable[[Iterator[Batch]], Iterator[dict[str, VideoReport]]]


@dataclass
class Attempts:
    """What became of the videos, by SHA-256: the report of the last attempt, and the number of attempts."""

    reports: dict[str, VideoReport] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    _num_timed: int = 0
    _total_s: float = 0.0

    def add(self, reports: dict[str, VideoReport]) -> None:
        """Take the reports of a batch."""
        self.reports |= reports
        for sha256 in reports:
            self.counts[sha256] = self.counts.get(sha256, 0) + 1
        self.learn(reports.values())

    def learn(self, reports: Iterable[VideoReport]) -> None:
        """Take note of how long videos took, in this run or before."""
        for report in reports:
            self._num_timed += report.seconds > 0
            self._total_s += report.seconds

    @property
    def seconds(self) -> float | None:
        """What a video takes on average; None while no video is known."""
        return self._total_s / self._num_timed if self._num_timed else None


def prepare_all(
    jobs: Sequence[Job],
    run: RunBatches,
    retries: int,
    pause_s: float,
    most_failed: float,
    capacity: WorkerCapacity = WorkerCapacity(),
    before: Iterable[VideoReport] = (),
) -> Attempts:
    """Prepare all videos; those that crashed or could not be read are tried again after a pause that grows.

    Of those, few share a task, whatever it costs: what was lost together is taken apart.

    Args:
        retries: further attempts of a video.
        pause_s: seconds before the first of them; each later one waits five times longer.
        most_failed: once more videos than this have failed for good, no further ones are begun.
        capacity: who runs the batches.
        before: reports of earlier runs, which tell how long a video takes.
    """
    attempts = Attempts()
    attempts.learn(before)
    _round("Preparing videos", jobs, run, attempts, most_failed, capacity)
    for number in range(retries):
        again = [job for job in jobs if _is_retried(attempts, job)]
        if not again:
            break
        delay_s = pause_s * 5**number
        echo(f"{len(again)} videos crashed or could not be read; they are tried again in {delay_s:g} s.")
        time.sleep(delay_s)
        _round(f"Attempt {number + 2}", again, run, attempts, most_failed, WorkerCapacity(capacity.num_workers))
    return attempts


def _round(
    title: str, jobs: Sequence[Job], run: RunBatches, attempts: Attempts, most_failed: float, capacity: WorkerCapacity
) -> None:
    if not jobs:
        return
    num_failed = sum(report.outcome not in {Outcome.OK, *RETRIED} for report in attempts.reports.values())
    stopped = num_failed > most_failed

    def size() -> int:
        return batch_size(len(jobs), capacity, attempts.seconds)

    batches = itertools.takewhile(lambda _: not stopped, split_into_batches(jobs, size))
    with progress(title, len(jobs)) as advance:
        for reports in run(batches):
            attempts.add(reports)
            for report in reports.values():
                advance("" if report.outcome is Outcome.OK else f"{report.outcome}: {report.message}")
                num_failed += report.outcome not in {Outcome.OK, *RETRIED}
            stopped = num_failed > most_failed


def batch_size(num_videos: int, capacity: WorkerCapacity, seconds: float | None) -> int:
    """How many of a round's videos the next batch should have: one, or more where there are many or tasks cost much.

    Where they cost much, every worker gets a batch all the same, and all get equally many.

    Args:
        num_videos: videos of the whole round.
        seconds: what one takes; None while that is unknown, which makes the first batches single videos.
    """
    if capacity.videos_per_task:
        return capacity.videos_per_task
    if seconds is None if capacity.task_cost_s else num_videos <= _MOST_SINGLE:
        return 1
    least = math.ceil(capacity.task_cost_s / _MOST_OVERHEAD / seconds) if seconds and capacity.task_cost_s else 1
    num_batches = num_videos // least
    if least > 1:
        num_batches = max(num_batches - num_batches % capacity.num_workers, capacity.num_workers)
    num_batches = min(num_batches, max(_TASKS, _BATCHES_A_WORKER * capacity.num_workers))
    return max(1, min(-(-num_videos // max(num_batches, 1)), max(_MOST_VIDEOS, least)))


def split_into_batches(jobs: Sequence[Job], size: Callable[[], int]) -> Iterator[Batch]:
    """Named batches of videos that follow each other; `size` is asked before each how many videos it should have."""
    start = 0
    while start < len(jobs):
        batch = jobs[start : start + size()]
        start += len(batch)
        yield Batch(batch[0].video_id + (f" and {len(batch) - 1} more" if len(batch) > 1 else ""), batch)


def _is_retried(attempts: Attempts, job: Job) -> bool:
    report = attempts.reports.get(job.video.sha256)
    return report is not None and report.outcome in RETRIED
