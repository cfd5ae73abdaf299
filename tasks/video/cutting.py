"""One video in; the frames of its segments and a report on it out, in memory.

Runs in a worker process, without heavy imports.
"""

import statistics
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
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
from tasks.video.faces import FaceTracker
from tasks.video.frames import Frame
from tasks.video.image_sequences import STILL
from tasks.video.pairs import Pair, is_far
from tasks.video.pictures import NOTABLE_REPEATS, Pictures
from tasks.video.scene_cuts import SceneCuts
from tasks.video.second_opinion import SecondOpinion
from tasks.video.segments import FaceFrame, Sighting, VideoReport

#: What is advised where tiny frames show no face; a command may have another way to say it.
CROPS_ADVICE = "set prepare.precropped=true"


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
    cutter = _FrameCutter(settings)
    kept = array("q")
    try:
        for frame in decode(path, video):
            cutter.take(frame)
            if watch:
                watch(cutter.sighting(frame))
            for one in cutter.whole(frame.index):
                keep(one)
                kept.append(one.frame)
        for one in cutter.rest(video.num_decoded):
            keep(one)
            kept.append(one.frame)
    except VideoFault as fault:
        return VideoReport(outcome=Outcome(fault.outcome), message=fault.message, **_facts(video))
    num_segments = windows.count(video.num_decoded)
    facts = _facts(video) | cutter.facts() | {"num_segments": num_segments, "num_covered": len(kept)}
    if windows.num_frames > 1:
        covered = windows.covered(np.array(kept, np.int64), num_segments)
        facts |= {"num_covered": len(covered.segments), "num_kept": len(kept)}
    outcome, message = _judge(video, facts, cutter, settings)
    return VideoReport(outcome=outcome, message=message, **facts)


#: Declared and true frame rates that differ by a larger share are remarked on.
_NOTABLE_RATE = 0.05

#: A face that was found is looked for again after this many frames; it moves little in between.
_FRAMES_BETWEEN_SEARCHES = 4


class _FrameCutter:
    """Takes the frames of a video one by one and keeps what its segments need.

    Precropped frames are used whole, whatever their size and shape: the stored square is the frame, resized.
    """

    def __init__(self, settings: PrepareSettings) -> None:
        self.settings = settings
        self._windows = settings.windows
        confirming = load_confirming(settings)
        self.second = SecondOpinion(confirming) if confirming else None
        self.tracker = FaceTracker(load_detector(settings), settings.min_face_px, self.second)
        self.pictures = Pictures()
        self.faceless: list[Frame] = []
        self.num_spoilt = 0
        self._cuts = SceneCuts() if settings.scene_cuts == "split" else None
        self._num_cuts = self._num_cut_off = 0
        self.intervals_s = array("d")
        self._pairs: deque[Pair] = deque()
        self._open: list[Pair] = []
        self._found: Face | None = None
        self._found_at, self._num_faces = -1, 0
        self._num_searched = self._num_found = 0
        self._scores = array("d")
        self._size = (0, 0)

    def take(self, frame: Frame) -> None:
        if (size := frame.size) != self._size:  # a box in px of the frames before means nothing in these
            self._size, self._found = size, None
        if self._cuts and not frame.damaged and self._cuts.take(frame):
            self._begin_scene()
        is_kept = self._windows.first_start(frame.index) is not None
        if is_kept and not frame.damaged:
            self._find(frame)
        is_new = self.pictures.take(frame, None if self.settings.precropped or not self._found else self._found.box)
        if self._open:
            self._open = [pair for pair in self._open if not pair.offer(frame, is_new)]
        if is_kept and frame.damaged:
            self.num_spoilt += 1
        elif is_kept and self._found:
            pair = Pair(frame, self._found, self._num_faces, self.pictures, self.settings)
            self._pairs.append(pair)
            if self.settings.has_optical_flow:
                self._open.append(pair)
        elif is_kept and len(self.faceless) < 3:
            self.faceless.append(frame)

    def _begin_scene(self) -> None:
        self._num_cuts += 1
        self._found = None
        self.tracker.forget()
        for pair in self._open:
            pair.end_scene()
        self._open = []

    def _find(self, frame: Frame) -> None:
        if self.settings.precropped:
            height, width = frame.size
            self._found, self._num_faces = Face(Box(0, 0, width, height)), 1
        elif not self._found or frame.index - self._found_at >= _FRAMES_BETWEEN_SEARCHES:
            self._found, self._num_faces = self.tracker.find(frame)
            self._found_at = frame.index
            self._num_searched += 1
            self._num_found += self._found is not None
            if self._found and self._found.score is not None:
                self._scores.append(self._found.score)

    def sighting(self, frame: Frame) -> Sighting:
        """Of the frame that was taken last."""
        kept = self._windows.first_start(frame.index) is not None and not frame.damaged
        searched = kept and (self.settings.precropped or self._found_at == frame.index)
        box = self._found.box if searched and self._found else None
        return Sighting(frame.index, frame.pts_s, frame.size, searched, box, self._num_cuts)

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
            self._num_cut_off += pair.cut_off

    def facts(self) -> dict[str, Any]:
        """Of the report: what was found of faces, of repeats and of the time between the frames of pairs."""
        return {
            "num_cuts": self._num_cuts,
            "num_cut_off": self._num_cut_off,
            "num_searched": self._num_searched,
            "num_found": self._num_found,
            "mean_score": round(statistics.fmean(self._scores), 4) if self._scores else 0.0,
            "num_asked": self.second.num_asked if self.second else 0,
            "num_agreed": self.second.num_agreed if self.second else 0,
            "repeated_share": round(self.pictures.repeated_share, 4),
            "interval_s": round(statistics.median(self.intervals_s), 6) if self.intervals_s else 0.0,
            "num_far": sum(is_far(interval_s, self.settings) for interval_s in self.intervals_s),
        }


