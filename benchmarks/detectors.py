"""Detectors side by side on real clips; `PYTHONPATH=benchmarks python benchmarks/detectors.py`.

Every `--every`-th frame of the clips is shown to each detector upright, turned by 15 and 30 degrees either way, shaded
from one side, half covered, and small. Coverage is the share of frames in which a whole frame was searched and a face
found where it is; where it is, the last of `DETECTORS` that finds one says of the upright frame. Agreement is the share
of the frames in which a detector and Haar both found a face and their boxes overlap by half. A table is printed, and
all is written to `benchmarks/results/detectors.json`, with the seconds that preparation takes over decoding alone.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from boxes import DEFAULT_DATA

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.boxes import Box, overlap
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_detector
from tasks.video.detectors.detector import Detector

RESULTS = Path(__file__).parent / "results" / "detectors.json"
DETECTORS = ("haar", "blazeface")
CLIPS = {"mead24": "mead24/*.mp4", "asl20": "asl20/*.mkv", "portrait": "clips/portrait*.mp4"}
#: A box is at the face when it overlaps by more; faces that are turned about their middle keep their place.
AT_THE_FACE, SAME_BOX = 0.3, 0.5
#: Side of a small face, px, and the least that is looked for.
SMALL_PX, LEAST_PX = 40, 30


class Still:
    """A `Picture` of an RGB array."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb, self.grey = rgb, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)

    @property
    def window(self) -> Box:
        """All of it."""
        return Box(0, 0, self.rgb.shape[1], self.rgb.shape[0])

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        """See `Picture.rgb_part`."""
        part = self.rgb[box.y : box.y + box.height, box.x : box.x + box.width]
        method = cv2.INTER_AREA if height_px < box.height else cv2.INTER_LINEAR
        return cv2.resize(part, (width_px, height_px), interpolation=method)


