"""Speed of preparation against decoding alone and against the study's procedure; `make bench-prepare`.

CPU seconds on one thread, the cases alternating, medians. Prints a table and writes `benchmarks/results/prepare.json`.
Real clips are read from `--data` (or FER_TEST_DATA) and left out where they are not there.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import study_reference
from boxes import DEFAULT_DATA, compare, compare_all, figures
from runs import flow_over_pool, rerun_seconds, two_workers_speedup, worker_memory

from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode

RESULTS = Path(__file__).parent / "results" / "prepare.json"


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
        "all_frames": lambda path: prepare_video(
            path, PrepareSettings(min_face_px=min_face_px, segment_stride=2, frames_per_segment=16)
        ),
        "blazeface": lambda path: prepare_video(path, PrepareSettings(min_face_px=min_face_px, detector="blazeface")),
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


#: What the time of a preparation is told apart into, by the names of the functions that spend it.
_PARTS = {
    "decoding": ("decode", "_open", "open", "demux", "__next__", "next"),
    "cascade": ("detectMultiScale", "detectMultiScale2"),
    "resizing": ("resize",),
    "optical flow": ("calcOpticalFlowFarneback",),
}


def profile_shares(path: Path, settings: PrepareSettings) -> dict[str, float]:
    """Share of the time that each part of a preparation takes, by the profiler; the rest is Python and all else."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(prepare_video, path, settings)
    shares = dict.fromkeys([*_PARTS, "rest"], 0.0)
    for (_, _, function), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        words = re.findall(r"\w+", function)
        part = next((part for part, names in _PARTS.items() if any(name in words for name in names)), "rest")
        shares[part] += own_s
    total = sum(shares.values())
    return {part: round(own_s / total, 3) for part, own_s in shares.items()}


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
    parser.add_argument("--only", default="", help="clips whose name has this in it, e.g. portrait")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    results: dict[str, dict[str, float]] = {}
    profiles: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        found = clips(arguments.data, Path(folder))
        measured = {name: clip for name, clip in found.items() if arguments.only in name}
        for name, (path, min_face_px) in measured.items():
            seconds = measure(path, min_face_px, arguments.repeats)
            results[name] = {f"{case}_s": round(value, 4) for case, value in seconds.items()}
            results[name] |= {
                "segments_over_decode": seconds["segments"] / seconds["decode"],
                "dense_over_decode": seconds["dense"] / seconds["decode"],
                "all_frames_over_dense": seconds["all_frames"] / seconds["dense"],
                "blazeface_over_decode": seconds["blazeface"] / seconds["decode"],
                "study_over_segments": seconds["study"] / seconds["segments"],
                "study_over_dense": seconds["study"] / seconds["dense"],
                **figures([compare(path, min_face_px)]),
            }
            profiles[name] = {
                "segments": profile_shares(path, PrepareSettings(min_face_px=min_face_px)),
                "dense": profile_shares(path, PrepareSettings(min_face_px=min_face_px, segment_stride=2)),
            }
            print(name, json.dumps({key: round(value, 3) for key, value in results[name].items()}), flush=True)
        whole_runs = {
            "two_workers_speedup": two_workers_speedup(*next(iter(measured.values())), arguments.repeats),
            **flow_over_pool(min(arguments.repeats, 3)),
            **worker_memory(),
            "rerun_10000_videos_s": rerun_seconds(),
        }
        print("whole runs", json.dumps({key: round(value, 3) for key, value in whole_runs.items()}), flush=True)
    headline = next(iter(results.values()))
    machine = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "opencv": cv2.__version__,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    record = {
        **headline,
        **whole_runs,
        "clips": results,
        "profiles": profiles,
        "boxes": compare_all(arguments.data),
        **machine,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
