"""What a task costs on threads and on Dask, and its share of a preparation, on two workers.

`PYTHONPATH=. .venv/bin/python benchmarks/task_runners.py` alternates the runners and takes medians: of empty tasks, and
of a preparation of the sample corpus (`fer sample`) from nothing. Prints a table; Prefect's database is temporary.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flows.environment import prepare_environment
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.preparation.batches import Batch
from tasks.video.segments import VideoReport

RUNNERS = ("threads", "dask")


def task_seconds(task_runner: str, num_tasks: int) -> float:
    """Seconds an empty task takes a worker, start of the cluster and first task of each worker aside."""
    from prefect import flow

    from tasks.config.settings import ExecutionSettings, PrepareSettings
    from tasks.steps.prepare import prepare_batch
    from tasks.steps.runners import open_runner

    @flow
    def empty_tasks() -> float:
        with open_runner(ExecutionSettings(task_runner=task_runner, workers=2)) as runner:

            def run(number: int) -> float:
                nothing = {"name": "nothing", "jobs": [], "settings": PrepareSettings(), "workers": 1, "timeout_s": 1.0}
                start = time.perf_counter()
                for _ in runner.run(prepare_batch, ((None, nothing) for _ in range(number))):
                    pass
                return time.perf_counter() - start

            run(8)
            return run(num_tasks) * runner.capacity.num_workers / num_tasks

    return empty_tasks()


def prepare_corpus(task_runner: str, corpus: Path, data_root: Path) -> tuple[float, float, int]:
    """Prepare a corpus as `fer prepare` does: wall clock, s; what the videos took, s; number of tasks."""
    from prefect import flow

    from flows.prepare import run_batches
    from tasks.config.resolving import resolve_settings
    from tasks.preparation.batches import prepare_all
    from tasks.preparation.scan import due_jobs, scan_corpus
    from tasks.steps.runners import open_runner

    overrides = {"corpus.root": str(corpus), "data_root": str(data_root)}
    overrides |= {"execution.task_runner": task_runner, "execution.workers": 2}
    settings = resolve_settings("sample", None, overrides)

    @flow
    def preparation() -> tuple[float, float, int]:
        jobs = due_jobs(scan_corpus(settings), settings)
        start = time.perf_counter()
        num_tasks = 0
        with open_runner(settings.execution) as runner:

            def run(batches: Iterator[Batch]) -> Iterator[dict[str, VideoReport]]:
                nonlocal num_tasks
                for reports in run_batches(batches, settings, runner):
                    num_tasks += 1
                    yield reports

            attempts = prepare_all(jobs, run, 0, 0.0, len(jobs), runner.capacity)
        videos_s = sum(report.seconds for report in attempts.reports.values())
        return time.perf_counter() - start, videos_s, num_tasks

    return preparation()


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SampleCorpus.seconds, help="length of a clip")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = folder
        prepare_environment(quiet=True)
        corpus = Path(folder) / "corpus"
        write_corpus(corpus, SampleCorpus(seconds=arguments.seconds))
        costs: dict[str, list[float]] = {name: [] for name in RUNNERS}
        runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in RUNNERS}
        for number, name in itertools.product(range(arguments.repeats), RUNNERS):
            costs[name].append(task_seconds(name, arguments.tasks))
            runs[name].append(prepare_corpus(name, corpus, Path(folder) / f"{name}{number}"))
    print("| runner | ms a task | tasks | videos, s | tasks over videos, % | wall clock, s |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in RUNNERS:
        cost_s = statistics.median(costs[name])
        wall_s, work_s, num_tasks = (statistics.median(values) for values in zip(*runs[name], strict=True))
        share = 100 * num_tasks * cost_s / work_s
        print(f"| {name} | {1000 * cost_s:.0f} | {num_tasks:.0f} | {work_s:.1f} | {share:.1f} | {wall_s:.1f} |")


if __name__ == "__main__":
    main()
