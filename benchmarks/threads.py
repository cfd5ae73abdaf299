"""Threads of TensorFlow, alone and beside other work: `PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/threads.py`.

A process for each number of threads trains the arm of `make bench-train` at the size of the preset `sample` or
`corrected`, some steps at a time, one process after the other; then again beside processes that do nothing but compute.
Prints the seconds of each round, by the clock and of CPUs, and medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from train_worker import make_engine, random_segments

from tasks.config.presets import PRESETS
from tasks.cores import thread_environment, whole_cores


def train_when_told(preset: str, steps: int) -> None:
    """For each line that comes, so many steps by `blocks`; the first is before the first answer."""
    settings = PRESETS[preset]()
    how = settings.training.model_copy(update={"epochs": 1, "steps": steps, "engine": "blocks"})
    segments = random_segments(steps * how.batch_size)
    engine = make_engine(settings.model, how)
    engine.train_epoch(segments, 1, [])
    print("ready", flush=True)
    for _ in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        engine.train_epoch(segments, 1, [])
        print(json.dumps([time.perf_counter() - start, time.process_time() - cpu_start]), flush=True)


def environments() -> dict[str, dict[str, str]]:
    """Of each way: as TensorFlow has it, as `fer` sets it, and one thread."""
    plain = {name: value for name, value in os.environ.items() if name not in thread_environment()}
    one = dict.fromkeys(thread_environment(), "1")
    return {
        "TensorFlow's own": plain,
        f"whole cores ({whole_cores()})": plain | thread_environment(),
        "1 in an operation": plain | thread_environment() | {"TF_NUM_INTRAOP_THREADS": "1"},
        "1": plain | one,
    }


def main() -> None:
    """Print a row for each way, alone and beside others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="sample", choices=["sample", "corrected"])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--others", type=int, default=2, help="processes beside it")
    parser.add_argument("--child", action="store_true", help="train here, when told")
    chosen = parser.parse_args()
    if chosen.child:
        train_when_told(chosen.preset, chosen.steps)
        return
    command = [sys.executable, __file__, "--child", "--preset", chosen.preset, "--steps", str(chosen.steps)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    ways = {name: subprocess.Popen(command, env=env, **pipes) for name, env in environments().items()}
    for child in ways.values():
        child.stdout.readline()
    for others in (0, chosen.others):
        spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        found: dict[str, list[list[float]]] = {name: [] for name in ways}
        for _ in range(chosen.rounds):
            for name, child in ways.items():
                child.stdin.write("go\n")
                child.stdin.flush()
                found[name].append(json.loads(child.stdout.readline()))
        for process in spinning:
            process.kill()
        for name, rounds in found.items():
            clock, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
            each = " ".join(f"{one[0]:.2f}" for one in rounds)
            print(f"{chosen.preset}, beside {others}: {name}: {clock:.2f} s ({each}), CPU {cpu:.2f} s", flush=True)
    for child in ways.values():
        child.stdin.close()
        child.wait()


if __name__ == "__main__":
    main()
