"""Two runs of a study side by side, which share one copy of its arrays. Linux.

    PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/sharing.py

Made-up shards of as many segments as the published study had, with an index. Each process opens the arrays as `fer
train` does and trains on them, and says how long each part of its start took, by the clock and in CPU seconds. While
they train they are looked at: the sum of the proportional memory (PSS) of all processes at its peak, in which what two
share counts once. The first process finds no arrays and writes them. For comparison the same with all segments in the
memory of each process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from train_worker import ARM

from fer_models.models.building import build_model
from fer_models.training.engine import Engine
from tasks.config.presets import PRESETS
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.frame_store import open_store, stored_arrays
from tasks.dataset.index import build_index, fold_folder, indexed_shards, load_arrays, read_subset
from tasks.outcomes import Outcome
from tasks.preparation.shards import open_shard, shard_name, shard_path
from tasks.study.runs import training_of
from tasks.video.segments import FaceFrame, VideoReport

#: Segments of a video; of five videos one is for validation.
OF_VIDEO = 40
#: A folder of shards is called after a digest.
PREPARED = "0123456789ab"


def write_study(folder: Path, num_segments: int) -> None:
    """Shards of noise, the same 4,000 frames over and over, and an index of one fold."""
    settings, rng = PRESETS["sample"](), np.random.default_rng(0)
    faces = rng.integers(0, 256, (4000, 48, 48, 3), np.uint8)
    flows = rng.normal(0, 0.2, (4000, 48, 48, 2)).astype(np.float16)
    videos = []
    for number in range(num_segments // OF_VIDEO):
        sha256 = f"{number:064x}"[::-1]
        with open_shard(shard_path(folder / PREPARED / "shards", sha256), 48) as writer:
            for row in range(OF_VIDEO):
                at = (number * OF_VIDEO + row) % len(faces)
                writer.add(FaceFrame(row, 4 * row, 0.16 * row, (0, 0, 48, 48), 1, faces[at], flows[at]))
            writer.close(VideoReport(sha256=sha256, outcome=Outcome.OK, num_covered=OF_VIDEO, num_segments=OF_VIDEO))
        videos.append(
            {
                "video_id": f"video{number}",
                "subject": f"p{number % 30}",
                "emotion": settings.corpus.emotions[number % 6],
                "outcome": str(Outcome.OK),
                "num_covered": OF_VIDEO,
                "num_segments": OF_VIDEO,
                "sha256": sha256,
                "shard": shard_name(sha256),
                "fold": 0,
                "side": VALIDATION if number % 5 == 4 else TRAIN,
            }
        )
    ledger = pd.DataFrame(videos)
    split = ledger[["fold", "video_id", "sha256", "subject", "side"]]
    build_index(
        ledger.drop(columns=["fold", "side"]), split, folder / PREPARED, folder / "index", settings.prepare.windows
    )


def train(folder: Path, is_shared: bool, steps: int, began: float) -> dict[str, float]:
    """Seconds of the parts of a run's start, in a process that has done nothing else, and of its epoch."""
    settings, found = PRESETS["sample"](), {"imports_s": time.time() - began, "imports_cpu_s": time.process_time()}
    emotions, prepared = settings.corpus.emotions, folder / PREPARED
    start, cpu_start = time.perf_counter(), time.process_time()

    def tell(part: str) -> None:
        nonlocal start, cpu_start
        found[f"{part}_s"] = round(time.perf_counter() - start, 2)
        found[f"{part}_cpu_s"] = round(time.process_time() - cpu_start, 2)
        start, cpu_start = time.perf_counter(), time.process_time()

    indexes = [read_subset(folder / "index", 0, subset, emotions) for subset in (TRAIN, VALIDATION)]
    if is_shared:
        store = open_store(prepared, indexed_shards(fold_folder(folder / "index", 0)))
        segments, _ = (stored_arrays(index, store, prepared, emotions) for index in indexes)
    else:
        segments, _ = [load_arrays(index, prepared, emotions) for index in indexes]
    tell("arrays")
    how = training_of(settings, ARM).model_copy(update={"epochs": 2, "steps": 2 * steps, "block_mb": 16})
    model = build_model(ARM, settings.model, augmentation=how.augmentation, precision=how.precision)
    engine = Engine(model, segments.labels, how)
    tell("model")
    next(iter(engine._take(segments, engine._steps(segments.labels, 1, [])[:8])))
    tell("first_steps")
    engine.train_epoch(segments, 1, [])
    tell("epoch")
    return found


def side_by_side(folder: Path, number: int, is_shared: bool, steps: int) -> dict[str, Any]:
    """So many processes that train at once: what they say, and their proportional memory at its peak, MB in all."""
    case = json.dumps([str(folder), is_shared, steps, time.time()])
    command = [sys.executable, __file__, "--case", case]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(number)
    ]
    peak = 0.0
    while any(child.poll() is None for child in running):
        peak = max(peak, sum(proportional_mb(child.pid) for child in running))
        time.sleep(0.2)
    answers = [json.loads(child.communicate()[0].splitlines()[-1]) for child in running]
    return {"processes": number, "pss_mb": peak, "starts": answers}


def proportional_mb(pid: int) -> float:
    """What a process takes of memory, its share of what it shares; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def main() -> None:
    """Print a row for each case and round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=47_169 + 10_000)
    parser.add_argument("--steps", type=int, default=300, help="that each process takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files may lie; by default among temporary ones")
    parser.add_argument("--case", help="train this one here, as JSON")
    chosen = parser.parse_args()
    if chosen.case:
        folder, *case = json.loads(chosen.case)
        print(json.dumps(train(Path(folder), *case)))
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        write_study(folder, chosen.segments)
        print("the first, which writes the arrays", side_by_side(folder, 1, True, 8), flush=True)
        files = list((folder / PREPARED / "arrays").rglob("*.npy"))
        print("arrays", {path.name: f"{path.stat().st_size / 1e6:.0f} MB" for path in files}, flush=True)
        for _ in range(chosen.rounds):
            for is_shared in (True, False):
                for number in (1, 2):
                    found = side_by_side(folder, number, is_shared, chosen.steps)
                    print("arrays on disk" if is_shared else "arrays in memory", json.dumps(found), flush=True)
        assert len([*(folder / PREPARED / "arrays").rglob("*.npy")]) == len(files), "there is one copy"


if __name__ == "__main__":
    main()
