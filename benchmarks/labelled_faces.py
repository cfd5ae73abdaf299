"""Labelled faces of real people for the network that knows the classes of FER2013: ck48dev and mead24."""

import csv
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from fer_models.models.backbones.mini_xception import CLASSES, SIDE_PX
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode

#: Changes a frame, uint8 RGB.
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Faces:
    """Faces of some clips.

    Args:
        pictures: uint8 RGB (n, S, S, 3).
        labels: int (n,), positions in `CLASSES`; -1 for a class that the network doesn't know.
        people, clips, times_s: (n,) who it is, of which clip, and when in there.
    """

    pictures: np.ndarray
    labels: np.ndarray
    people: np.ndarray
    clips: np.ndarray
    times_s: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which have a class that the network knows, bool (n,)."""
        return self.labels >= 0

    def rows(self, chosen: np.ndarray) -> "Faces":
        """Some of them."""
        return Faces(*(getattr(self, one.name)[chosen] for one in fields(self)))


def joined(parts: list[Faces]) -> Faces:
    """All of them."""
    return Faces(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Faces)))


def of_clip(pictures: list[np.ndarray], person: str, emotion: str, number: int, times_s: list[float]) -> Faces:
    """Those of one clip."""
    count = len(pictures)
    label = CLASSES.index(emotion) if emotion in CLASSES else -1
    values = np.full(count, label), np.full(count, person), np.full(count, number), np.array(times_s)
    return Faces(np.array(pictures, np.uint8), *values)


def read_ck48(folder: Path, side_px: int) -> Faces:
    """The pictures of the six classes, resized."""
    parts = []
    for emotion in CLASSES[:6]:
        for path in sorted((folder / "CK+48" / {"happiness": "happy"}.get(emotion, emotion)).glob("*.png")):
            picture = cv2.resize(cv2.imread(str(path)), (side_px, side_px), interpolation=cv2.INTER_LINEAR)
            parts.append(of_clip([picture], path.name[:4], emotion, len(parts), [0.0]))
    return joined(parts)


def read_mead(folder: Path, settings: PrepareSettings, change: Change | None = None) -> tuple[Faces, float]:
    """What the product's preparation makes of the clips, whose frames may be changed first, and the share of frames in
    which it finds a face."""
    parts, num_frames = [], 0
    with tempfile.TemporaryDirectory() as temporary:
        for number, (labels, path) in enumerate(_clips_of(folder)):
            if change:
                path, source = Path(temporary, "clip.mp4"), path
                write_video(path, [change(rgb) for _, rgb in _frames_of(source)], 25)
            kept, report = prepare_video(path, settings)
            num_frames += report.num_segments
            if kept:
                faces, times_s = [one.face for one in kept], [one.pts_s for one in kept]
                parts.append(of_clip(faces, labels["subject"], labels["emotion"], number, times_s))
    faces = joined(parts)
    return faces, len(faces.labels) / num_frames


def cut_wider(folder: Path, settings: PrepareSettings, margins: tuple[float, ...]) -> dict[float, Faces]:
    """Crops of so many sides of the boxes, by margin, of the network's own size."""
    parts: dict[float, list[Faces]] = {margin: [] for margin in margins}
    for number, (labels, path) in enumerate(_clips_of(folder)):
        kept = {one.frame: one for one in prepare_video(path, settings)[0]}
        frames = [(kept[index], rgb) for index, rgb in _frames_of(path) if index in kept]
        for margin in margins:
            crops = [_crop(rgb, Box(*one.box), margin) for one, rgb in frames]
            times_s = [one.pts_s for one, _ in frames]
            parts[margin].append(of_clip(crops, labels["subject"], labels["emotion"], number, times_s))
    return {margin: joined(found) for margin, found in parts.items()}


def _crop(rgb: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """A square about the middle of a box; what lies outside of the frame shows its edge."""
    side, padding = round(box.width * margin), box.width
    padded = cv2.copyMakeBorder(rgb, padding, padding, padding, padding, cv2.BORDER_REPLICATE)
    places = ((box.x, box.width), (box.y, box.height))
    left, top = (round(at + size / 2 - side / 2) + padding for at, size in places)
    return cv2.resize(padded[top : top + side, left : left + side], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def _clips_of(folder: Path) -> Iterator[tuple[dict[str, str], Path]]:
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        yield from ((row, folder / row["path"]) for row in csv.DictReader(file))


def _frames_of(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Number and RGB of each frame."""
    for frame in decode(path, Video()):
        height, width = frame.size
        yield frame.index, frame.rgb_part(Box(0, 0, width, height), width, height)


def turned(angle_deg: float) -> Change:
    """Turns a frame about its middle."""

    def change(rgb: np.ndarray) -> np.ndarray:
        height, width = rgb.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0)
        return cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return change


def shrunk(side_px: int) -> Change:
    """Shrinks a frame, and lays it into one of the size that it had."""

    def change(rgb: np.ndarray) -> np.ndarray:
        small = cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_AREA)
        before = [(side - side_px) // 2 for side in rgb.shape[:2]]
        after = [side - side_px - one for side, one in zip(rgb.shape[:2], before, strict=True)]
        return cv2.copyMakeBorder(small, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)

    return change
