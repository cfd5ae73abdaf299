"""The strip beside an annotated picture: the time, and for each face that is followed the probabilities as bars.

It stands beside the picture, or below an upright one, so that it hides nothing of it. Only what changed since the last
picture is drawn again, which costs little to draw and to encode.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.drawing.colours import track_colour
from tasks.drawing.lettering import LINE, fit, letters
from tasks.inference.frame_rows import FrameRows
from tasks.inference.shown_classes import ShownClasses
from tasks.video.boxes import Box

Colour = tuple[int, int, int]

GROUND: Colour = (22, 24, 29)
WHITE: Colour = (244, 246, 248)
_DIM: Colour = (176, 184, 196)
_TROUGH: Colour = (48, 52, 61)
_MISSING: Colour = (245, 190, 80)
#: Bars of classes that are not the predicted one are darkened to this share.
_DARKER = 0.72
#: Widths of name, bar and value, of the gap between them and of the margin, in sizes of the letters.
_MOST_NAME, _BAR, _VALUE, _GAP, _MARGIN = 11.0, 7.0, 3.2, 0.5, 0.8
#: How much of its line a bar leaves free above and below.
_INSET = 0.22
#: So many classes are to have a place each where several faces are shown, if the strip can have columns enough.
_FEW_PLACES = 8
#: A strip below a picture is at most so many times as high as the picture.
_MOST_BELOW = 0.8


class Verdict(NamedTuple):
    """What is said of a face.

    Args:
        words: the predicted class, or why there is none.
        note: stands behind the words.
        place: of the predicted class; -1 for none.
        shares: probabilities of the places, 0..1; empty where there is no verdict.
    """

    words: str
    note: str = ""
    place: int = -1
    shares: tuple[float, ...] = ()


class _Line(NamedTuple):
    """A line of a block: words between a title and a value, or a name with a bar and a value."""

    text: str = ""
    value: str = ""
    colour: Colour = _DIM
    bold: bool = False
    title: str = ""
    bar_share: float | None = None
    bar_colour: Colour = _TROUGH


def patch(text: str, size_px: int, colour: Colour, ground: Colour, bold: bool = False) -> np.ndarray:
    """A line of text on a ground, uint8 RGB (height, width, 3)."""
    opacity = letters(text, size_px, bold)[..., None] / 255
    return (np.array(ground) + (np.array(colour) - np.array(ground)) * opacity).round().astype(np.uint8)


class Strip:
    """Where everything stands, and what stands there now.

    Args:
        table: all rows of the video.
        picture: height and width in px of the picture that the strip stands beside.
        size_px: of the letters.
        num_blocks: tracks that are to be shown at a time; fewer are where there is no room.
    """

    def __init__(
        self, table: FrameRows, labels: Sequence[str], picture: tuple[int, int], size_px: int, num_blocks: int
    ) -> None:
        height, width = picture
        self.size_px = size_px
        self._line_px, self._margin_px, self._gap_px, self._value_px = (
            math.ceil(share * size_px) for share in (LINE, _MARGIN, _GAP, _VALUE)
        )
        self.is_below = height > width
        room_px = (_MOST_BELOW * height if self.is_below else height) - 2 * self._margin_px
        # without the time, and with the gap behind the last block: a block is a title, places and a gap
        num_lines = max(int(room_px / self._line_px - 0.5), 4)
        column_px = self._margin_px + self._block_width_px(ShownClasses.of(table, labels, len(labels)).places)
        most_columns = max((width - self._margin_px) // column_px, 1)
        wanted = 2 + min(len(labels), _FEW_PLACES)
        num_columns = min(-(-num_blocks // max(num_lines // wanted, 1)), most_columns)
        most_in_column = max(num_lines // (2 + min(len(labels), 2)), 1)
        self.num_blocks = min(num_blocks, num_columns * most_in_column)
        in_column = -(-self.num_blocks // num_columns)
        self.classes = ShownClasses.of(table, labels, num_lines // in_column - 2)
        self._areas = self._place_blocks(in_column, num_columns, width)
        #: In px; a strip beside a picture is as high as that, and one below it as wide.
        self.width, self.height = (
            (width, self._areas[in_column - 1].y + self._areas[0].height - self._line_px + self._margin_px)
            if self.is_below
            else (self._areas[-1].x + self._areas[-1].width + self._margin_px, height)
        )
        self._lines: dict[tuple[int, int], _Line] = {}  # what stands in a block and line
        self._time = ""

    def _block_width_px(self, places: Sequence[str]) -> int:
        """Of names, bars and values."""
        most_px = round(_MOST_NAME * self.size_px)
        self._names = [fit(name, self.size_px, True, most_px) for name in places]
        self._name_px = max(letters(name, self.size_px, True).shape[1] for name in self._names)
        return self._name_px + round(_BAR * self.size_px) + self._value_px + 2 * self._gap_px

    def _place_blocks(self, in_column: int, num_columns: int, width: int) -> list[Box]:
        """Where each block stands in the strip, column by column; its height includes the gap below it."""
        block_px = self._block_width_px(self.classes.places)
        if self.is_below:
            block_px = (width - self._margin_px) // num_columns - self._margin_px
        top, height = self._margin_px + self._line_px * 3 // 2, (2 + len(self._names)) * self._line_px
        places = [divmod(number, in_column) for number in range(self.num_blocks)]
        step = block_px + self._margin_px
        return [Box(self._margin_px + column * step, top + row * height, block_px, height) for column, row in places]

    def draw_time(self, strip: np.ndarray, time_s: float) -> None:
        """Write the time into the strip, uint8 RGB (height, width, 3)."""
        minutes, seconds = divmod(math.floor(time_s * 10 + 1e-6) / 10, 60)
        hours, minutes = divmod(int(minutes), 60)
        text = f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"
        if text != self._time:
            self._time, x = text, self._margin_px
            for sign in text:
                x += _paste(strip, patch(sign, self.size_px, _DIM, GROUND), x, self._margin_px, self.width)

    def draw_block(self, strip: np.ndarray, number: int, track: int | None, title: str, verdict: Verdict) -> None:
        """Show a verdict in a block; nothing where `track` is None."""
        area = self._areas[number]
        if track is None:
            lines = [_Line()] * (1 + len(self._names))
        else:
            colour = WHITE if verdict.shares else _MISSING
            head = _Line(verdict.words, verdict.note, colour, True, title, bar_colour=track_colour(track))
            bars = [self._bar_line(place, track_colour(track), verdict) for place in range(len(self._names))]
            lines = [head, *bars]
        for row, line in enumerate(lines):
            if self._lines.get((number, row)) != line:
                self._lines[number, row] = line
                y = area.y + row * self._line_px
                strip[y : y + self._line_px, area.x : area.x + area.width] = GROUND
                if line.bar_share is None:
                    self._draw_title(strip, line, area, y)
                else:
                    self._draw_bar(strip, line, area, y)

    def _bar_line(self, place: int, colour: Colour, verdict: Verdict) -> _Line:
        name, is_best = self._names[place], place == verdict.place
        if not verdict.shares:
            return _Line(name, bar_share=0.0)
        ink, percent = WHITE if is_best else _DIM, round(100 * verdict.shares[place])
        red, green, blue = (round(part if is_best else _DARKER * part) for part in colour)
        return _Line(name, f"{percent} %", ink, is_best, bar_share=percent / 100, bar_colour=(red, green, blue))

    def _draw_title(self, strip: np.ndarray, line: _Line, area: Box, y: int) -> None:
        x, end = area.x, area.x + area.width
        for text, colour in ((f"{line.title}  ", line.bar_colour), (f"{line.text} ", line.colour), (line.value, _DIM)):
            if text.strip():
                x += _paste(strip, patch(text, self.size_px, colour, GROUND, line.bold), x, y, end)

    def _draw_bar(self, strip: np.ndarray, line: _Line, area: Box, y: int) -> None:
        name, value = (patch(text, self.size_px, line.colour, GROUND, line.bold) for text in (line.text, line.value))
        name_end, end = area.x + self._name_px, area.x + area.width
        _paste(strip, name, name_end - name.shape[1], y, name_end)
        _paste(strip, value, end - value.shape[1], y, end)
        inset = round(_INSET * self._line_px)
        left, right = name_end + self._gap_px, end - self._value_px - self._gap_px
        bar = strip[y + inset : y + self._line_px - inset, left:right]
        bar[:] = _TROUGH
        bar[:, : round((line.bar_share or 0.0) * max(right - left, 0))] = line.bar_colour


def _paste(strip: np.ndarray, drawn: np.ndarray, x: int, y: int, end: int) -> int:
    """Put a patch at a place, cut at `end`; returns its width in px."""
    part = drawn[: max(strip.shape[0] - y, 0), : max(end - x, 0)]
    strip[y : y + part.shape[0], x : x + part.shape[1]] = part
    return drawn.shape[1]
