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
    bar_px: int | None = None
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
        num_lines = max(int(room_px / self._line_px - 0.5), 4)  # without the time, and with the gap behind the last
        # a block is a title, places and a gap
        self.num_blocks = max(min(num_blocks, num_lines // (2 + min(len(labels), 2))), 1)
        self.classes = ShownClasses.of(table, labels, num_lines // self.num_blocks - 2)
        places, most_px = self.classes.places, round(_MOST_NAME * size_px)
        self._names = [fit(name, size_px, True, most_px) for name in places]
        self._name_px = max(letters(name, size_px, True).shape[1] for name in self._names)
        self._block_px = (2 + len(places)) * self._line_px
        if self.is_below:
            self.width = width
            self.height = 2 * self._margin_px + self._line_px // 2 + self.num_blocks * self._block_px
        else:
            columns_px = self._name_px + round(_BAR * size_px) + self._value_px
            self.width, self.height = columns_px + 2 * (self._gap_px + self._margin_px), height
        self._lines: dict[tuple[int, int], _Line] = {}  # what stands in a block and line
        self._time = ""

    def draw_time(self, strip: np.ndarray, time_s: float) -> None:
        """Write the time into the strip, uint8 RGB (height, width, 3)."""
        minutes, seconds = divmod(math.floor(time_s * 10 + 1e-6) / 10, 60)
        text = f"{minutes:.0f}:{seconds:04.1f}"
        if text != self._time:
            self._time, x = text, self._margin_px
            for sign in text:
                x += self._paste(strip, patch(sign, self.size_px, _DIM, GROUND), x, self._margin_px)

    def draw_block(self, strip: np.ndarray, number: int, track: int | None, title: str, verdict: Verdict) -> None:
        """Show a verdict in a block; nothing where `track` is None."""
        if track is None:
            lines = [_Line()] * (1 + len(self._names))
        else:
            colour = WHITE if verdict.shares else _MISSING
            head = _Line(verdict.words, verdict.note, colour, True, title, bar_colour=track_colour(track))
            bars = [self._bar_line(place, track_colour(track), verdict) for place in range(len(self._names))]
            lines = [head, *bars]
        top = self._margin_px + self._line_px * 3 // 2 + number * self._block_px
        for row, line in enumerate(lines):
            if self._lines.get((number, row)) != line:
                self._lines[number, row] = line
                y = top + row * self._line_px
                strip[y : y + self._line_px] = GROUND
                if line.bar_px is None:
                    self._draw_title(strip, line, y)
                else:
                    self._draw_bar(strip, line, y)

    @property
    def _bar_box(self) -> Box:
        """Where a bar may be in its line."""
        left = self._margin_px + self._name_px + self._gap_px
        right = self.width - self._margin_px - self._value_px - self._gap_px
        inset = round(_INSET * self._line_px)
        return Box(left, inset, max(right - left, 1), self._line_px - 2 * inset)

    def _bar_line(self, place: int, colour: Colour, verdict: Verdict) -> _Line:
        name, is_best = self._names[place], place == verdict.place
        if not verdict.shares:
            return _Line(name, bar_px=0)
        share = verdict.shares[place]
        red, green, blue = (round(part if is_best else _DARKER * part) for part in colour)
        bar_px, ink = round(share * self._bar_box.width), WHITE if is_best else _DIM
        return _Line(name, f"{100 * share:.0f} %", ink, is_best, bar_px=bar_px, bar_colour=(red, green, blue))

    def _draw_title(self, strip: np.ndarray, line: _Line, y: int) -> None:
        x = self._margin_px
        for text, colour in ((f"{line.title}  ", line.bar_colour), (f"{line.text} ", line.colour), (line.value, _DIM)):
            if text.strip():
                x += self._paste(strip, patch(text, self.size_px, colour, GROUND, line.bold), x, y)

    def _draw_bar(self, strip: np.ndarray, line: _Line, y: int) -> None:
        name, value = (patch(text, self.size_px, line.colour, GROUND, line.bold) for text in (line.text, line.value))
        self._paste(strip, name, self._margin_px + self._name_px - name.shape[1], y)
        bar = self._bar_box
        place = strip[y + bar.y : y + bar.y + bar.height, bar.x : bar.x + bar.width]
        place[:] = _TROUGH
        place[:, : line.bar_px] = line.bar_colour
        self._paste(strip, value, self.width - self._margin_px - value.shape[1], y)

    def _paste(self, strip: np.ndarray, drawn: np.ndarray, x: int, y: int) -> int:
        """Put a patch at a place, cut where the margin begins; returns its width in px."""
        part = drawn[: max(strip.shape[0] - y, 0), : max(self.width - self._margin_px - x, 0)]
        strip[y : y + part.shape[0], x : x + part.shape[1]] = part
        return drawn.shape[1]
