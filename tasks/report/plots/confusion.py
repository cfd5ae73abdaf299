"""Confusion matrices: counts, and shares of each true class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def plot_confusion(counts: np.ndarray, emotions: Sequence[str], title: str) -> Figure:
    """Counts, int (classes, classes) with true classes in rows, on the left; row-normalised on the right."""
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    figure.suptitle(title)
    for axes, texts, name in zip(
        figure.subplots(1, 2),
        (counts.astype(str), np.char.mod("%.2f", shares)),
        ("counts", "share of the true class"),
        strict=True,
    ):
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(emotions)), emotions, rotation=35, ha="right")
        axes.set_yticks(range(len(emotions)), emotions)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        for (row, column), text in np.ndenumerate(texts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=figure.axes, shrink=0.8)
    return figure
