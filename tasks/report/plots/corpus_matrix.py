"""Every corpus against every other: the UAR of what was trained on one and tested on another."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tasks.drawing.colours import GREY
from tasks.drawing.lettering import set_names

_CELL_WIDTH_IN, _CELL_HEIGHT_IN = 1.55, 0.95
_AROUND_WIDTH_IN, _AROUND_HEIGHT_IN = 1.6, 1.1
_MOST_OF_A_NAME = 18


@dataclass(frozen=True)
class MatrixCell:
    """A UAR with its interval, all in 0..1, over so many classes."""

    uar: float
    low: float
    high: float
    num_classes: int


def plot_corpus_matrix(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[MatrixCell | None]], title: str
) -> Figure:
    """A heat map: the darker the higher; where nothing is known the cell is grey.

    Args:
        rows: what was trained on.
        columns: what was tested on; a cell whose row and column have one name is of the own test people, in a frame.
        cells: a list a row.
    """
    size = (
        _AROUND_WIDTH_IN + _CELL_WIDTH_IN * len(columns),
        _AROUND_HEIGHT_IN + _CELL_HEIGHT_IN * len(rows),
    )
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    shown = [[cell.uar if cell else float("nan") for cell in row] for row in cells]
    axes.set_facecolor("#eceff1")
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            _write(axes, x, y, cell)
            if rows[y] == columns[x]:
                frame = Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, edgecolor=GREY, linewidth=1.5)
                axes.add_patch(frame)
    set_names(axes.xaxis, columns, most=_MOST_OF_A_NAME)
    set_names(axes.yaxis, rows, most=_MOST_OF_A_NAME)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _write(axes: Axes, x: int, y: int, cell: MatrixCell | None) -> None:
    if cell is None:
        axes.text(x, y, "not tested", ha="center", va="center", fontsize=8.5, color=GREY)
        return
    colour = "white" if cell.uar > 0.55 else "black"
    axes.text(x, y - 0.22, f"{100 * cell.uar:.1f} %", ha="center", va="center", color=colour, weight="bold")
    below = f"{100 * cell.low:.0f} to {100 * cell.high:.0f}\n{cell.num_classes} classes"
    axes.text(x, y + 0.15, below, ha="center", va="center", color=colour, fontsize=8.5)
