"""The model-randomisation check: how soon Grad-CAM maps change when a model forgets layer by layer."""

import numpy as np
from matplotlib.figure import Figure

from fer_models.explanation.randomisation import MAX_SIMILARITY, Randomisation
from tasks.drawing.colours import BLUE, GREY, ORANGE, PURPLE

_COLOURS = {"spatial": BLUE, "temporal": ORANGE, "frames": PURPLE}


def plot_randomisation(result: Randomisation, title: str) -> Figure:
    """Similarity to the trained model's maps by the layers made random; a pale dot is one random model."""
    figure = Figure(figsize=(8.5, 4.6), layout="constrained")
    axes = figure.subplots()
    x = np.arange(len(result.steps) + 1)
    for stream, means in result.means.items():
        colour = _COLOURS[stream]
        axes.plot(x, [1.0, *means], color=colour, marker="o", markersize=5, label=f"{stream} stream")
        for draw in result.similarity[stream]:
            axes.plot(x[1:], draw, "o", color=colour, markersize=3, alpha=0.35)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axhline(MAX_SIMILARITY, color=GREY, linestyle=":", linewidth=1)
    limit = f"limit for {result.steps[-1]}: {MAX_SIMILARITY:g}"
    axes.text(x[-1], MAX_SIMILARITY + 0.03, limit, fontsize=8, color=GREY, ha="right")
    axes.set_xticks(x, ["none", *result.steps])
    axes.set_xlabel("made random from the top down to this layer")
    axes.set_ylabel("rank correlation with the trained model's maps")
    axes.set_ylim(min(-0.5, axes.get_ylim()[0]), 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    verdict = "passed" if result.passed else "FAILED"
    axes.set_title(f"Do the Grad-CAM maps depend on the model's weights? {title}: {verdict}", fontsize=11)
    return figure
