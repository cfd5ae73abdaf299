"""Speed and memory of training; `make bench-train`.

The cases alternate; medians. Prints what it finds and writes `benchmarks/results/train.json`. Seconds are those of the
clock; on a machine that has other work, the ratios in CPU seconds (`_cpu`) are the ones to trust.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice, product
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from study_reading import ahead, read_batches, write_pictures
from train_cost import estimates, training_flop
from train_worker import ARM, make_engine, random_segments

from fer_models.training.sampling import epoch_batches
from tasks.config.presets import PRESETS
from tasks.study.runs import training_of

RESULTS = Path(__file__).parent / "results" / "train.json"
BACKENDS = ("tensorflow", "jax")
PRECISIONS = ("float32", "mixed_bfloat16")
BATCH_SIZES = (32, 128, 256)
SECTIONS = ("sample", "corrected", "steps", "memory_sample", "memory_corrected", "estimates")


def alternate(cases: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each case (rounds, 2): of the clock, and of this process's CPU; without the round that compiles."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeats + 1):
        for name, run in cases.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - start, time.process_time() - cpu_start))
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def training_speed(preset: str, steps: int, repeats: int) -> dict[str, float]:
    """Samples/s at a preset's size: the training loop, its step alone, its input alone, and the study's way.

    `loop` is an epoch as `fit` runs it, without its validation; `step` the compiled step on one batch that lies ready;
    `input` gathers rows and augments them, with no step; `study_input` and `study` do so from image files.
    """
    settings = PRESETS[preset]()
    how = training_of(settings, ARM)
    size = how.batch_size
    segments = random_segments(steps * size)
    engine = make_engine(settings.model, how)
    model, trainer = engine.model, engine._trainer
    plain = make_engine(settings.model, how.model_copy(update={"augmentation": None}))._trainer
    rows = np.arange(size)
    inputs = [segments.faces[rows], segments.optical_flows[rows].astype(np.float32)]
    ready = keras.tree.map_structure(
        keras.ops.convert_to_tensor, (inputs, segments.labels[rows], np.ones(size, np.float32))
    )
    trainer.train_on_batch(*ready)  # makes the compiled step
    augmented = tf.function(keras.Model(model.inputs, model.get_layer("augmentation").output))

    def step() -> None:
        for _ in range(steps):
            logs = trainer.train_function(iter([ready]))
        float(logs["loss"])

    def read_rows() -> None:
        for chosen in epoch_batches(len(segments), size, 1, 0):
            augmented([segments.faces[chosen], segments.optical_flows[chosen].astype(np.float32)], training=True)

    with tempfile.TemporaryDirectory() as name:
        write_pictures(Path(name), segments)
        files, files_ahead = read_batches(Path(name), size), ahead(read_batches(Path(name), size))

        def study() -> None:
            for batch, labels in islice(files_ahead, steps):
                plain.train_on_batch(batch, labels)

        seconds = alternate(
            {
                "step": step,
                "loop": lambda: engine.train_epoch(segments, 1, []),
                "input": read_rows,
                "study_input": lambda: list(islice(files, steps)),
                "study": study,
            },
            repeats,
        )
        files_ahead.close()  # before the files go
    speed = {f"{name}_per_s": float(np.median(steps * size / value[:, 0])) for name, value in seconds.items()}

    def ratio(one: str, other: str, clock: int = 0) -> float:
        """Within a round: what else the machine does changes slower than that."""
        return float(np.median(seconds[one][:, clock] / seconds[other][:, clock]))

    return speed | {
        "loop_over_step": ratio("step", "loop"),
        "loop_over_step_cpu": ratio("step", "loop", clock=1),
        "loop_over_study": ratio("study", "loop"),
        "loop_over_study_cpu": ratio("study", "loop", clock=1),
        "input_over_study_input": ratio("study_input", "input"),
        "gflop_per_s": training_flop(model) * speed["loop_per_s"] / 1e9,
    }


class Worker:
    """A process of `train_worker.py`."""

    def __init__(self, backend: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "train_worker.py")],
            env=os.environ | {"KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **order: Any) -> Any:
        """Send an order and wait for its answer."""
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        raise RuntimeError(f"The worker ended with {self._process.wait()} on {order}.")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()


def step_speeds(repeats: int, samples: int, width: int = 128) -> dict[str, float]:
    """Samples/s of the corrected preset's step by backend, precision and batch size."""
    cases: dict[str, Callable[[], object]] = {}
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        workers = {backend: stack.enter_context(Worker(backend)) for backend in BACKENDS}
        for backend, precision, size in product(BACKENDS, PRECISIONS, BATCH_SIZES):
            order = {"width": width, "precision": precision, "batch_size": size, "steps": max(1, samples // size)}
            name = f"{backend} {precision} {size}"
            cases[name] = lambda name=name, backend=backend, order=order: taken.setdefault(name, []).append(
                order["steps"] * order["batch_size"] / workers[backend].ask(**order)
            )
        alternate(cases, repeats)
    return {name: statistics.median(values[1:]) for name, values in taken.items()}


def memory(preset: str) -> dict[str, float]:
    """Peak memory of a process that trains on a data set of the study's size."""
    with Worker("tensorflow") as worker:
        return worker.ask(memory=preset)


def cpu_name() -> str:
    """As Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.machine()


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=256, help="samples that a measurement of the large model takes")
    parser.add_argument("--only", choices=SECTIONS, help="measure this again, keep what was measured of the rest")
    arguments = parser.parse_args()
    record = json.loads(RESULTS.read_text(encoding="utf-8")) if arguments.only else {}
    record |= {"cpu": cpu_name(), "cores": os.cpu_count(), "keras": keras.__version__, "tensorflow": tf.__version__}
    large = PRESETS["corrected"]().training.batch_size
    measure: dict[str, Callable[[], dict[str, float]]] = {
        "sample": lambda: training_speed("sample", 60, arguments.repeats),
        "corrected": lambda: training_speed("corrected", max(1, arguments.samples // large), arguments.repeats),
        "steps": lambda: step_speeds(arguments.repeats, arguments.samples // 4),
        "memory_sample": lambda: memory("sample"),
        "memory_corrected": lambda: memory("corrected"),
        "estimates": lambda: estimates(record["corrected"]["loop_per_s"], record["steps"]),
    }
    for name in [arguments.only] if arguments.only else SECTIONS:
        load = os.getloadavg()[0]
        record[name] = measure[name]() | {"load": load}
        print(name, json.dumps({key: round(value, 3) for key, value in record[name].items()}), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
