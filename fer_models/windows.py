"""Which frames of a video its segments are made of: windows of one length, some of whose frames are kept."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: Segments of which it is told at once which of their frames are nearest to which: T * T numbers each.
_AT_ONCE = 256


class Covered(NamedTuple):
    """The segments of a video that show the face, and where their frames stand among those that were kept.

    Args:
        segments: int (n,), their numbers.
        rows: int (n, T), of the frames of each; in place of one that was not kept stands that of the nearest one of the
            segment, the earlier of two.
        seen: bool (n, T), which of them were kept.
    """

    segments: np.ndarray
    rows: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Segments of a video: runs of frames that may overlap.

    Args:
        length: frames from the first of a segment to its last.
        stride: frames from the start of one to that of the next.
        num_frames: frames of a segment that are kept (T), at equal distances from its first on.
        min_covered_share: of these, the share that must show the face.
    """

    length: int
    stride: int
    num_frames: int
    min_covered_share: float

    @property
    def step(self) -> int:
        """Frames from one that is kept to the next."""
        return self.length // self.num_frames

    @property
    def last_place(self) -> int:
        """Frames from the first of a segment to the last one of it that is kept."""
        return (self.num_frames - 1) * self.step

    def count(self, num_frames: int) -> int:
        """How many segments a video of so many frames has."""
        return max(0, (num_frames - self.length) // self.stride + 1)

    def first_start(self, frame: int) -> int | None:
        """Where the earliest segment begins that a frame is kept for; None for one that is kept for none."""
        starts = (frame - place * self.step for place in reversed(range(self.num_frames)))
        return next((start for start in starts if start >= 0 and start % self.stride == 0), None)

    def num_places(self, num_segments: int) -> int:
        """How many frames of the video they take, shared ones counted once."""
        return len(np.unique(self._places(num_segments)))

    def _places(self, num_segments: int) -> np.ndarray:
        """The frames of each segment, int (segments, T)."""
        return np.arange(num_segments)[:, None] * self.stride + np.arange(self.num_frames) * self.step

    def covered(self, frames: np.ndarray, num_segments: int) -> Covered:
        """The segments of a video with enough frames.

        Args:
            frames: int (m,), the numbers of those that were kept, ascending.
            num_segments: of the video.
        """
        places = self._places(num_segments if len(frames) else 0)
        rows = np.minimum(np.searchsorted(frames, places), max(len(frames) - 1, 0))
        seen = frames[rows] == places
        enough = seen.any(axis=1) & (seen.mean(axis=1) >= self.min_covered_share - 1e-9)
        rows, seen = rows[enough], seen[enough]
        distances = np.abs(np.subtract.outer(np.arange(self.num_frames), np.arange(self.num_frames)))
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            nearest = np.where(seen[part, None, :], distances, self.num_frames).argmin(axis=2)
            rows[part] = np.take_along_axis(rows[part], nearest, axis=1)
        return Covered(np.flatnonzero(enough), rows, seen)
