"""An annotated picture: boxes around faces with what is said of them, and a strip of bars beside the picture."""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tasks.drawing.colours import track_colour
from tasks.inference.frame_rows import FrameRows
from tasks.inference.strip import GROUND, WHITE, Colour, Strip, Verdict, patch
from tasks.video.boxes import Box
from tasks.video.frames import Frame

#: Pictures whose shorter side is smaller are enlarged, or no words would fit beside them; whose longer side is larger
#: are shrunk, or players could not show them.
_SMALLEST_PX, _LARGEST_PX = 160, 3840
#: The size of letters: at least so many px, and more by the shorter side of the picture.
_LEAST_LETTERS_PX, _LETTERS_PX, _SIDE_A_LETTER_PX = 11, 7, 48
#: The shorter side of a picture over the width of a line around a face.
_LINES = 180
_BLACK: Colour = (0, 0, 0)
_NO_FACE, _NO_VERDICT = "no face", "no verdict"


class _Span(NamedTuple):
    """The frames between the first and the last of a track."""

    track: int
    first: int
    last: int


class Overlay:
    """Draws the frames of one video, which must come in their order.

    Args:
        table: the verdicts.
        labels: the classes, in the order of the table's probabilities.
        size: height and width in px of the first frame. Later ones of another size are fitted in.
    """

    def __init__(self, table: FrameRows, labels: Sequence[str], size: tuple[int, int]) -> None:
        self.table = table
        self._height, self._width = _shown_size(*size)
        shorter = min(self._height, self._width)
        letters_px = max(_LEAST_LETTERS_PX, round(_LETTERS_PX + shorter / _SIDE_A_LETTER_PX))
        self._line_px = max(2, round(shorter / _LINES))
        self._are_several = len(table.tracks) > 1
        spans = [_Span(*span) for span in table.lifetimes()] if self._are_several else [_Span(1, 0, table.num_frames)]
        self._strip = Strip(table, labels, (self._height, self._width), letters_px, _most_at_a_time(spans))
        self._turns = _take_turns(spans, self._strip.num_blocks)
        if self._strip.is_below:
            height, width = self._height + self._strip.height, self._width
        else:
            height, width = self._height, self._width + self._strip.width
        #: What is drawn, uint8 RGB; both sides are even, as H.264 with colours of half the size asks for.
        self.canvas = np.empty((height + height % 2, width + width % 2, 3), np.uint8)
        self.canvas[:] = GROUND
        self._picture = self.canvas[: self._height, : self._width]

    def draw(self, frame: Frame) -> np.ndarray:
        """The next frame, annotated: `canvas`, which the one after will overwrite."""
        rows = self.table.of_frame(frame.index)
        boxes = self._draw_picture(frame, rows)
        taken: list[Box] = []
        for row, box in boxes.items():
            taken.append(self._draw_tag(box, row, taken))
        strip = self.canvas[self._height :] if self._strip.is_below else self.canvas[:, self._width :]
        self._strip.draw_time(strip, self.table.time_s[rows[0]] if rows else frame.pts_s)
        by_track = {int(self.table.track[row]): row for row in rows}
        for number, turns in enumerate(self._turns):
            while turns and turns[0].last < frame.index:
                turns.popleft()
            track = turns[0].track if turns and turns[0].first <= frame.index else None
            of_track = None if track is None else by_track.get(track, by_track.get(0))
            self._strip.draw_block(
                strip, number, track, f"{track}" if self._are_several else "", self._verdict(of_track)
            )
        return self.canvas

    def _verdict(self, row: int | None) -> Verdict:
        if row is None or not self.table.has_face[row]:
            return Verdict(_NO_FACE)
        if not self.table.has_verdict[row]:
            return Verdict(_NO_VERDICT)
        probabilities, uncertainty = self.table.probabilities[row], float(self.table.uncertainty[row])
        classes, best = self._strip.classes, int(probabilities.argmax())
        note = "" if math.isnan(uncertainty) else f"{100 * probabilities[best]:.0f} ± {100 * uncertainty:.0f} %"
        return Verdict(
            classes.classes[best], note, classes.place_of(best), tuple(classes.shares(probabilities).tolist())
        )

    def _draw_picture(self, frame: Frame, rows: Sequence[int]) -> dict[int, Box]:
        """The frame and the boxes in it; returns where in the picture the box of each row is."""
        shown = frame.picture(max(self._height, self._width))
        scale = min(self._width / shown.shape[1], self._height / shown.shape[0])
        width, height = round(shown.shape[1] * scale), round(shown.shape[0] * scale)
        if shown.shape[:2] != (height, width):
            shown = cv2.resize(shown, (width, height), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
        if (height, width) != self._picture.shape[:2]:
            self._picture[:] = _BLACK
        left, top = (self._width - width) // 2, (self._height - height) // 2
        self._picture[top : top + height, left : left + width] = shown
        scale, boxes = width / frame.size[1], {}
        for row in rows:
            if box := self.table.box(row):
                sides = (left + box.x * scale, top + box.y * scale, box.width * scale, box.height * scale)
                boxes[row] = Box(*map(round, sides))
                self._draw_box(boxes[row], track_colour(self._track(row)))
        return boxes

    def _track(self, row: int) -> int:
        return max(int(self.table.track[row]), 1)

    def _draw_box(self, box: Box, colour: Colour) -> None:
        """An outline with a dark edge, so that it is seen on any ground."""
        line = self._line_px
        for inset, width, edge in ((-1, line + 2, _BLACK), (0, line, colour)):
            left, top = box.x + inset, box.y + inset
            right, bottom = box.x + box.width - inset, box.y + box.height - inset
            _fill(self._picture, left, top, right, top + width, edge)
            _fill(self._picture, left, bottom - width, right, bottom, edge)
            _fill(self._picture, left, top, left + width, bottom, edge)
            _fill(self._picture, right - width, top, right, bottom, edge)

    def _draw_tag(self, box: Box, row: int, taken: Sequence[Box]) -> Box:
        """What is said of a face, above its box, or where there is room; returns where it stands."""
        colour = track_colour(self._track(row))
        ink = _BLACK if np.dot(colour, (0.299, 0.587, 0.114)) > 110 else WHITE
        drawn = [patch(words, self._strip.size_px, ink, colour, True) for words in self._tag_words(row)]
        edge = np.full((drawn[0].shape[0], max(self._strip.size_px // 3, 2), 3), colour, np.uint8)
        tag = np.concatenate([edge, *drawn, edge], axis=1)[: self._height, : self._width]
        height, width = tag.shape[:2]
        left = min(max(box.x, 0), self._width - width)
        above, below, inside = box.y - height, box.y + box.height, box.y + self._line_px
        places = [Box(left, min(max(top, 0), self._height - height), width, height) for top in (above, below, inside)]
        fitting = [place for place, top in zip(places, (above, below, inside), strict=True) if place.y == top]
        free = [place for place in fitting if not any(_touch(place, other) for other in taken)]
        place = (free or fitting or places)[0]
        self._picture[place.y : place.y + height, place.x : place.x + width] = tag
        return place

    def _tag_words(self, row: int) -> list[str]:
        words = [f"{self._track(row)} "] if self._are_several else []
        if not self.table.has_verdict[row]:
            return [*words, _NO_VERDICT]
        probabilities = self.table.probabilities[row]
        best = int(probabilities.argmax())
        return [*words, self._strip.classes.classes[best], f" {100 * probabilities[best]:.0f} %"]


def _shown_size(height: int, width: int) -> tuple[int, int]:
    enlarged = math.ceil(_SMALLEST_PX / min(height, width))
    scale = min(enlarged, _LARGEST_PX / max(height, width))
    return max(round(height * scale), 2), max(round(width * scale), 2)


def _fill(picture: np.ndarray, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour


def _touch(first: Box, second: Box) -> bool:
    beside = first.x >= second.x + second.width or second.x >= first.x + first.width
    return not (beside or first.y >= second.y + second.height or second.y >= first.y + first.height)


def _most_at_a_time(spans: Sequence[_Span]) -> int:
    """How many of the tracks there are at most at one time."""
    changes = sorted([(span.first, 1) for span in spans] + [(span.last + 1, -1) for span in spans])
    return int(max(np.cumsum([change for _, change in changes]), default=1))


def _take_turns(spans: Sequence[_Span], num_blocks: int) -> list[deque[_Span]]:
    """Which tracks each block shows one after the other: a track keeps its block. Who finds none free has none."""
    turns: list[deque[_Span]] = [deque() for _ in range(num_blocks)]
    for span in spans:
        free = next((turn for turn in turns if not turn or turn[-1].last < span.first), None)
        if free is not None:
            free.append(span)
    return turns
