"""The arms side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tasks.plots import BLUE, GREY, ORANGE

_METRICS = (("video_uar", "UAR, videos", BLUE), ("video_accuracy", "accuracy, videos", ORANGE))


def plot_arms(scores: Mapping[str, Sequence[Mapping[str, float]]], num_classes: int) -> Figure:
    """Horizontal bars of each arm's mean over its seeds, a dot a seed.

    Args:
        scores: for each arm's title, the flat scores of its seeds.
    """
    figure = Figure(figsize=(8.5, 0.62 * len(scores) + 1.2), layout="constrained")
    axes = figure.subplots()
    y = np.arange(len(scores))
    for number, (metric, label, colour) in enumerate(_METRICS):
        values = [[seed[metric] for seed in seeds] for seeds in scores.values()]
        position = y + (number - 0.5) * 0.36
        bars = axes.barh(position, [float(np.mean(v)) for v in values], 0.34, color=colour, label=label)
        axes.bar_label(bars, fmt="%.3f", fontsize=8, padding=4)
        if max(map(len, values)) > 1:
            for at, seeds in zip(position, values, strict=True):
                axes.plot(seeds, [at] * len(seeds), "o", color="black", markersize=3)
    axes.axvline(1 / num_classes, color=GREY, linestyle=":", linewidth=1)
    axes.annotate("chance", (1 / num_classes, -0.75), fontsize=8, color=GREY, ha="center", annotation_clip=False)
    axes.set_yticks(y, list(scores))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("score on unseen people")
    figure.legend(frameon=False, fontsize=9, loc="outside upper right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
