"""Faces of a video at even times, for the axis of a timeline."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.inference.frame_rows import FrameRows
from tasks.video.boxes import Box
from tasks.video.previews import pick_frames

#: Side of a thumbnail in px.
SIDE_PX = 96
#: So many tracks have a place in a timeline, those that are seen longest.
MOST_TRACKS = 8


@dataclass(frozen=True)
class Thumbnail:
    """A face at a time.

    Args:
        face: uint8 RGB (side, side, 3).
    """

    track: int
    time_s: float
    face: np.ndarray


def read_thumbnails(source: Path, frames: pd.DataFrame, number: int = 10) -> list[Thumbnail]:
    """Up to `number` faces of each track at even times, of a video that may be long: few of its frames are decoded.

    Args:
        source: the video that the frame table (see `tasks.inference.prediction`) is of.

    Raises:
        VideoFault: not one frame can be decoded.
    """
    table = FrameRows.of(frames, [])
    wanted: dict[int, list[int]] = {}
    for track in table.longest_tracks(MOST_TRACKS):
        for row in _spread_rows(table, track, number):
            wanted.setdefault(int(table.frame[row]), []).append(row)
    if not wanted:
        return []
    moments = {frame: float(table.time_s[rows[0]]) for frame, rows in sorted(wanted.items())}
    thumbnails = []
    for number_of_frame, frame in pick_frames(source, moments):
        for row in wanted[number_of_frame]:
            if box := _inside(table.box(row), frame.size):
                face = frame.rgb_crop(box, SIDE_PX)
                thumbnails.append(Thumbnail(int(table.track[row]), float(table.time_s[row]), face))
    return thumbnails


def _spread_rows(table: FrameRows, track: int, number: int) -> list[int]:
    """For each of equal parts of the video the row with a face that is nearest to its middle."""
    rows = np.flatnonzero((table.track == track) & table.has_face)
    parts = np.linspace(table.time_s[0], table.time_s.max(), number + 1)
    chosen = []
    for begin_s, end_s in pairwise(parts.tolist()):
        inside = rows[(table.time_s[rows] >= begin_s) & (table.time_s[rows] <= end_s)]
        if len(inside):
            row = int(inside[np.abs(table.time_s[inside] - (begin_s + end_s) / 2).argmin()])
            chosen += [row] if row not in chosen else []
    return chosen


def _inside(box: Box | None, size: tuple[int, int]) -> Box | None:
    """The part of a box that lies in a frame of that height and width."""
    if box is None:
        return None
    left, top = max(box.x, 0), max(box.y, 0)
    right, bottom = min(box.x + box.width, size[1]), min(box.y + box.height, size[0])
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None
