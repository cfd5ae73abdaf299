"""What a task costs on threads and on Dask, and its share of a preparation: `python benchmarks/task_runners.py`.

Empty tasks, the runners alternating, medians; then the sample corpus (`fer sample`) prepared from nothing with each.
Prints two tables. Everything lies in a temporary folder, Prefect's database too.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

from flows.environment import prepare_environment

RUNNERS = ("threads", "dask")


def task_seconds(task_runner: str, num_tasks: int) -> float:
    """Seconds an empty task takes a worker, start of the cluster and first task of each worker aside."""
    from prefect import flow

    from tasks.settings import ExecutionSettings, PrepareSettings
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
            return run(num_tasks) * runner.crew.num_workers / num_tasks

    return empty_tasks()


def prepare_corpus(task_runner: str, corpus: Path, data_root: Path) -> tuple[float, float, int]:
    """Prepare a corpus: wall clock, s; what the videos took, s; number of tasks."""
    import pandas as pd

    from flows import prepare as flow_module
    from tasks.configuration import resolve_settings
    from tasks.layout import Layout

    overrides = {
        "corpus.root": str(corpus),
        "data_root": str(data_root),
        "execution.task_runner": task_runner,
        "execution.workers": 2,
    }
    counted: list[object] = []
    of_batch = flow_module._reports
    flow_module._reports = lambda batch, result: (counted.append(batch), of_batch(batch, result))[1]
    start = time.perf_counter()
    try:
        flow_module.prepare("sample", None, overrides)
    finally:
        flow_module._reports = of_batch
    wall_s = time.perf_counter() - start
    ledger = pd.read_parquet(Layout.of(resolve_settings("sample", None, overrides)).ledger)
    return wall_s, float(ledger["seconds"].sum()), len(counted)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = folder
        prepare_environment(quiet=True)
        from tasks.sample.corpus import SampleCorpus, write_corpus

        corpus = Path(folder) / "corpus"
        write_corpus(corpus, SampleCorpus())
        costs: dict[str, list[float]] = {name: [] for name in RUNNERS}
        runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in RUNNERS}
        for number, name in itertools.product(range(arguments.repeats), RUNNERS):
            costs[name].append(task_seconds(name, arguments.tasks))
            runs[name].append(prepare_corpus(name, corpus, Path(folder) / f"{name}{number}"))
    print(
        "| runner | ms a task | tasks | videos, s | tasks over videos, % | wall clock, s |\n|---|---:|---:|---:|---:|---:|"
    )
    for name in RUNNERS:
        cost_s = statistics.median(costs[name])
        wall_s, work_s, num_tasks = (statistics.median(values) for values in zip(*runs[name], strict=True))
        share = 100 * num_tasks * cost_s / work_s
        print(f"| {name} | {1000 * cost_s:.0f} | {num_tasks:.0f} | {work_s:.1f} | {share:.1f} | {wall_s:.1f} |")


if __name__ == "__main__":
    main()
