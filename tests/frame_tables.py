"""Frame tables of predictions, made up."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode

LABELS = ("anger", "happiness", "sadness")


def frame_table(
    times_s: Sequence[float],
    labels: Sequence[str] = LABELS,
    box: Box | None = Box(40, 30, 60, 60),
    probabilities: Sequence[float] | np.ndarray | None = None,
    track: int = 1,
    uncertainty: float = np.nan,
) -> pd.DataFrame:
    """The rows of one track, one a frame, as a prediction gives them.

    Args:
        box: of the face; None for no face.
        probabilities: of the classes, for each frame or the same for all; None for no verdict.
    """
    values = np.full((len(times_s), len(labels)), np.nan)
    values[:] = np.nan if probabilities is None else probabilities
    has_verdict = ~np.isnan(values).any(axis=1)
    best = np.where(has_verdict, np.nan_to_num(values).argmax(axis=1), -1)
    table = pd.DataFrame(
        {
            "frame": np.arange(len(times_s)),
            "time_s": np.asarray(times_s, float),
            "track": track,
            "face": "found" if box else "none",
            **{
                name: pd.array([side] * len(times_s), "Int64")
                for name, side in zip(("x", "y", "width", "height"), box or [pd.NA] * 4, strict=True)
            },
            "predicted": [labels[one] if one >= 0 else "" for one in best],
            "confidence": np.where(has_verdict, values.max(axis=1), np.nan),
            "uncertainty": np.where(has_verdict, uncertainty, np.nan),
        }
    )
    return table.assign(**{f"p_{label}": values[:, number] for number, label in enumerate(labels)})


def times_of(path: Path) -> list[float]:
    """When the frames of a video are shown, in seconds since the first."""
    return [frame.pts_s for frame in decode(path, Video())]


def table_of(path: Path, **more: object) -> pd.DataFrame:
    """A table for the frames of a video."""
    return frame_table(times_of(path), **{"probabilities": (0.1, 0.7, 0.2), **more})
