"""Reliability diagram: does a probability mean what it says."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from fer_models.statistics.calibration import ReliabilityBins
from tasks.drawing.colours import BLUE, GREY, ORANGE


def plot_calibration(curves: Mapping[str, tuple[ReliabilityBins, float]], title: str) -> Figure:
    """Accuracy against confidence, and how many videos stand in each bin.

    Args:
        curves: by name, e.g. before and after scaling, the bins and the expected calibration error.
    """
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    figure.suptitle(title)
    reliability, counts = figure.subplots(1, 2, width_ratios=(1, 1.1))
    reliability.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    for (name, (bins, error)), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
        filled = bins.count > 0
        label = f"{name} (ECE {100 * error:.1f} %)"
        reliability.plot(bins.confidence[filled], bins.accuracy[filled], "o-", color=colour, markersize=4, label=label)
        counts.stairs(bins.count, np.linspace(0, 1, len(bins.count) + 1), color=colour)
    reliability.set_xlim(0, 1)
    reliability.set_ylim(0, 1.02)
    reliability.set_xlabel("confidence")
    reliability.set_ylabel("accuracy")
    figure.legend(frameon=False, fontsize=8, loc="outside lower left", ncols=2)  # over the axes it would hide curves
    counts.set_xlim(0, 1)
    counts.set_ylim(bottom=0)
    counts.set_xlabel("confidence")
    counts.set_ylabel("videos (all seeds)")
    for axes in (reliability, counts):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
