"""Sharing many videos out to tasks, and trying again what failed for no fault of its own.

Knows nothing of Prefect: how a batch of videos is run is given by the caller.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tasks.outcomes import RETRIED, Outcome
from tasks.progress import progress, say
from tasks.shards import VideoReport
from tasks.workers import Job

#: A task run costs its scheduler up to 40 ms of CPU time and a server loses records beyond some thousands of them a
#: flow run, so there are about this many tasks (a video each, while there are no more videos than that) ...
_TASKS = 64
#: ... and no task has more videos than this, so that progress shows.
_MOST_VIDEOS = 256


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

    def add(self, reports: dict[str, VideoReport]) -> None:
        """Take the reports of a batch."""
        self.reports |= reports
        for sha256 in reports:
            self.counts[sha256] = self.counts.get(sha256, 0) + 1


def prepare_all(jobs: Sequence[Job], run: RunBatches, retries: int, pause_s: float, most_failed: float) -> Attempts:
    """Prepare all videos; those that crashed or could not be read are tried again after a pause that grows.

    Args:
        retries: further attempts of a video.
        pause_s: seconds before the first of them; each later one waits five times longer.
        most_failed: once more videos than this have failed for good, no further ones are begun.
    """
    attempts = Attempts()
    _round("Preparing videos", jobs, run, attempts, most_failed)
    for number in range(retries):
        again = [job for job in jobs if _is_retried(attempts, job)]
        if not again:
            break
        delay_s = pause_s * 5**number
        say(f"{len(again)} videos crashed or could not be read; they are tried again in {delay_s:g} s.")
        time.sleep(delay_s)
        _round(f"Attempt {number + 2}", again, run, attempts, most_failed)
    return attempts


def _round(title: str, jobs: Sequence[Job], run: RunBatches, attempts: Attempts, most_failed: float) -> None:
    if not jobs:
        return
    num_failed = sum(report.outcome not in {Outcome.OK, *RETRIED} for report in attempts.reports.values())
    stopped = num_failed > most_failed

    batches = itertools.takewhile(lambda _: not stopped, split_into_batches(jobs))
    with progress(title, len(jobs)) as advance:
        for reports in run(batches):
            attempts.add(reports)
            for report in reports.values():
                advance("" if report.outcome is Outcome.OK else f"{report.outcome}: {report.message}")
                num_failed += report.outcome not in {Outcome.OK, *RETRIED}
            stopped = num_failed > most_failed


def split_into_batches(jobs: Sequence[Job]) -> Iterator[Batch]:
    """Named batches of videos that follow each other: one video each, or more where there are many."""
    size = min(_MOST_VIDEOS, -(-len(jobs) // _TASKS)) or 1
    for start in range(0, len(jobs), size):
        batch = jobs[start : start + size]
        yield Batch(batch[0].video_id + (f" and {len(batch) - 1} more" if len(batch) > 1 else ""), batch)


def _is_retried(attempts: Attempts, job: Job) -> bool:
    report = attempts.reports.get(job.video.sha256)
    return report is not None and report.outcome in RETRIED
