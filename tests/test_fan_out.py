"""Videos are shared out to batches, and those that failed for no fault of their own are tried again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import video_file

from tasks.contents import VideoFile
from tasks.fan_out import Batch, prepare_all, split_into_batches
from tasks.outcomes import Outcome
from tasks.settings import PrepareSettings
from tasks.shards import VideoReport, read_report
from tasks.workers import Job, prepare_videos


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
    [(0, []), (1, [1]), (64, [1] * 64), (65, [2] * 32 + [1]), (200, [4] * 50), (100_000, [256] * 390 + [160])],
)
def test_few_videos_have_a_task_each_and_many_share_them(number: int, sizes: list[int]) -> None:
    jobs = make_jobs(number)
    batches = list(split_into_batches(jobs))
    assert [len(batch.jobs) for batch in batches] == sizes
    assert [job for batch in batches for job in batch.jobs] == jobs


def test_a_batch_is_named_after_its_videos() -> None:
    assert [batch.name for batch in split_into_batches(make_jobs(2))] == ["v0", "v1"]
    assert next(split_into_batches(make_jobs(130))).name == "v0 and 2 more"


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
    job = Job("v", video_file(moving_face), tmp_path / "shards" / "ab" / "v.parquet")
    away = moving_face.rename(tmp_path / "away")

    def run(batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
        for batch in batches:
            yield prepare_videos(batch.jobs, PrepareSettings(), workers=2, timeout_s=60.0)
        if away.exists():
            away.rename(moving_face)

    attempts = prepare_all([job], run, retries=1, pause_s=0.0, most_failed=0)
    assert attempts.counts == {job.video.sha256: 2}
    assert attempts.reports[job.video.sha256].outcome is Outcome.OK
    assert read_report(job.shard).outcome is Outcome.OK
