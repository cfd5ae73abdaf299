"""What a model says of a video over time, as one picture: stacked probabilities, a heat strip, faces under the axis.

Each followed face has its own part of the page. Where there is no face or no verdict the axes are hatched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from fer_models.errors import UserError
from tasks.drawing.colours import GREY, MOST_CLASSES, class_colours, track_colour
from tasks.drawing.lettering import fonts_for, shorten
from tasks.drawing.page import MARGIN_IN, WIDTH_IN, Page
from tasks.inference.frame_rows import FrameRows
from tasks.inference.shown_classes import ShownClasses
from tasks.inference.thumbnails import MOST_TRACKS, Thumbnail
from tasks.inference.timeline_columns import Columns, Times
from tasks.inference.timeline_parts import (
    GAPS,
    draw_confidence,
    draw_faces,
    draw_gaps,
    draw_heat,
    draw_heat_scale,
    draw_legend,
    draw_stack,
    prepare_axes,
)

_LEFT_IN, _RIGHT_IN = 1.9, 2.3
_PLOT_IN = WIDTH_IN - _LEFT_IN - _RIGHT_IN
#: Where the time axis begins and ends, as shares of the picture's width; for who draws a playhead over it.
SPAN = (_LEFT_IN / WIDTH_IN, 1 - _RIGHT_IN / WIDTH_IN)
_HEAD_IN, _TITLE_IN, _GAP_IN, _AXIS_IN, _FOOT_IN = 0.95, 0.3, 0.12, 0.32, 0.25
_STACK_IN, _CONFIDENCE_IN, _FACE_IN, _CAPTION_IN = 1.8, 0.6, 0.8, 0.48
#: Rows of the heat strip, and where there are many of them; each of several faces has at most so many.
_ROW_IN, _DENSE_ROW_IN, _MANY_ROWS, _MOST_ROWS_OF_SEVERAL = 0.21, 0.15, 14, 10
_OTHERS = "#4b5563"
#: Seconds between two ticks, of which at most so many are drawn.
_TICKS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 12


def draw_timeline(
    frames: pd.DataFrame, labels: Sequence[str], title: str, thumbnails: Sequence[Thumbnail] = ()
) -> Figure:
    """Draw the frame table of one video; long videos are averaged in up to 1500 columns.

    Args:
        frames: the frame table of a prediction, see `tasks.inference.prediction`.
        labels: the classes, each with a column `p_<label>`.
        title: a line on top, such as the name of the video.
        thumbnails: as from `read_thumbnails`; without any the page has no faces.

    Raises:
        UserError: the table has no row.
    """
    if not len(frames):
        raise UserError(f"There is no timeline of {title!r}: not one of its frames was decoded.")
    table = FrameRows.of(frames, labels)
    times = Times.of(table)
    numbers = table.longest_tracks(MOST_TRACKS) or [1]
    stacked = ShownClasses.of(table, labels, MOST_CLASSES)
    colours = class_colours([labels[number] for number in stacked.numbers])
    parts = [
        _Part(
            number,
            times,
            Columns.of(table, times, number),
            stacked,
            [*colours, _OTHERS][: len(stacked.places)],
            ShownClasses.of(table, labels, len(labels) if len(numbers) == 1 else _MOST_ROWS_OF_SEVERAL),
            [one for one in thumbnails if one.track == number],
            f"face {number}" if len(table.tracks) > 1 else "",
        )
        for number in numbers
    ]
    page = Page(_HEAD_IN + sum(part.height_in for part in parts) + _FOOT_IN)
    page.text(MARGIN_IN, 0.35, shorten(title, 90), size=15, weight="bold", family=fonts_for(title))
    page.text(MARGIN_IN, 0.67, _facts(table, times), size=9.5, color=GREY)
    top = _HEAD_IN
    for part in parts:
        part.draw(page, top)
        top += part.height_in
    return page.figure


def _facts(table: FrameRows, times: Times) -> str:
    num_frames = len(times.frames)
    with_face, with_verdict = (
        len(np.unique(table.frame[chosen])) / num_frames for chosen in (table.has_face, table.has_verdict)
    )
    length = "1 frame"
    if num_frames > 1:
        length = f"{num_frames:,} frames over {clock(times.edges_s[-1] - times.edges_s[0])}"
    facts = f"{length}: a face in {100 * with_face:.0f} % of them, a verdict in {100 * with_verdict:.0f} %"
    if len(table.tracks) > MOST_TRACKS:
        facts += f"; the {MOST_TRACKS} of {len(table.tracks)} faces that are seen longest"
    return facts


def clock(time_s: float) -> str:
    """A time as people write it: `4.2 s`, `1:05`, `1:02:05`."""
    if time_s < 60:
        return f"{round(time_s, 1 if time_s >= 10 else 2):g} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _tick_s(duration_s: float) -> float:
    return next((step for step in _TICKS_S if duration_s / step <= _MOST_TICKS), duration_s)


@dataclass(frozen=True)
class _Part:
    """What a page shows of one face."""

    number: int
    times: Times
    columns: Columns
    stacked: ShownClasses
    colours: list[str]
    rows: ShownClasses
    thumbnails: list[Thumbnail]
    title: str

    @property
    def has_uncertainty(self) -> bool:
        return bool(np.isfinite(self.columns.uncertainty).any())

    @property
    def heat_in(self) -> float:
        rows = len(self.rows.places)
        return rows * (_ROW_IN if rows < _MANY_ROWS else _DENSE_ROW_IN)

    @property
    def height_in(self) -> float:
        confidence = _CONFIDENCE_IN + _GAP_IN if self.has_uncertainty else 0.0
        faces = _FACE_IN + _CAPTION_IN if self.thumbnails else 0.0
        title = _TITLE_IN if self.title else 0.0
        return title + _STACK_IN + confidence + 2 * _GAP_IN + self.heat_in + faces + _AXIS_IN

    def draw(self, page: Page, top: float) -> None:
        if self.title:
            colour = tuple(part / 255 for part in track_colour(self.number))
            page.text(MARGIN_IN, top + 0.1, "■", size=13, color=colour)  # of its box in the annotated video
            page.text(MARGIN_IN + 0.2, top + 0.1, self.title, size=11, weight="bold")
            top += _TITLE_IN
        self._draw_legend(page, top)
        axes = self._axes(page, top, _STACK_IN, "probability", 0, 1)
        shares = self.stacked.shares(self.columns.probabilities)
        draw_stack(axes, self.times.edges_s, self.columns, shares, self.colours)
        top += _STACK_IN + _GAP_IN
        if self.has_uncertainty:
            axes = self._axes(page, top, _CONFIDENCE_IN, "predicted class\n± one SD", 0, 1)
            draw_confidence(axes, self.times.edges_s, self.columns)
            top += _CONFIDENCE_IN + _GAP_IN
        num_rows = len(self.rows.places)
        axes = self._axes(page, top, self.heat_in, "", num_rows - 0.5, -0.5)
        size = 8.5 if num_rows < _MANY_ROWS else 7
        draw_heat(axes, self.times.edges_s, self.rows.shares(self.columns.probabilities), self.rows.places, size)
        draw_heat_scale(page, WIDTH_IN - _RIGHT_IN + 0.2, top + 0.03)
        top += self.heat_in
        if len(self.times.frames) > 1:
            axes.xaxis.set_major_locator(MultipleLocator(_tick_s(self.times.edges_s[-1] - self.times.edges_s[0])))
            axes.xaxis.set_major_formatter(lambda time_s, _: clock(time_s))
        if self.thumbnails:
            captions = [f"{clock(one.time_s)}\n{self._class_at(one.time_s)}" for one in self.thumbnails]
            draw_faces(page, axes, self.thumbnails, captions, top + _AXIS_IN - 0.08, _FACE_IN)

    def _axes(self, page: Page, top: float, height: float, name: str, low: float, high: float) -> Axes:
        axes = page.axes(_LEFT_IN, top, _PLOT_IN, height)
        prepare_axes(axes, self.times.edges_s, low, high)
        draw_gaps(axes, self.times.edges_s, self.columns)
        page.text(_LEFT_IN - 0.55, top + height / 2, name, size=8.5, color=GREY, ha="right")
        return axes

    def _draw_legend(self, page: Page, top: float) -> None:
        with np.errstate(invalid="ignore"):
            known = self.columns.probabilities[np.isfinite(self.columns.confidence)]
        means = self.stacked.shares(known).mean(axis=0) if len(known) else [np.nan] * len(self.colours)
        values = ["" if np.isnan(mean) else f"{100 * mean:.0f} %" for mean in means]
        entries = list(zip(self.stacked.places, values, self.colours, strict=True))[::-1]
        states = [state for state in GAPS if self.columns.runs(state)]
        draw_legend(page, WIDTH_IN - _RIGHT_IN + 0.2, top, entries, states)

    def _class_at(self, time_s: float) -> str:
        column = int(np.searchsorted(self.times.edges_s, time_s, side="right")) - 1
        probabilities = self.columns.probabilities[min(column, len(self.columns.state) - 1)]
        return "no verdict" if np.isnan(probabilities).any() else shorten(self.rows.classes[probabilities.argmax()], 14)
