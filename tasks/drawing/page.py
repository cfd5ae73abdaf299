"""A white page on which things are placed in inches from its upper left corner."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

WIDTH_IN = 14.0
MARGIN_IN = 0.4


class Page:
    """A figure of `WIDTH_IN` and the given height."""

    def __init__(self, height_in: float) -> None:
        self.height_in = height_in
        self.figure = Figure(figsize=(WIDTH_IN, height_in))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a rectangle."""
        box = (left / WIDTH_IN, 1 - (top + height) / self.height_in, width / WIDTH_IN, height / self.height_in)
        return self.figure.add_axes(box)

    def text(self, left: float, middle: float, text: str, size: float, **style: Any) -> Text:
        """One line of text whose middle is at the height `middle`, whatever signs are in it."""
        x, y = left / WIDTH_IN, 1 - middle / self.height_in
        return self.figure.text(x, y, text, fontsize=size, va="center_baseline", parse_math=False, **style)

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """A thin line through points, each from the left and from the top."""
        x, y = zip(*((left / WIDTH_IN, 1 - top / self.height_in) for left, top in points), strict=True)
        self.figure.add_artist(Line2D(x, y, color=colour, linewidth=0.8))

    def width_of(self, text: Text) -> float:
        """The width of a text that is drawn, in inches."""
        return text.get_window_extent().width / self.figure.dpi
