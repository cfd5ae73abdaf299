"""Pairs: a frame that is kept, and the later one that motion is measured to.

Takes the frames of a video behind the first one by one, and keeps of them two crops and their times, never the frames.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.config.prepare_settings import FIRST_LAST, NEIGHBOURS, PrepareSettings
from tasks.video.detectors.detector import Face
from tasks.video.frames import Frame
from tasks.video.optical_flow import REFERENCE_S, pair_optical_flow
from tasks.video.pictures import STILL_S, Pictures
from tasks.video.segments import NO_SEGMENT, FaceFrame

#: Time stamps are rounded, to 1 ms in many files; a frame that is earlier by less has reached the time it should.
_ROUNDING_S = 0.001
#: A pair whose time is longer or shorter than wanted by more than this factor is far from it: not so at 20 frames/s.
_FAR = 1.6


@dataclass(frozen=True)
class _Second:
    """What may become the second frame: its crops, its time and picture, how far from the wanted time it is."""

    grey: np.ndarray
    face: np.ndarray | None
    frame: int
    pts_s: float
    picture: int
    off_s: float


class Pair:
    """One pair.

    Args:
        first, face, num_faces: the first frame and its face, whose box and roll serve for both frames.
        pictures: have just taken that frame.
    """

    def __init__(self, first: Frame, face: Face, num_faces: int, pictures: Pictures, settings: PrepareSettings) -> None:
        self.frame, self._pts_s, self._size = first.index, first.pts_s, first.size
        self._box, self._num_faces = face.box, num_faces
        self._roll_deg = face.roll_deg or 0.0 if settings.align == "eyes" else 0.0
        self._face = first.rgb_crop(self._box, settings.face_size_px, self._roll_deg)
        self._grey = first.grey_crop(self._box, settings.face_size_px, self._roll_deg)
        self._pictures, self._settings = pictures, settings
        #: Number of the picture that the first frame shows.
        self.picture = pictures.current
        self._target_s = pictures.start_s(self.picture) + (settings.pair_s or 0.0)
        self._new: _Second | None = None
        self._repeat: _Second | None = None
        self.spoilt = self.cut_off = False

    @property
    def last_frame(self) -> int:
        """Number of the last frame that the second one is looked for in: that of a segment which begins here."""
        return self.frame + self._settings.segment_length - 1

    def offer(self, frame: Frame, is_new: bool) -> bool:
        """Look at the next frame; returns whether the second one is settled.

        It is the frame nearest to the wanted time that shows another picture than the first. Where none comes in time,
        the picture stands still, and it is the nearest of its repeats. Without a wanted time it is the next frame, or
        the last of the segment, whatever they show.
        """
        if self._settings.pair == FIRST_LAST and frame.index < self.last_frame:
            return False
        is_new |= self._settings.pair_s is None
        self.spoilt |= frame.damaged
        if not frame.damaged and frame.size == self._size:
            off_s = abs(frame.pts_s - self._target_s)
            if is_new and (self._new is None or off_s < self._new.off_s):
                self._new = self._second(frame, off_s)
            if not is_new and self._new is None and (self._repeat is None or off_s < self._repeat.off_s):
                self._repeat = self._second(frame, off_s)
        late_s = frame.pts_s - self._target_s
        reached = late_s > STILL_S or (self._new is not None and late_s >= -_ROUNDING_S)
        return reached or self._settings.pair == NEIGHBOURS or frame.index >= self.last_frame

    def end_scene(self) -> None:
        """No later frame can be the second one: they show another scene."""
        self.cut_off = self._new is None and self._repeat is None

    def _second(self, frame: Frame, off_s: float) -> _Second:
        grey = frame.grey_crop(self._box, self._settings.face_size_px, self._roll_deg)
        side_px = self._settings.face_size_px
        face = frame.rgb_crop(self._box, side_px, self._roll_deg) if self._settings.face == "last" else None
        return _Second(grey, face, frame.index, frame.pts_s, self._pictures.current, off_s)

    def face_frame(self) -> FaceFrame | None:
        """The first frame and its motion, once later ones have passed; None when damage, a cut, another size or the end
        of the video left no second one."""
        if not self._settings.has_optical_flow:
            return self._row(None, 0.0, None)
        stands_still = self._new and self._new.pts_s - self._pictures.start_s(self.picture) > STILL_S
        second = (self._repeat if stands_still else None) or self._new or self._repeat
        if second is None:
            return None
        counted = self._settings.pair_s is None
        if counted or second.picture == self.picture:
            interval_s = second.pts_s - self._pts_s
        else:
            interval_s = self._pictures.interval_s(self.picture, second.picture)
        factor = 1.0 if counted or interval_s <= 0 else REFERENCE_S / interval_s
        return self._row(second if second.face is not None else None, interval_s, self._optical_flow(second, factor))

    def _row(self, second: _Second | None, interval_s: float, optical_flow: np.ndarray | None) -> FaceFrame:
        """The first frame of the pair, or the second one in its place."""
        segment, rest = divmod(self.frame, self._settings.segment_stride)
        return FaceFrame(
            segment=NO_SEGMENT if rest else segment,
            frame=second.frame if second else self.frame,
            pts_s=second.pts_s if second else self._pts_s,
            box=self._box,
            num_faces=self._num_faces,
            face=second.face if second and second.face is not None else self._face,
            optical_flow=optical_flow,
            interval_s=interval_s,
        )

    def _optical_flow(self, second: _Second, factor: float) -> np.ndarray:
        """The motion from the first frame to the second, on the grid of the one whose face is stored."""
        method = self._settings.flow_method
        if second.face is None:
            return pair_optical_flow(self._grey, second.grey, method, factor)
        return pair_optical_flow(second.grey, self._grey, method, -factor)  # what came here is what would go back


class FacePairs:
    """All pairs of one face that is followed through a video: takes its frames one by one, gives those that count.

    Args:
        pictures: of the video, as this face shows them; they are told of the same frames.

    Attributes:
        intervals_s: between the frames of each pair.
        num_spoilt, num_cut_off: pairs whose second frame was damaged, or lies behind a cut.
    """

    def __init__(self, pictures: Pictures, settings: PrepareSettings) -> None:
        self.pictures = pictures
        self.intervals_s = array("d")
        self.num_spoilt = self.num_cut_off = 0
        self._settings, self._windows = settings, settings.windows
        self._pairs: deque[Pair] = deque()
        self._open: list[Pair] = []

    def take(self, frame: Frame, face: Face | None, num_faces: int, begins: bool) -> None:
        """Take the next frame.

        Args:
            face: where the face was found in it or a little before.
            num_faces: of the whole frame.
            begins: whether a segment keeps the frame, and it is whole, so that a pair begins with it.
        """
        is_new = self.pictures.take(frame, None if self._settings.precropped or not face else face.box)
        if self._open:
            self._open = [pair for pair in self._open if not pair.offer(frame, is_new)]
        if begins and face:
            pair = Pair(frame, face, num_faces, self.pictures, self._settings)
            self._pairs.append(pair)
            if self._settings.has_optical_flow:
                self._open.append(pair)
        self.pictures.forget_before(self._pairs[0].picture if self._pairs else self.pictures.current)

    @property
    def is_settled(self) -> bool:
        """Whether all pairs so far have been given, or will never be."""
        return not self._pairs

    def end_scene(self) -> None:
        """The next frame shows another scene."""
        for pair in self._open:
            pair.end_scene()
        self._open = []

    def whole(self, index: int) -> Iterator[FaceFrame]:
        """The frames, each once, of which a segment is whole when frame `index` has been taken."""
        while self._pairs and self._pairs[0].last_frame <= index:
            yield from self._settle(self._pairs.popleft())

    def rest(self, num_frames: int) -> Iterator[FaceFrame]:
        """At the end of a video of so many frames, those that are left of which a segment is whole."""
        for pair in self._pairs:
            start = self._windows.first_start(pair.frame)
            if start is not None and start + self._windows.length <= num_frames:
                yield from self._settle(pair)

    def _settle(self, pair: Pair) -> Iterator[FaceFrame]:
        if frame := pair.face_frame():
            self.intervals_s.append(frame.interval_s)
            yield frame
        else:
            self.num_spoilt += pair.spoilt and not pair.cut_off
            self.num_cut_off += pair.cut_off


def is_far(interval_s: float, settings: PrepareSettings) -> bool:
    """Whether the time between the frames of a pair is far from the one that is wanted."""
    return settings.pair_s is not None and not 1 / _FAR < interval_s / settings.pair_s < _FAR
