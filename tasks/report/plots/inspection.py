"""What became of one video, on one page: its verdict, segments with box, face and motion, and a timeline."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from tasks.drawing.colours import GREEN, VERMILION
from tasks.drawing.lettering import shorten
from tasks.drawing.page import MARGIN_IN, Page
from tasks.report.plots.inspection_moments import Moment, draw_moments, moments_height_in
from tasks.report.plots.inspection_timeline import Timeline, draw_timeline
from tasks.report.plots.page_parts import draw_fact, draw_motion_legend, draw_notice, draw_verdict

_FACTS_TOP_IN, _FACT_IN, _NOTE_IN = 1.3, 0.22, 0.25


@dataclass(frozen=True)
class Inspected:
    """What is known of a video.

    Args:
        outcome: its name, e.g. `no_face`.
        usable: whether the video takes part in studies.
        verdict: the outcome in plain words.
        notes: sentences below the verdict; empty ones are left out.
        facts: name -> value, in the order in which they are shown; empty ones are not.
        file: where the video is.
        notice: stands where pictures would be, when there are none; may be empty.
    """

    video_id: str
    outcome: str
    usable: bool
    verdict: str
    notes: Sequence[str]
    facts: Mapping[str, str]
    file: str
    moments: Sequence[Moment]
    timeline: Timeline | None
    notice: str = ""


def plot_inspection(video: Inspected) -> Figure:
    """One page; everything on it is drawn at a fixed scale, so that two pages can be compared."""
    head_in = _head_in(video)
    notice_in = (0.75 if video.moments else 1.5) if video.notice else 0.0
    moments_in = moments_height_in(video.moments)
    timeline_in = video.timeline.height_in if video.timeline else 0.0
    page = Page(head_in + notice_in + moments_in + timeline_in + MARGIN_IN / 2)
    _draw_head(page, video)
    if video.notice:
        draw_notice(page, video.notice, head_in, notice_in)
    draw_moments(page, video.moments, head_in + notice_in)
    if video.timeline:
        draw_timeline(page, video.timeline, head_in + notice_in + moments_in)
    return page.figure


def _facts(video: Inspected) -> list[tuple[str, str]]:
    return [(name, value) for name, value in video.facts.items() if value]


def _note_lines(video: Inspected) -> list[str]:
    return [line for note in video.notes for line in textwrap.wrap(shorten(note, 400), 120)]


def _head_in(video: Inspected) -> float:
    lines = -(-len(_facts(video)) // 3) + 1
    return max(_FACTS_TOP_IN + _FACT_IN * lines + _NOTE_IN * len(_note_lines(video)), 2.15) + 0.42


def _draw_head(page: Page, video: Inspected) -> None:
    colour = GREEN if video.usable else VERMILION
    page.text(MARGIN_IN, 0.3, shorten(video.video_id, 70), size=19, weight="bold")
    draw_verdict(page, video.outcome, video.verdict, colour, 0.84)
    top = _FACTS_TOP_IN
    for line in _note_lines(video):
        page.text(MARGIN_IN, top - 0.06, line, size=11.5)
        top += _NOTE_IN
    top += 0.1 if _note_lines(video) else 0.0
    facts = _facts(video)
    rows = -(-len(facts) // 3)
    for number, (name, value) in enumerate(facts):
        column, row = divmod(number, rows)
        draw_fact(page, MARGIN_IN + 3.5 * column, top + _FACT_IN * row, name, shorten(value, 36))
    draw_fact(page, MARGIN_IN, top + _FACT_IN * rows, "file", shorten(video.file, 120))
    if any(moment.optical_flows is not None for moment in video.moments):
        draw_motion_legend(page)
