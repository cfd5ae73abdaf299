"""Peak memory of training against its estimate: `PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/memory.py`.

Each case is trained for two steps, judged and saved in a process of its own, as a study does it. What it takes is the
peak of that process over what it had once the packages were imported and the segments were there. Linux.

`KERAS_BACKEND=jax` measures that.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from runs import peak_of_this_process_mb

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model
from fer_models.models.sizes import size_of
from fer_models.segments import SegmentArrays, SegmentShape
from fer_models.settings import ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.memory import TrainingData, training_memory
from fer_models.training.solving import solve
from tasks.study.checkpoints import RunCheckpoints


@dataclass(frozen=True)
class Case:
    """What is trained. `width` is that of `model.width`, or of `model.backbone_width` where it is given in 64ths."""

    arm: str
    width: int
    batch_size: int
    num_frames: int = 1
    precision: str = "float32"
    num_segments: int = 0

    @property
    def settings(self) -> ModelSettings:
        """Of the model."""
        return ModelSettings(width=self.width, backbone_width=min(1.0, self.width / 64))

    @property
    def training(self) -> TrainingSettings:
        """One epoch."""
        return TrainingSettings(epochs=1, batch_size=self.batch_size, precision=self.precision)

    @property
    def shape(self) -> SegmentShape:
        """Of its segments."""
        return SegmentShape(num_frames=self.num_frames)


CASES = (
    *(Case("gap-sum", width, batch) for width in (32, 128) for batch in (32, 128)),
    *(Case("lstm-fused", width, batch, num_frames=8) for width in (16, 64) for batch in (32, 128)),
    *(Case("vgg16-concatenate", width, batch) for width in (16, 64) for batch in (32, 128)),
    Case("fer2013-flatten-sum", 32, 128),
    Case("convlstm-fused", 16, 64, num_frames=8),
    Case("c3d", 32, 64, num_frames=8),
    Case("resnet50-spatial", 64, 32),
    Case("gap-sum", 128, 128, precision="mixed_bfloat16"),
    Case("hog-svm", 128, 128, num_segments=4_000),
)


def segments(number: int, shape: SegmentShape, seed: int) -> SegmentArrays:
    """Noise, each frame of one segment alone."""
    rng = np.random.default_rng(seed)
    windows = np.arange(number * shape.num_frames).reshape(number, -1)
    pictures = (windows.size, shape.side_px, shape.side_px)
    faces = rng.integers(0, 256, (*pictures, 3), np.uint8)
    flows = np.zeros((*pictures, 2), np.float16)
    names = np.array([f"{seed}-{row}" for row in range(number)])
    return SegmentArrays(faces, flows, windows, np.ones(windows.shape, bool), np.arange(number) % 6, names, names)


def measure(case: Case) -> float:
    """MB that this process takes at its peak for a training."""
    train = segments(case.num_segments or 2 * case.batch_size, case.shape, 0)
    validation = segments(256, case.shape, 1)
    arm, training = get_arm(case.arm), case.training
    build = functools.partial(
        build_model,
        arm,
        case.settings,
        augmentation=training.augmentation,
        precision=training.precision,
        shape=case.shape,
    )
    keras.ops.convert_to_numpy(keras.ops.ones(1))  # the backend has begun
    before_mb = resident_mb()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    with tempfile.TemporaryDirectory() as folder:
        way = solve if arm.is_solved else fit
        way(build, train, validation, training, RunCheckpoints(Path(folder)), 1)
    return peak_of_this_process_mb() - before_mb


def resident_mb() -> float:
    """What this process has in memory now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def estimated_mb(case: Case) -> float:
    """The estimate, without the data, which are there before."""
    arm = get_arm(case.arm)
    size = size_of(arm, case.settings, 6, case.shape, case.training)
    data = TrainingData(0, case.num_segments or 2 * case.batch_size, 0)
    return training_memory(size, case.settings, case.training, data, arm.is_solved).total / 2**20


def in_own_process(case: Case) -> float:
    """What `measure` finds in a process that has done nothing else."""
    command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", help="measure this one here, as JSON")
    parser.add_argument("--arm", help="only the cases of this arm")
    arguments = parser.parse_args()
    if arguments.case:
        print(measure(Case(**json.loads(arguments.case))))
        return
    print("| arm | width | batch | frames | precision | measured, MB | estimate, MB | estimate / measured |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    for case in (case for case in CASES if arguments.arm in (None, case.arm)):
        measured, estimate = in_own_process(case), estimated_mb(case)
        cells = [case.arm, case.width, case.batch_size, case.num_frames, case.precision]
        print(
            f"| {' | '.join(map(str, cells))} | {measured:.0f} | {estimate:.0f} | {estimate / measured:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
