"""Segments as models take them: what each holds, and where batches of them come from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

#: Inputs of a batch by name, see `SegmentInputs.batch`.
Batch = dict[str, np.ndarray]


def mirrored(batch: Batch) -> Batch:
    """The same segments left to right: what moved to the left moves to the right."""
    turned = {name: values[..., ::-1, :] for name, values in batch.items()}
    if "optical_flow" in turned:
        turned["optical_flow"] = turned["optical_flow"] * np.array([-1, 1], turned["optical_flow"].dtype)
    return turned


def shifted(batch: Batch, right: int, down: int) -> Batch:
    """The same segments moved by so many px; what the border leaves open shows its edge."""
    moved = {}
    for name, values in batch.items():
        rows, columns = (
            np.clip(np.arange(side) - by, 0, side - 1)
            for side, by in zip(values.shape[-3:-1], (down, right), strict=True)
        )
        moved[name] = values[..., rows[:, None], columns, :]
    return moved


@dataclass(frozen=True)
class SegmentShape:
    """What a segment holds.

    Args:
        num_frames: face crops of a segment (T); each has the optical flow from its time on.
        side_px: side of a crop (S).
        has_optical_flow: whether there is any.
    """

    num_frames: int = 1
    side_px: int = 48
    has_optical_flow: bool = True

    def offers(self, needed: "SegmentShape") -> bool:
        """Whether segments of this shape have what a model needs; it is built for their side."""
        return self.num_frames >= needed.num_frames and self.has_optical_flow >= needed.has_optical_flow


class SegmentInputs(Protocol):
    """Segments that a model can be asked about. How they are stored is their own affair."""

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray) -> Batch:
        """The segments of these rows, int (b,), in their order.

        Returns:
            `face`, uint8 RGB (b, T, S, S, 3), 0..255, and `optical_flow`, float16 (b, T, S, S, 2), dx and dy in px at
            the stored scale, each where the segments have it.
        """


class SegmentSource(SegmentInputs, Protocol):
    """Segments that a model can be trained on.

    Args:
        labels: int64 (n,), positions in the study's label order.
        videos: (n,) the video of each segment.
        names: (n,) for messages, `<video>#<segment>`.
    """

    @property
    def labels(self) -> np.ndarray: ...
    @property
    def videos(self) -> np.ndarray: ...
    @property
    def names(self) -> np.ndarray: ...


@dataclass(frozen=True)
class PairInputs:
    """Pairs in memory: a face crop each, and the optical flow from its time on.

    Args:
        faces: uint8 RGB (n, S, S, 3).
        optical_flows: float16 (n, S, S, 2), dx and dy in px at the stored scale (see `tasks.preparation.shards`).
    """

    faces: np.ndarray
    optical_flows: np.ndarray

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""
        return SegmentShape(num_frames=1, side_px=self.faces.shape[1])

    def __len__(self) -> int:
        return len(self.faces)

    def batch(self, rows: np.ndarray) -> Batch:
        """As of `SegmentInputs`."""
        return {"face": self.faces[rows][:, None], "optical_flow": self.optical_flows[rows][:, None]}


@dataclass(frozen=True)
class Mirrored:
    """Segments seen in a mirror."""

    source: SegmentInputs

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""
        return self.source.shape

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, rows: np.ndarray) -> Batch:
        """As of `SegmentInputs`."""
        return mirrored(self.source.batch(rows))


@dataclass(frozen=True)
class SegmentRows:
    """Some of the segments of a source: those of these rows, int (n,)."""

    source: SegmentInputs
    rows: np.ndarray

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""
        return self.source.shape

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: np.ndarray) -> Batch:
        """As of `SegmentInputs`."""
        return self.source.batch(self.rows[rows])


@dataclass(frozen=True)
class JoinedSegments:
    """The segments of one source, then those of another one of the same shape; see `SegmentSource`."""

    first: SegmentSource
    second: SegmentSource

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""
        return self.first.shape

    @property
    def labels(self) -> np.ndarray:
        """As of `SegmentSource`."""
        return np.concatenate([self.first.labels, self.second.labels])

    @property
    def videos(self) -> np.ndarray:
        """As of `SegmentSource`."""
        return np.concatenate([self.first.videos, self.second.videos])

    @property
    def names(self) -> np.ndarray:
        """As of `SegmentSource`."""
        return np.concatenate([self.first.names, self.second.names])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def batch(self, rows: np.ndarray) -> Batch:
        """As of `SegmentInputs`."""
        of_first = rows < len(self.first)
        parts = self.first.batch(rows[of_first]), self.second.batch(rows[~of_first] - len(self.first))
        joined = {name: np.empty((len(rows), *values.shape[1:]), values.dtype) for name, values in parts[0].items()}
        for name, values in joined.items():
            values[of_first], values[~of_first] = parts[0][name], parts[1][name]
        return joined


@dataclass(frozen=True)
class SegmentArrays(PairInputs):
    """The same with what they are trained and judged by, see `SegmentSource`."""

    labels: np.ndarray
    videos: np.ndarray
    names: np.ndarray
