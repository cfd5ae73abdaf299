"""What a model says of the frames of a face, smoothed over time: single frames flicker, expressions last."""

import numpy as np


def smooth(
    probabilities: np.ndarray, times_s: np.ndarray, window_s: float, scenes: np.ndarray | None = None
) -> np.ndarray:
    """The mean over a window around each frame, weighted by how long each frame in it is shown.

    A frame speaks for the time around it, half of the way to the frames before and after it; of the first and the last
    one as long on their other side. The mean is that over time, so frames that come faster do not count more. Frames
    without a face count for nothing and get nothing: those on both sides of a gap are mixed as far as the window
    reaches over it, and a gap of half a window parts them. At the ends of a scene the window has less in it; that of
    the last frame has the past alone, as it is for frames that come live.

    Args:
        probabilities: float (n, classes); a row with NaN is a frame without a verdict.
        times_s: float (n,), when each is shown, s, not falling within a scene.
        window_s: the whole length of the window, s; with 0 nothing changes.
        scenes: int (n,), frames of different numbers are not mixed: those of other scenes, or of other faces. One
            scene without.

    Returns:
        float64 (n, classes), each row with a sum of 1 where those of the frames have it; NaN where they have.

    Raises:
        ValueError: times fall, or the window is negative.
    """
    if window_s < 0:
        raise ValueError(f"a window of {window_s} s is negative")
    smoothed = np.array(probabilities, np.float64)
    groups = np.zeros(len(smoothed), int) if scenes is None else np.asarray(scenes)
    for group in np.unique(groups) if window_s else ():
        rows = np.flatnonzero(groups == group)
        smoothed[rows] = _smooth_scene(smoothed[rows], np.asarray(times_s, np.float64)[rows], window_s / 2)
    return smoothed


def _smooth_scene(values: np.ndarray, times_s: np.ndarray, half_s: float) -> np.ndarray:
    """As `smooth`, of a single scene with half a window."""
    if (np.diff(times_s) < 0).any():
        raise ValueError("times of frames fall within a scene")
    seen = ~np.isnan(values).any(axis=1)
    edges = _edges(times_s)  # (n + 1,), where the time begins and ends that each frame speaks for
    spans = np.diff(edges) * seen
    sums = np.concatenate([[0.0], np.cumsum(spans)])
    weighted = np.where(seen[:, None], values, 0.0) * spans[:, None]
    weighted_sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(weighted, axis=0)])
    begins, ends = times_s - half_s, times_s + half_s
    lengths = np.interp(ends, edges, sums) - np.interp(begins, edges, sums)
    means = [np.interp(ends, edges, one) - np.interp(begins, edges, one) for one in weighted_sums.T]
    has_length = seen & (lengths > _LEAST_S)  # frames that share a moment speak for no time
    smoothed = values.copy()
    smoothed[has_length] = np.stack(means, axis=1)[has_length] / lengths[has_length, None]
    return smoothed


#: A window that holds less of seen frames is rounding.
_LEAST_S = 1e-9


def _edges(times_s: np.ndarray) -> np.ndarray:
    middles = (times_s[1:] + times_s[:-1]) / 2
    if not len(middles):
        return np.array([times_s[0] - 0.5, times_s[0] + 0.5])  # a frame that stands alone is its own mean
    return np.concatenate([[2 * times_s[0] - middles[0]], middles, [2 * times_s[-1] - middles[-1]]])
