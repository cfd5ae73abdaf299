"""Worker processes die, hang and run out of disk; each costs one video one attempt."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import FPS, draw_moving_face, draw_wall, report_of, video_file
from pebble import ProcessFuture, ProcessPool

from fer_models.errors import StorageError
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.preparation.shards import shard_path
from tasks.preparation.workers import Job, prepare_videos
from tasks.processes.pool import end_pools, worker_pool

SETTINGS = PrepareSettings()
LONG = "long"
#: Between two looks at who reads a file; to look takes time that the others lack.
_PAUSE_S = 0.02


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short videos of different subjects and a long one, which takes a second to prepare."""
    folder = tmp_path_factory.mktemp("films")
    for subject in range(4):
        write_video(folder / f"{subject}.mp4", draw_moving_face(1.0, 20, subject=subject), FPS)
    write_video(folder / f"{LONG}.mp4", draw_wall(40, (1280, 960)) * 4, FPS)
    return folder


@pytest.fixture
def jobs(films: Path, tmp_path: Path) -> list[Job]:
    """The long video first, the others after it."""
    videos = [video_file(path) for path in sorted(films.glob("*.mp4"), key=lambda path: path.stem != LONG)]
    return [Job(video.path.stem, video, shard_path(tmp_path / "shards", video.sha256)) for video in videos]


def processes_that_read(path: Path, among: Iterable[int]) -> Iterator[int]:
    """The processes that have a file open at this moment."""
    for process in among:
        with suppress(OSError):  # it ended meanwhile
            if any(link.readlink() == path for link in Path(f"/proc/{process}/fd").iterdir()):
                yield process


