"""Where a model looks on average: the mean Grad-CAM map of each class over the mean face."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from tasks.drawing.colours import GREY
from tasks.drawing.heat import draw_heat, draw_heat_scale
from tasks.drawing.lettering import shorten
from tasks.drawing.segment_pictures import shown_frames
from tasks.study.explanations import MeanMap

_SIDE_PX = 192
_HEAD_IN, _LABEL_IN, _GAP_IN, _ROW_NAME_IN = 0.85, 0.5, 0.08, 0.95
#: Of a picture; with rows for single frames there are many of them.
_WIDTH_IN, _SMALL_IN = 2.0, 1.3
#: Of the page, so that its title has room.
_LEAST_IN = 8.6
_MOST_CLASSES = 24
_EMPTY = np.full((_SIDE_PX, _SIDE_PX, 3), 238, np.uint8)


def plot_mean_maps(classes: Sequence[MeanMap], title: str) -> Figure:
    """One column per class, of 24 at most: the mean face, and below it over the same face the mean map of each stream.

    A stream whose maps tell frames apart has a row for each of `shown_frames`, over the mean face of that frame.
    """
    shown = _most_recognised(classes)
    rows = _row_names(classes[0])
    side = _WIDTH_IN if len(rows) <= 1 + len(classes[0].maps) else _SMALL_IN
    width = max(_ROW_NAME_IN + len(shown) * (side + _GAP_IN), _LEAST_IN)
    height = _HEAD_IN + _LABEL_IN + len(rows) * (side + _GAP_IN)
    figure = Figure(figsize=(width, height))
    figure.text(0.1 / width, 1 - 0.25 / height, f"Mean Grad-CAM map of each class: {title}", fontsize=13, va="center")
    note = "test segments that were recognised, each map with its peak at 1; the class itself is explained"
    if len(shown) < len(classes):
        note += f"; {len(shown)} of {len(classes)} classes"
    figure.text(0.1 / width, 1 - 0.58 / height, note, fontsize=9, color=GREY, va="center")
    _draw_scale(figure, width, height)
    for row, name in enumerate(rows):
        middle = _HEAD_IN + _LABEL_IN + row * (side + _GAP_IN) + side / 2
        figure.text(0.1 / width, 1 - middle / height, name, fontsize=10, color=GREY, va="center")
    for column, one in enumerate(shown):
        left = _ROW_NAME_IN + column * (side + _GAP_IN)
        centre, top = (left + side / 2) / width, 1 - (_HEAD_IN + 0.15) / height
        figure.text(
            centre, top, shorten(one.emotion, round(9 * side)), fontsize=11, weight="bold", ha="center", va="center"
        )
        recognised = {0: "never recognised", 1: "1 segment"}.get(one.number, f"{one.number} segments")
        figure.text(centre, top - 0.2 / height, recognised, fontsize=9, color=GREY, ha="center", va="center")
        for row, picture in enumerate(_pictures(one) if one.number else [_EMPTY] * len(rows)):
            below = _HEAD_IN + _LABEL_IN + row * (side + _GAP_IN) + side
            axes = figure.add_axes((left / width, 1 - below / height, side / width, side / height))
            axes.imshow(picture)
            axes.axis("off")
    return figure


def _most_recognised(classes: Sequence[MeanMap]) -> list[MeanMap]:
    """All classes, or those with the most segments, in the order of the classes."""
    ranked = sorted(classes, key=lambda one: -one.number)[:_MOST_CLASSES]
    return [one for one in classes if any(one is kept for kept in ranked)]


def _row_names(one: MeanMap) -> list[str]:
    names = ["mean face"]
    for stream, heat in one.maps.items():
        if heat.ndim == 2:
            names.append(f"{stream}\nstream")
        else:
            names += [f"{stream},\n{number + 1} of {len(heat)}" for number in shown_frames(len(heat))]
    return names


def _pictures(one: MeanMap) -> list[np.ndarray]:
    """In the order of `_row_names`."""
    pictures = [cv2.resize(one.faces[0], (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)]
    for heat in one.maps.values():
        if heat.ndim == 2:
            pictures.append(draw_heat(one.faces[0], heat, _SIDE_PX))
        else:
            pictures += [draw_heat(one.faces[n], heat[n], _SIDE_PX) for n in shown_frames(len(heat))]
    return pictures


def _draw_scale(figure: Figure, width: float, height: float) -> None:
    axes = figure.add_axes((1 - 2.05 / width, 1 - 0.45 / height, 1.8 / width, 0.16 / height))
    axes.imshow(draw_heat_scale(180, 16), aspect="auto", extent=(0, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(labelsize=8, length=2)