def changed(rgb: np.ndarray, face: Box) -> dict[str, tuple[np.ndarray, Box]]:
    """A frame and what becomes of it, each with the place of the face."""
    height, width = rgb.shape[:2]
    centre = (face.x + face.width / 2, face.y + face.height / 2)
    pictures = {"upright": (rgb, face)}
    for degrees in (-30, -15, 15, 30):
        matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
        turned = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        pictures[f"turned {degrees}"] = (turned, face)
    light = np.linspace(0.15, 1.0, width)[None, :, None]
    pictures["shaded"] = ((rgb * light).astype(np.uint8), face)
    for name, part in (
        ("lower half covered", np.s_[face.y + face.height // 2 : face.y + face.height, face.x : face.x + face.width]),
        ("one side covered", np.s_[face.y : face.y + face.height, face.x + face.width // 2 : face.x + face.width]),
    ):
        covered = rgb.copy()
        covered[part] = 90
        pictures[name] = (covered, face)
    scale = SMALL_PX / face.width
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pictures["small"] = (small, Box(*(round(value * scale) for value in face)))
    return pictures


def frames(paths: Sequence[Path], every: int) -> Iterator[np.ndarray]:
    """Every `every`-th frame of each clip, uint8 RGB."""
    for path in paths:
        for frame in decode(path, Video()):
            if frame.index % every == 0:
                height, width = frame.size
                yield frame.rgb_part(Box(0, 0, width, height), width, height)


def place_of_face(picture: Still, detectors: dict[str, Detector]) -> Box | None:
    """The largest face of an upright frame, as the first detector that sees one has it."""
    for detector in reversed(detectors.values()):
        if faces := detector.detect(picture, picture.window, LEAST_PX):
            return max((face.box for face in faces), key=lambda box: box.width)
    return None


def compare(
    paths: Sequence[Path], every: int, detectors: dict[str, Detector]
) -> dict[str, dict[str, dict[str, float]]]:
    """Change of the frames -> detector -> coverage, agreement with Haar, and boxes elsewhere a frame."""
    found: dict[str, dict[str, list[tuple[Box | None, int]]]] = {}
    for rgb in frames(paths, every):
        face = place_of_face(Still(rgb), detectors)
        if face is None:
            continue
        for change, (changed_rgb, place) in changed(rgb, face).items():
            change = change.replace("-", "")
            for name, detector in detectors.items():
                picture = Still(changed_rgb)
                boxes = [one.box for one in detector.detect(picture, picture.window, LEAST_PX)]
                here = [box for box in boxes if overlap(box, place) > AT_THE_FACE]
                row = (max(here, key=lambda box: overlap(box, place), default=None), len(boxes) - len(here))
                found.setdefault(change, {}).setdefault(name, []).append(row)
    return {
        change: {name: _figures(rows, by_detector["haar"]) for name, rows in by_detector.items()}
        for change, by_detector in found.items()
    }


def _figures(rows: list[tuple[Box | None, int]], haar: list[tuple[Box | None, int]]) -> dict[str, float]:
    both = [(box, other) for (box, _), (other, _) in zip(rows, haar, strict=True) if box and other]
    return {
        "frames": len(rows),
        "coverage": round(sum(box is not None for box, _ in rows) / len(rows), 4),
        "agreement": round(sum(overlap(*pair) > SAME_BOX for pair in both) / len(both), 4) if both else 0.0,
        "elsewhere": round(sum(number for _, number in rows) / len(rows), 4),
    }


def costs(clip: Path, repeats: int) -> dict[str, dict[str, float]]:
    """CPU seconds of decoding a clip and of preparing it in several ways, in turns: medians, and ratios to decoding."""
    ways: dict[str, PrepareSettings | None] = {"decoding alone": None}
    for detector in DETECTORS:
        ways[detector] = PrepareSettings(detector=detector, min_face_px=90)
    ways["blazeface, eyes level"] = PrepareSettings(detector="blazeface", min_face_px=90, align="eyes")
    ways["haar, confirmed by blazeface"] = PrepareSettings(min_face_px=90, confirm="blazeface")
    ways["blazeface, stride 2"] = PrepareSettings(detector="blazeface", min_face_px=90, segment_stride=2)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, settings in ways.items():
            start = time.process_time()
            if settings is None:
                for _frame in decode(clip, Video()):
                    pass
            else:
                prepare_video(clip, settings)
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    least = {name: min(values) for name, values in seconds.items()}
    base = "decoding alone"
    return {
        name: {
            "seconds": round(value, 4),
            "over_decoding": round(value / medians[base], 3),
            "least_over_least": round(least[name] / least[base], 3),
        }
        for name, value in medians.items()
    }


def search_ms(clip: Path, detectors: dict[str, Detector]) -> dict[str, dict[str, float]]:
    """Milliseconds of a search of a whole frame, and of a look at a known face."""
    frame = next(decode(clip, Video()))
    height, width = frame.size
    window = Box(0, 0, width, height)
    times = {}
    for name, detector in detectors.items():
        box = detector.detect(frame, window, 90)[0].box
        margin = box.width // 4
        around = Box(max(box.x - margin, 0), max(box.y - margin, 0), box.width * 3 // 2, box.height * 3 // 2)
        around = around._replace(
            width=min(around.width, width - around.x), height=min(around.height, height - around.y)
        )
        looks = ((window, 90, None), (around, round(0.82 * box.width), round(1.3 * box.width)))
        times[name] = {}
        for what, arguments in zip(("search", "look"), looks, strict=True):
            values = []
            for _ in range(20):
                start = time.process_time()
                detector.detect(frame, *arguments)
                values.append(1e3 * (time.process_time() - start))
            times[name][what] = round(statistics.median(values), 2)
    return times


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--every", type=int, default=15, help="frames from one that is looked at to the next")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    detectors = {name: load_detector(PrepareSettings(detector=name)) for name in DETECTORS}
    groups = {name: sorted(arguments.data.glob(pattern)) for name, pattern in CLIPS.items()}
    results = {name: compare(paths, arguments.every, detectors) for name, paths in groups.items() if paths}
    if not results:
        raise SystemExit("There are no real clips; say where they are with --data.")
    for group, changes in results.items():
        for change, rows in changes.items():
            cells = "  ".join(f"{name} {row['coverage']:.3f} ({row['agreement']:.2f})" for name, row in rows.items())
            print(f"{group:9} {change:20} {rows['haar']['frames']:4} frames  {cells}", flush=True)
    (portrait,) = groups["portrait"]
    record = {
        "clips": results,
        "portrait": costs(portrait, arguments.repeats),
        "milliseconds": search_ms(portrait, detectors),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "opencv": cv2.__version__,
    }
    print(json.dumps({name: record[name] for name in ("portrait", "milliseconds")}, indent=1))
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
