"""What a model says of the segments of one followed face, asked while the video is read: only a block of it is held."""

from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fer_models.segments import FrameInputs
from fer_models.training.engine import PREDICT_BATCH
from tasks.config.prepare_settings import PrepareSettings
from tasks.video.segments import FaceFrame

#: Gives the probabilities of segments, float (members, n, classes).
Ask = Callable[[FrameInputs], np.ndarray]


class Said(NamedTuple):
    """What was said of the covered segments of a face.

    Args:
        segments: int (n,), their numbers, ascending.
        seen: float (n,), the share of their kept frames that show the face.
        probabilities: float32 (members, n, classes), by each member of an ensemble; of one model there is one.
    """

    segments: np.ndarray
    seen: np.ndarray
    probabilities: np.ndarray


#: Of a video that the model was not asked about.
NOTHING = Said(np.empty(0, np.int64), np.empty(0), np.empty((1, 0, 0)))


class SegmentAsker:
    """Takes the frames of a face in order, as `tasks.video.cutting` hands them over.

    Args:
        ask: is given segments, block by block.
        settings: that the frames were cut with.
        block: it is asked for so many segments at a time; None for many, as is fastest.
    """

    def __init__(self, ask: Ask, settings: PrepareSettings, block: int | None = None) -> None:
        self._ask, self._settings, self._windows = ask, settings, settings.windows
        self._block = block or PREDICT_BATCH
        self._waiting: list[FaceFrame] = []
        self._next = 0  # the first segment of which nothing was asked yet
        self._segments = array("q")
        self._seen = array("d")
        self._parts: list[np.ndarray] = []

    def take(self, frame: FaceFrame) -> None:
        """One more frame."""
        self._waiting.append(frame)
        if self._windows.num_frames == 1:
            if len(self._waiting) >= self._block:
                self._ask_pairs()
        else:
            self.pass_by(frame.frame)

    def pass_by(self, frame: int) -> None:
        """There is no further frame up to number `frame`, whether it shows the face or not."""
        known = (frame - self._windows.last_place) // self._windows.stride + 1
        if self._windows.num_frames > 1 and known - self._next >= self._block:
            self._ask_windows(known)

    @property
    def num_waiting(self) -> int:
        """Frames that are held."""
        return len(self._waiting)

    def settle(self, frame: int) -> None:
        """Ask for all that is known, however little it is; no frame before that number comes any more."""
        if self._windows.num_frames == 1:
            self._ask_pairs()
            return
        last_place = (self._windows.num_frames - 1) * self._windows.step
        known = (frame - 1 - last_place) // self._windows.stride + 1
        if self._waiting and known > self._next:
            self._ask_windows(known)

    def finish(self, num_segments: int) -> Said:
        """What was said of all of them, once there is no further frame in a video of so many segments.

        A video that could not be read to its end has none, whatever was said of its beginning.
        """
        if self._windows.num_frames == 1:
            self._ask_pairs()
        else:
            self._ask_windows(num_segments)
        said = self.hand_over()
        there = said.segments < num_segments
        return Said(said.segments[there], said.seen[there], said.probabilities[:, there])

    def hand_over(self) -> Said:
        """What was said since it was handed over last."""
        segments, seen = np.array(self._segments, np.int64), np.array(self._seen)
        probabilities = np.concatenate(self._parts, axis=1) if self._parts else NOTHING.probabilities
        del self._segments[:], self._seen[:], self._parts[:]
        return Said(segments, seen, probabilities)

    def _ask_pairs(self) -> None:
        frames = [frame for frame in self._waiting if frame.segment >= 0]
        self._waiting = []
        if frames:
            rows = np.arange(len(frames))[:, None]
            segments = np.array([frame.segment for frame in frames])
            self._ask_for(frames, segments, rows, np.ones(rows.shape, bool))

    def _ask_windows(self, end: int) -> None:
        """Ask for the segments before number `end`, and forget what only they need."""
        first = self._next * self._windows.stride
        numbers = np.array([frame.frame for frame in self._waiting], np.int64) - first
        covered = self._windows.covered(numbers, max(end - self._next, 0))
        if len(covered.segments):
            self._ask_for(self._waiting, covered.segments + self._next, covered.rows, covered.seen)
        self._next = end
        self._waiting = [frame for frame in self._waiting if frame.frame >= end * self._windows.stride]

    def _ask_for(self, frames: list[FaceFrame], segments: np.ndarray, rows: np.ndarray, seen: np.ndarray) -> None:
        faces = np.stack([frame.face for frame in frames])
        flows = [frame.optical_flow for frame in frames if frame.optical_flow is not None]
        optical_flows = np.stack(flows) if self._settings.has_optical_flow else None
        self._parts.append(self._ask(FrameInputs(faces, optical_flows, rows, seen)))
        self._segments.extend(segments.tolist())
        self._seen.extend(seen.mean(axis=1).tolist())
