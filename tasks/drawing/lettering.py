"""Names of any script and length in pictures: shortened, in fonts that have their signs, as pixels.

Matplotlib sets the text: it joins Arabic letters, runs from right to left where it must, and takes nothing for a
formula here. DejaVu Sans, which comes with it, has the alphabets of Europe, Arabic, Hebrew and many symbols; for what
it lacks the fonts of this machine are asked.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

_FONT = "DejaVu Sans"
#: Comes with newer Matplotlibs and has a box for every sign.
_LAST_RESORT = "Last Resort"
#: Height of a line and the place of its letters' feet, from the top, as shares of the size of the letters.
LINE, _FEET = 1.4, 1.08
_DPI = 72  # at which a point is a pixel


def shorten(text: str, most: int) -> str:
    """A text on one line, its middle left out when it is longer than `most` characters."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    half = (most - 1) // 2
    return line if len(line) <= most else f"{line[:half]}…{line[-half:]}"


def drawable_names(names: Sequence[str], most: int) -> list[str]:
    """Names of classes as they can be drawn, shortened to `most` characters.

    One with signs that no font of this machine has gets a square for each of them, and its number in the order of the
    classes, from 1, so that it can be told from others.
    """
    drawn = []
    for number, name in enumerate(names, start=1):
        lacking = _lacking(name)
        drawn.append(shorten(f"{number} {drawable(name)}" if _font_with(lacking) is None else name, most))
    return drawn


def drawable(text: str) -> str:
    """A text with a square for each sign that no font of this machine has."""
    lacking = _lacking(text) - {ord("\n")}
    return text if _font_with(lacking) is not None else "".join("□" if ord(one) in lacking else one for one in text)


def set_names(axis: Axis, names: Sequence[str], most: int = 24, every: int = 1, **style: Any) -> None:
    """Write names of classes or subjects at the places 0, 1, ... of an axis, shortened to `most` characters.

    Args:
        every: only each so many-th name is written, from the first on.
    """
    shown = drawable_names(names, most)[::every]
    axis.set_ticks(range(0, len(names), every), shown, parse_math=False, **style)
    for label, name in zip(axis.get_ticklabels(), names[::every], strict=True):
        label.set_fontfamily(fonts_for(name))


def settle_texts(figure: Figure) -> None:
    """Let all that is written in a figure be read as it is, in fonts that have its signs: names may hold any."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        if _lacking(said := text.get_text()) - {ord("\n")}:
            text.set(text=drawable(said), family=fonts_for(said))


def fonts_for(text: str) -> list[str]:
    """Names of fonts for `fontfamily` that together have the signs of a text, as far as this machine has them."""
    found = _font_with(_lacking(text))
    return [_FONT, found] if found else [_FONT]


def _lacking(text: str) -> frozenset[int]:
    """The signs of a text that the usual font has not."""
    return frozenset(map(ord, text)) - _signs_of(_FONT)


@functools.cache
def _signs_of(font: str) -> frozenset[int]:
    return frozenset().union(*(_signs_in(entry.fname) for entry in fontManager.ttflist if entry.name == font))


@functools.cache
def _font_with(signs: frozenset[int]) -> str | None:
    """A font of this machine that has them all; empty where there are none, None where no font has."""
    if not signs:
        return ""
    names = sorted(
        (entry.name, entry.fname) for entry in fontManager.ttflist if not entry.name.startswith(_LAST_RESORT)
    )
    return next((name for name, file in names if signs <= _signs_in(file)), None)


@functools.cache
def _signs_in(file: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):  # a font that cannot be read, or holds pictures of one size
        return frozenset()


@functools.lru_cache(maxsize=2048)
def letters(text: str, size_px: int, bold: bool = False) -> np.ndarray:
    """One line of text as its opacity, uint8 (height, width), 255 where a letter is.

    Every line of a size is equally high, with the feet of its letters at one height, so that lines can be put side by
    side. What reaches beyond the line is cut off.
    """
    height = math.ceil(LINE * size_px)
    figure = Figure(figsize=(1, 1), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    style: dict[str, Any] = {"fontsize": size_px, "family": fonts_for(text), "weight": "bold" if bold else "normal"}
    drawn = figure.text(0, 0, text, va="baseline", ha="left", parse_math=False, **style)
    extent = drawn.get_window_extent()
    width = max(math.ceil(extent.x1) + 1, 1)
    figure.set_size_inches(width / _DPI, height / _DPI)
    drawn.set_position((0, 1 - _FEET * size_px / height))
    canvas.draw()
    return 255 - np.asarray(canvas.buffer_rgba())[:height, :width, 0]


def fit(text: str, size_px: int, bold: bool, most_px: int) -> str:
    """A text shortened until it is no wider than `most_px`."""
    most = len(text)
    while most > 1 and letters(shorten(text, most), size_px, bold).shape[1] > most_px:
        most -= 1
    return shorten(text, most)
