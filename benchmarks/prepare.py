"""Speed of preparation against decoding alone and against the study's procedure; `make bench-prepare`.

CPU seconds on one thread, the cases alternating, medians. Prints a table and writes `benchmarks/results/prepare.json`.
Real clips are read from `--data` (or FER_TEST_DATA) and left out where they are not there.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import study_reference

from tasks.decoding import Video, decode
from tasks.faces import Box, FaceTracker
from tasks.preparation import prepare_video
from tasks.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.settings import PrepareSettings

RESULTS = Path(__file__).parent / "results" / "prepare.json"
ROOT = Path(__file__).parent.parent
DEFAULT_DATA = Path(os.environ.get("FER_TEST_DATA", ROOT.parent / "shared" / "data"))


def decode_all(path: Path) -> None:
    """(a) decoding alone."""
    for _ in decode(path, Video()):
        pass


def cases(min_face_px: int) -> dict[str, Callable[[Path], object]]:
    """What is measured, by name."""
    return {
        "decode": decode_all,
        "segments": lambda path: prepare_video(path, PrepareSettings(min_face_px=min_face_px)),
        "dense": lambda path: prepare_video(path, PrepareSettings(min_face_px=min_face_px, segment_stride=2)),
        "study": study_reference.prepare,
        "study_loaded_once": lambda path: study_reference.prepare(path, study_reference.load_cascades()),
    }


def measure(path: Path, min_face_px: int, repeats: int) -> dict[str, float]:
    """Median CPU seconds of each case on one clip."""
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, run in cases(min_face_px).items():
            start = time.process_time()
            run(path)
            seconds.setdefault(name, []).append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare_boxes(path: Path, min_face_px: int) -> dict[str, float]:
    """The followed face against the reference's largest face in every frame."""
    tracker = FaceTracker(min_face_px)
    (cascade, *_) = study_reference.load_cascades()
    ours: list[Box | None] = []
    reference: list[Box | None] = []
    for frame in decode(path, Video()):
        grey = frame.grey.copy()
        ours.append(tracker.find(grey)[0])
        found = cascade.detectMultiScale(grey, 1.3, 1, minSize=(min_face_px, min_face_px))
        reference.append(max((Box(*map(int, box)) for box in found), key=lambda box: box.width, default=None))
    pairs = [(a, b) for a, b in zip(ours, reference, strict=True) if a and b]
    return {
        "box_iou_median": statistics.median(overlap(a, b) for a, b in pairs) if pairs else 0.0,
        "found_by_one_only": float(np.mean([bool(a) != bool(b) for a, b in zip(ours, reference, strict=True)])),
        "width_jitter_px": jitter(ours),
        "reference_width_jitter_px": jitter(reference),
    }


def overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    common = max(width, 0) * max(height, 0)
    return common / (first.width * first.height + second.width * second.height - common)


def jitter(boxes: list[Box | None]) -> float:
    """Standard deviation of the width's change between neighbouring frames that both have a box."""
    changes = [b.width - a.width for a, b in itertools.pairwise(boxes) if a and b]
    return float(np.std(changes)) if changes else 0.0


def two_workers_speedup(path: Path, min_face_px: int, jobs: int = 12) -> float:
    """Throughput of two worker processes over one, by the wall clock."""
    seconds = {}
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            list(pool.map(_prepare_dense, [path] * workers, [min_face_px] * workers))  # start the workers
            start = time.perf_counter()
            list(pool.map(_prepare_dense, [path] * jobs, [min_face_px] * jobs))
            seconds[workers] = time.perf_counter() - start
    return seconds[1] / seconds[2]


def _prepare_dense(path: Path, min_face_px: int) -> int:
    return len(prepare_video(path, PrepareSettings(min_face_px=min_face_px, segment_stride=2))[0])


def clips(data: Path, folder: Path) -> dict[str, tuple[Path, int]]:
    """Name -> clip and the smallest face that is wanted in it, px."""
    found = {
        "portrait 640x360": (data / "clips" / "portrait_640x360.mp4", 90),
        "mead 256x256": (data / "mead24" / "M030_front_angry_level3_001.mp4", 90),
        "asl 640x480": (data / "asl20" / "walk.mkv", 48),
    }
    for width, height in ((640, 480), (1280, 720)):
        path = folder / f"sample_{width}x{height}.mp4"
        corpus = SampleCorpus(seconds=4.0, size=(width, height))
        write_video(path, render_clip(corpus, Clip(3, 1, "happiness")), corpus.fps)
        found[f"sample {width}x{height}"] = (path, 90)
    return {name: (path, side) for name, (path, side) in found.items() if path.is_file()}


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, min_face_px) in clips(arguments.data, Path(folder)).items():
            seconds = measure(path, min_face_px, arguments.repeats)
            results[name] = {f"{case}_s": round(value, 4) for case, value in seconds.items()}
            results[name] |= {
                "segments_over_decode": seconds["segments"] / seconds["decode"],
                "dense_over_decode": seconds["dense"] / seconds["decode"],
                "study_over_segments": seconds["study"] / seconds["segments"],
                "study_over_dense": seconds["study"] / seconds["dense"],
                "two_workers_speedup": two_workers_speedup(path, min_face_px),
                **compare_boxes(path, min_face_px),
            }
            print(name, json.dumps({key: round(value, 3) for key, value in results[name].items()}), flush=True)
    headline = next(iter(results.values()))
    machine = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "opencv": cv2.__version__,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({**headline, "clips": results, **machine}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
