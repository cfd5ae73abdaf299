"""The files of one video, in the folder of its results."""

from pathlib import Path
from typing import NamedTuple

from fer_models.errors import VideoFault
from tasks.corpus.manifest import as_text
from tasks.inference.asking import NOTHING
from tasks.inference.batch.done import Cell, Done, Rows, clear, mark_done
from tasks.inference.batch.planning import Due, Order
from tasks.inference.cutting import Cut
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Predictor
from tasks.inference.table_files import write_parquet, write_table
from tasks.outcomes import TRANSIENT, Outcome
from tasks.storage.disk import put_in_place
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import VideoReport

#: The frame table on its way to who draws it.
_FRAMES = "frames.parquet"


class Ended(NamedTuple):
    """A video that was tried, and its rows."""

    due: Due
    rows: Rows


class Made:
    """What was made of a video so far; the table is there, pictures follow.

    Args:
        video: as it was when it was cut.
    """

    def __init__(self, due: Due, order: Order, video: VideoFile, prediction: Prediction) -> None:
        self.due, self.labels, self.num_frames = due, prediction.labels, prediction.report.num_frames
        self._prediction: Prediction | None = prediction
        folder, kept = due.placed.folder, due.kept
        clear(folder, kept)
        rows = [{name: None if cell != cell else cell for name, cell in row.items()} for row in prediction.rows]
        self._done = Done(
            sha256=video.sha256,
            size_bytes=video.size_bytes,
            mtime_ns=video.mtime_ns,
            digest=order.digest,
            outcome=prediction.report.outcome,
            files=dict(kept.files) if kept else {},
            lacking=dict(kept.lacking) if kept else {},
            rows=rows,
        )
        if (table := order.wishes.table()) and table not in self._done.files:
            write_table(folder / table, prediction.table(order.wishes.by))
            self._done.files[table] = ""
        wanted = order.wishes.pictures(due.placed.video)
        self.pictures = [name for name in wanted if name not in self._done.files | self._done.lacking]
        if not len(prediction.frames):
            self._done.lacking.update(dict.fromkeys(self.pictures, "not one frame was decoded"))
            self.pictures = []

    def write_frames(self, folder: Path) -> Path:
        """Write the frame table for who draws the pictures, once; it is held no longer."""
        path = folder / _FRAMES
        if self._prediction:
            write_parquet(path, self._prediction.frames)
            self._prediction = None
        return path

    def add_picture(self, drawn: Path, remark: str) -> None:
        """A picture was drawn under its name in another folder of the same disk; it is put in its place."""
        name = drawn.name
        put_in_place(drawn, self.due.placed.folder / name)
        self._done.files[name] = remark

    def add_fault(self, name: str, fault: VideoFault) -> None:
        """A picture could not be drawn, and cannot be."""
        self._done.lacking[name] = fault.message

    def finish(self) -> Ended:
        """All is there; nothing of it is made again while the video, the model and the wishes stay what they are."""
        mark_done(self.due.placed.folder, self._done)
        return Ended(self.due, self._done.rows_of(_name(self.due)))

    def give_up(self, name: str, fault: VideoFault) -> Ended:
        """A picture could not be drawn this time; the next run makes all of it again."""
        outcome, why = str(fault.outcome), f"{name}: {fault.message}"
        rows = self._done.rows_of(_name(self.due))
        return Ended(self.due, [{**row, "outcome": outcome, "message": _joined(row["message"], why)} for row in rows])


def _joined(*words: Cell) -> str:
    return "; ".join(str(one) for one in words if one)


def lost(due: Due, predictor: Predictor, fault: VideoFault) -> Ended:
    """A video of which nothing could be said this time."""
    report = VideoReport(outcome=Outcome(fault.outcome), message=fault.message)
    return Ended(due, [{**predictor.row(due.placed.video, Cut(report), NOTHING), "faces": ""}])


def is_transient(fault: VideoFault) -> bool:
    """Whether a fault says nothing about the video."""
    return Outcome(fault.outcome) in TRANSIENT


def _name(due: Due) -> str:
    return as_text(str(due.placed.video))
