"""Segments as arrays: what training and evaluation read."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SegmentArrays:
    """The segments of one side.

    Args:
        faces: uint8 RGB (n, 48, 48, 3).
        optical_flows: float16 (n, 48, 48, 2), dx and dy in px at the stored scale (see `tasks.preparation.shards`).
        labels: int64 (n,), positions in the study's label order.
        videos: (n,) the video of each segment.
        names: (n,) for messages, `<video>#<segment>`.
    """

    faces: np.ndarray
    optical_flows: np.ndarray
    labels: np.ndarray
    videos: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)
