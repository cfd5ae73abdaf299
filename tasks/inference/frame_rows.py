"""The frame table of a prediction as arrays, for what draws it: which rows belong to a frame, and to a track."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tasks.video.boxes import Box

#: What the column `face` says of a frame without a face.
NO_FACE = "none"
_BOX = ["x", "y", "width", "height"]


@dataclass(frozen=True)
class FrameRows:
    """Rows of the frame table, ordered by frame and track; each array has one value a row.

    Args:
        frame, track: int (n,); a track of 0 is that of a frame without any face.
        time_s: float (n,), since the first frame.
        boxes: int (n, 4): x, y, width and height in px of the frame as shown; -1 without a face.
        probabilities: float32 (n, classes); NaN where there is no verdict.
        uncertainty: float32 (n,), standard deviation of the highest probability; NaN where it is not known.
    """

    frame: np.ndarray
    track: np.ndarray
    time_s: np.ndarray
    boxes: np.ndarray
    probabilities: np.ndarray
    uncertainty: np.ndarray

    @classmethod
    def of(cls, frames: pd.DataFrame, labels: Sequence[str]) -> "FrameRows":
        """The rows of a frame table (see `tasks.inference.prediction`) whose probabilities are `p_<label>`."""
        order = np.lexsort((frames["track"].to_numpy(np.int64), frames["frame"].to_numpy(np.int64)))
        boxes = np.column_stack([frames[name].to_numpy(np.float64, na_value=-1.0) for name in _BOX])
        boxes[(frames["face"] == NO_FACE).to_numpy(bool)] = -1
        probabilities = [frames[f"p_{label}"].to_numpy(np.float32, na_value=np.nan) for label in labels]
        return cls(
            frames["frame"].to_numpy(np.int64)[order],
            frames["track"].to_numpy(np.int64)[order],
            frames["time_s"].to_numpy(np.float64)[order],
            boxes.round().astype(np.int64)[order],
            np.column_stack([np.empty((len(order), 0), np.float32), *probabilities])[order],
            frames["uncertainty"].to_numpy(np.float32, na_value=np.nan)[order],
        )

    @cached_property
    def tracks(self) -> list[int]:
        """The tracks, ascending."""
        return [track for track in np.unique(self.track).tolist() if track > 0]

    @property
    def num_frames(self) -> int:
        """Frames of the video, as far as it was decoded."""
        return int(self.frame[-1]) + 1 if len(self.frame) else 0

    def longest_tracks(self, most: int) -> list[int]:
        """The tracks with a face in most frames, ascending; all where there are no more."""
        tracks, counts = np.unique(self.track[self.has_face & (self.track > 0)], return_counts=True)
        return sorted(tracks[np.argsort(-counts, kind="stable")[:most]].tolist())

    @cached_property
    def has_face(self) -> np.ndarray:
        """Whether a row has a box, bool (n,)."""
        return self.boxes[:, 2] > 0

    @cached_property
    def has_verdict(self) -> np.ndarray:
        """Whether a row has probabilities, bool (n,)."""
        return ~np.isnan(self.probabilities).any(axis=1)

    def of_frame(self, frame: int) -> range:
        """The numbers of the rows of a frame."""
        first, end = np.searchsorted(self.frame, [frame, frame + 1])
        return range(int(first), int(end))

    def box(self, row: int) -> Box | None:
        """The face of a row, None where there is none."""
        x, y, width, height = self.boxes[row].tolist()
        return Box(x, y, width, height) if width > 0 and height > 0 else None

    def lifetimes(self) -> list[tuple[int, int, int]]:
        """Each track with its first and last frame, ordered by the first."""
        followed = self.track > 0
        frame, track = self.frame[followed], self.track[followed]
        tracks, first = np.unique(track, return_index=True)
        _, last = np.unique(track[::-1], return_index=True)
        spans = zip(tracks.tolist(), frame[first].tolist(), frame[::-1][last].tolist(), strict=True)
        return sorted(spans, key=lambda span: (span[1], span[0]))
