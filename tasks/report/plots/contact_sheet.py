"""A contact sheet: faces with the picture of their optical flow below, one row per class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure

from tasks.drawing.colours import GREY
from tasks.drawing.lettering import shorten
from tasks.drawing.segment_pictures import FULL_COLOUR_PX, draw_colour_wheel, draw_optical_flow

_SIDE_PX, _GAP_PX = 96, 6
_MIN_COLUMNS = 8
_OUTLINE = (216, 220, 224)
_WIDTH_IN, _HEAD_IN, _LABEL_IN = 12.0, 0.85, 0.54


@dataclass(frozen=True)
class Thumbnail:
    """One segment: face uint8 RGB (S, S, 3), optical flow float (S, S, 2) in px, if there is any."""

    subject: str
    face: np.ndarray
    optical_flow: np.ndarray | None


def plot_contact_sheet(classes: Mapping[str, Sequence[Thumbnail]]) -> Figure:
    """One row per class, named after it; the subject's name stands below each segment."""
    columns = max(_MIN_COLUMNS, *map(len, classes.values()))
    has_motion = any(one.optical_flow is not None for thumbnails in classes.values() for one in thumbnails)
    row_in = _WIDTH_IN / columns * _height_px(has_motion) / (_SIDE_PX + _GAP_PX)
    height_in = _HEAD_IN + len(classes) * (row_in + _LABEL_IN)
    figure = Figure(figsize=(_WIDTH_IN, height_in))
    _draw_legend(figure, height_in, has_motion)
    for number, (emotion, thumbnails) in enumerate(classes.items()):
        top = _HEAD_IN + number * (row_in + _LABEL_IN) + 0.2
        figure.text(0.005, 1 - (top - 0.1) / height_in, shorten(emotion, 80), fontsize=11, weight="bold", va="center")
        axes = figure.add_axes((0.0, 1 - (top + row_in) / height_in, 1.0, row_in / height_in))
        strip = _strip(thumbnails, columns, has_motion)
        axes.imshow(strip, aspect="auto", interpolation="antialiased")
        axes.axis("off")
        for column, thumbnail in enumerate(thumbnails):
            x = (column * (_SIDE_PX + _GAP_PX) + _SIDE_PX / 2) / strip.shape[1]
            y = 1 - (top + row_in + 0.08) / height_in
            name = shorten(thumbnail.subject, 15)
            figure.text(x, y, name, fontsize=7.5, color=GREY, ha="center", va="center")
    return figure


def _height_px(has_motion: bool) -> int:
    """Of a strip: two sides and the gap between them, or one side."""
    return 2 * _SIDE_PX + _GAP_PX if has_motion else _SIDE_PX


def _strip(thumbnails: Sequence[Thumbnail], columns: int, has_motion: bool) -> np.ndarray:
    """Faces on top, motion below if there is any: uint8 RGB (height, columns * (side + gap), 3) on white."""
    step = _SIDE_PX + _GAP_PX
    strip = np.full((_height_px(has_motion), columns * step, 3), 255, np.uint8)
    for column, thumbnail in enumerate(thumbnails):
        pictures = [thumbnail.face]
        if thumbnail.optical_flow is not None:
            pictures.append(draw_optical_flow(thumbnail.optical_flow))
        for row, picture in enumerate(pictures):
            large = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
            cv2.rectangle(large, (0, 0), (_SIDE_PX - 1, _SIDE_PX - 1), _OUTLINE, 1)
            strip[row * step :, column * step :][:_SIDE_PX, :_SIDE_PX] = large
    return strip


def _draw_legend(figure: Figure, height_in: float, has_motion: bool) -> None:
    what = "Random segments of the training subset, one row per class: "
    if not has_motion:
        text = f"{what}the face as stored. There is no optical flow."
        figure.text(0.005, 1 - 0.38 / height_in, text, fontsize=9, color=GREY, va="center")
        return
    side = _HEAD_IN - 0.2
    axes = figure.add_axes((0.005, 1 - (0.05 + side) / height_in, side / _WIDTH_IN, side / height_in))
    axes.imshow(draw_colour_wheel(120))
    axes.axis("off")
    text = (
        f"{what}above the face as stored, below its optical flow.\n"
        f"The colour is the direction of motion as on the wheel, white is still, "
        f"full colour is {FULL_COLOUR_PX:g} px or more (of the crop as stored)."
    )
    figure.text(0.07, 1 - 0.38 / height_in, text, fontsize=9, color=GREY, va="center", linespacing=1.5)
