"""Grad-CAM tiles: where each stream looked, for a few segments a class."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tasks.drawing.colours import GREEN, GREY, VERMILION
from tasks.drawing.heat import draw_heat
from tasks.drawing.lettering import shorten
from tasks.drawing.segment_pictures import shown_frames
from tasks.report.plots.tile_pictures import draw_first_flow, draw_maps, draw_strips, stream_words
from tasks.study.tiles import Tile

_SIDE_PX = 144
#: Of tiles of several frames: squares of that side fit into a row, and the height of a line of words above pictures.
_IN_A_ROW, _WORDS_PX, _GAP_PX, _LINE_PX = 4, 22, 6, 2
_WIDTH_PX = _IN_A_ROW * _SIDE_PX


@dataclass(frozen=True)
class _Picture:
    """A tile as one picture, uint8 RGB, and words on it at x and y, px."""

    pixels: np.ndarray
    words: Sequence[tuple[int, int, str]] = ()


def plot_explanations(tiles: Sequence[Tile], title: str, columns: int) -> Figure:
    """A grid of tiles: what the model saw, the maps over the face if there are any, and the id of the tile."""
    rows = -(-len(tiles) // columns)
    pictures = [_draw_tile(tile) for tile in tiles]
    width_in, row_in = _size_in(tiles, pictures)
    figure = Figure(figsize=(width_in * columns, row_in * rows + 0.75), layout=ConstrainedLayoutEngine(h_pad=0.12))
    figure.suptitle(_heading(tiles, title), fontsize=11)
    for axes in np.atleast_1d(figure.subplots(rows, columns)).ravel():
        axes.axis("off")
    for axes, tile, picture in zip(figure.axes, tiles, pictures, strict=False):
        axes.imshow(picture.pixels)
        for x, y, words in picture.words:
            axes.text(x, y, words, fontsize=7.5, color=GREY, va="center")
        verdict = "right" if tile.right else f"true: {shorten(tile.true, 20)}"
        axes.set_title(
            f"{shorten(tile.video_id, 36)}, frame {tile.frame}\n"
            f"{shorten(tile.explained, 20)} {tile.probabilities[tile.explained]:.2f} ({verdict})",
            fontsize=9,
            color=GREEN if tile.right else VERMILION,
        )
        style = {"fontsize": 8, "color": GREY, "family": "monospace"}
        axes.text(0.5, -0.02, tile.tile_id, style, transform=axes.transAxes, ha="center", va="top")
    return figure


def _size_in(tiles: Sequence[Tile], pictures: Sequence[_Picture]) -> tuple[float, float]:
    """Width and height of a tile with its words."""
    height_px, width_px = pictures[0].pixels.shape[:2]
    if width_px == _WIDTH_PX:
        return 5.4, 5.2 * height_px / width_px + 0.85
    return 3.5, 4.1 if any(tile.maps for tile in tiles) else 2.6


def words_of_tiles(tiles: Sequence[Tile]) -> str:
    """What is to be seen on tiles of one model."""
    with_maps = any(tile.maps for tile in tiles)
    grey = "plain grey: no part of the picture speaks for the class"
    if any(len(tile.frames) > 1 for tile in tiles):
        return "what the model saw" + (f", and where each of its streams looked ({grey})" if with_maps else "")
    if with_maps:
        where = "bottom: where the spatial (left) and the temporal stream (right) looked"
        return f"top: face and optical flow; {where} ({grey})"
    return "face and optical flow"


def _heading(tiles: Sequence[Tile], title: str) -> str:
    with_maps = any(tile.maps for tile in tiles)
    first = f"{'Grad-CAM of the predicted class' if with_maps else 'The predicted class'}: {title}"
    words = words_of_tiles(tiles).replace(" (plain", "\n(plain") if with_maps else words_of_tiles(tiles)
    return f"{first}\n{words}; below: the tile's id, for `fer explain`"


def tile_rows(tile: Tile, side_px: int) -> list[tuple[list[str], list[np.ndarray]]]:
    """The pictures of a tile, row by row, each with the words that stand above its first pictures.

    They are uint8 RGB squares with sides of `side_px`; in a strip of many frames they are smaller.
    """
    return _rows_of_frames(tile, side_px) if len(tile.frames) > 1 else _rows_of_pair(tile, side_px)


def _rows_of_pair(tile: Tile, side_px: int) -> list[tuple[list[str], list[np.ndarray]]]:
    """Of a model of single frames: face and optical flow, below them the maps."""
    empty = np.full((side_px, side_px, 3), 238, np.uint8)
    flow = draw_first_flow(tile, side_px)
    face = cv2.resize(tile.faces[0], (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    rows: list[tuple[list[str], list[np.ndarray]]] = [([], [face, empty if flow is None else flow])]
    if tile.maps:
        maps = [
            draw_heat(tile.faces[0], tile.maps[stream], side_px) if stream in tile.maps else empty
            for stream in ("spatial", "temporal")
        ]
        rows.append(([], maps))
    return rows


def _rows_of_frames(tile: Tile, side_px: int) -> list[tuple[list[str], list[np.ndarray]]]:
    """Of a model of several frames: a strip of each kind of picture, below them what there is one of."""
    shown = shown_frames(len(tile.frames))
    strips = draw_strips(tile, _IN_A_ROW * side_px // max(len(shown), _IN_A_ROW))
    rows = [(_strip_words(tile, name), pictures) for name, pictures in strips.items()]
    flow = draw_first_flow(tile, side_px)
    alone = {} if flow is None else {"first optical flow": flow}
    alone |= {stream_words(tile, stream, "empty"): picture for stream, picture in draw_maps(tile, side_px).items()}
    for start in range(0, len(alone), _IN_A_ROW):
        names = list(alone)[start : start + _IN_A_ROW]
        rows.append((names, [alone[name] for name in names]))
    return rows


def _strip_words(tile: Tile, name: str) -> list[str]:
    """What stands above a strip; above the faces, which of them are shown."""
    if name in tile.maps:
        return [stream_words(tile, name, "empty")]
    if name != "faces":
        return [name]
    shown = shown_frames(len(tile.frames))
    of_all = f"{len(shown)} of {len(tile.frames)} faces" if len(shown) < len(tile.frames) else "faces"
    numbers = " ".join(str(tile.frames[number]) for number in shown)
    return [f"{of_all}, frames {numbers}{'' if all(tile.seen) else '; outlined: not found, the nearest is there'}"]


def _draw_tile(tile: Tile) -> _Picture:
    rows = tile_rows(tile, _SIDE_PX)
    return _stack(rows) if len(tile.frames) > 1 else _Picture(np.vstack([np.hstack(pictures) for _, pictures in rows]))


def _stack(rows: Sequence[tuple[list[str], list[np.ndarray]]]) -> _Picture:
    """Rows of squares, each on white as wide as a tile, with words above its first squares."""
    parts: list[np.ndarray] = []
    words = []
    top = 0
    for names, pictures in rows:
        side = len(pictures[0])
        part = np.full((_WORDS_PX + side + _GAP_PX, _WIDTH_PX, 3), 255, np.uint8)
        for number, picture in enumerate(pictures):
            left = number * side
            part[_WORDS_PX : _WORDS_PX + side, left : left + side - _LINE_PX] = picture[:, _LINE_PX:]
        words += [(number * side, top + _WORDS_PX // 2, name) for number, name in enumerate(names)]
        parts.append(part)
        top += len(part)
    return _Picture(np.vstack(parts), words)
