"""Capacity: 100,000 videos through `fer-prepare` and a Prefect server, decoding left out; `make bench-capacity`.

The flow, its tasks and batches, the child processes, manifest, shards and ledger are the real ones, and so are the
server and its database. Only the function that a child process calls for a video is another one: it sleeps for 1 ms and
writes a shard of one segment. So the figures say what everything but the videos costs.

Prints what was measured and writes `benchmarks/results/capacity-<database>.json`. PostgreSQL is started for the run.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.preparation import workers
from tasks.preparation.shards import open_shard
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import FaceFrame, VideoReport

RESULTS = Path(__file__).parent / "results"
WORK_S = 0.001
SUBJECTS = 100
EMOTIONS = ("anger", "fear")
SEGMENT = FaceFrame(0, 0, 0.0, (0, 0, 48, 48), 1, np.zeros((48, 48, 3)), np.zeros((48, 48, 2)))
#: The server takes task runs in behind the flow run; when it took none in for so long, it has all that it will have.
_QUIET_S = 20.0


def simulate_file(video: VideoFile, shard: Path, settings: PrepareSettings, replace: bool = False) -> VideoReport:
    """What stands in for `tasks.preparation.prepare_file.prepare_file`."""
    time.sleep(WORK_S)
    report = VideoReport(
        sha256=video.sha256,
        prepare_digest=prepare_digest(settings),
        outcome=Outcome.OK,
        num_frames=16,
        num_segments=1,
        num_covered=1,
        seconds=WORK_S,
    )
    with open_shard(shard, 48) as writer:
        writer.add(SEGMENT)
        writer.close(report)
    return report


def write_files(root: Path, number: int) -> None:
    """Files of a few bytes under the names of videos, no two alike."""
    for one in range(number):
        folder = root / EMOTIONS[one % len(EMOTIONS)] / f"person{one // len(EMOTIONS) % SUBJECTS:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{one:08d}.mp4").write_text(str(one), encoding="utf-8")


@contextmanager
def prefect_server(database: str, home: Path) -> Iterator["Server"]:
    """A Prefect server with a new database, which this process and its flow runs use."""
    import sys

    from lab import free_port
    from postgres import find_binaries, postgres_server

    from tasks.services.databases import Databases
    from tasks.services.supervisor import Service, Supervisor, prefect_answers

    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    os.environ |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home / "prefect")}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]

    @contextmanager
    def databases() -> Iterator[Databases]:
        if database == "sqlite":
            yield Databases.in_folder(home)
            return
        binaries = find_binaries()
        assert binaries, "PostgreSQL is not installed"
        with postgres_server(binaries) as address:
            yield Databases.on_postgres(address)

    with databases() as chosen, Supervisor(home) as supervisor:
        supervisor.start(Service("Prefect server", command, lambda: chosen.prefect, lambda: prefect_answers(url)))
        yield Server(chosen.prefect["PREFECT_API_DATABASE_CONNECTION_URL"])


class Server:
    """Questions to a Prefect server's database and process."""

    def __init__(self, address: str) -> None:
        """Args: `address` of the database, as Prefect is given it."""
        import psutil
        import sqlalchemy

        sync = address.replace("+aiosqlite", "").replace("+asyncpg", "+psycopg2")
        self._engine = sqlalchemy.create_engine(sync)
        (self._process,) = [
            process for process in psutil.Process().children() if "server start" in " ".join(process.cmdline())
        ]

    def _ask(self, query: str) -> int:
        import sqlalchemy

        with self._engine.connect() as connection:
            return int(connection.execute(sqlalchemy.text(query)).scalar_one())

    @property
    def num_task_runs(self) -> int:
        return self._ask("SELECT count(*) FROM task_run")

    @property
    def num_bytes(self) -> int:
        """The database's size, the write-ahead log of SQLite included."""
        if self._engine.dialect.name == "postgresql":
            return self._ask("SELECT pg_database_size(current_database())")
        return sum(path.stat().st_size for path in Path(self._engine.url.database).parent.glob("prefect.db*"))

    @property
    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def settle(self) -> None:
        """Wait until no more task runs come in."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            if (now := self.num_task_runs) != seen:
                seen, since = now, time.monotonic()
            time.sleep(1.0)

    def growth(self, work: Callable[[], Any]) -> dict[str, float]:
        """Do some work and tell how long it took and what it left in the database."""
        rows, size, cpu_s = self.num_task_runs, self.num_bytes, self.cpu_s
        start, own_cpu_s = time.perf_counter(), time.process_time()
        work()
        figures = {"wall_s": time.perf_counter() - start, "flow_process_cpu_s": time.process_time() - own_cpu_s}
        self.settle()
        return figures | {
            "server_cpu_s": self.cpu_s - cpu_s,
            "task_runs_kept": self.num_task_runs - rows,
            "database_mb": (self.num_bytes - size) / 1e6,
        }


def prepare_many(server: Server, folder: Path, number: int) -> dict[str, float]:
    """Prepare a corpus of so many videos, then look at what is to be done again."""
    from flows.environment import silent_imports

    with silent_imports():
        from flows.prepare import prepare
    from tasks.config.layout import Layout
    from tasks.config.resolving import resolve_settings
    from tasks.corpus.manifest import read_manifest
    from tasks.preparation.batches import WorkerCapacity, batch_size, split_into_batches
    from tasks.preparation.ledger import plan_preparation
    from tasks.preparation.scan import due_jobs, scan_corpus

    overrides = {
        "data_root": str(folder / "data"),
        "corpus.adapter": "folder",
        "corpus.root": str(folder / "videos"),
        "corpus.emotions": list(EMOTIONS),
    }
    settings = resolve_settings(None, None, overrides)
    layout = Layout.of(settings)
    write_files(folder / "videos", number)
    jobs, first_scan_s = timed(lambda: due_jobs(scan_corpus(settings), settings))
    size = batch_size(number, WorkerCapacity(os.cpu_count() or 1), None)
    num_batches = len(list(split_into_batches(jobs, lambda: size)))
    figures = {"videos": number, "batches": num_batches, "first_scan_s": first_scan_s}
    del jobs
    before_mb = peak_mb()
    workers.prepare_file = simulate_file
    figures |= server.growth(lambda: prepare(overrides=overrides))
    figures["videos_a_second"] = number / figures["wall_s"]
    figures |= {"peak_mb": peak_mb(), "peak_mb_before": before_mb}
    scan, figures["scan_with_nothing_due_s"] = timed(lambda: scan_corpus(settings))
    assert scan.plan.due.empty
    assert len(scan.plan.done) == number
    plan, figures["plan_without_ledger_s"] = timed(
        lambda: plan_preparation(read_manifest(layout.manifest), None, layout.shards)
    )
    assert plan.due.empty
    sizes = {"ledger_mb": layout.ledger, "manifest_mb": layout.manifest}
    return figures | {name: path.stat().st_size / 1e6 for name, path in sizes.items()}


def run_empty_tasks(number: int) -> None:
    """So many tasks that do nothing, on two threads."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.task_runners import ThreadPoolTaskRunner

    @task(cache_policy=NO_CACHE)
    def nothing(number: int) -> int:
        return number

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def empty_tasks() -> int:
        return len(nothing.map(range(number)).result())

    assert empty_tasks() == number


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What some work returns, and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def peak_mb() -> float:
    """The most memory that this process had until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run all of it with one database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=1_000, help="empty tasks")
    arguments = parser.parse_args()
    from flows.environment import prepare_environment

    prepare_environment(quiet=True)
    with tempfile.TemporaryDirectory() as name, prefect_server(arguments.database, Path(name)) as server:
        tasks = server.growth(lambda: run_empty_tasks(arguments.tasks))
        tasks |= {"tasks": arguments.tasks, "tasks_a_second": arguments.tasks / tasks["wall_s"]}
        videos = prepare_many(server, Path(name), arguments.videos)
    record = {
        "empty_tasks": {key: round(value, 3) for key, value in tasks.items()},
        "videos": {key: round(value, 3) for key, value in videos.items()},
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2) + "\n"
    (RESULTS / f"capacity-{arguments.database}.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
