"""The arms side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from tasks.drawing.colours import BLUE, GREY, VERMILION


@dataclass(frozen=True)
class ArmScores:
    """A row: the scores of an arm's seeds, and their mean with its interval over the subjects."""

    title: str
    seeds: Sequence[float]
    mean: float
    low: float
    high: float
    is_best: bool = False


def plot_arms(arms: Sequence[ArmScores], num_classes: int) -> Figure:
    """Mean UAR of videos with its 95 % interval over subjects, one dot per seed, and chance."""
    figure = Figure(figsize=(8.5, 0.42 * len(arms) + 1.15), layout="constrained")
    axes = figure.subplots()
    for y, arm in enumerate(arms):
        colour = VERMILION if arm.is_best else BLUE
        axes.plot([arm.low, arm.high], [y, y], color=colour, linewidth=5, alpha=0.3, solid_capstyle="butt")
        if len(arm.seeds) > 1:
            axes.plot(arm.seeds, np.full(len(arm.seeds), y), "o", color="black", markersize=3, alpha=0.65)
        axes.plot([arm.mean], [y], "D", color=colour, markersize=7, markeredgecolor="white")
        axes.annotate(
            f"{100 * arm.mean:.1f}",
            (max(arm.high, *arm.seeds), y),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.axvline(1 / num_classes, color=GREY, linestyle=":", linewidth=1)
    axes.annotate("chance", (1 / num_classes, -0.62), fontsize=8, color=GREY, ha="center", annotation_clip=False)
    axes.set_yticks(range(len(arms)), [arm.title for arm in arms])
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlim(0, 1.06)
    figure.supxlabel(
        "UAR of videos of unseen people: mean (diamond), 95 % interval over people (bar), seeds (dots)", fontsize=10
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
