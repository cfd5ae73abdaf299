"""Speed of training on an accelerator; `make bench-gpu`, into `benchmarks/results`. `--small` tries all of it on a CPU.

Imports `fer_models` and what that needs (keras, scikit-learn, imbalanced-learn, pydantic) and one backend, so that it
runs on a machine that has nothing else of this project: `KERAS_BACKEND=jax PYTHONPATH=.:benchmarks python
benchmarks/gpu.py --out results`. On made-up segments of the published study's number; each case is an arm with a
precision, a batch size and an engine, measured over epochs after one that compiles, and printed as soon as it is known.
Several seeds of one arm follow, four ways (`benchmarks/seeds.py`), at a small and at the published width.
"""

import argparse
import importlib
import json
import resource
import time
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from seeds import made_up
from seeds import measure as measure_seeds
from training_flop import training_flop

from fer_models.models.arms import ARMS, FUSION_ARMS
from fer_models.models.building import build_model
from fer_models.segments import SegmentArrays
from fer_models.settings import AugmentationSettings, ModelSettings, TrainingSettings
from fer_models.training.engine import Engine

#: Segments of the published study, for training and validation.
NUM_TRAIN, NUM_VALIDATION = 47_169, 10_000
PRECISIONS = ("mixed_bfloat16", "float32")


def matmul_peak(side: int, repeats: int = 8) -> dict[str, float]:
    """TFLOP/s of products of large square matrices, by precision."""
    found = {}
    for dtype in ("bfloat16", "float32"):
        matrix = ops.cast(ops.ones((side, side)) / side, dtype)
        seconds = []
        for _ in range(3):
            start, product_ = time.perf_counter(), matrix
            for _ in range(repeats):
                product_ = ops.matmul(product_, matrix)
            ops.convert_to_numpy(product_[0, :1])
            seconds.append(time.perf_counter() - start)
        found[dtype] = repeats * 2 * side**3 / min(seconds) / 1e12
    return found


def peak_bytes() -> int:
    """Memory of the device at its peak; on a CPU that of the process."""
    if keras.backend.backend() == "jax":
        stats = importlib.import_module("jax").local_devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in stats:
            return int(stats["peak_bytes_in_use"])
    elif any("gpu" in device.lower() for device in keras.distribution.list_devices()):
        experimental = importlib.import_module("tensorflow").config.experimental
        return int(experimental.get_memory_info("GPU:0")["peak"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(
    arm: str, training: TrainingSettings, width: int, data: tuple[SegmentArrays, SegmentArrays], epochs: int
) -> dict[str, float]:
    """Seconds of an epoch and of its validation, and what follows from them."""
    train, validation = data
    form = ModelSettings(width=width, head_units=8 * width)
    model = build_model(ARMS[arm], form, augmentation=training.augmentation, precision=training.precision)
    engine = Engine(model, train.labels, training)
    seconds, looks = [], []
    for _ in range(1 + epochs):
        start = time.perf_counter()
        engine.train_epoch(train, 1, [])
        between = time.perf_counter()
        engine.predict(validation)
        seconds.append(between - start)
        looks.append(time.perf_counter() - between)
    epoch_s = float(np.median(seconds[1:]))
    per_s = len(train) // training.batch_size * training.batch_size / epoch_s
    keras.backend.clear_session()
    return {
        "epoch_s": epoch_s,
        "validation_s": float(np.median(looks[1:])),
        "compile_s": seconds[0] - epoch_s + looks[0] - looks[-1],
        "samples_per_s": per_s,
        "tflop_per_s": per_s * training_flop(model) / 1e12,
        "peak_gb": peak_bytes() / 1e9,
    }


def main() -> None:
    """Measure case after case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="few segments and narrow models, to try it on a CPU")
    parser.add_argument("--arms", nargs="+", default=FUSION_ARMS, choices=FUSION_ARMS)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[128, 512, 1024])
    parser.add_argument("--engines", nargs="+", default=["resident", "blocks", "steps"])
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--epochs", type=int, default=2, help="that are measured, after the one that compiles")
    parser.add_argument("--seeds", type=int, default=4, help="that are trained four ways; 0 leaves that out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    numbers, width, side = ((NUM_TRAIN, NUM_VALIDATION), 128, 8192)
    sizes = chosen.batch_sizes
    if chosen.small:
        numbers, width, side, sizes = (600, 300), 4, 512, [min(sizes)]
    data = made_up(numbers[0], 0), made_up(numbers[1], 1)
    peak = matmul_peak(side)
    record: dict[str, Any] = {
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "keras": keras.__version__,
        "segments": numbers,
        "width": width,
        "matmul_tflop_per_s": peak,
        "cases": [],
        "seeds": [],
    }
    print(json.dumps(record), flush=True)
    first, *others = chosen.arms
    # every way on one arm, then the other arms in the way that is meant for accelerators
    ways = [(first, *way) for way in product(chosen.precisions, sizes, chosen.engines)]
    ways += [(arm, chosen.precisions[0], sizes[-1], chosen.engines[0]) for arm in others]
    chosen.out.mkdir(parents=True, exist_ok=True)
    for arm, precision, size, engine in ways:
        training = TrainingSettings(
            batch_size=size, precision=precision, engine=engine, augmentation=AugmentationSettings()
        )
        case = {"arm": arm, "precision": precision, "batch_size": size, "engine": engine}
        case |= measure(arm, training, width, data, chosen.epochs)
        case["share_of_matmul"] = case["tflop_per_s"] / peak[precision.removeprefix("mixed_")]
        record["cases"].append(case)
        print(json.dumps(case), flush=True)
        save(record, chosen.out)
    widths = sorted({width} if chosen.small else {16, width})
    for wide in widths if chosen.seeds else ():
        case = {"width": wide, "segments": numbers[0], "batch_size": sizes[0], "epochs": 1 + chosen.epochs}
        case["precision"] = chosen.precisions[0]
        case["ways"] = measure_seeds(case, chosen.seeds)
        record["seeds"].append(case | {"num_seeds": chosen.seeds})
        print(json.dumps(record["seeds"][-1]), flush=True)
        save(record, chosen.out)


def save(record: dict[str, Any], folder: Path) -> None:
    """Write what is known so far."""
    path = folder / f"gpu-{record['backend']}.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
