"""The pictures of a video, drawn in a child process from the table of its frames."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from fer_models.errors import VideoFault
from tasks.drawing.figures import save_figure
from tasks.escaping import visible
from tasks.inference.annotation import annotate_video
from tasks.inference.batch.wishes import TIMELINE
from tasks.inference.thumbnails import read_thumbnails
from tasks.inference.timeline import draw_timeline
from tasks.progress import collected


def draw_picture(name: str, video: Path, frames: Path, labels: Sequence[str], folder: Path) -> str:
    """Draw one picture of a video.

    Args:
        name: of the file that is written, one of `tasks.inference.batch.wishes.PICTURES`.
        frames: a Parquet file of the frame table, see `tasks.inference.prediction`.
        labels: the classes.
        folder: where the file is written.

    Returns:
        What is to be remarked on it, empty for nothing.

    Raises:
        VideoFault: not one frame can be decoded any more.
    """
    table = pd.read_parquet(frames)
    with collected():  # the progress of many videos is shown by who has them drawn
        return (_draw_timeline if name == TIMELINE else _annotate)(video, table, labels, folder / name)


def _draw_timeline(video: Path, frames: pd.DataFrame, labels: Sequence[str], target: Path) -> str:
    thumbnails = []
    with suppress(VideoFault):
        thumbnails = read_thumbnails(video, frames)
    save_figure(draw_timeline(frames, labels, visible(video.name), thumbnails), target)
    return ""


def _annotate(video: Path, frames: pd.DataFrame, labels: Sequence[str], target: Path) -> str:
    return annotate_video(video, frames, labels, target).remark
