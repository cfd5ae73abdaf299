"""A video with what a model says of it drawn into its frames: boxes, classes and bars; its times and its sound stay.

One pass over the video, in memory that does not grow with its length. See `tasks.video.writing.mp4` for the encoder and
its licence.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from fer_models.errors import UserError
from tasks.drawing import SOFTWARE
from tasks.drawing.figures import save_picture
from tasks.inference.frame_rows import FrameRows
from tasks.inference.overlay import Overlay
from tasks.progress import progress
from tasks.storage.files import atomic_write
from tasks.video.decoding import Video, decode
from tasks.video.image_sequences import is_image_sequence, is_still, would_harm
from tasks.video.writing.mp4 import Plan
from tasks.video.writing.remaking import remake
from tasks.video.writing.sound import sound_bytes

_PICTURES = (".png", ".jpg", ".jpeg")
#: A file with annotations is at most so many times as large as the one without.
_MOST_TIMES = 2
#: Stands in each file, so that it is known for one that was made here (`tasks.video.writing.remaking.comment_of`).
COMMENT = f"annotated by {SOFTWARE}"
#: Fewer frames than this are drawn before anybody asks how far it is.
_NUM_QUICK_FRAMES = 250
#: For how long a single frame is shown.
_SHOWN_S = 0.04


@dataclass(frozen=True)
class Annotated:
    """What became of an annotation.

    Args:
        remark: what the file lacks of the source, or in what it is not as it should be; empty when nothing.
    """

    path: Path
    num_frames: int
    remark: str


def annotate_video(
    source: Path, frames: pd.DataFrame, labels: Sequence[str], target: Path, threads: int = 1
) -> Annotated:
    """Draw the verdicts on a video into a copy of it.

    The bars stand beside the picture, below an upright one. Pictures are as players show them (turned, with square
    pixels), small ones enlarged. Sound is kept, copied where MP4 can hold it. The file is at most twice as large as a
    video file that it is made of, at the expense of its quality; images may give any size.

    Args:
        source: a video file, a folder of numbered images, a pattern of them, or an image.
        frames: the frame table of the prediction, see `tasks.inference.prediction`.
        labels: the classes, each with a column `p_<label>`.
        target: an `.mp4` file; of an image a `.png` or `.jpg` file. What has that name is replaced.
        threads: of the encoder. One file comes of one number of threads, however often it is made.

    Raises:
        UserError: the target is of another kind, or is the source.
        VideoFault: not one frame can be decoded.
    """
    check_target(source, target)
    table = FrameRows.of(frames, labels)
    if is_still(source):
        return _annotate_still(source, table, labels, target)
    video = Video()
    with atomic_write(target) as temporary:
        remark = _write_frames(source, video, table, labels, temporary, threads)
        remarks = [remark, *_size_remarks(source, temporary)]
    if not video.complete:
        remarks.append("the video breaks off" + (f" ({video.fault})" if video.fault else ""))
    return Annotated(target, video.num_decoded, "; ".join(filter(None, remarks)))


def check_target(source: Path, target: Path) -> None:
    """Raise `UserError` when a source cannot be annotated under that name; before any work is done for it."""
    wanted = _PICTURES if is_still(source) else (".mp4",)
    if target.suffix.lower() not in wanted:
        kind = "An image gives an image" if is_still(source) else "Annotated videos are MP4 files"
        raise UserError(f"{kind}; its name should end in {' or '.join(wanted)}, not be {str(target)!r}.")
    if would_harm(target, source):
        raise UserError(f"{str(target)!r} is the video itself, or lies among its images; give another name.")


def _write_frames(source: Path, video: Video, table: FrameRows, labels: Sequence[str], path: Path, threads: int) -> str:
    """Write all frames, annotated; returns what could not be kept."""
    frames = decode(source, video)
    first = next(frames)  # or there is a fault
    overlay = Overlay(table, labels, first.size)
    height, width = overlay.canvas.shape[:2]
    plan = Plan(width, height, table.num_frames, _duration_s(table), video.tick_s, _room_bytes(source), threads)
    shown = progress("Annotating", table.num_frames) if table.num_frames >= _NUM_QUICK_FRAMES else nullcontext(_silent)
    with remake(source, video, path, plan, COMMENT) as remade, shown as advance:
        for frame in chain([first], frames):
            remade.add(overlay.draw(frame), frame.pts_s)
            advance("")
    return remade.remark


def _silent(note: str) -> None:
    """In place of progress."""


def _duration_s(table: FrameRows) -> float:
    """Of the video by the times of its frames, the last of which is shown as long as most are."""
    times_s = np.unique(table.time_s)
    return float(times_s[-1] + np.median(np.diff(times_s))) if len(times_s) > 1 else _SHOWN_S


def _room_bytes(source: Path) -> int | None:
    """What the pictures may take, so that with the sound the whole is no larger than it may be; None for any size."""
    if is_image_sequence(source):
        return None
    return max(_MOST_TIMES * source.stat().st_size - sound_bytes(source), 1)


def _size_remarks(source: Path, path: Path) -> list[str]:
    if is_image_sequence(source) or path.stat().st_size <= _MOST_TIMES * source.stat().st_size:
        return []
    return [f"it is more than {_MOST_TIMES} times as large as the video, which is too small for what is drawn in"]


def _annotate_still(source: Path, table: FrameRows, labels: Sequence[str], target: Path) -> Annotated:
    for frame in decode(source, Video()):
        save_picture(Overlay(table, labels, frame.size).draw(frame), target)
    return Annotated(target, 1, "")
