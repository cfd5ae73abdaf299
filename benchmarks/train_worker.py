"""A process that trains as it is told, line by line: `make bench-train` starts one a Keras backend.

In, a line of JSON: `{"width": 128, "precision": "float32", "batch_size": 32, "steps": 8}`, or `{"memory": "sample"}`.
Out, a line of JSON: the seconds of so many compiled steps on one batch; or the peak memory of a training, in MB.
"""

import functools
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from runs import peak_of_this_process_mb

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import ModelSettings, TrainingSettings
from fer_models.training import sampling
from fer_models.training.engine import Engine
from fer_models.training.fitting import fit
from tasks.config.presets import PRESETS
from tasks.study.checkpoints import RunCheckpoints
from tasks.study.runs import training_of

ARM = ARMS["flatten-concatenate"]
#: Training segments of the study.
NUM_SEGMENTS = 47_169


def random_segments(num: int, seed: int = 0) -> SegmentArrays:
    """Noise in the shapes and types of the pipeline's arrays."""
    rng = np.random.default_rng(seed)
    optical_flows = np.empty((num, 48, 48, 2), np.float16)
    for part in np.array_split(optical_flows, max(1, num // 1000)):
        part[:] = rng.normal(0, 0.2, part.shape)
    names = np.array([f"video{row // 40}#{row % 40}" for row in range(num)])
    faces = rng.integers(0, 256, (num, 48, 48, 3), np.uint8)
    return pair_arrays(faces, optical_flows, rng.integers(0, 6, num), np.arange(num) // 40, names)


def make_engine(model: ModelSettings, settings: TrainingSettings) -> Engine:
    """What takes the training steps of a model, as `fit` makes it."""
    built = build_model(ARM, model, augmentation=settings.augmentation, precision=settings.precision)
    return Engine(built, np.arange(built.output_shape[-1]), settings)


@functools.cache
def _ready(width: int, precision: str) -> keras.Model:
    settings = PRESETS["corrected"]()
    engine = make_engine(
        settings.model.model_copy(update={"width": width}),
        settings.training.model_copy(update={"precision": precision}),
    )
    return engine._trainer


def step_seconds(width: int, precision: str, batch_size: int, steps: int) -> float:
    """Wall-clock seconds of so many steps; the corrected preset's model, augmentation in it."""
    model, batch = _ready(width, precision), random_segments(batch_size)
    inputs = [batch.faces, batch.optical_flows.astype(np.float32)]
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(inputs, batch.labels)
    return time.perf_counter() - start


def peak_memory(preset: str, steps: int = 6) -> dict[str, float]:
    """MB: the data of a whole study, and the peak of this process when `fit` trains on it.

    One epoch, stopped after some steps; all rows were written before, and are checked and shuffled as ever.
    """
    settings = PRESETS[preset]()
    imported = peak_of_this_process_mb()
    train, validation = random_segments(NUM_SEGMENTS), random_segments(256, seed=1)
    data_mb = (train.faces.nbytes + train.optical_flows.nbytes) / 2**20
    whole_epoch = sampling.epoch_batches
    sampling.epoch_batches = lambda *arguments: itertools.islice(whole_epoch(*arguments), steps)
    once = training_of(settings, ARM).model_copy(update={"epochs": 1})
    with tempfile.TemporaryDirectory() as folder:
        build = functools.partial(
            build_model, ARM, settings.model, augmentation=once.augmentation, precision=once.precision
        )
        fit(build, train, validation, once, RunCheckpoints(Path(folder)), seed=1)
    peak_mb = peak_of_this_process_mb()
    return {"imported_mb": imported, "data_mb": data_mb, "peak_mb": peak_mb, "peak_over_data_mb": peak_mb - data_mb}


def main() -> None:
    """Answer until the input ends; what libraries print goes elsewhere."""
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        answer = peak_memory(order["memory"]) if "memory" in order else step_seconds(**order)
        print("ANSWER " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
