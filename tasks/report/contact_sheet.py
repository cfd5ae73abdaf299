"""Random segments of every class, for a look at what the models learn from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.dataset.index import load_arrays
from tasks.dataset.splits import TRAIN
from tasks.report.plots.contact_sheet import Thumbnail

#: Segments a class.
NUM_PER_CLASS = 12


def choose_segments(
    index: pd.DataFrame, emotions: Sequence[str], seed: int, number: int = NUM_PER_CLASS
) -> pd.DataFrame:
    """Random rows of the training subset, up to `number` a class: of as many subjects as there are, then of other
    videos.

    The subjects of the other two subsets are not shown, so that nobody chooses anything by looking at them.
    """
    train = index[index["side"] == TRAIN]
    parts = []
    for position, emotion in enumerate(emotions):
        rows = train[train["emotion"] == emotion]
        rows = rows.iloc[np.random.default_rng([seed, position]).permutation(len(rows))]
        in_video = rows.groupby("video_id").cumcount()  # 0 for the first row of a video, 1 for the next ..
        rows = rows.iloc[np.argsort(in_video.to_numpy(), kind="stable")]
        of_subject = rows.groupby("subject").cumcount()
        parts.append(rows.iloc[np.argsort(of_subject.to_numpy(), kind="stable")].head(number))
    return pd.concat(parts)


def read_thumbnails(rows: pd.DataFrame, prepared: Path, emotions: Sequence[str]) -> dict[str, list[Thumbnail]]:
    """The images of index rows, by class in the order of `emotions`. `prepared` is the folder above the shards."""
    rows = rows.reset_index(drop=True)
    arrays = load_arrays(rows, prepared, tuple(emotions))
    shown = arrays.batch(np.arange(len(rows)))
    flows = shown.get("optical_flow")
    return {
        emotion: [
            Thumbnail(
                str(rows.loc[i, "subject"]),
                shown["face"][i, 0],
                None if flows is None else flows[i, 0].astype(np.float32),
            )
            for i in np.flatnonzero(arrays.labels == label)
        ]
        for label, emotion in enumerate(emotions)
    }
