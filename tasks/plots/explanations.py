"""Grad-CAM tiles: where each stream looked, for a few segments a class."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure

from tasks.plots import GREEN, VERMILION
from tasks.plots.pictures import draw_optical_flow

_SIDE_PX = 144


@dataclass(frozen=True)
class Tile:
    """One explained segment. `maps` holds by stream float32 (h, w) in 0..1."""

    video_id: str
    frame: int
    true: str
    predicted: str
    probability: float
    face: np.ndarray
    optical_flow: np.ndarray
    maps: dict[str, np.ndarray]


def plot_explanations(tiles: Sequence[Tile], title: str, columns: int) -> Figure:
    """A grid of tiles; each shows face and optical flow on top and the maps over them below."""
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(3.5 * columns, 3.75 * rows + 0.6), layout="constrained")
    figure.suptitle(
        f"Grad-CAM of the predicted class: {title}\ntop: face and optical flow, bottom: where the model looked"
    )
    for axes in np.atleast_1d(figure.subplots(rows, columns)).ravel():
        axes.axis("off")
    for axes, tile in zip(figure.axes, tiles, strict=False):
        axes.imshow(_picture(tile))
        verdict = "right" if tile.true == tile.predicted else f"true: {tile.true}"
        axes.set_title(
            f"{tile.video_id}, frame {tile.frame}\n{tile.predicted} {tile.probability:.2f} ({verdict})",
            fontsize=9,
            color=GREEN if tile.true == tile.predicted else VERMILION,
        )
    return figure


def _picture(tile: Tile) -> np.ndarray:
    pictures = {"spatial": tile.face, "temporal": draw_optical_flow(tile.optical_flow)}
    large = {
        name: cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
        for name, picture in pictures.items()
    }
    bottom = [_overlay(large[name], tile.maps[name]) if name in tile.maps else large[name] // 4 + 180 for name in large]
    return np.vstack([np.hstack(list(large.values())), np.hstack(bottom)])


def _overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    smooth = cv2.resize(heat, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return (0.55 * picture + 0.45 * colours).astype(np.uint8)
