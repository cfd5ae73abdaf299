"""Forest plot: how far the arms lie apart, beside what chance alone makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from tasks.drawing.colours import BLUE, GREEN, GREY, ORANGE, VERMILION

_COLOURS = {"better": VERMILION, "worse": VERMILION, "equivalent": GREEN}


@dataclass(frozen=True)
class Difference:
    """A row: the score of the first arm minus that of the second, with its 95 % interval, all in 0..1."""

    title: str
    difference: float
    low: float
    high: float
    verdict: str


def plot_differences(differences: Sequence[Difference], null_band: float | None, margin: float) -> Figure:
    """Differences of mean UAR in points.

    Args:
        null_band: half width of the band in which the difference of one arm from itself, with other seeds, lies in 95 %
            of cases; None for one seed.
        margin: arms that differ by less count as equivalent.
    """
    figure = Figure(figsize=(8.5, 0.33 * len(differences) + 1.5), layout="constrained")
    axes = figure.subplots()
    if null_band is not None:
        label = f"same arm, other seeds: ±{100 * null_band:.1f}"
        axes.axvspan(-100 * null_band, 100 * null_band, color=ORANGE, alpha=0.18, linewidth=0, label=label)
    for side in (-margin, margin):
        label = f"equivalence margin: ±{100 * margin:g}"
        axes.axvline(100 * side, color=GREEN, linestyle="--", linewidth=1, label=label if side > 0 else None)
    axes.axvline(0, color=GREY, linewidth=1)
    for y, one in enumerate(differences):
        colour = next((colour for word, colour in _COLOURS.items() if one.verdict.startswith(word)), BLUE)
        axes.plot([100 * one.low, 100 * one.high], [y, y], color=colour, linewidth=1.6)
        axes.plot([100 * one.difference], [y], "s", color=colour, markersize=5)
    axes.set_yticks(range(len(differences)), [one.title for one in differences], fontsize=9)
    axes.set_ylim(len(differences) - 0.4, -0.6)
    largest = max((abs(value) for one in differences for value in (one.low, one.high)), default=0.1)
    axes.set_xlim(-105 * max(largest, margin), 105 * max(largest, margin))
    figure.supxlabel("difference of mean UAR, points (95 % interval over people and seeds)", fontsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(frameon=False, fontsize=9, loc="outside upper right", ncols=2)
    return figure
