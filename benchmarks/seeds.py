"""Several seeds of an arm on one device, four ways; part of `make bench-gpu`, or by itself:

    KERAS_BACKEND=jax PYTHONPATH=.:benchmarks python benchmarks/seeds.py --width 16

`now`: one training after the other, each with a program of its own. `one program`: the same, but weights, optimizer and
draws of the next seed are put into the program of the first. `vmap`: all seeds in each step, on JAX. `processes`: a
process for each seed, all at once. Each way trains the same seeds on the same segments, from building the first model
to the last step of the last seed; the processes are told to begin when all have loaded their libraries. Ways alternate.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

#: Processes share a device, so that none may take all of its memory beforehand.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import keras
import numpy as np

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import AugmentationSettings, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.training.engine import Engine

ARM = "gap-sum"


def made_up(number: int, seed: int) -> SegmentArrays:
    """Noise in the shapes and types of the pipeline's arrays."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 256, (number, 48, 48, 3), np.uint8)
    flows = np.tile(rng.normal(0, 0.2, (256, 48, 48, 2)).astype(np.float16), (number // 256 + 1, 1, 1, 1))[:number]
    return pair_arrays(faces, flows, rng.integers(0, 6, number), np.arange(number) // 40, np.arange(number).astype(str))


def build(width: int, training: TrainingSettings, seed: int) -> keras.Model:
    """The model with fresh weights."""
    form = ModelSettings(width=width, head_units=8 * width)
    return build_model(ARMS[ARM], form, augmentation=training.augmentation, precision=training.precision, seed=seed)


def train(engine: Engine, data: SegmentArrays, epochs: int, seed: int) -> float:
    """Take the epochs; the loss of the last."""
    for number in range(epochs):
        loss = engine.train_epoch(data, seed, [None] * number).loss
    return loss


def as_now(width: int, training: TrainingSettings, data: SegmentArrays, seeds: Sequence[int]) -> list[float]:
    """The last loss of each seed."""
    losses = []
    for seed in seeds:
        engine = Engine(build(width, training, seed), data.labels, training)
        losses.append(train(engine, data, training.epochs, seed))
        keras.backend.clear_session()
    return losses


def in_one_program(width: int, training: TrainingSettings, data: SegmentArrays, seeds: Sequence[int]) -> list[float]:
    """The last loss of each seed."""
    model = build(width, training, seeds[0])
    engine = Engine(model, data.labels, training)
    optimizer = [keras.ops.convert_to_numpy(one) for one in model.optimizer.variables]
    losses = []
    for seed in seeds:
        if losses:
            for own, new in zip(model.variables, build(width, training, seed).variables, strict=False):
                own.assign(new.value)
            for own, first in zip(model.optimizer.variables, optimizer, strict=True):
                own.assign(first)
        losses.append(train(engine, data, training.epochs, seed))
    keras.backend.clear_session()
    return losses


def by_vmap(width: int, training: TrainingSettings, data: SegmentArrays, seeds: Sequence[int]) -> list[float]:
    """The last loss of each seed, all in the same steps."""
    import jax

    models = [build(width, training, seed) for seed in seeds]
    engines = [Engine(model, data.labels, training) for model in models]
    program = engines[0]._program
    groups = [engine._program._variables for engine in engines]
    state = jax.tree.map(lambda *each: np.stack(each), *(program._state(*one) for one in groups))
    loops, all_seeds = program._loops, (0, None, 0)
    take = jax.jit(
        jax.vmap(program._take_all if loops else program._take, (*all_seeds, None) if loops else all_seeds),
        donate_argnums=0,
    )
    for number in range(training.epochs):
        plans = []
        for engine, seed in zip(engines, seeds, strict=True):
            steps = engine._steps(data.labels, seed, [None] * number)
            (block,) = engines[0]._blocks.of_steps(data, steps, len(steps))
            plans.append(block.plan)
        plan = jax.tree.map(lambda *each: np.stack(each), *plans)
        if loops:
            state, found = take(state, block.frames, plan, block.num_steps)
        else:
            values = []
            for step in range(block.num_steps):
                state, value = take(state, block.frames, {name: column[:, step] for name, column in plan.items()})
                values.append(value)
            found = np.stack(values, axis=1)
    keras.backend.clear_session()
    return np.asarray(found)[..., 0].mean(axis=1).tolist()


def in_processes(case: dict[str, Any], seeds: Sequence[int]) -> tuple[list[float], float, float]:
    """The last losses, and seconds by the clock and of CPUs, from when all have loaded their libraries."""
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", json.dumps(case | {"seeds": [seed]})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for seed in seeds
    ]
    for child in children:
        child.stdout.readline()
    start = time.perf_counter()
    answers = [json.loads(child.communicate("begin\n")[0]) for child in begun(children)]
    clock = time.perf_counter() - start
    return [answer["loss"] for answer in answers], clock, sum(answer["cpu_s"] for answer in answers)


def begun(children: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """The same, told to begin, all at once."""
    for child in children:
        child.stdin.write("begin\n")
        child.stdin.flush()
    return children


def settings_of(case: dict[str, Any]) -> tuple[int, TrainingSettings, SegmentArrays]:
    """The width, the training and the segments of a case."""
    training = TrainingSettings(
        epochs=case["epochs"],
        batch_size=case["batch_size"],
        precision=case["precision"],
        engine="resident",
        schedule=CosineSchedule(),
        augmentation=AugmentationSettings(),
    )
    return case["width"], training, made_up(case["segments"], 0)


def measure(case: dict[str, Any], num_seeds: int, rounds: int = 1) -> dict[str, dict[str, list[float]]]:
    """Seconds of each way in each round, by the clock and of CPUs, and that all ways learnt the same."""
    seeds, prepared = range(1, num_seeds + 1), settings_of(case)
    ways: dict[str, Callable[..., list[float]]] = {"now": as_now, "one program": in_one_program}
    if keras.backend.backend() == "jax":
        ways["vmap"] = by_vmap
    found: dict[str, dict[str, list[float]]] = {name: {"s": [], "cpu_s": []} for name in (*ways, "processes")}
    for _ in range(rounds):
        last: dict[str, list[float]] = {}
        for name, way in ways.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            last[name] = way(*prepared, seeds)
            seconds = time.perf_counter() - start, time.process_time() - cpu_start
            for unit, one in zip(("s", "cpu_s"), seconds, strict=True):
                found[name][unit].append(round(one, 2))
        last["processes"], clock, cpu = in_processes(case, seeds)
        found["processes"]["s"].append(round(clock, 2))
        found["processes"]["cpu_s"].append(round(cpu, 2))
        print({name: seconds["s"] for name, seconds in found.items()}, file=sys.stderr, flush=True)
        for name, losses in last.items():
            np.testing.assert_allclose(losses, last["now"], rtol=0.05, err_msg=name)
    return found


def child(case: dict[str, Any]) -> None:
    """Wait for the word, then train the seeds of the case."""
    prepared = settings_of(case)
    keras.ops.ones(1)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.process_time()
    (loss,) = as_now(*prepared, case["seeds"])
    print(json.dumps({"loss": loss, "cpu_s": time.process_time() - start}), flush=True)


def main() -> None:
    """Print the seconds of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--segments", type=int, default=47_169)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", help="train this case here, as JSON")
    chosen = vars(parser.parse_args())
    given, seeds, rounds = (chosen.pop(name) for name in ("child", "seeds", "rounds"))
    if given:
        child(json.loads(given))
    else:
        print(json.dumps({"backend": keras.backend.backend(), **chosen, "ways": measure(chosen, seeds, rounds)}))


if __name__ == "__main__":
    main()
