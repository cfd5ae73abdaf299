"""What a model says of frames that come live, frame by frame: with bounded memory, and with what is known by then."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fer_models.errors import UserError
from tasks.inference.asking import NOTHING, Ask, Said, SegmentAsker
from tasks.inference.cutting import Preparing
from tasks.inference.rows import BETWEEN, FOUND, NO_FACE, of_frames
from tasks.inference.smoothing import smooth
from tasks.video.boxes import Box
from tasks.video.cutting import FrameCutter
from tasks.video.decoding import as_frame
from tasks.video.frames import Frame
from tasks.video.segments import Sighting

#: A frame that comes live: its time in s, by any clock that does not run backwards, and uint8 RGB (height, width, 3).
TimedFrame = tuple[float, np.ndarray]
#: More frames than this are not averaged, however close to each other they come.
_MOST_AVERAGED = 4096
#: What only a report would need is forgotten after so many frames.
_FORGET_EVERY = 1024


@dataclass(frozen=True)
class Moment:
    """A frame that came live, and what is said by then.

    Args:
        frame: its number, from 0 on.
        time_s: as it came with the frame.
        face: `found`, `between` (it was not looked for, and was there before) or `none`.
        box: of the face, px of the frame; None without a face.
        predicted: the likeliest class; empty while nothing can be said.
        probabilities: float64 (classes,); NaN while nothing can be said.
        uncertainty: standard deviation of the highest one between the members of an ensemble; NaN of one model.
    """

    frame: int
    time_s: float
    face: str
    box: Box | None
    predicted: str
    probabilities: np.ndarray
    uncertainty: float

    @property
    def confidence(self) -> float:
        """The probability of the predicted class; NaN while there is none."""
        return float(self.probabilities.max())


@dataclass(frozen=True)
class Settled:
    """What is said as of the last frame of the newest segment that the model was asked about.

    Args:
        scene: of that frame.
        probabilities: float64 (members, classes); NaN where that frame shows no face, or its segment is not covered.
    """

    scene: int
    probabilities: np.ndarray


class Stream:
    """Takes frames one by one; see `tasks.inference.predictor.Predictor.stream`.

    Args:
        ask: the model or ensemble.
        labels: its classes.
        preparing: how frames are prepared for it.
        smoothing_s: window that what is said of frames is smoothed over, of which the past half is there.
    """

    def __init__(self, ask: Ask, labels: Sequence[str], preparing: Preparing, smoothing_s: float = 0.0) -> None:
        self._ask, self._labels, self._preparing, self._half_s = ask, tuple(labels), preparing, smoothing_s / 2
        self._cutter: FrameCutter | None = None
        self._searched: Sighting | None = None  # the last frame in which a face was looked for
        self._recent: deque[tuple[Sighting, str]] = deque(maxlen=_MOST_AVERAGED)
        self._said = NOTHING
        self._newest = -1  # number of the newest segment that was asked about
        self._settled: Settled | None = None
        self._num_frames, self._begin_s, self._last_s = 0, 0.0, -np.inf

    def moments(self, frames: Iterable[TimedFrame]) -> Iterator[Moment]:
        """What is said by each frame, as soon as it has come."""
        for time_s, pixels in frames:
            yield self.take(time_s, pixels)

    def take(self, time_s: float, pixels: np.ndarray) -> Moment:
        """What is said by the next frame; arguments as of `TimedFrame`.

        Raises:
            UserError: it is no such frame, or is earlier than the one before.
        """
        self._check(time_s, pixels)
        cutter = self._cutter or self._begin(time_s, pixels)
        frame = Frame(self._num_frames, time_s - self._begin_s, as_frame(np.ascontiguousarray(pixels[..., ::-1])))
        cutter.take(frame)
        sighting = cutter.sighting(frame)
        face = self._face(sighting)
        self._recent.append((sighting, face))
        for one in cutter.pairs.whole(frame.index):
            self._asker.take(one)
        self._asker.pass_by(frame.index - self._windows.length + 1)
        self._settle(frame.index)
        self._num_frames, self._last_s = self._num_frames + 1, time_s
        if self._num_frames % _FORGET_EVERY == 0:
            cutter.forget_facts()
        return self._moment(time_s, sighting, face)

    def _check(self, time_s: float, pixels: np.ndarray) -> None:
        which = f"Frame {self._num_frames} of the stream"
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            shape = "x".join(map(str, pixels.shape))
            raise UserError(f"{which} is {pixels.dtype} {shape}; give uint8 RGB pictures (height, width, 3).")
        if not self._last_s <= time_s < np.inf:
            raise UserError(
                f"{which} has the time {time_s:g} s, after one of {self._last_s:g} s; give times that do not fall."
            )

    def _begin(self, time_s: float, pixels: np.ndarray) -> FrameCutter:
        """Decide by the first frame how frames are prepared."""
        height, width = pixels.shape[:2]
        precropped, _ = self._preparing.uses_frames_of((width, height))
        settings = self._preparing.of_videos.model_copy(update={"precropped": precropped})
        self._begin_s, self._windows = time_s, settings.windows
        self._cutter, self._asker = FrameCutter(settings), SegmentAsker(self._ask, settings, block=1)
        return self._cutter

    def _face(self, sighting: Sighting) -> str:
        """How the face stands in a frame, as `tasks.inference.rows` tells it of the last frame of a video."""
        if sighting.searched:
            self._searched = sighting
        known = self._searched
        if known is None or known.box is None or known.scene != sighting.scene:
            return NO_FACE
        return FOUND if sighting.searched else BETWEEN

    def _settle(self, frame: int) -> None:
        """Tell what is known as of the end of the newest segment, where there is a newer one."""
        windows = self._windows
        newest = (frame + 1 - windows.length - windows.last_place) // windows.stride
        if newest <= self._newest:
            return
        self._newest = newest
        said = self._asker.hand_over()
        if len(said.segments):
            self._said = _joined(self._said, said)
        last = newest * windows.stride + windows.length - 1
        ago = frame - last
        rows = list(self._recent)[: len(self._recent) - ago]
        if not rows:
            return
        end_s = rows[-1][0].pts_s
        first = max(next(row for row, (one, _) in enumerate(rows) if one.pts_s >= end_s - self._half_s) - 2, 0)
        rows = rows[first:]
        frames = np.array([one.frame for one, _ in rows], np.int64)
        oldest = max((int(frames[0]) + 1 - windows.length) // windows.stride, 0)
        self._said = _from(self._said, oldest)
        shown = Said(self._said.segments - oldest, self._said.seen, self._said.probabilities)
        probabilities = of_frames(shown, windows, frames - oldest * windows.stride, len(self._labels))
        probabilities[:, [face == NO_FACE for _, face in rows]] = np.nan
        times_s, scenes = np.array([one.pts_s for one, _ in rows]), np.array([one.scene for one, _ in rows])
        smoothed = [smooth(one, times_s, 2 * self._half_s, scenes)[-1] for one in probabilities]
        self._settled = Settled(rows[-1][0].scene, np.stack(smoothed))
        for _ in range(first):
            self._recent.popleft()

    def _moment(self, time_s: float, sighting: Sighting, face: str) -> Moment:
        box = self._searched.box if self._searched and face != NO_FACE else None
        by_member = np.full((1, len(self._labels)), np.nan)
        if box and self._settled and self._settled.scene == sighting.scene:
            by_member = self._settled.probabilities
        probabilities = by_member.mean(axis=0)
        if np.isnan(probabilities).any():
            return Moment(sighting.frame, time_s, face, box, "", probabilities, np.nan)
        best = int(probabilities.argmax())
        spread = float(by_member[:, best].std()) if len(by_member) > 1 else np.nan
        return Moment(sighting.frame, time_s, face, box, self._labels[best], probabilities, spread)


def _joined(first: Said, second: Said) -> Said:
    if not len(first.segments):
        return second
    segments, seen = np.concatenate([first.segments, second.segments]), np.concatenate([first.seen, second.seen])
    return Said(segments, seen, np.concatenate([first.probabilities, second.probabilities], axis=1))


def _from(said: Said, segment: int) -> Said:
    """Of the segments from that number on."""
    kept = said.segments >= segment
    return Said(said.segments[kept], said.seen[kept], said.probabilities[:, kept])
