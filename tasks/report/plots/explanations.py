"""Grad-CAM tiles: where each stream looked, for a few segments a class."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tasks.report.plots import GREEN, GREY, VERMILION
from tasks.report.plots.heat import draw_heat
from tasks.report.plots.page import shorten
from tasks.report.plots.pictures import draw_optical_flow
from tasks.study.tiles import Tile

_SIDE_PX = 144


def plot_explanations(tiles: Sequence[Tile], title: str, columns: int) -> Figure:
    """A grid of tiles: face and optical flow, the maps over the face if there are any, and the id of the tile."""
    rows = -(-len(tiles) // columns)
    with_maps = any(tile.maps for tile in tiles)
    row_in = 4.1 if with_maps else 2.6
    figure = Figure(figsize=(3.5 * columns, row_in * rows + 0.75), layout=ConstrainedLayoutEngine(h_pad=0.12))
    figure.suptitle(
        f"Grad-CAM of the predicted class: {title}\n"
        "top: face and optical flow; bottom: where the spatial (left) and the temporal stream (right) looked\n"
        "(plain grey: no part of the picture speaks for the class); below: the tile's id, for `fer explain`"
        if with_maps
        else f"The predicted class: {title}\nface and optical flow; below: the tile's id, for `fer explain`",
        fontsize=11,
    )
    for axes in np.atleast_1d(figure.subplots(rows, columns)).ravel():
        axes.axis("off")
    for axes, tile in zip(figure.axes, tiles, strict=False):
        axes.imshow(_picture(tile))
        verdict = "right" if tile.right else f"true: {tile.true}"
        axes.set_title(
            f"{shorten(tile.video_id, 36)}, frame {tile.frame}\n"
            f"{tile.explained} {tile.probabilities[tile.explained]:.2f} ({verdict})",
            fontsize=9,
            color=GREEN if tile.right else VERMILION,
            parse_math=False,
        )
        style = {"fontsize": 8, "color": GREY, "family": "monospace"}
        axes.text(0.5, -0.02, tile.tile_id, style, transform=axes.transAxes, ha="center", va="top")
    return figure


def _picture(tile: Tile) -> np.ndarray:
    top = [
        cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
        for picture in (tile.face, draw_optical_flow(tile.optical_flow))
    ]
    if not tile.maps:
        return np.hstack(top)
    absent = np.full((_SIDE_PX, _SIDE_PX, 3), 238, np.uint8)
    bottom = [
        draw_heat(tile.face, tile.maps[stream], _SIDE_PX) if stream in tile.maps else absent
        for stream in ("spatial", "temporal")
    ]
    return np.vstack([np.hstack(top), np.hstack(bottom)])
