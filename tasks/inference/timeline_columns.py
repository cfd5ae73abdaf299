"""What a model says of one face over time, in columns that a figure has room for."""

from dataclasses import dataclass

import numpy as np

from tasks.inference.frame_rows import FrameRows

#: More columns than these cannot be told apart on a page.
MOST_COLUMNS = 1500
VERDICT, NO_VERDICT, NO_FACE = 0, 1, 2


@dataclass(frozen=True)
class Times:
    """When the frames of a video are shown.

    Args:
        frames: int (n,), their numbers, ascending.
        edges_s: float (c + 1,), where columns begin and end.
        first: int (c,), position of each column's first frame; one without a frame has that which is still shown.
        end: int (c,), behind the last.
    """

    frames: np.ndarray
    edges_s: np.ndarray
    first: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, table: FrameRows, most: int = MOST_COLUMNS) -> "Times":
        """A column a frame, or equal times where there are too many."""
        frames, rows = np.unique(table.frame, return_index=True)
        times_s = table.time_s[rows]
        usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
        end_s = times_s[-1] + (usual_s or 0.04)
        if len(frames) <= most:
            return cls(frames, np.append(times_s, end_s), np.arange(len(frames)), np.arange(len(frames)) + 1)
        edges_s = np.linspace(times_s[0], end_s, most + 1)
        bounds = np.searchsorted(times_s, edges_s)
        empty = bounds[1:] == bounds[:-1]  # the frame before is still shown
        return cls(frames, edges_s, np.where(empty, bounds[:-1] - 1, bounds[:-1]), bounds[1:])


@dataclass(frozen=True)
class Columns:
    """One track in columns.

    Args:
        state: int (c,), `VERDICT`, `NO_VERDICT` or `NO_FACE`, whichever most frames of the column are.
        probabilities: float32 (c, classes), means over the frames with a verdict; NaN where the state is another.
        confidence, uncertainty: float32 (c,), means of the highest probability and of its standard deviation; NaN
            likewise, and where the model gives no uncertainty.
    """

    state: np.ndarray
    probabilities: np.ndarray
    confidence: np.ndarray
    uncertainty: np.ndarray

    @classmethod
    def of(cls, table: FrameRows, times: Times, track: int) -> "Columns":
        """The columns of a track; where it has no row, it has no face."""
        rows = np.flatnonzero(table.track == track)
        places = np.searchsorted(times.frames, table.frame[rows])
        state = np.full(len(times.frames), NO_FACE)
        state[places] = np.where(table.has_verdict[rows], VERDICT, np.where(table.has_face[rows], NO_VERDICT, NO_FACE))
        known = table.has_verdict[rows]
        values = np.column_stack(
            [table.probabilities[rows], table.probabilities[rows].max(axis=1, initial=0), table.uncertainty[rows]]
        )
        by_frame = np.zeros((len(times.frames), values.shape[1]))
        by_frame[places[known]] = values[known]
        sums = np.vstack([np.zeros(values.shape[1]), by_frame.cumsum(axis=0)])
        counts = np.stack([_counts(state == kind, times) for kind in (VERDICT, NO_VERDICT, NO_FACE)])
        of_column = counts.argmax(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = (sums[times.end] - sums[times.first]) / counts[VERDICT][:, None]
        means[of_column != VERDICT] = np.nan
        means = means.astype(np.float32)
        return cls(of_column, means[:, :-2], means[:, -2], means[:, -1])

    def runs(self, state: int) -> list[tuple[int, int]]:
        """The first column of each run of a state, and the one behind its last."""
        edges = np.flatnonzero(np.diff(np.r_[False, self.state == state, False]))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _counts(chosen: np.ndarray, times: Times) -> np.ndarray:
    sums = np.r_[0, chosen.cumsum()]
    return sums[times.end] - sums[times.first]
