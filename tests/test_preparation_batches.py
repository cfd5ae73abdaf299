"""Videos are shared out to batches, and those that failed for no fault of their own are tried again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import report_of, video_file

from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.preparation.batches import Batch, WorkerCapacity, batch_size, prepare_all, split_into_batches
from tasks.preparation.shards import shard_path
from tasks.preparation.workers import Job, prepare_videos
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import VideoReport


def make_jobs(number: int) -> list[Job]:
    return [Job(f"v{i}", VideoFile(Path(f"v{i}.mp4"), f"sha{i}", 1, 1), Path(f"sha{i}.parquet")) for i in range(number)]


class Script:
    """Runs batches by a script: the outcomes of a video in its first, second, ... attempt; `ok` where none is named."""

    def __init__(self, **outcomes: list[Outcome]) -> None:
        self.outcomes = outcomes
        self.attempted: list[str] = []

    def __call__(self, batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
        for batch in batches:
            yield {job.video.sha256: VideoReport(outcome=self.next_outcome(job.video_id)) for job in batch.jobs}

    def next_outcome(self, video_id: str) -> Outcome:
        number = self.attempted.count(video_id)
        self.attempted.append(video_id)
        outcomes = self.outcomes.get(video_id, [])
        return outcomes[number] if number < len(outcomes) else Outcome.OK


@pytest.mark.parametrize(
    ("number", "sizes"),
    [(0, []), (1, [1]), (1000, [1] * 1000), (1001, [16] * 62 + [9]), (100_000, [256] * 390 + [160])],
)
def test_few_videos_have_a_task_each_and_many_share_them(number: int, sizes: list[int]) -> None:
    jobs = make_jobs(number)
    batches = list(split_into_batches(jobs, lambda: batch_size(number, WorkerCapacity(2), None)))
    assert [len(batch.jobs) for batch in batches] == sizes
    assert [job for batch in batches for job in batch.jobs] == jobs


def test_so_many_videos_share_a_task_as_the_settings_say() -> None:
    for task_cost_s in (0.0, 0.3):
        size = batch_size(12, WorkerCapacity(2, task_cost_s, videos_per_task=5), None)
        assert [len(batch.jobs) for batch in split_into_batches(make_jobs(12), lambda size=size: size)] == [5, 5, 2]


def test_a_batch_is_named_after_its_videos() -> None:
    assert [batch.name for batch in split_into_batches(make_jobs(2), lambda: 1)] == ["v0", "v1"]
    assert next(split_into_batches(make_jobs(9), lambda: 3)).name == "v0 and 2 more"


CLUSTER = WorkerCapacity(num_workers=4, task_cost_s=0.15)


@pytest.mark.parametrize("num_videos", [300, 5_000, 100_000])
@pytest.mark.parametrize("seconds", [0.004, 0.05, 0.4, 3.0, 200.0])
def test_tasks_that_cost_much_have_videos_enough_and_workers_tasks_enough(num_videos: int, seconds: float) -> None:
    size = batch_size(num_videos, CLUSTER, seconds)
    num_batches = -(-num_videos // size)
    work_s = num_videos * seconds
    assert num_batches >= CLUSTER.num_workers
    if num_batches > CLUSTER.num_workers:
        assert CLUSTER.task_cost_s <= 0.05 * size * seconds
    if work_s >= 2 * 16 * CLUSTER.task_cost_s / 0.05:
        assert num_batches >= 4 * CLUSTER.num_workers


@pytest.mark.parametrize(
    ("num_videos", "seconds", "size"),
    [
        (1000, None, 1),  # nothing is known yet
        (1, 0.05, 1),
        (3, 0.05, 1),
        (7, 10.0, 1),
        (24, 0.05, 6),  # a batch a worker, though it costs more than 5 %
        (600, 0.05, 75),  # 60 would do; so every worker gets two
        (1000, 10.0, 16),
        (100_000, 10.0, 256),
        (100_000, 0.004, 750),
    ],
)
def test_batches_on_a_cluster(num_videos: int, seconds: float | None, size: int) -> None:
    assert batch_size(num_videos, CLUSTER, seconds) == size


def test_batches_grow_once_it_is_known_how_long_a_video_takes() -> None:
    sizes: list[int] = []

    def run(batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
        for number, batch in enumerate(batches):
            sizes.append(len(batch.jobs))
            outcome = Outcome.CRASHED if number == 3 else Outcome.OK
            yield {job.video.sha256: VideoReport(outcome=outcome, seconds=0.1) for job in batch.jobs}

    prepare_all(make_jobs(300), run, 1, 0.0, 0, CLUSTER)
    assert sizes[:9] == [1, 38, 38, 38, 38, 38, 38, 38, 33]
    assert sizes[9:] == [1] * 38, "what was lost together is taken apart"
    sizes.clear()
    prepare_all(make_jobs(300), run, 0, 0.0, 0, CLUSTER, [VideoReport(outcome=Outcome.OK, seconds=0.1)])
    assert sizes[0] == 38, "the last run tells it too"


def test_only_faults_that_may_pass_are_tried_again() -> None:
    script = Script(
        v0=[Outcome.CRASHED],
        v1=[Outcome.UNREADABLE, Outcome.CRASHED],
        v2=[Outcome.CRASHED] * 9,
        v3=[Outcome.TIMEOUT],
        v4=[Outcome.NO_FACE],
        v5=[Outcome.UNDECODABLE],
    )
    attempts = prepare_all(make_jobs(7), script, retries=2, pause_s=0.0, most_failed=100)
    ended = {sha256: (str(report.outcome), attempts.counts[sha256]) for sha256, report in attempts.reports.items()}
    assert ended == {
        "sha0": ("ok", 2),
        "sha1": ("ok", 3),
        "sha2": ("crashed", 3),
        "sha3": ("timeout", 1),
        "sha4": ("no_face", 1),
        "sha5": ("undecodable", 1),
        "sha6": ("ok", 1),
    }


def test_no_retries() -> None:
    attempts = prepare_all(make_jobs(1), Script(v0=[Outcome.CRASHED]), retries=0, pause_s=0.0, most_failed=100)
    assert attempts.counts == {"sha0": 1}


@pytest.mark.parametrize("most_failed", [0, 2.5])
def test_nothing_is_begun_once_too_many_have_failed(most_failed: float) -> None:
    script = Script(**{f"v{i}": [Outcome.NO_FACE] for i in range(10)})
    attempts = prepare_all(make_jobs(20), script, retries=2, pause_s=0.0, most_failed=most_failed)
    assert len(attempts.reports) == int(most_failed) + 1
    assert prepare_all(make_jobs(20), script, 2, 0.0, most_failed=-1).reports == {}


def test_a_share_that_comes_back_costs_an_attempt(tmp_path: Path, moving_face: Path) -> None:
    """The file is gone when its turn comes, and there again for the second attempt."""
    video = video_file(moving_face)
    job = Job("v", video, shard_path(tmp_path / "shards", video.sha256))
    away = moving_face.rename(tmp_path / "away")

    def run(batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
        for batch in batches:
            yield prepare_videos(batch.jobs, PrepareSettings(), workers=2, timeout_s=60.0)
        if away.exists():
            away.rename(moving_face)

    attempts = prepare_all([job], run, retries=1, pause_s=0.0, most_failed=0)
    assert attempts.counts == {job.video.sha256: 2}
    assert attempts.reports[job.video.sha256].outcome is Outcome.OK
    assert report_of(job.shard).outcome is Outcome.OK
