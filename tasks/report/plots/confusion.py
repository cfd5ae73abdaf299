"""Confusion matrices: counts, and shares of each true class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from tasks.drawing.colours import BLUE
from tasks.drawing.lettering import drawable_names, fonts_for, set_names

#: Of more classes the numbers would be too many to read.
_MOST_WITH_NUMBERS = 12
_MOST_PAIRS = 20
#: Else a name in Hebrew or Arabic would let the whole line begin at its right.
_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
#: Of many classes: room for a class that is named, for the names and for the bars beside.
_CLASS_IN, _NAMES_IN, _PAIRS_IN, _HEAD_IN = 0.13, 2.0, 6.4, 0.9
_MOST_NAMED = 60


def plot_confusion(counts: np.ndarray, emotions: Sequence[str], title: str) -> Figure:
    """Counts, int (classes, classes) with true classes in rows, on the left; row-normalised on the right.

    Of more than 12 classes only the shares, with the most frequent confusions beside them.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return (_plot_few if len(emotions) <= _MOST_WITH_NUMBERS else _plot_many)(counts, shares, emotions, title)


def _plot_few(counts: np.ndarray, shares: np.ndarray, emotions: Sequence[str], title: str) -> Figure:
    size = max(4.6, 0.55 * len(emotions))
    figure = Figure(figsize=(2 * size + 1.3, size), layout="constrained")
    figure.suptitle(title)
    for axes, texts, name in zip(
        figure.subplots(1, 2),
        (counts.astype(str), np.char.mod("%.2f", shares)),
        ("counts", "share of the true class"),
        strict=True,
    ):
        image = _draw_shares(axes, shares, name)
        set_names(axes.xaxis, emotions, rotation=35, ha="right")
        set_names(axes.yaxis, emotions)
        for (row, column), text in np.ndenumerate(texts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=figure.axes, shrink=0.8)
    return figure


def _plot_many(counts: np.ndarray, shares: np.ndarray, emotions: Sequence[str], title: str) -> Figure:
    """Placed by hand: to find room for hundreds of names by their sizes takes a minute."""
    every = -(-len(emotions) // _MOST_NAMED)
    side = max(_CLASS_IN * len(emotions) / every, 4.6)
    width, height = _NAMES_IN + side + _PAIRS_IN, _HEAD_IN + side + _NAMES_IN
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, y=1 - 0.25 / height)
    axes = figure.add_axes((_NAMES_IN / width, _NAMES_IN / height, side / width, side / height))
    named = "" if every == 1 else f"; one class in {every} is named"
    _draw_shares(axes, shares, f"share of the true class: white for none, darkest for all{named}", gamma=0.5)
    set_names(axes.xaxis, emotions, every=every, fontsize=8, rotation=90)
    set_names(axes.yaxis, emotions, every=every, fontsize=8)
    _draw_pairs(figure.add_axes(((width - 1.9) / width, 1 - 6.3 / height, 1.4 / width, 5.2 / height)), counts, emotions)
    return figure


def _draw_shares(axes: Axes, shares: np.ndarray, name: str, gamma: float = 1.0) -> AxesImage:
    """Below 1 `gamma` lets small shares be seen."""
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return axes.imshow(shares, cmap="Blues", norm=PowerNorm(gamma, 0, 1), interpolation="nearest")


def _draw_pairs(axes: Axes, counts: np.ndarray, emotions: Sequence[str]) -> None:
    """The most frequent confusions as bars."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(place) // len(emotions), int(place) % len(emotions)) for place in largest if wrong.flat[place]]
    names = drawable_names(emotions, 24)
    axes.set_title("most frequent confusions", fontsize=10, ha="right", x=1.0)
    bars = axes.barh(range(len(pairs)), [wrong[pair] for pair in pairs], 0.7, color=BLUE)
    axes.bar_label(bars, fontsize=8, padding=2)
    words = [f"{_LEFT_TO_RIGHT}{names[true]} taken for {names[other]}" for true, other in pairs]
    axes.set_yticks(range(len(pairs)), words, fontsize=8)
    for label, (true, other) in zip(axes.get_yticklabels(), pairs, strict=True):
        label.set(family=fonts_for(emotions[true] + emotions[other]), parse_math=False)
    axes.set_xticks([])
    axes.set_ylim(_MOST_PAIRS - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
