"""One video in; the frames of its segments and a report on it out, in memory.

Runs in a worker process, without heavy imports.
"""

import statistics
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_confirming, load_detector
from tasks.video.detectors.detector import Face
from tasks.video.faces import FaceFinder, FaceTracker
from tasks.video.frames import Frame
from tasks.video.pairs import FacePairs
from tasks.video.pictures import Pictures
from tasks.video.scene_cuts import SceneCuts
from tasks.video.second_opinion import SecondOpinion
from tasks.video.segments import FaceFrame, Sighting, VideoReport
from tasks.video.verdict import judge, pair_facts, video_facts

#: A face that was found is looked for again after this many frames; it moves little in between.
FRAMES_BETWEEN_LOOKS = 4
#: Side of the smallest face that is told of where none is large enough.
_SMALLEST_PX = 24


def prepare_video(path: Path, settings: PrepareSettings) -> tuple[list[FaceFrame], VideoReport]:
    """All frames of a video that its segments keep, in memory, and the report on it."""
    frames: list[FaceFrame] = []
    report = cut_frames(path, settings, frames.append)
    return frames, report


def cut_frames(
    path: Path,
    settings: PrepareSettings,
    keep: Callable[[FaceFrame], None],
    watch: Callable[[Sighting], None] | None = None,
) -> VideoReport:
    """Hand each frame of a video that its segments keep to `keep`, in order, as soon as it is known to count.

    A segment counts when all its frames exist, and is covered when enough of those that are kept show a usable face,
    see `fer_models.windows`. Frames of a video that does not end `ok` are handed over too: what is whole in a truncated
    file can be looked at. However long the video, no more than a segment's length of them is held.

    Args:
        watch: is told of each decoded frame, in order, before those that count because of it are handed over.

    Returns:
        What became of the video.
    """
    video, windows = Video(), settings.windows
    cutter = FrameCutter(settings)
    kept = array("q")
    try:
        for frame in decode(path, video):
            cutter.take(frame)
            if watch:
                watch(cutter.sighting(frame))
            for one in cutter.pairs.whole(frame.index):
                keep(one)
                kept.append(one.frame)
        for one in cutter.pairs.rest(video.num_decoded):
            keep(one)
            kept.append(one.frame)
    except VideoFault as fault:
        return VideoReport(outcome=Outcome(fault.outcome), message=fault.message, **video_facts(video))
    num_segments = windows.count(video.num_decoded)
    facts = video_facts(video) | cutter.facts() | {"num_segments": num_segments, "num_covered": len(kept)}
    if windows.num_frames > 1:
        covered = windows.covered(np.array(kept, np.int64), num_segments)
        facts |= {"num_covered": len(covered.segments), "num_kept": len(kept)}
    num_spoilt = cutter.footage.num_spoilt + cutter.pairs.num_spoilt
    outcome, message = judge(video, facts, num_spoilt, cutter.footage.search_faceless(cutter.finder), settings)
    return VideoReport(outcome=outcome, message=message, **facts)


