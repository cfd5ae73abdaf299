"""What a child process cuts out of a video on its way to the process that holds the model: blocks, as files.

A block is a small file of what some decoded frames show. It gets its name when it is whole, and is removed as soon as
it was read; the writer waits while a few of them stand there. So neither memory nor disk grows with a video, and nobody
holds a lock that a child that is killed could leave locked. Files are read, not mapped into memory: a mapped file
cannot be removed everywhere, and what is read is a few MB. Without heavy imports.
"""

import os
import time
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from fer_models.errors import StorageError, VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.inference.cutting import Keep, Watch
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.segments import FaceFrame, Sighting

#: A block is written once it holds so many bytes of frames, or so many decoded frames, or is so many seconds old, which
#: tells that the child is at work.
_BLOCK_BYTES, _MOST_SIGHTINGS, _MOST_S = 2**22, 1024, 2.0
#: So many blocks of a video may wait to be read.
_MOST_WAITING = 4
_LOOK_S = 0.005

_T = TypeVar("_T")
#: A block begins with how many sightings and frames it holds.
_COUNTS = np.dtype("<i8")
_SIGHTING = np.dtype(
    [
        ("track", "<i4"),
        ("frame", "<i8"),
        ("pts_s", "<f8"),
        ("size", "<i4", 2),
        ("searched", "?"),
        ("has_box", "?"),
        ("box", "<i4", 4),
        ("scene", "<i4"),
    ]
)


def _frame_type(side_px: int, has_optical_flow: bool) -> np.dtype:
    """A kept frame with its track, as bytes."""
    numbers = [("track", "<i4"), ("segment", "<i8"), ("frame", "<i8"), ("pts_s", "<f8"), ("interval_s", "<f8")]
    pictures = [("face", "u1", (side_px, side_px, 3))]
    if has_optical_flow:
        pictures.append(("optical_flow", "<f2", (side_px, side_px, 2)))
    return np.dtype([*numbers, ("box", "<i4", 4), ("num_faces", "<i4"), *pictures])


class Block(NamedTuple):
    """What some decoded frames show, each in the order in which it was handed over, with the number of its track."""

    sightings: list[tuple[int, Sighting]]
    frames: list[tuple[int, FaceFrame]]

    def hand_over(self, keep: Keep, watch: Watch) -> None:
        """Hand all of it over to who would have taken it without the way through a file."""
        for track, sighting in self.sightings:
            watch(track, sighting)
        for track, frame in self.frames:
            keep(track, frame)


class BlockWriter:
    """Takes what a video shows and writes blocks of it; to be used as a context.

    Args:
        folder: of its own, which the reader has made and will remove.
        settings: that the video is cut with.

    Raises:
        StorageError: on leaving and whenever a block is written: it cannot be.
        VideoFault: `crashed`, when the process that reads has ended.
    """

    def __init__(self, folder: Path, settings: PrepareSettings) -> None:
        self._folder = folder
        self._type = _frame_type(settings.face_size_px, settings.has_optical_flow)
        self._most_frames = max(1, _BLOCK_BYTES // self._type.itemsize)
        self._sightings: list[tuple[int, Sighting]] = []
        self._frames: list[tuple[int, FaceFrame]] = []
        self._number, self._begun_s = 0, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def keep(self, track: int, frame: FaceFrame) -> None:
        """One more frame that the model is to see."""
        self._frames.append((track, frame))
        if len(self._frames) >= self._most_frames:
            self._flush()

    def watch(self, track: int, sighting: Sighting) -> None:
        """One more decoded frame."""
        self._sightings.append((track, sighting))
        if len(self._sightings) >= _MOST_SIGHTINGS or time.monotonic() - self._begun_s > _MOST_S:
            self._flush()

    def _flush(self) -> None:
        oldest = _block_file(self._folder, self._number - _MOST_WAITING)
        while oldest.exists():
            parent = parent_process()
            if parent and not parent.is_alive():
                raise VideoFault(Outcome.CRASHED, "who wanted to know of it has ended")
            time.sleep(_LOOK_S)
        try:
            self._write()
        except OSError as error:
            raise StorageError(
                f"{self._folder.parent} cannot be written ({error.strerror or error}); what is done stays, so correct "
                "that and run the same command again."
            ) from error
        self._sightings, self._frames = [], []
        self._number, self._begun_s = self._number + 1, time.monotonic()

    def _write(self) -> None:
        path = _block_file(self._folder, self._number)
        temporary = path.with_suffix(".part")
        sightings = _packed(self._sightings, _SIGHTING, _sighting_cells)
        frames = _packed(self._frames, self._type, _frame_cells)
        with temporary.open("wb") as file:
            for part in (np.array([len(sightings), len(frames)], _COUNTS), sightings, frames):
                part.tofile(file)
        os.replace(temporary, path)


class BlockReader:
    """Reads the blocks of a video in their order; arguments as of `BlockWriter`."""

    def __init__(self, folder: Path, settings: PrepareSettings) -> None:
        self._folder, self._number = folder, 0
        self._type = _frame_type(settings.face_size_px, settings.has_optical_flow)

    def next(self) -> Block | None:
        """The next block, whose file is gone then; None where it is not there yet."""
        path = _block_file(self._folder, self._number)
        if not path.exists():
            return None
        with path.open("rb") as file:
            num_sightings, num_frames = np.fromfile(file, _COUNTS, 2).tolist()
            sightings = np.fromfile(file, _SIGHTING, num_sightings)
            frames = np.fromfile(file, self._type, num_frames)
        path.unlink()
        self._number += 1
        return Block([_sighting(row) for row in sightings], [_frame(row) for row in frames])


def _block_file(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.block"


def _packed(rows: Sequence[tuple[int, _T]], kind: np.dtype, cells: Callable[[_T], dict[str, Any]]) -> np.ndarray:
    packed = np.zeros(len(rows), kind)
    for row, (track, one) in zip(packed, rows, strict=True):
        row["track"] = track
        for name, value in cells(one).items():
            row[name] = value
    return packed


def _sighting_cells(one: Sighting) -> dict[str, Any]:
    return vars(one) | {"box": one.box or (0, 0, 0, 0), "has_box": one.box is not None}


def _sighting(row: np.void) -> tuple[int, Sighting]:
    box = Box(*row["box"].tolist()) if row["has_box"] else None
    height, width = row["size"].tolist()
    searched, scene = bool(row["searched"]), int(row["scene"])
    return int(row["track"]), Sighting(int(row["frame"]), float(row["pts_s"]), (height, width), searched, box, scene)


def _frame_cells(one: FaceFrame) -> dict[str, Any]:
    return {name: value for name, value in vars(one).items() if value is not None}


def _frame(row: np.void) -> tuple[int, FaceFrame]:
    optical_flow = row["optical_flow"] if "optical_flow" in (row.dtype.names or ()) else None
    return int(row["track"]), FaceFrame(
        int(row["segment"]),
        int(row["frame"]),
        float(row["pts_s"]),
        tuple(row["box"].tolist()),
        int(row["num_faces"]),
        row["face"],
        optical_flow,
        float(row["interval_s"]),
    )
