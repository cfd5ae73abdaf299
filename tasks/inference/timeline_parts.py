"""The parts of a timeline: stacked probabilities, the heat strip, confidence, gaps, a legend, faces under the axis."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from tasks.drawing.colours import GREY
from tasks.drawing.lettering import fonts_for, shorten
from tasks.drawing.page import WIDTH_IN, Page
from tasks.inference.thumbnails import Thumbnail
from tasks.inference.timeline_columns import NO_FACE, NO_VERDICT, VERDICT, Columns

#: What the axes show where there is no verdict: words, ground and hatching.
GAPS = {NO_FACE: ("no face", "#d5dae0", "////"), NO_VERDICT: ("no verdict", "#f3f4f6", "....")}
_HATCH = "#a3acb8"
_FRAME = "#c9ced4"
_HEAT_COLOURS = "Blues"
_LEGEND_LINE_IN, _SWATCH_IN = 0.175, 0.16
_CONFIDENCE = "#374151"


def prepare_axes(axes: Axes, edges_s: np.ndarray, low: float, high: float) -> None:
    """Axes over time without ticks."""
    axes.set_xlim(float(edges_s[0]), float(edges_s[-1]))
    axes.set_ylim(low, high)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(labelsize=8, color=_FRAME)
    for spine in axes.spines.values():
        spine.set_color(_FRAME)


def draw_gaps(axes: Axes, edges_s: np.ndarray, columns: Columns) -> None:
    """Hatch where there is no face, and where there is no verdict."""
    low, high = axes.get_ylim()
    for state, (_, ground, hatch) in GAPS.items():
        spans = [(edges_s[first], edges_s[end] - edges_s[first]) for first, end in columns.runs(state)]
        style: dict[str, Any] = {"facecolor": ground, "hatch": hatch, "edgecolor": _HATCH, "linewidth": 0.0}
        axes.broken_barh(spans, (min(low, high), abs(high - low)), **style)


def draw_stack(axes: Axes, edges_s: np.ndarray, columns: Columns, shares: np.ndarray, colours: Sequence[str]) -> None:
    """Probabilities (c, places) on top of each other."""
    bounds = np.concatenate([np.zeros((len(shares), 1)), shares.cumsum(axis=1)], axis=1)
    runs = columns.runs(VERDICT)
    for place, colour in enumerate(colours):
        areas = []
        for first, end in runs:
            x, low, high = _line(edges_s, first, end, bounds[:, place], bounds[:, place + 1])
            areas.append(np.column_stack([np.r_[x, x[::-1]], np.r_[low, high[::-1]]]))
        # edges of the same colour leave no white seams
        axes.add_collection(PolyCollection(areas, facecolor=colour, edgecolor=colour, linewidth=0.3), autolim=False)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])


def _line(edges_s: np.ndarray, first: int, end: int, *values: np.ndarray) -> list[np.ndarray]:
    """Points of lines through the middles of a run of columns, from where it begins to where it ends."""
    middles = (edges_s[first:end] + edges_s[first + 1 : end + 1]) / 2
    return [
        np.r_[edges_s[first], middles, edges_s[end]],
        *(np.r_[one[first], one[first:end], one[end - 1]] for one in values),
    ]


def draw_heat(axes: Axes, edges_s: np.ndarray, shares: np.ndarray, names: Sequence[str], size: float) -> None:
    """A row for each place; dark is likely."""
    rows = np.arange(len(names) + 1) - 0.5
    values = np.ma.masked_invalid(shares.T)
    axes.pcolormesh(edges_s, rows, values, cmap=_HEAT_COLOURS, vmin=0, vmax=1, rasterized=True, zorder=1.5)
    axes.set_yticks(range(len(names)), list(names))
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set(fontsize=size, family=fonts_for(name), parse_math=False)
    axes.tick_params(axis="y", length=0)


def draw_confidence(axes: Axes, edges_s: np.ndarray, columns: Columns) -> None:
    """The probability of the predicted class as a line, and as a band how far the members of an ensemble lie apart."""
    for first, end in columns.runs(VERDICT):
        x, middle, spread = _line(edges_s, first, end, columns.confidence, columns.uncertainty)
        low, high = np.clip(middle - spread, 0, 1), np.clip(middle + spread, 0, 1)
        axes.fill_between(x, low, high, color=GREY, alpha=0.35, linewidth=0)
        axes.plot(x, middle, color=_CONFIDENCE, linewidth=0.9)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])


def draw_legend(
    page: Page, left_in: float, top_in: float, entries: Sequence[tuple[str, str, str]], states: Sequence[int]
) -> None:
    """Name, value and colour of each area from the top, then the gaps that there are."""
    lines = [(*entry, "") for entry in entries]
    lines += [(words, "", ground, hatch) for words, ground, hatch in (GAPS[state] for state in states)]
    for number, (name, value, colour, hatch) in enumerate(lines):
        middle = top_in + (number + 0.5) * _LEGEND_LINE_IN
        swatch = page.axes(left_in, middle - 0.055, _SWATCH_IN, 0.11)
        swatch.axis("off")
        whole = Rectangle((0, 0), 1, 1, transform=swatch.transAxes, facecolor=colour, edgecolor=_HATCH, linewidth=0)
        whole.set_hatch(hatch)
        swatch.add_patch(whole)
        page.text(left_in + _SWATCH_IN + 0.08, middle, shorten(name, 20), size=8.5, family=fonts_for(name))
        page.text(left_in + 1.9, middle, value, size=8.5, color=GREY, ha="right")


def draw_heat_scale(page: Page, left_in: float, top_in: float) -> None:
    """What the shades of the heat strip mean."""
    scale = page.axes(left_in, top_in, 0.9, 0.11)
    scale.imshow(np.linspace(0, 1, 64)[None], cmap=_HEAT_COLOURS, vmin=0, vmax=1, aspect="auto")
    prepare_axes(scale, np.array([-0.5, 63.5]), 0.5, -0.5)
    for number, words in enumerate(("0", "100 %")):
        page.text(left_in + 0.9 * number, top_in + 0.2, words, size=7.5, color=GREY, ha="center")


def draw_faces(
    page: Page, axes: Axes, thumbnails: Sequence[Thumbnail], captions: Sequence[str], top_in: float, side_in: float
) -> None:
    """Faces below axes at their times, moved aside where they would cover each other, each with a mark on the axis."""
    span = axes.get_position()
    low, high = axes.get_xlim()
    lefts = [(span.x0 + span.width * (one.time_s - low) / (high - low)) * WIDTH_IN - side_in / 2 for one in thumbnails]
    placed = _side_by_side(lefts, side_in + 0.06, span.x0 * WIDTH_IN, span.x1 * WIDTH_IN)
    for one, caption, left in zip(thumbnails, captions, placed, strict=True):
        picture = page.axes(left, top_in + 0.14, side_in, side_in)
        picture.imshow(one.face, interpolation="antialiased")
        picture.set_xticks([])
        picture.set_yticks([])
        for spine in picture.spines.values():
            spine.set_color(_FRAME)
        x = span.x0 * WIDTH_IN + span.width * WIDTH_IN * (one.time_s - low) / (high - low)
        page.line([(x, top_in + 0.02), (left + side_in / 2, top_in + 0.13)], _HATCH)
        middle = top_in + side_in + 0.31
        page.text(left + side_in / 2, middle, caption, size=7.5, ha="center", family=fonts_for(caption))


def _side_by_side(lefts: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Places as near as can be to the wanted ones, at least a step apart and within bounds."""
    placed: list[float] = []
    for left in lefts:
        placed.append(max(left, low, placed[-1] + step if placed else low))
    limit = high - step
    for number in range(len(placed) - 1, -1, -1):
        placed[number] = min(placed[number], limit)
        limit = placed[number] - step
    return placed
