"""Training on more segments than fit into memory: `PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/blocks.py`.

400,000 made-up segments lie in files (6.6 GB); a process trains an epoch on them with each engine that can, at the size
of the preset `sample`, and says how fast, and what it has in memory at its peak. Beside it a process that trains on
arrays in its memory, a part of that many. Cases alternate. Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from runs import peak_of_this_process_mb
from train_worker import ARM, make_engine, random_segments

from fer_models.segments import SegmentArrays
from tasks.config.presets import PRESETS
from tasks.storage.row_files import RowFile, RowWriter
from tasks.study.runs import training_of

#: Segments that the arrays in memory hold.
NUM_IN_MEMORY = 20_000


def write_segments(folder: Path, number: int) -> None:
    """Noise as files of rows, the same 20,000 frames over and over."""
    part = random_segments(NUM_IN_MEMORY)
    for name, values in (("faces", part.faces), ("optical_flows", part.optical_flows)):
        with RowWriter(folder / f"{name}.npy", values.shape[1:], values.dtype.type) as writer:
            for start in range(0, number, NUM_IN_MEMORY):
                writer.add(values[: number - start])


def stored_segments(folder: Path) -> SegmentArrays:
    """What was written."""
    faces, flows = (RowFile.find(folder / f"{name}.npy") for name in ("faces", "optical_flows"))
    rows = np.arange(len(faces))
    names = np.array([f"video{row // 40}#{row % 40}" for row in rows])
    return SegmentArrays(faces, flows, rows[:, None], np.ones((len(rows), 1), bool), rows % 6, rows // 40, names)


def measure(engine: str, folder: Path | None, steps: int | None) -> dict[str, float]:
    """Of an epoch in this process, after one of few steps that compiles."""
    settings = PRESETS["sample"]()
    how = training_of(settings, ARM).model_copy(update={"engine": engine})
    segments = stored_segments(folder) if folder else random_segments(NUM_IN_MEMORY)
    budget = {"steps": steps, "epochs": 1} if steps else {"epochs": 1}
    taker = make_engine(settings.model, how.model_copy(update=budget))
    first = make_engine(settings.model, how.model_copy(update={"steps": 4, "epochs": 1}))
    first.train_epoch(segments, 1, [])
    start, cpu_start = time.perf_counter(), time.process_time()
    taker.train_epoch(segments, 1, [])
    clock, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    samples = (steps or len(segments) // how.batch_size) * how.batch_size
    return {
        "samples": samples,
        "per_s": samples / clock,
        "per_cpu_s": samples / cpu,
        "peak_mb": peak_of_this_process_mb(),
    }


def in_own_process(engine: str, folder: Path | None, steps: int | None) -> dict[str, float]:
    """What `measure` finds in a process that has done nothing else."""
    command = [sys.executable, __file__, "--case", json.dumps([engine, folder and str(folder), steps])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a row for each case and round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=400_000)
    parser.add_argument("--steps", type=int, help="of an epoch that is measured; by default all of it")
    parser.add_argument("--rounds", type=int, default=3, help="of the short cases")
    parser.add_argument("--folder", type=Path, help="where the files may lie; by default among temporary ones")
    parser.add_argument("--case", help="measure this one here, as JSON")
    arguments = parser.parse_args()
    if arguments.case:
        engine, folder, steps = json.loads(arguments.case)
        print(json.dumps(measure(engine, Path(folder) if folder else None, steps)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_segments(folder, arguments.segments)
        cases = [("blocks", None, 500), ("steps", None, 500), ("blocks", folder, 500), ("steps", folder, 500)]
        for _ in range(arguments.rounds):
            for case in cases:
                print(case[0], "files" if case[1] else "memory", in_own_process(*case), flush=True)
        print("blocks files, the epoch", in_own_process("blocks", folder, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
