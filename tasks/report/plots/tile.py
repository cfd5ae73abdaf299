"""One Grad-CAM tile on a page: the frame it was cut from, what the model saw, where it looked, what it answered.

Of a model that sees several frames of a segment, strips of them and of its maps run below the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from tasks.drawing.colours import BLUE, GREEN, GREY, VERMILION
from tasks.drawing.heat import draw_heat_scale
from tasks.drawing.lettering import set_names, shorten
from tasks.drawing.page import MARGIN_IN, WIDTH_IN, Page
from tasks.drawing.segment_pictures import shown_frames
from tasks.report.plots.inspection_moments import Moment, draw_moments, moments_height_in
from tasks.report.plots.page_parts import draw_fact, draw_motion_legend, draw_notice, draw_verdict
from tasks.report.plots.tile_pictures import draw_maps, draw_strips, stream_words
from tasks.study.tiles import Tile

_FACTS_TOP_IN, _FACT_IN, _COLUMNS = 1.3, 0.22, 3
_LEFT_IN, _MAP_IN, _MAP_GAP_IN = 6.5, 3.45, 0.2
_BAR_IN, _BARS_LEFT_IN = 0.27, 1.1
_MOST_CLASSES = 20
_MAP_PX, _STRIP_PX = 420, 180
_EMPTY = "empty, nothing speaks for it"
#: Of a strip: a square, and the words above and below it.
_SQUARE_IN, _ABOVE_IN, _BELOW_IN = 1.6, 0.3, 0.25


@dataclass(frozen=True)
class TilePage:
    """What the page of a tile shows.

    Args:
        moment: the frame, box, face and optical flow; without a picture where there is none to show.
        facts: short ones, name -> value, in the order in which they are shown.
        long_facts: one a line, likewise.
        notice: why no frame is shown; empty when one is.
    """

    tile: Tile
    moment: Moment
    facts: Mapping[str, str]
    long_facts: Mapping[str, str]
    notice: str


def plot_tile(shown: TilePage) -> Figure:
    """One page: provenance on top, frame and crop on the left, maps and probabilities on the right, strips below."""
    tile = shown.tile
    num_rows = -(-len(shown.facts) // _COLUMNS) + len(shown.long_facts)
    head_in = max(_FACTS_TOP_IN + _FACT_IN * num_rows, 2.15) + 0.3
    notice_in = 0.85 if shown.notice else 0.0
    maps_in, strips = _maps_height_in(tile), draw_strips(tile, _STRIP_PX) if len(tile.frames) > 1 else {}
    right_in = maps_in + _BAR_IN * len(_likeliest(tile))
    body_in = max(moments_height_in([shown.moment]), right_in)
    strips_in = _ABOVE_IN + len(strips) * (_ABOVE_IN + _SQUARE_IN) + _BELOW_IN if strips else 0.0
    page = Page(head_in + notice_in + body_in + strips_in + MARGIN_IN)
    _draw_head(page, shown)
    if shown.notice:
        draw_notice(page, shown.notice, head_in, notice_in)
    top = head_in + notice_in
    draw_moments(page, [shown.moment], top)
    _draw_maps(page, tile, top)
    _draw_probabilities(page, tile, top + maps_in)
    if strips:
        _draw_strips(page, tile, strips, top + body_in)
    return page.figure


def _draw_head(page: Page, shown: TilePage) -> None:
    tile = shown.tile
    page.text(MARGIN_IN, 0.3, f"Tile {tile.tile_id}", size=19, weight="bold")
    explained, true = shorten(tile.explained, 40), shorten(tile.true, 40)
    words = f"{explained} with probability {tile.probabilities[tile.explained]:.2f}; the true class is {true}"
    draw_verdict(page, "right" if tile.right else "wrong", words, GREEN if tile.right else VERMILION, 0.84)
    num_rows = -(-len(shown.facts) // _COLUMNS)
    for number, (name, value) in enumerate(shown.facts.items()):
        column, row = divmod(number, num_rows)
        draw_fact(page, MARGIN_IN + 3.6 * column, _FACTS_TOP_IN + _FACT_IN * row, name, shorten(value, 32), 1.2)
    for number, (name, value) in enumerate(shown.long_facts.items(), start=num_rows):
        draw_fact(page, MARGIN_IN, _FACTS_TOP_IN + _FACT_IN * number, name, shorten(value, 110), 1.2)
    if tile.optical_flows is not None:
        draw_motion_legend(page)


def _tells_frames_apart(tile: Tile) -> bool:
    """Whether all maps of a tile are strips."""
    return bool(tile.maps) and all(heat.ndim == 3 for heat in tile.maps.values())


def _maps_height_in(tile: Tile) -> float:
    """What the maps beside the frame take above the probabilities."""
    if not tile.maps:
        return 0.4
    return 0.12 if _tells_frames_apart(tile) else 0.3 + _side_in(tile) + 0.75


def _side_in(tile: Tile) -> float:
    """Of a map beside the frame: three of them are smaller than two."""
    number = max(sum(heat.ndim == 2 for heat in tile.maps.values()), 1)
    room = WIDTH_IN - MARGIN_IN - _LEFT_IN - (number - 1) * _MAP_GAP_IN
    return min(_MAP_IN, room / number)


def _draw_maps(page: Page, tile: Tile, top: float) -> None:
    if not tile.maps:
        page.text(_LEFT_IN, top, "This model has no maps of where it looked.", size=10, color=GREY)
        return
    if _tells_frames_apart(tile):
        return
    _draw_heading(page, tile, _LEFT_IN, top)
    side = _side_in(tile)
    for number, (stream, picture) in enumerate(draw_maps(tile, _MAP_PX).items()):
        left = _LEFT_IN + number * (side + _MAP_GAP_IN)
        axes = page.axes(left, top + 0.2, side, side)
        axes.imshow(picture)
        axes.axis("off")
        page.text(left, top + 0.32 + side, stream_words(tile, stream, _EMPTY), size=9.5, color=GREY)
    _draw_scale(page, top + 0.54 + side)


def _draw_heading(page: Page, tile: Tile, left: float, top: float) -> None:
    heading = page.text(left, top, f"Where the model looked for {shorten(tile.explained, 40)}", size=11, weight="bold")
    note = f"Grad-CAM at convolution {tile.origin.convolution}"
    page.text(left + page.width_of(heading) + 0.3, top, note, size=10, color=GREY)


def _draw_scale(page: Page, middle: float) -> None:
    scale = page.axes(WIDTH_IN - MARGIN_IN - 1.5, middle - 0.06, 1.0, 0.12)
    scale.imshow(draw_heat_scale(120, 12), aspect="auto")
    scale.axis("off")
    page.text(WIDTH_IN - MARGIN_IN - 1.58, middle, "least", size=8, color=GREY, ha="right")
    page.text(WIDTH_IN - MARGIN_IN - 0.42, middle, "most", size=8, color=GREY)


def _draw_strips(page: Page, tile: Tile, strips: Mapping[str, Sequence[np.ndarray]], top: float) -> None:
    """The frames from left to right, one kind of picture below the other."""
    if _tells_frames_apart(tile):
        _draw_heading(page, tile, MARGIN_IN, top)
        _draw_scale(page, top)
    else:
        page.text(MARGIN_IN, top, "What the model saw, frame by frame", size=11, weight="bold")
    step = _SQUARE_IN + 0.05
    top += _ABOVE_IN / 2
    for name, pictures in strips.items():
        words = stream_words(tile, name, _EMPTY) if name in tile.maps else name
        page.text(MARGIN_IN, top + _ABOVE_IN / 2, words, size=9.5, color=GREY)
        for number, picture in enumerate(pictures):
            axes = page.axes(MARGIN_IN + number * step, top + _ABOVE_IN, _SQUARE_IN, _SQUARE_IN)
            axes.imshow(picture)
            axes.axis("off")
        top += _ABOVE_IN + _SQUARE_IN
    for number, position in enumerate(shown_frames(len(tile.frames))):
        frame = f"frame {tile.frames[position]}"
        words = frame if tile.seen[position] else f"no face, so {frame}"
        page.text(MARGIN_IN + number * step, top + 0.12, words, size=8.5, color=GREY)


def _likeliest(tile: Tile) -> dict[str, float]:
    """The probabilities of all classes; of very many only the largest, in the order of the classes."""
    ranked = sorted(tile.probabilities, key=lambda emotion: -tile.probabilities[emotion])[:_MOST_CLASSES]
    return {emotion: tile.probabilities[emotion] for emotion in tile.probabilities if emotion in ranked}


def _draw_probabilities(page: Page, tile: Tile, top: float) -> None:
    page.text(_LEFT_IN, top - 0.12, "Probabilities", size=11, weight="bold")
    width = WIDTH_IN - 2 * MARGIN_IN - _LEFT_IN - _BARS_LEFT_IN
    shown = _likeliest(tile)
    axes = page.axes(_LEFT_IN + _BARS_LEFT_IN, top + 0.05, width, _BAR_IN * len(shown))
    colours = [BLUE if emotion == tile.explained else "#c9ced4" for emotion in shown]
    bars = axes.barh(range(len(shown)), list(shown.values()), 0.7, color=colours)
    texts = [
        f"{probability:.3f}{', true class' if emotion == tile.true else ''}" for emotion, probability in shown.items()
    ]
    axes.bar_label(bars, texts, fontsize=9.5, padding=4)
    axes.set_xlim(0, 1.18)  # room for the words beside a full bar
    axes.invert_yaxis()
    axes.set_xticks([])
    set_names(axes.yaxis, list(shown), 16, fontsize=9.5)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
