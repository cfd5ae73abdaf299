"""How many videos of each class stand on each side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.report.plots import BLUE, ORANGE, VERMILION

_COLOURS = {"train": BLUE, "validation": ORANGE, "test": VERMILION, "tested once": BLUE}


def plot_class_distribution(index: pd.DataFrame, emotions: Sequence[str]) -> Figure:
    """Grouped bars from the index: videos with a usable face, by class and side."""
    videos = index.drop_duplicates("video_id")
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    x = np.arange(len(emotions))
    sides = [side for side in _COLOURS if (videos["side"] == side).any()]
    for number, side in enumerate(sides):
        counts = videos.loc[videos["side"] == side, "emotion"].value_counts().reindex(list(emotions), fill_value=0)
        people = videos.loc[videos["side"] == side, "subject"].nunique()
        place = x + (number - (len(sides) - 1) / 2) * 0.27
        bars = axes.bar(place, counts, 0.25, color=_COLOURS[side], label=f"{side} ({people} people)")
        axes.bar_label(bars, fontsize=8)
    axes.set_xticks(x, emotions)
    axes.set_ylabel("videos")
    figure.legend(frameon=False, fontsize=9, loc="outside upper right", ncols=3)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
