"""A camera looked at by a model: a line a second of what it says, and at the end the files that were asked for."""

import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from fer_models.errors import UserError, VideoFault
from tasks.drawing.figures import save_figure
from tasks.inference.annotation import annotate_video
from tasks.inference.batch.wishes import ANNOTATED, TIMELINE, Wishes
from tasks.inference.live.camera import name_of, open_camera, read_frames
from tasks.inference.live.recording import MomentLog, Recording
from tasks.inference.live.stream import Moment, TimedFrame
from tasks.inference.predictor import Predictor
from tasks.inference.rows import NO_FACE
from tasks.inference.table_files import write_table
from tasks.inference.thumbnails import read_thumbnails
from tasks.inference.timeline import draw_timeline
from tasks.storage.disk import make_folder

#: Is given a line for people.
Tell = Callable[[str], None]


def check_folder(folder: Path, wishes: Wishes, force: bool) -> None:
    """Raise `UserError` when what is made in a folder would replace other files, or it is no folder."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {str(folder)!r} is a file; name a folder.")
    there = [name for name in wishes.files(Path()) if (folder / name).exists()]
    if there and not force:
        raise UserError(f"{str(folder)!r} holds {there[0]} already; name another folder, or add --force.")


def watch_camera(
    predictor: Predictor,
    source: str,
    wishes: Wishes,
    folder: Path | None,
    is_stopped: Callable[[], bool],
    tell: Tell,
) -> pd.DataFrame:
    """Look at a camera until it is stopped or ends.

    Args:
        source: see `tasks.inference.live.camera.open_camera`.
        wishes: what is made in the folder at the end, and how frames are prepared.
        folder: where that is made; None for nowhere.
        tell: is given a line a second.

    Returns:
        A row a frame, as `tasks.inference.rows.frame_rows`.

    Raises:
        UserError: the camera cannot be used.
    """
    log = MomentLog(predictor.labels)

    def look(frames: Iterable[TimedFrame]) -> None:
        next_s = 0.0
        for moment in predictor.stream(frames, wishes.stride, wishes.precropped):
            log.add(moment)
            if moment.time_s >= next_s:
                tell(_line(moment))
                next_s = int(moment.time_s) + 1.0

    with open_camera(source) as capture:
        frames = read_frames(capture, source, is_stopped)
        if folder is None:
            look(frames)
            return log.table()
        make_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".recording-", dir=folder) as beside:
            film = Path(beside) / "camera.mp4"
            with Recording(film) as recording:
                look(recording.recorded(frames))
            table = log.table()
            _make_files(film, name_of(source), table, predictor.labels, wishes, folder)
    return table


def _make_files(
    film: Path, title: str, table: pd.DataFrame, labels: tuple[str, ...], wishes: Wishes, folder: Path
) -> None:
    if name := wishes.table():
        write_table(folder / name, table)
    if wishes.timeline:
        thumbnails = []
        with suppress(VideoFault):
            thumbnails = read_thumbnails(film, table)
        save_figure(draw_timeline(table, labels, title, thumbnails), folder / TIMELINE)
    if wishes.annotate:
        annotate_video(film, table, labels, folder / ANNOTATED)


def _line(moment: Moment) -> str:
    """What is said at a moment, for people."""
    minutes, seconds = divmod(int(moment.time_s), 60)
    words = f"{moment.predicted} {100 * moment.confidence:.0f} %" if moment.predicted else "nothing said yet"
    if moment.face == NO_FACE:
        words = "no face"
    return f"{minutes}:{seconds:02d}  {words}"