class Footage:
    """What the frames of a video are, whoever is followed in them: their size, their scene, what segments need of them.

    Attributes:
        is_resized, is_cut: whether the last frame has another size than the one before, or begins another scene.
        is_searched: whether a face is to be looked for in it: a segment keeps it, and it is not damaged.
        num_spoilt: damaged frames that segments should keep.
    """

    def __init__(self, settings: PrepareSettings) -> None:
        self._windows = settings.windows
        self._cuts = SceneCuts() if settings.scene_cuts == "split" else None
        self._size = (0, 0)
        self.is_resized = self.is_cut = self.is_searched = False
        self.num_cuts = self.num_spoilt = 0
        self._faceless: list[Frame] = []
        self._num_searched = self._num_found = 0
        self._scores = array("d")

    def take(self, frame: Frame) -> None:
        """Take the next frame."""
        self.is_resized, self._size = frame.size != self._size, frame.size
        self.is_cut = self._cuts is not None and not frame.damaged and self._cuts.take(frame)
        self.num_cuts += self.is_cut
        is_kept = self._windows.first_start(frame.index) is not None
        self.is_searched = is_kept and not frame.damaged
        self.num_spoilt += is_kept and frame.damaged

    def count_search(self, faces: Sequence[Face]) -> None:
        """Faces were looked for in the last frame, and these were found."""
        self._num_searched += 1
        self._num_found += len(faces) > 0
        self._scores.extend(face.score for face in faces if face.score is not None)

    def add_faceless(self, frame: Frame) -> None:
        """The last frame, which is searched, shows none of the faces that are followed."""
        if len(self._faceless) < 3:
            self._faceless.append(frame)

    def search_faceless(self, finder: FaceFinder) -> Iterator[Face]:
        """The faces of any size in the first few of these frames."""
        return (face for frame in self._faceless for face in finder.search(frame, _SMALLEST_PX))

    def sighting(self, frame: Frame, face: Face | None, searched: bool) -> Sighting:
        """Of a face in the last frame, in which it was searched for anew or not."""
        box = face.box if searched and face else None
        return Sighting(frame.index, frame.pts_s, frame.size, searched, box, self.num_cuts)

    def forget_facts(self) -> None:
        """See `FrameCutter.forget_facts`."""
        del self._scores[:], self._faceless[:]

    def facts(self, finder: FaceFinder) -> dict[str, Any]:
        """Of the report: what was found of scenes and faces."""
        return {
            "num_cuts": self.num_cuts,
            "num_searched": self._num_searched,
            "num_found": self._num_found,
            "mean_score": round(statistics.fmean(self._scores), 4) if self._scores else 0.0,
            "num_asked": finder.second.num_asked if finder.second else 0,
            "num_agreed": finder.second.num_agreed if finder.second else 0,
        }


class FrameCutter:
    """Takes the frames of a video one by one and keeps what its segments need of one subject.

    Precropped frames are used whole, whatever their size and shape: the stored square is the frame, resized.

    Attributes:
        pairs: give the frames that count because of those that were taken.
    """

    def __init__(self, settings: PrepareSettings) -> None:
        self._settings = settings
        confirming = load_confirming(settings)
        second = SecondOpinion(confirming) if confirming else None
        self._tracker = FaceTracker(load_detector(settings), settings.min_face_px, second)
        self.footage, self.finder = Footage(settings), self._tracker.finder
        self.pairs = FacePairs(Pictures(), settings)
        self._found: Face | None = None
        self._found_at, self._num_faces = -1, 0

    def take(self, frame: Frame) -> None:
        """Take the next frame."""
        footage = self.footage
        footage.take(frame)
        if footage.is_resized:  # a box in px of the frames before means nothing in these
            self._found = None
        if footage.is_cut:
            self._found = None
            self._tracker.forget()
            self.pairs.end_scene()
        if footage.is_searched:
            self._find(frame)
        self.pairs.take(frame, self._found, self._num_faces, footage.is_searched)
        if footage.is_searched and not self._found:
            footage.add_faceless(frame)

    def _find(self, frame: Frame) -> None:
        if self._settings.precropped:
            height, width = frame.size
            self._found, self._num_faces = Face(Box(0, 0, width, height)), 1
        elif not self._found or frame.index - self._found_at >= FRAMES_BETWEEN_LOOKS:
            self._found, self._num_faces = self._tracker.find(frame)
            self._found_at = frame.index
            self.footage.count_search([self._found] if self._found else [])

    def sighting(self, frame: Frame) -> Sighting:
        """Of the frame that was taken last."""
        is_new = self._settings.precropped or self._found_at == frame.index
        return self.footage.sighting(frame, self._found, self.footage.is_searched and is_new)

    def forget_facts(self) -> None:
        """There will be no report, so nothing has to be kept for it: of frames that come without an end."""
        self.footage.forget_facts()
        del self.pairs.intervals_s[:]

    def facts(self) -> dict[str, Any]:
        """Of the report: what was found of scenes, faces and pairs."""
        found = self.footage.facts(self.finder)
        repeated_share = self.pairs.pictures.repeated_share
        return found | pair_facts(self.pairs.intervals_s, self.pairs.num_cut_off, repeated_share, self._settings)
