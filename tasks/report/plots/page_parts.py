"""What pages have in common: the head's badge and facts, the key of the motion's colours, a notice."""

import textwrap

from tasks.drawing.colours import GREY
from tasks.drawing.page import MARGIN_IN, WIDTH_IN, Page
from tasks.drawing.segment_pictures import FULL_COLOUR_PX, draw_colour_wheel
from tasks.report.plots.inspection_moments import ARROW_SCALE


def draw_verdict(page: Page, badge: str, words: str, colour: str, top_in: float) -> None:
    """A word on a coloured ground, and what it means beside it."""
    ground = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"}
    drawn = page.text(MARGIN_IN + 0.07, top_in, badge, size=13, weight="bold", color="white", bbox=ground)
    page.text(MARGIN_IN + page.width_of(drawn) + 0.35, top_in, words, size=13, weight="bold", color=colour)


def draw_fact(page: Page, left_in: float, top_in: float, name: str, value: str, indent_in: float = 0.85) -> None:
    """A name in grey and its value, which begins `indent_in` further right."""
    page.text(left_in, top_in, name, size=9.5, color=GREY)
    page.text(left_in + indent_in, top_in, value, size=9.5)


def draw_motion_legend(page: Page) -> None:
    """The colour wheel of optical flow, in the upper right corner."""
    side, left = 1.25, WIDTH_IN - MARGIN_IN - 1.8
    axes = page.axes(left, 0.32, side, side)
    axes.imshow(draw_colour_wheel(240), extent=(-1, 1, 1, -1))
    axes.axis("off")
    for x, y, name in ((0, -1.15, "up"), (0, 1.15, "down"), (-1.1, 0, "left"), (1.1, 0, "right"), (0, 0, "still")):
        side_of = "right" if x < 0 else "left" if x > 0 else "center"
        axes.text(x, y, name, ha=side_of, va="center", fontsize=8, color=GREY)
    lines = (f"full colour: {FULL_COLOUR_PX:g} px of the crop", f"arrows: {ARROW_SCALE:g} times the motion")
    for number, line in enumerate(lines):
        page.text(left + side / 2, 1.88 + 0.15 * number, line, size=8, color=GREY, ha="center")


def draw_notice(page: Page, notice: str, top_in: float, height_in: float) -> None:
    """Sentences on a pale ground as wide as the page."""
    axes = page.axes(MARGIN_IN, top_in, WIDTH_IN - 2 * MARGIN_IN, height_in - 0.35)
    axes.set_facecolor("#f5f7f9")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    size = 14 if height_in > 1 else 11
    text = "\n".join(textwrap.fill(line, 105) for line in notice.splitlines())
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, transform=axes.transAxes, parse_math=False)
