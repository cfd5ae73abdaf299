"""How well each subject is recognised."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from tasks.drawing.colours import BLUE, GREY
from tasks.drawing.lettering import set_names

#: More names, or longer ones, stand on end.
_MOST_UPRIGHT, _MOST_LETTERS = 8, 16


@dataclass(frozen=True)
class SubjectScores:
    """A subject: the UAR that the best arm reached on their videos, one value per seed, and the means of the others."""

    name: str
    num_videos: int
    seeds: Sequence[float]
    other_arms: Sequence[float]


def plot_subjects(subjects: Sequence[SubjectScores], title: str, num_classes: int) -> Figure:
    """One column per subject, the worst recognised first."""
    figure = Figure(figsize=(max(8.5, 0.28 * len(subjects) + 1.5), 3.4), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(subjects, key=lambda one: sum(one.seeds) / len(one.seeds))
    for x, one in enumerate(ordered):
        axes.plot([x] * len(one.other_arms), one.other_arms, "_", color=GREY, markersize=12, alpha=0.7)
        axes.plot([x] * len(one.seeds), one.seeds, "o", color="black", markersize=3, alpha=0.65)
        axes.plot([x], [sum(one.seeds) / len(one.seeds)], "D", color=BLUE, markersize=7, markeredgecolor="white")
    axes.axhline(1 / num_classes, color=GREY, linestyle=":", linewidth=1)
    tilted = len(ordered) > 12
    names = [f"{one.name} ({one.num_videos})" for one in ordered]
    tilted = len(names) > _MOST_UPRIGHT or max(map(len, names)) > _MOST_LETTERS
    set_names(axes.xaxis, names, 40, rotation=90 if tilted else 0, fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("UAR of the person's videos")
    axes.set_xlabel(f"test people (videos): {title}, mean (diamond) and seeds (dots); lines: the other arms")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