def process_that_reads(path: Path) -> int:
    """The process that has a file open, as soon as one has; a cluster may have to start first."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for process in processes_that_read(path, set(psutil.pids()) - {os.getpid()}):
            return process
        time.sleep(_PAUSE_S)
    raise AssertionError(f"nobody reads {path}")


@contextmanager
def hurt_who_reads(path: Path, fault: signal.Signals) -> Iterator[list[int]]:
    """Send a signal to every child of this process that opens a file, as soon as it has; gives those it was sent to.

    On a busy machine the file may be read between two looks.
    """
    hurt: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_PAUSE_S):
            for process in processes_that_read(path, [child.pid for child in psutil.Process().children()]):
                with suppress(OSError, psutil.Error):
                    hurt_if_it_reads(process)

    def hurt_if_it_reads(process: int) -> None:
        """Stopped first, for it may have gone on to another file since it was looked at."""
        os.kill(process, signal.SIGSTOP)
        while psutil.Process(process).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)
        if reads := list(processes_that_read(path, [process])):
            os.kill(process, fault)
            hurt.append(process)
        if not reads or fault is not signal.SIGSTOP:
            os.kill(process, signal.SIGCONT)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield hurt
    finally:
        done.set()
        watching.join()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(
    ("fault", "timeout_s", "outcome", "words"),
    [
        (signal.SIGSEGV, 60.0, Outcome.CRASHED, "worker process died"),
        (signal.SIGKILL, 60.0, Outcome.CRASHED, "worker process died"),  # as by the kernel when memory runs out
        (signal.SIGSTOP, 3.0, Outcome.TIMEOUT, "longer than 3 s"),  # a process that hangs
    ],
)
def test_a_worker_that_dies_or_hangs_costs_one_video_one_attempt(
    jobs: list[Job], fault: signal.Signals, timeout_s: float, outcome: Outcome, words: str
) -> None:
    hurt: list[int] = []
    while not hurt:
        jobs[0].shard.unlink(missing_ok=True)
        with hurt_who_reads(jobs[0].video.path, fault) as hurt:
            reports = prepare_videos(jobs, SETTINGS, workers=2, timeout_s=timeout_s)
    ended = {job.video_id: reports[job.video.sha256] for job in jobs}
    assert (ended[LONG].outcome, words in ended[LONG].message) == (outcome, True)
    assert {report.outcome for name, report in ended.items() if name != LONG} == {Outcome.OK}
    assert sorted(job.video_id for job in jobs if job.shard.exists()) == ["0", "1", "2", "3"]
    again = prepare_videos(jobs[:1], SETTINGS, workers=2, timeout_s=60.0)
    assert again[jobs[0].video.sha256].outcome is Outcome.NO_FACE, "the pool goes on"
    assert report_of(jobs[0].shard).outcome is Outcome.NO_FACE


def test_a_worker_that_dies_with_nothing_to_do_takes_nothing_along(jobs: list[Job]) -> None:
    """As by the kernel when memory runs out: the pool cannot tell whose video it had, and is broken from then on."""
    end_pools()  # those of other tests
    before = {child.pid for child in active_children()}
    assert prepare_videos(jobs[1:2], SETTINGS, workers=1, timeout_s=60.0)[jobs[1].video.sha256].outcome is Outcome.OK
    pool = worker_pool(1)
    (idle,) = {child.pid for child in active_children()} - before
    os.kill(idle, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while pool.active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not pool.active
    reports = prepare_videos(jobs[2:], SETTINGS, workers=1, timeout_s=60.0)
    assert [reports[job.video.sha256].outcome for job in jobs[2:]] == [Outcome.OK] * len(jobs[2:])


def test_a_file_that_changes_meanwhile_is_unreadable_and_leaves_no_shard(jobs: list[Job], tmp_path: Path) -> None:
    copy = tmp_path / "copied.mp4"
    content = jobs[1].video.path.read_bytes()
    copy.write_bytes(content[: len(content) // 2])  # a file that is still being copied when it is listed
    job = Job("copied", video_file(copy), tmp_path / "shards" / "ab" / "ab.parquet")
    copy.write_bytes(content)
    (report,) = prepare_videos([job], SETTINGS, workers=2, timeout_s=60.0).values()
    assert (report.outcome, "was changed" in report.message) == (Outcome.UNREADABLE, True)
    copy.unlink()
    (report,) = prepare_videos([job], SETTINGS, workers=2, timeout_s=60.0).values()
    assert (report.outcome, "No such file" in report.message) == (Outcome.UNREADABLE, True)
    assert not job.shard.exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that has no room left for a shard."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=16k tmpfs {folder} 2>/dev/null"):
        pytest.skip("file systems cannot be mounted here")
    yield folder
    os.system(f"umount {folder}")


def test_a_full_disk_stops_the_run_with_one_sentence_and_leaves_nothing(
    jobs: list[Job], full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled: list[ProcessFuture] = []
    schedule = ProcessPool.schedule

    def spy(*arguments: Any, **options: Any) -> ProcessFuture:
        scheduled.append(schedule(*arguments, **options))
        return scheduled[-1]

    monkeypatch.setattr(ProcessPool, "schedule", spy)
    (full_disk / "shards").mkdir()
    crowded = [Job(job.video_id, job.video, shard_path(full_disk / "shards", job.video.sha256)) for job in jobs[1:]]
    with pytest.raises(StorageError, match=r"shards cannot be written \(No space left on device\); what is prepared"):
        prepare_videos(crowded, SETTINGS, workers=2, timeout_s=60.0)
    assert not wait(scheduled, timeout=0).not_done, "what was given up is at an end"
    whole = [path for path in full_disk.rglob("*.parquet") if not path.name.startswith(".")]
    assert all(report_of(path).outcome is Outcome.OK for path in whole)
    elsewhere = prepare_videos(jobs[1:], SETTINGS, workers=2, timeout_s=60.0)
    assert {report.outcome for report in elsewhere.values()} == {Outcome.OK}, "the pool goes on"


def test_a_folder_that_cannot_be_written_stops_the_run(jobs: list[Job], tmp_path: Path) -> None:
    (tmp_path / "shards").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        prepare_videos(jobs[1:], SETTINGS, workers=2, timeout_s=60.0)
