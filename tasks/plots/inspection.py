"""What became of one video, on one page: its verdict, segments with box, face and motion, and a timeline."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from tasks.plots import GREEN, GREY, VERMILION
from tasks.plots.inspection_moments import ARROW_SCALE, Moment, draw_moments, moments_height_in
from tasks.plots.inspection_timeline import Timeline, draw_timeline
from tasks.plots.page import MARGIN_IN, WIDTH_IN, Page, shorten
from tasks.plots.pictures import FULL_COLOUR_PX, draw_colour_wheel

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
        _draw_notice(page, video.notice, head_in, notice_in)
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
    badge = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"}
    drawn = page.text(MARGIN_IN + 0.07, 0.84, video.outcome, size=13, weight="bold", color="white", bbox=badge)
    left = MARGIN_IN + page.width_of(drawn) + 0.35
    page.text(left, 0.84, video.verdict, size=13, weight="bold", color=colour)
    top = _FACTS_TOP_IN
    for line in _note_lines(video):
        page.text(MARGIN_IN, top - 0.06, line, size=11.5)
        top += _NOTE_IN
    top += 0.1 if _note_lines(video) else 0.0
    facts = _facts(video)
    rows = -(-len(facts) // 3)
    for number, (name, value) in enumerate(facts):
        column, row = divmod(number, rows)
        _draw_fact(page, MARGIN_IN + 3.5 * column, top + _FACT_IN * row, name, shorten(value, 36))
    _draw_fact(page, MARGIN_IN, top + _FACT_IN * rows, "file", shorten(video.file, 120))
    if any(moment.optical_flow is not None for moment in video.moments):
        _draw_legend(page)


def _draw_fact(page: Page, left: float, top: float, name: str, value: str) -> None:
    page.text(left, top, name, size=9.5, color=GREY)
    page.text(left + 0.85, top, value, size=9.5)


def _draw_legend(page: Page) -> None:
    side, left = 1.25, WIDTH_IN - MARGIN_IN - 1.8
    axes = page.axes(left, 0.32, side, side)
    axes.imshow(draw_colour_wheel(240), extent=(-1, 1, 1, -1))
    axes.axis("off")
    for x, y, name in ((0, -1.15, "up"), (0, 1.15, "down"), (-1.1, 0, "left"), (1.1, 0, "right"), (0, 0, "still")):
        side_of = "right" if x < 0 else "left" if x > 0 else "center"
        axes.text(x, y, name, ha=side_of, va="center", fontsize=8, color=GREY)
    lines = (f"full colour: {FULL_COLOUR_PX:g} px of the crop a frame", f"arrows: {ARROW_SCALE:g} times the motion")
    for number, line in enumerate(lines):
        page.text(left + side / 2, 1.88 + 0.15 * number, line, size=8, color=GREY, ha="center")


def _draw_notice(page: Page, notice: str, top_in: float, height_in: float) -> None:
    axes = page.axes(MARGIN_IN, top_in, WIDTH_IN - 2 * MARGIN_IN, height_in - 0.35)
    axes.set_facecolor("#f5f7f9")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    size = 14 if height_in > 1 else 11
    text = "\n".join(textwrap.fill(line, 105) for line in notice.splitlines())
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, transform=axes.transAxes, parse_math=False)
