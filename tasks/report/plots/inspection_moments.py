"""Single frames of a video with their boxes, and below each the stored face and its motion as colours and arrows.

Of segments of several frames a strip of them follows, and one of their motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from tasks.drawing.colours import GREEN, GREY, ORANGE, VERMILION
from tasks.drawing.page import MARGIN_IN, WIDTH_IN, Page
from tasks.drawing.segment_pictures import draw_optical_flow, shown_frames

#: How much longer an arrow is than the motion that it shows.
ARROW_SCALE = 6.0
_ARROW_STEP_PX = 6  # of the stored crop, from arrow to arrow
_COLUMNS = {1: 1, 2: 2, 3: 3, 4: 4}
_GAP_IN, _SQUARE_GAP_IN = 0.3, 0.08
_MAX_BLOCK_IN, _MAX_FRAME_IN = 5.6, 3.2


@dataclass(frozen=True)
class Moment:
    """A frame of the video, and the segment that starts there, if one does.

    Args:
        frame, pts_s: number and time of the frame.
        picture: uint8 RGB (h, w, 3), or None where the file does not give it.
        box: x, y, width, height in px of the picture; None without a face.
        box_px: width of the box in px of the video.
        faces: uint8 RGB (T, S, S, 3), those of the segment as stored; None without a face.
        optical_flows: float (T, S, S, 2), dx and dy in px, as stored; None without a face or without motion.
        remark: what else is to be said, in a few words.
    """

    frame: int
    pts_s: float
    picture: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None
    box_px: int = 0
    faces: np.ndarray | None = None
    optical_flows: np.ndarray | None = None
    remark: str = ""


def moments_height_in(moments: Sequence[Moment]) -> float:
    """What `draw_moments` takes of its page."""
    rows = -(-len(moments) // _columns(moments))
    return rows * (_block_size(moments).height_in + _GAP_IN)


def draw_moments(page: Page, moments: Sequence[Moment], top_in: float) -> None:
    """Draw the moments in rows, from `top_in` on, all at one size; they are numbered from 1."""
    size = _block_size(moments)
    for number, moment in enumerate(moments):
        row, column = divmod(number, _columns(moments))
        left = MARGIN_IN + column * (size.width_in + _GAP_IN)
        _draw_block(page, moment, number + 1, left, top_in + row * (size.height_in + _GAP_IN), size)


@dataclass(frozen=True)
class _BlockSize:
    width_in: float
    frame_in: float  # height; 0 when no frame can be shown
    square_in: float  # side; 0 when no segment has a face
    strips_in: float  # height of the strips of a segment's frames; 0 when each has one

    @property
    def height_in(self) -> float:
        return 0.3 + self.frame_in + (self.square_in + 0.32 if self.square_in else 0.0) + self.strips_in


def _columns(moments: Sequence[Moment]) -> int:
    return _COLUMNS.get(len(moments), 3)


def _block_size(moments: Sequence[Moment]) -> _BlockSize:
    columns = _columns(moments)
    width_in = min((WIDTH_IN - 2 * MARGIN_IN - (columns - 1) * _GAP_IN) / columns, _MAX_BLOCK_IN)
    shapes = [moment.picture.shape[:2] for moment in moments if moment.picture is not None]
    frame_in = max((min(width_in * height / width, _MAX_FRAME_IN) for height, width in shapes), default=0.0)
    with_faces = [moment for moment in moments if moment.faces is not None]
    strips = [_strips(moment) for moment in with_faces]
    strips_in = max((sum(_strip_in(one, width_in) for one in both) for both in strips), default=0.0)
    return _BlockSize(width_in, frame_in, (width_in - 2 * _SQUARE_GAP_IN) / 3 if with_faces else 0.0, strips_in)


def _strips(moment: Moment) -> list[np.ndarray]:
    """The faces of a segment of several frames side by side, and their motion, uint8 (S, k * S, 3) each."""
    faces, optical_flows = moment.faces, moment.optical_flows
    if faces is None or len(faces) == 1:
        return []
    chosen = shown_frames(len(faces))
    strips = [np.concatenate(list(faces[chosen]), axis=1)]
    if optical_flows is not None:
        strips.append(np.concatenate([draw_optical_flow(one) for one in optical_flows[chosen]], axis=1))
    return strips


def _strip_in(strip: np.ndarray, width_in: float) -> float:
    """Height of a strip with the gap below it."""
    return width_in * strip.shape[0] / strip.shape[1] + _SQUARE_GAP_IN


def _draw_block(page: Page, moment: Moment, number: int, left: float, top: float, size: _BlockSize) -> None:
    colour = "black" if moment.box or not moment.remark else VERMILION
    label = page.text(left, top, f"{number}", size=11, weight="bold")
    time = f"{int(moment.pts_s // 60)}:{moment.pts_s % 60:05.2f}"
    face = f", box {moment.box_px} px" if moment.box_px else ""
    remark = f", {moment.remark}" if moment.remark else ""
    page.text(
        left + page.width_of(label) + 0.1, top, f"{time}, frame {moment.frame}{face}{remark}", size=10, color=colour
    )
    top += 0.2
    if size.frame_in:
        _draw_frame(page, moment, left, top, size)
        top += size.frame_in + 0.1
    if moment.faces is not None:
        flow = None if moment.optical_flows is None else moment.optical_flows[0].astype(np.float32)
        _draw_squares(page, moment.faces[0], flow, left, top, size.square_in)
        top += size.square_in + 0.28
    for strip in _strips(moment):
        axes = page.axes(left, top, size.width_in, _strip_in(strip, size.width_in) - _SQUARE_GAP_IN)
        axes.imshow(strip, aspect="auto", interpolation="bicubic")
        axes.axis("off")
        top += _strip_in(strip, size.width_in)


def _draw_frame(page: Page, moment: Moment, left: float, top: float, size: _BlockSize) -> None:
    axes = page.axes(left, top, size.width_in, size.frame_in)
    axes.set_anchor("W")
    axes.axis("off")
    if moment.picture is None:
        axes.axis("on")
        axes.set_facecolor("#eef0f2")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.text(0.5, 0.5, "the file does not give this frame", ha="center", fontsize=9, transform=axes.transAxes)
        return
    height, width = moment.picture.shape[:2]
    axes.imshow(moment.picture, extent=(0, width, height, 0), interpolation="antialiased")
    if moment.box:
        x, y, box_width, box_height = moment.box
        outline = [withStroke(linewidth=4.5, foreground="white")]
        axes.add_patch(
            Rectangle((x, y), box_width, box_height, fill=False, linewidth=2.2, edgecolor=GREEN, path_effects=outline)
        )


def _draw_squares(
    page: Page, face: np.ndarray, optical_flow: np.ndarray | None, left: float, top: float, side: float
) -> None:
    pictures, labels = [face], ["face as stored"]
    if optical_flow is not None:
        speed = np.linalg.norm(optical_flow, axis=-1)
        pictures += [draw_optical_flow(optical_flow), _faded(face)]
        labels += [f"motion, mean {speed.mean():.2f} px", f"max {speed.max():.2f} px"]
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = left + number * (side + _SQUARE_GAP_IN)
        axes = page.axes(x, top, side, side)
        axes.imshow(_enlarged(picture), extent=(0, len(face), len(face), 0))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("#c9ced4")
        page.text(x, top + side + 0.11, label, size=8, color=GREY)
    if optical_flow is not None:
        _draw_arrows(axes, optical_flow)


def _draw_arrows(axes: Axes, optical_flow: np.ndarray) -> None:
    cells = np.arange(_ARROW_STEP_PX // 2, len(optical_flow), _ARROW_STEP_PX)
    y, x = np.meshgrid(cells, cells, indexing="ij")
    motion = optical_flow[y, x]
    arrows = axes.quiver(
        x,
        y,
        motion[..., 0],
        motion[..., 1],
        angles="xy",
        scale_units="xy",
        scale=1 / ARROW_SCALE,
        color=ORANGE,
        width=0.014,
        headwidth=3.2,
        headlength=3.6,
        headaxislength=3.2,
        minlength=0.2,
    )
    arrows.set_path_effects([withStroke(linewidth=1.2, foreground="black")])
    axes.set_xlim(0, len(optical_flow))
    axes.set_ylim(len(optical_flow), 0)


def _faded(face: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    return np.repeat((grey * 0.5 + 60).astype(np.uint8)[..., None], 3, axis=2)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
