"""How many videos of each class stand in each subset."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.drawing.colours import BLUE, ORANGE, VERMILION
from tasks.drawing.lettering import set_names

_COLOURS = {"train": BLUE, "validation": ORANGE, "test": VERMILION, "tested once": BLUE}
#: Names of more classes stand on end; of many classes only some have theirs.
_MOST_UPRIGHT, _MOST_NAMED = 7, 60


def plot_class_distribution(index: pd.DataFrame, emotions: Sequence[str]) -> Figure:
    """Grouped bars from the index: videos with a usable face, by class and subset."""
    videos = index.drop_duplicates("video_id")
    many = len(emotions) > _MOST_UPRIGHT
    every = -(-len(emotions) // _MOST_NAMED)
    figure = Figure(figsize=(max(8.0, 0.3 * len(emotions) / every), 4.6 if many else 3.2), layout="constrained")
    axes = figure.subplots()
    x = np.arange(len(emotions))
    subsets = [subset for subset in _COLOURS if (videos["side"] == subset).any()]
    for number, subset in enumerate(subsets):
        counts = videos.loc[videos["side"] == subset, "emotion"].value_counts().reindex(list(emotions), fill_value=0)
        subjects = videos.loc[videos["side"] == subset, "subject"].nunique()
        place = x + (number - (len(subsets) - 1) / 2) * 0.27
        bars = axes.bar(place, counts, 0.25, color=_COLOURS[subset], label=f"{subset} ({subjects} people)")
        if every == 1:
            axes.bar_label(bars, fontsize=8)
    set_names(axes.xaxis, emotions, every=every, rotation=90 if many else 0, fontsize=8 if many else 10)
    axes.set_ylabel("videos")
    figure.legend(frameon=False, fontsize=9, loc="outside upper right", ncols=3)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
