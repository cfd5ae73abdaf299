"""Segments as models take them: what each holds, and where batches of them come from."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

#: Inputs of a batch by name, see `SegmentInputs.batch`.
Batch = dict[str, np.ndarray]


#: Inputs that are pictures, (b, T, S, S, channels).
PICTURES = ("face", "optical_flow")


def mirrored(batch: Batch) -> Batch:
    """The same segments left to right: what moved to the left moves to the right."""
    turned = batch | {name: batch[name][..., ::-1, :] for name in PICTURES if name in batch}
    if "optical_flow" in turned:
        turned["optical_flow"] = turned["optical_flow"] * np.array([-1, 1], turned["optical_flow"].dtype)
    return turned


def shifted(batch: Batch, right: int, down: int) -> Batch:
    """The same segments moved by so many px; what the border leaves open shows its edge."""
    moved = dict(batch)
    for name in batch.keys() & PICTURES:
        values = batch[name]
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

    @property
    def frame_bytes(self) -> int:
        """What a frame takes in memory, see `FrameInputs`."""
        return self.side_px**2 * (3 + 4 * self.has_optical_flow)

    def offers(self, needed: "SegmentShape") -> bool:
        """Whether segments of this shape have what a model needs; it is built for their side."""
        return self.num_frames >= needed.num_frames and self.has_optical_flow >= needed.has_optical_flow

    def with_needs(self, needed: "SegmentShape") -> "SegmentShape":
        """The same with at least the frames, and with the motion, that a model needs."""
        return SegmentShape(
            max(self.num_frames, needed.num_frames), self.side_px, self.has_optical_flow or needed.has_optical_flow
        )


class SegmentInputs(Protocol):
    """Segments that a model can be asked about. How they are stored is their own affair."""

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray) -> Batch:
        """The segments of these rows, int (b,), in their order.

        Returns:
            `face`, uint8 RGB (b, T, S, S, 3), 0..255, `optical_flow`, float16 (b, T, S, S, 2), dx and dy in px at the
            stored scale, where the segments have it, and `seen`, bool (b, T), which of the frames show the face; in
            place of those that do not stand the nearest ones that do.
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


class Frames(Protocol):
    """Frames of segments: an array (m, ..), or what is read like one when it is asked for rows, int of any shape."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class FrameInputs:
    """Segments as windows over frames that they may share.

    Args:
        faces: uint8 RGB (m, S, S, 3), the face crops of all frames.
        optical_flows: float16 (m, S, S, 2), dx and dy in px at the stored scale from each frame on (see
            `tasks.preparation.shards`); None where the frames have none.
        windows: int (n, T), the frames of each segment.
        seen: bool (n, T), see `SegmentInputs.batch`.
        is_finite: bool (m,), of which frames all optical flow is finite; None where nobody has looked.
    """

    faces: Frames
    optical_flows: Frames | None
    windows: np.ndarray
    seen: np.ndarray
    is_finite: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def shape(self) -> SegmentShape:
        """Of each segment."""
        return SegmentShape(self.windows.shape[1], self.faces.shape[1], self.optical_flows is not None)

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, rows: np.ndarray) -> Batch:
        """As of `SegmentInputs`."""
        frames = self.windows[rows]
        batch = {"face": self.faces[frames]}
        if self.optical_flows is not None:
            batch["optical_flow"] = self.optical_flows[frames]
        return batch | {"seen": self.seen[rows]}


def pair_inputs(faces: np.ndarray, optical_flows: np.ndarray) -> FrameInputs:
    """Segments of one frame each; arguments as of `FrameInputs`."""
    windows = np.arange(len(faces))[:, None]
    return FrameInputs(faces, optical_flows, windows, np.ones(windows.shape, bool))


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
class SegmentArrays(FrameInputs):
    """The same with what they are trained and judged by, see `SegmentSource`."""

    labels: np.ndarray
    videos: np.ndarray
    names: np.ndarray


def pair_arrays(
    faces: np.ndarray, optical_flows: np.ndarray, labels: np.ndarray, videos: np.ndarray, names: np.ndarray
) -> SegmentArrays:
    """Segments of one frame each, with what they are trained and judged by."""
    inputs = pair_inputs(faces, optical_flows)
    return SegmentArrays(faces, optical_flows, inputs.windows, inputs.seen, labels, videos, names)
