"""One video that a model is asked about while it is cut: what is said of each face that is followed in it."""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fer_models.training.engine import PREDICT_BATCH
from tasks.inference.asking import Said, SegmentAsker
from tasks.inference.cutting import ONE_TRACK, Cut, Preparing
from tasks.inference.prediction import Prediction
from tasks.inference.rows import Sightings, frame_rows, segment_rows
from tasks.video.segments import FaceFrame, Sighting
from tasks.video.tracks.report import TracksReport

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor

#: The number of a frame or segment that shows none of the faces that are followed.
_NOBODY = 0
#: So many frames of all tracks together wait for the model at most, beside those of segments that are not whole yet.
_MOST_WAITING = 4 * PREDICT_BATCH


@dataclass(frozen=True)
class Track:
    """A face among several that are followed.

    Args:
        number: 0 where there is none.
        first_s, last_s: when it was seen first and last.
    """

    number: int = _NOBODY
    first_s: float = np.nan
    last_s: float = np.nan

    def cells(self) -> dict[str, Any]:
        """In the row of it."""
        return {"track": self.number, "first_s": self.first_s, "last_s": self.last_s}

    @staticmethod
    def segments(said: Said) -> np.ndarray:
        """The numbers of the segments from the first that shows it to the last, int (n,)."""
        return np.arange(said.segments[0], said.segments[-1] + 1) if len(said.segments) else said.segments


@dataclass
class _Face:
    """What is known of a face so far."""

    asker: SegmentAsker
    sightings: Sightings = field(default_factory=Sightings)


class OneVideo:
    """Takes what `tasks.inference.cutting` hands over of a video, and says in the end what the model says.

    Args:
        preparing: what it is cut with.
    """

    def __init__(self, predictor: "Predictor", path: Path, preparing: Preparing) -> None:
        self._settings = preparing.settings_of(path)
        self.path, self._predictor, self._windows = path, predictor, self._settings.windows
        self._follows_all = preparing.faces == "all"
        self._faces: dict[int, _Face] = {}
        self._times_s = array("d")
        self._newest = self._num_waiting = 0
        self._most_waiting = _MOST_WAITING

    def keep(self, track: int, frame: FaceFrame) -> None:
        """One more frame of a face, that the model is to see."""
        asker = self._face(track).asker
        self._num_waiting -= asker.num_waiting
        asker.take(frame)
        self._num_waiting += asker.num_waiting
        self._newest = max(self._newest, frame.frame)
        if self._follows_all and self._num_waiting > self._most_waiting:
            self._settle()

    def watch(self, track: int, sighting: Sighting) -> None:
        """One more decoded frame, of each face that is followed in it."""
        if sighting.frame == len(self._times_s):
            self._times_s.append(sighting.pts_s)
        self._face(track).sightings.add(sighting)

    def finish(self, cut: Cut) -> Prediction:
        """What the model says, once all was handed over."""
        return self._finish_all(cut) if self._follows_all else self._finish_one(cut)

    def _face(self, track: int) -> _Face:
        if track not in self._faces:
            self._faces[track] = _Face(SegmentAsker(self._predictor.ask, self._settings))
        return self._faces[track]

    def _settle(self) -> None:
        """Hold no more of faces that may be gone than of those that are there.

        A frame comes once the segment that begins with it is whole, so before all that comes no more than that.
        """
        for face in self._faces.values():
            face.asker.settle(self._newest - self._windows.length + 1)
        self._num_waiting = sum(face.asker.num_waiting for face in self._faces.values())
        self._most_waiting = self._num_waiting + _MOST_WAITING

    def _finish_one(self, cut: Cut) -> Prediction:
        said = self._face(ONE_TRACK).asker.finish(cut.report.num_segments)
        return self._prediction(
            cut,
            [self._predictor.row(self.path, cut, said)],
            self._segments(ONE_TRACK, said, np.arange(cut.report.num_segments)),
            self._frames(ONE_TRACK, said),
        )

    def _finish_all(self, cut: Cut) -> Prediction:
        report = cut.report
        self._face(_NOBODY)
        said = {track: face.asker.finish(report.num_segments) for track, face in sorted(self._faces.items())}
        alone = np.ones(report.num_segments, bool)
        segments = []
        for track in list(said)[1:]:
            numbers = Track.segments(said[track])
            alone[numbers] = False
            segments.append(self._segments(track, said[track], numbers))
        segments.append(self._segments(_NOBODY, said[_NOBODY], np.flatnonzero(alone)))
        tracks = report.tracks if isinstance(report, TracksReport) and report.num_covered else ()
        rows = [
            self._predictor.row(
                self.path,
                cut,
                said[one.track],
                Track(one.track, self._times_s[one.first_frame], self._times_s[one.last_frame]),
            )
            for one in tracks
        ]
        return self._prediction(
            cut,
            rows or [self._predictor.row(self.path, cut, said[_NOBODY], Track())],
            _in_order(segments, "segment"),
            _in_order([self._frames(track, of_it) for track, of_it in said.items()], "frame"),
        )

    def _segments(self, track: int, said: Said, numbers: np.ndarray) -> pd.DataFrame:
        return segment_rows(np.array(self._times_s), said, self._windows, numbers, self._predictor.labels, track)

    def _frames(self, track: int, said: Said) -> pd.DataFrame:
        smoothing_s, sightings = self._predictor.calibration.smoothing_s, self._faces[track].sightings
        return frame_rows(sightings, said, self._windows, self._predictor.labels, track, smoothing_s)

    def _prediction(
        self, cut: Cut, rows: list[dict[str, Any]], segments: pd.DataFrame, frames: pd.DataFrame
    ) -> Prediction:
        return Prediction(self.path, self._predictor.labels, cut.report, tuple(rows), segments, frames)


def _in_order(tables: list[pd.DataFrame], by: str) -> pd.DataFrame:
    """The rows of several tracks in one table, in the order of a column."""
    there = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(there).sort_values([by, "track"], ignore_index=True)
