"""A whole video as a strip: which segments have a face, how wide its box is, how much it moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tasks.drawing.colours import BLUE, PURPLE, VERMILION
from tasks.drawing.page import MARGIN_IN, WIDTH_IN, Page

_LABEL_IN = 1.75


@dataclass(frozen=True)
class Timeline:
    """The segments of a video.

    Args:
        num_frames: of the whole video.
        time_of: from the number of a frame to its time in seconds; None when times are unknown.
        stride: frames from one segment's start to the next.
        num_segments: with and without a face.
        covered: int (n,), numbers of the segments with a face, ascending.
        widths_px: (n,) width of their boxes in px of the video.
        motions_px: (n,) mean length of their optical flow, in px of the stored crop; (0,) where there is none.
        shown: first frames of what the page shows above.
    """

    num_frames: int
    time_of: Callable[[float], float] | None
    stride: int
    num_segments: int
    covered: np.ndarray
    widths_px: np.ndarray
    motions_px: np.ndarray
    shown: Sequence[int]

    @property
    def height_in(self) -> float:
        """What the strip takes of its page."""
        return 1.15 + 0.8 * len(self.curves) if self.curves else 1.1

    @property
    def curves(self) -> list[tuple[np.ndarray, str, str]]:
        """Values of the covered segments that are drawn over time, what they are, and their colour."""
        curves = ((self.widths_px, "box width, px", BLUE), (self.motions_px, "motion, px", PURPLE))
        return [curve for curve in curves if len(curve[0])]


def draw_timeline(page: Page, timeline: Timeline, top_in: float) -> None:
    """Draw the strip on a page, from `top_in` on."""
    left, width = MARGIN_IN + _LABEL_IN, WIDTH_IN - 2 * MARGIN_IN - _LABEL_IN
    coverage = page.axes(left, top_in + 0.3, width, 0.22)
    _draw_coverage(coverage, timeline)
    label = page.text(MARGIN_IN, top_in + 0.41, "with a face", size=8.5, color=BLUE)
    page.text(MARGIN_IN + page.width_of(label), top_in + 0.41, ", without", size=8.5, color=VERMILION)
    strips = [coverage]
    for number, (values, name, colour) in enumerate(timeline.curves):
        axes = page.axes(left, top_in + 0.65 + number * 0.8, width, 0.68)
        _draw_curve(axes, timeline, values, colour)
        page.text(MARGIN_IN, top_in + 0.99 + number * 0.8, name, size=8.5, color=colour)
        strips.append(axes)
    for axes in strips:
        axes.set_xlim(0, max(timeline.num_frames, 1))
        axes.tick_params(labelsize=8, labelbottom=axes is strips[-1])
        axes.spines[["top", "right"]].set_visible(False)
    strips[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True))
    strips[-1].xaxis.set_major_formatter(lambda frame, _: _moment(frame, timeline.time_of))


def _moment(frame: float, time_of: Callable[[float], float] | None) -> str:
    if time_of is None:
        return f"{frame:,.0f}"
    minutes, seconds = divmod(time_of(frame), 60)
    return f"{frame:,.0f}\n" + (f"{minutes:.0f}:{seconds:02.0f}" if minutes else f"{seconds:.1f} s")


def _draw_coverage(axes: Axes, timeline: Timeline) -> None:
    starts = np.arange(timeline.num_segments)
    with_face = np.isin(starts, timeline.covered)
    for chosen, colour in ((with_face, BLUE), (~with_face, VERMILION)):
        for first, last in _runs(starts[chosen]):
            axes.axvspan(first * timeline.stride, (last + 1) * timeline.stride, color=colour, linewidth=0)
    if timeline.num_segments <= 150:
        for start in starts.tolist():
            axes.axvline(start * timeline.stride, color="white", linewidth=1)
    for number, frame in enumerate(timeline.shown, start=1):
        axes.annotate(
            f"{number}",
            (frame, 1.0),
            (0, 9),
            textcoords="offset points",
            xycoords=("data", "axes fraction"),
            ha="center",
            va="center",
            fontsize=8.5,
            weight="bold",
            annotation_clip=False,
        )
        axes.plot([frame], [1.0], "v", color="black", markersize=4, clip_on=False, transform=axes.get_xaxis_transform())
    axes.set_yticks([])


def _draw_curve(axes: Axes, timeline: Timeline, values: np.ndarray, colour: str) -> None:
    for first, last in _runs(timeline.covered):
        here = (timeline.covered >= first) & (timeline.covered <= last)
        few = last - first < 40
        axes.plot(
            timeline.covered[here] * timeline.stride,
            values[here],
            "o-" if few else "-",
            color=colour,
            markersize=2.5,
            linewidth=1,
        )
    axes.set_ylim(0, 1.15 * float(values.max()) or 1.0)
    axes.grid(axis="y", color="#e5e8eb", linewidth=0.7)
    axes.set_axisbelow(True)


def _runs(numbers: np.ndarray) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    if not len(numbers):
        return []
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    return list(
        zip(numbers[np.r_[0, breaks + 1]].tolist(), numbers[np.r_[breaks, len(numbers) - 1]].tolist(), strict=True)
    )