def _judge(
    video: Video, facts: Mapping[str, Any], cutter: _FrameCutter, settings: PrepareSettings
) -> tuple[Outcome, str]:
    if not video.complete:
        why = f": {video.fault}" if video.fault else ""
        return Outcome.TRUNCATED, f"it breaks off after {video.num_decoded} frames{why}"
    if not facts["num_segments"] and video.codec == STILL:
        return Outcome.TOO_SHORT, "it is a single image; set prepare.pair=none and prepare.segment_length=1"
    if not facts["num_segments"]:
        count = "1 frame is" if video.num_decoded == 1 else f"{video.num_decoded} frames are"
        least = 2 if settings.has_optical_flow else 1
        rule = f"prepare.segment_length is {settings.segment_length} and can be as low as {least}"
        return Outcome.TOO_SHORT, f"{count} fewer than one segment; {rule}"
    damaged = f"{video.num_damaged} of its {video.num_decoded} frames are damaged"
    face_remarks = _face_remarks(facts, settings)
    if facts["num_covered"]:
        return Outcome.OK, "; ".join([*_picture_remarks(video), *face_remarks, *_time_remarks(video, facts)])
    if cutter.num_spoilt >= settings.windows.num_places(facts["num_segments"]):
        return Outcome.UNDECODABLE, damaged
    hint = f"; if its frames are face crops already, {CROPS_ADVICE}" if _is_tiny(video) else ""
    small = [face.box for frame in cutter.faceless for face in cutter.tracker.search(frame, 24)]
    if small:
        side = max(box.width for box in small)
        return (
            Outcome.FACE_TOO_SMALL,
            f"its largest face is {side} px wide, less than min_face_px = {settings.min_face_px}{hint}",
        )
    return Outcome.NO_FACE, "; ".join(["no face was found in any segment", *face_remarks]) + hint


def _picture_remarks(video: Video) -> list[str]:
    """What is worth knowing of the pictures of a video that can be used."""
    remarks = []
    if video.num_damaged:
        remarks.append(f"{video.num_damaged} of its {video.num_decoded} frames are damaged and were left out")
    if video.is_interlaced:
        remarks.append("it is interlaced: each frame holds two moments, so that edges which move are combed")
    if video.is_hdr:
        remarks.append("its colours are HDR (PQ or HLG), used without tone mapping")
    return remarks


def _face_remarks(facts: Mapping[str, Any], settings: PrepareSettings) -> list[str]:
    """What is worth knowing of the faces of a video; see `VideoReport`."""
    remarks = []
    if num_denied := facts["num_asked"] - facts["num_agreed"]:
        which = f"{num_denied} of {facts['num_asked']} times that {settings.detector} found one"
        remarks.append(f"{settings.confirm} saw no face {which}, and none was used there")
    if num_cuts := facts["num_cuts"]:
        cuts = "a scene cut" if num_cuts == 1 else f"{num_cuts} scene cuts"
        unit = "frames" if settings.frames_per_segment > 1 else "segments"
        lost = f", and {facts['num_cut_off']} of its {unit} were left out there" if facts["num_cut_off"] else ""
        remarks.append(f"it holds {cuts}{lost}")
    return remarks


def _time_remarks(video: Video, facts: Mapping[str, Any]) -> list[str]:
    """What is worth knowing of a video's time; see `VideoReport`."""
    remarks = []
    if facts["repeated_share"] > NOTABLE_REPEATS:
        remarks.append(f"{100 * facts['repeated_share']:.0f} % of its frames repeat the one before")
    if num_far := facts["num_far"]:
        pairs = "1 pair" if num_far == 1 else f"{num_far} pairs"
        interval_s = facts["interval_s"]
        remarks.append(f"the frames of {pairs} are far from prepare.pair apart (median {interval_s:.3g} s)")
    if video.declared_fps and abs(video.fps / video.declared_fps - 1) > _NOTABLE_RATE:
        remarks.append(f"it declares {video.declared_fps:.4g} frames/s and holds {video.fps:.4g}")
    return remarks


def _is_tiny(video: Video) -> bool:
    """Frames so small that they are hardly whole scenes."""
    return 0 < max(video.width, video.height) <= 128


def _facts(video: Video) -> dict[str, Any]:
    return {
        "num_frames": video.num_decoded,
        "width": video.width,
        "height": video.height,
        "codec": video.codec,
        "fps": round(video.fps, 3),
        "duration_s": round(video.duration_s, 6),
    }
