"""Preparation by this checkout against another one, in turns: `python benchmarks/against.py ../other-checkout`.

CPU seconds of one thread, the least of three runs in a fresh process, medians over the rounds. What is noise of the
machine falls on both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FER_TEST_DATA", HERE.parent / "shared" / "data"))
CLIPS = {
    "portrait 640x360": ("clips/portrait_640x360.mp4", 90),
    "mead 256x256": ("mead24/M030_front_angry_level3_001.mp4", 90),
    "asl 640x480": ("asl20/walk.mkv", 48),
}
MEASURE = """
import json, sys, time
import cv2
from pathlib import Path
try:
    from tasks.config.settings import PrepareSettings
    from tasks.video.cutting import prepare_video
    from tasks.video.decoding import Video, decode
except ImportError:  # a checkout from before the rooms
    from tasks.decoding import Video, decode
    from tasks.preparation import prepare_video
    from tasks.settings import PrepareSettings
cv2.setNumThreads(1)
path, side = Path(sys.argv[1]), int(sys.argv[2])
seconds = {}
for name, run in {
    "decode": lambda: [None for _ in decode(path, Video())],
    "segments": lambda: prepare_video(path, PrepareSettings(min_face_px=side)),
    "dense": lambda: prepare_video(path, PrepareSettings(min_face_px=side, segment_stride=2)),
}.items():
    run()
    for _ in range(3):
        start = time.process_time()
        run()
        seconds[name] = min(seconds.get(name, 1e9), time.process_time() - start)
print(json.dumps(seconds))
"""


def measure(checkout: Path, clip: Path, min_face_px: int) -> dict[str, float]:
    """CPU seconds of each case with the code of a checkout."""
    command = [sys.executable, "-c", MEASURE, str(clip), str(min_face_px)]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)


def main() -> None:
    """Print one row per clip: each case over decoding, there and here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for name, (place, side) in CLIPS.items():
        rounds: dict[Path, list[dict[str, float]]] = {arguments.other.resolve(): [], HERE: []}
        for number in range(arguments.rounds):
            for checkout in list(rounds)[:: 1 if number % 2 else -1]:
                rounds[checkout].append(measure(checkout, DATA / place, side))
        for case in ("segments", "dense"):
            there, here = (
                statistics.median(one[case] / one["decode"] for one in measured) for measured in rounds.values()
            )
            print(f"{name}: {case} / decoding {there:.2f} -> {here:.2f} ({here / there - 1:+.1%})", flush=True)


if __name__ == "__main__":
    main()
