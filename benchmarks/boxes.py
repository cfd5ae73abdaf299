"""The followed faces against the study's detector in every frame; `PYTHONPATH=benchmarks python benchmarks/boxes.py`.

The reference is the largest hit of `detectMultiScale(grey, 1.3, 1)` with the same least side, frame by frame: it has no
memory, and the least evidence that the cascade can ask for. What the two disagree on was looked at by eye; RESULTS.md
says who was right.
"""

import argparse
import itertools
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import study_reference

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.boxes import Box, overlap
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_detector
from tasks.video.faces import FaceTracker

ROOT = Path(__file__).parent.parent
DEFAULT_DATA = Path(os.environ.get("FER_TEST_DATA", ROOT.parent / "shared" / "data"))
#: Boxes that overlap by less lie on two different things.
SAME_OVERLAP = 0.5


@dataclass
class Comparison:
    """Boxes of one clip, one a frame of each side; `None` where no face was found."""

    ours: list[Box | None]
    reference: list[Box | None]

    def overlaps(self) -> list[float]:
        """Intersection over union, for the frames in which both found a face."""
        return [overlap(a, b) for a, b in zip(self.ours, self.reference, strict=True) if a and b]

    def only_ours(self) -> int:
        """Frames in which only the tracker found a face."""
        return sum(bool(a) and not b for a, b in zip(self.ours, self.reference, strict=True))

    def only_reference(self) -> int:
        """Frames in which only the reference found one."""
        return sum(bool(b) and not a for a, b in zip(self.ours, self.reference, strict=True))


def compare(path: Path, min_face_px: int) -> Comparison:
    """Find the face in every frame of a clip, both ways."""
    tracker = FaceTracker(load_detector(PrepareSettings()), min_face_px)
    (cascade, *_) = study_reference.load_cascades()
    result = Comparison([], [])
    for frame in decode(path, Video()):
        face, _ = tracker.find(frame)
        result.ours.append(face.box if face else None)
        found = cascade.detectMultiScale(frame.grey, 1.3, 1, minSize=(min_face_px, min_face_px))
        result.reference.append(max((Box(*map(int, box)) for box in found), key=lambda box: box.width, default=None))
    return result


def figures(comparisons: Iterable[Comparison]) -> dict[str, float]:
    """Figures over all frames of some clips. Jitter is taken within clips and averaged over those with faces."""
    clips = list(comparisons)
    overlaps = [value for clip in clips for value in clip.overlaps()]
    num_frames = sum(len(clip.ours) for clip in clips)
    only_ours, only_reference = sum(clip.only_ours() for clip in clips), sum(clip.only_reference() for clip in clips)
    with_faces = [clip for clip in clips if any(clip.ours)]
    return {
        "frames": num_frames,
        "box_iou_median": statistics.median(overlaps) if overlaps else 0.0,
        "boxes_apart": float(np.mean([value < SAME_OVERLAP for value in overlaps])) if overlaps else 0.0,
        "only_ours": only_ours,
        "only_reference": only_reference,
        "found_by_one_only": (only_ours + only_reference) / num_frames,
        "width_jitter_px": _mean(jitter(clip.ours) for clip in with_faces),
        "reference_width_jitter_px": _mean(jitter(clip.reference) for clip in with_faces),
    }


def jitter(boxes: list[Box | None]) -> float:
    """Standard deviation of the width's change between neighbouring frames that both have a box, px."""
    changes = [b.width - a.width for a, b in itertools.pairwise(boxes) if a and b]
    return float(np.std(changes)) if changes else 0.0


def _mean(values: Iterable[float]) -> float:
    return statistics.mean(listed) if (listed := list(values)) else 0.0


def real_clips(data: Path) -> dict[str, tuple[Path, int]]:
    """Name -> clip and the least side of its faces, px; those that are there."""
    found = dict.fromkeys(sorted((data / "mead24").glob("*.mp4")), 90)
    found |= dict.fromkeys(sorted((data / "asl20").glob("*.mkv")), 48)
    found |= dict.fromkeys(sorted((data / "clips").glob("*face.m*")), 48)
    found |= dict.fromkeys(sorted((data / "clips").glob("portrait*")), 90)
    return {f"{path.parent.name}/{path.stem}": (path, side) for path, side in found.items()}


def compare_all(data: Path) -> dict[str, dict[str, float]]:
    """Print and return the figures of each real clip, of each folder and, as `all`, of all frames."""
    clips = {name: compare(path, side) for name, (path, side) in real_clips(data).items()}
    if not clips:
        return {}
    groups = {name: [name] for name in clips}
    for folder in dict.fromkeys(name.partition("/")[0] for name in clips):
        groups[folder] = [name for name in clips if name.startswith(f"{folder}/")]
    groups["all"] = list(clips)
    results = {group: figures(clips[name] for name in names) for group, names in groups.items()}
    print(f"{'':40} frames   IoU  apart  only ours  only reference  one only  jitter px  reference's")
    for group, row in results.items():
        print(
            f"{group:40} {row['frames']:6} {row['box_iou_median']:5.3f} {row['boxes_apart']:6.3f} {row['only_ours']:10}"
            f" {row['only_reference']:15} {row['found_by_one_only']:9.3f} {row['width_jitter_px']:10.2f}"
            f" {row['reference_width_jitter_px']:12.2f}"
        )
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    cv2.setNumThreads(1)
    if not compare_all(parser.parse_args().data):
        raise SystemExit("There are no real clips; say where they are with --data.")
