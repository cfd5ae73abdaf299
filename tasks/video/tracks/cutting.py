"""One video in; the frames of its segments for each face that is followed, and a report on it out."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from fer_models.errors import VideoFault
from fer_models.windows import Windows
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.cutting import Footage, cut_frames
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_confirming, load_detector
from tasks.video.faces import FaceFinder
from tasks.video.frames import Frame
from tasks.video.pairs import FacePairs
from tasks.video.pictures import Pictures
from tasks.video.second_opinion import SecondOpinion
from tasks.video.segments import FaceFrame, Sighting, VideoReport
from tasks.video.tracks.following import FaceTracks
from tasks.video.tracks.timeline import Followed, Moment, Timeline
from tasks.video.verdict import judge, pair_facts, video_facts


class TrackFacts(BaseModel):
    """What a track came to.

    Args:
        track: its number.
        first_frame, last_frame: in which it was seen first and last.
        num_found: how often it was found when it was looked for.
        num_kept: frames that were handed over.
        num_covered: segments that these cover, see `fer_models.windows`.
    """

    track: int
    first_frame: int
    last_frame: int
    num_found: int
    num_kept: int
    num_covered: int


class TracksReport(VideoReport):
    """What following all faces of a video came to.

    `num_covered` counts the segments that at least one track covers, `num_kept` the frames of all tracks together.

    Args:
        tracks: in the order of their numbers.
        num_passed_over: faces that were seen too seldom to be tracks.
    """

    tracks: tuple[TrackFacts, ...] = ()
    num_passed_over: int = 0


def cut_tracks(
    path: Path,
    settings: PrepareSettings,
    keep: Callable[[int, FaceFrame], None],
    watch: Callable[[int, Sighting], None] | None = None,
) -> TracksReport:
    """Follow every face of a video, and hand over for each what `tasks.video.cutting.cut_frames` does for one subject.

    Tracks are numbered from 1 in the order in which they appear, the larger of two first. A face is a track once three
    looks saw it for sure (two where `settings` keep only every 12th frame or fewer, all in a scene of fewer looks);
    until then what is known of it is held, and what follows too. Who is out of sight is awaited for 25 frames, and
    known again by place and looks for 750; a cut ends all tracks where `settings.scene_cuts` looks for cuts. Segments
    are those of the video, whoever is seen.

    Args:
        keep: is given the number of a track and a frame of it that counts, in the order of the frames for each track.
        watch: is told of each decoded frame, in order, before those that count because of it are handed over: of each
            track that is followed in it, by number, from the frame in which it appears until it is no longer awaited;
            or once, as of track 0, where there is none.

    Returns:
        What became of the video, and of each track.
    """
    if settings.precropped:
        return _whole_frames(path, settings, keep, watch)
    video, timeline = Video(), Timeline(keep, watch)
    cutter = _TrackCutter(settings, timeline)
    try:
        for frame in decode(path, video):
            cutter.take(frame)
        cutter.end(video.num_decoded)
    except VideoFault as fault:
        return TracksReport(outcome=Outcome(fault.outcome), message=fault.message, **video_facts(video))
    facts = video_facts(video) | cutter.facts() | {"num_segments": settings.windows.count(video.num_decoded)}
    num_spoilt = cutter.footage.num_spoilt + cutter.totals.num_spoilt
    outcome, message = judge(video, facts, num_spoilt, cutter.footage.search_faceless(cutter.finder), settings)
    tracks = sorted(cutter.totals.tracks, key=lambda facts: facts.track)
    return TracksReport(outcome=outcome, message=message, tracks=tuple(tracks), **facts)


class _TrackCutter:
    """Takes the frames of a video one by one and keeps what its segments need of each face."""

    def __init__(self, settings: PrepareSettings, timeline: Timeline) -> None:
        self._settings, self._windows, self._timeline = settings, settings.windows, timeline
        confirming = load_confirming(settings)
        second = SecondOpinion(confirming) if confirming else None
        self.finder = FaceFinder(load_detector(settings), settings.min_face_px, second)
        self.footage = Footage(settings)
        self._faces = FaceTracks(self.finder, _most_between_searched(self._windows), self._windows.length)
        self._pictures = Pictures()
        self._followed: list[Followed] = []
        self.totals = _Totals(settings)

    def take(self, frame: Frame) -> None:
        footage = self.footage
        footage.take(frame)
        if footage.is_resized:
            self._faces.lapse()
        if footage.is_cut:
            self._faces.end_scene()
            for followed in self._followed:
                followed.pairs.end_scene()
        if footage.is_searched and self._faces.look(frame):
            self._begin(frame)
        seen = []
        for followed in self._followed:
            track = followed.track
            if not track.is_over:
                followed.pairs.take(frame, track.found, self._faces.num_faces, footage.is_searched)
                if not track.is_lapsed:
                    seen.append((followed, footage.sighting(frame, track.found)))
        self._pictures.take(frame, None)
        if footage.is_searched and not any(followed.track.is_found for followed in self._followed):
            footage.add_faceless(frame)
        frames = [(followed, one) for followed in self._followed for one in followed.pairs.whole(frame.index)]
        self._timeline.add(Moment(footage.sighting(frame, None), seen, frames))
        self._drop(frame.index + 1)

    def end(self, num_frames: int) -> None:
        """The video has ended after so many frames."""
        self._faces.end_scene()
        frames = [(followed, one) for followed in self._followed for one in followed.pairs.rest(num_frames)]
        self._timeline.add(Moment(None, [], frames))
        self._drop(num_frames, at_the_end=True)

    def facts(self) -> dict[str, Any]:
        """Of the report: what was found of scenes, faces, pairs and tracks."""
        return self.footage.facts(self.finder) | self.totals.facts(self._pictures)

    def _begin(self, frame: Frame) -> None:
        """Begin to cut for those who have appeared in a frame."""
        self.footage.count_search([track.face for track in self._faces.tracks if track.is_found])
        known = {id(followed.track) for followed in self._followed}
        for track in self._faces.tracks:
            if id(track) not in known:
                pairs = FacePairs(self._pictures.fork(), self._settings)
                self._followed.append(Followed(track, pairs, frame.index))

    def _drop(self, num_frames: int, at_the_end: bool = False) -> None:
        """Forget the tracks of which nothing more will come, but for their facts."""
        done = [followed for followed in self._followed if at_the_end or followed.is_done]
        if done:
            self._followed = [followed for followed in self._followed if followed not in done]
            for followed in done:
                self.totals.add(followed, num_frames)


def _most_between_searched(windows: Windows) -> int:
    """Most frames from one that segments keep to the next."""
    between_segments = windows.stride - (windows.num_frames - 1) * windows.step
    return max(between_segments, windows.step if windows.num_frames > 1 else 1)


class _Totals:
    """What came of the tracks that are over."""

    def __init__(self, settings: PrepareSettings) -> None:
        self._settings, self._windows = settings, settings.windows
        self.tracks: list[TrackFacts] = []
        self.num_passed_over = self.num_spoilt = 0
        self._num_cut_off = self._longest = 0
        self._repeated_share = 0.0
        self._intervals_s = array("d")
        self._covered = bytearray()  # one a segment

    def add(self, followed: Followed, num_frames: int) -> None:
        """Add a track of which all was handed over, after so many frames of the video."""
        if not followed.number:
            self.num_passed_over += 1
            return
        pairs, kept = followed.pairs, np.array(followed.kept, np.int64)
        covered = _covered(self._windows, kept, num_frames)
        self._covered.extend(bytes(max(self._windows.count(num_frames) - len(self._covered), 0)))
        for segment in covered:
            self._covered[segment] = 1
        self.num_spoilt = max(self.num_spoilt, pairs.num_spoilt)
        self._num_cut_off += pairs.num_cut_off
        self._intervals_s.extend(pairs.intervals_s)
        if len(kept) >= self._longest:
            self._longest, self._repeated_share = len(kept), pairs.pictures.repeated_share
        self.tracks.append(
            TrackFacts(
                track=followed.number,
                first_frame=followed.first_frame,
                last_frame=followed.track.seen_at,
                num_found=followed.track.num_found,
                num_kept=len(kept),
                num_covered=len(covered),
            )
        )

    def facts(self, pictures: Pictures) -> dict[str, Any]:
        """Of the report; the repeats are those that the longest track saw, or whole frames where there is none."""
        repeated_share = self._repeated_share if self.tracks else pictures.repeated_share
        return pair_facts(self._intervals_s, self._num_cut_off, repeated_share, self._settings) | {
            "num_covered": sum(self._covered),
            "num_kept": sum(track.num_kept for track in self.tracks),
            "num_passed_over": self.num_passed_over,
        }


def _covered(windows: Windows, kept: np.ndarray, num_frames: int) -> np.ndarray:
    """Numbers of the segments that frames cover, int (n,), in a video of so many frames so far."""
    if not len(kept):
        return np.zeros(0, np.int64)
    first = max(-((windows.length - 1 - int(kept[0])) // windows.stride), 0)  # earlier segments end before them
    num_segments = min(windows.count(num_frames), int(kept[-1]) // windows.stride + 1) - first
    return windows.covered(kept - first * windows.stride, max(num_segments, 0)).segments + first


def _whole_frames(
    path: Path,
    settings: PrepareSettings,
    keep: Callable[[int, FaceFrame], None],
    watch: Callable[[int, Sighting], None] | None,
) -> TracksReport:
    """Of a video whose frames are face crops: one track, which each of them shows."""
    kept, seen = array("q"), array("q")

    def keep_first(frame: FaceFrame) -> None:
        keep(1, frame)
        kept.append(frame.frame)

    def watch_first(sighting: Sighting) -> None:
        if sighting.box:
            seen.append(sighting.frame)
        if watch:
            watch(1, sighting)

    report = cut_frames(path, settings, keep_first, watch_first)
    facts = TrackFacts(
        track=1,
        first_frame=seen[0] if seen else 0,
        last_frame=seen[-1] if seen else 0,
        num_found=len(seen),
        num_kept=len(kept),
        num_covered=report.num_covered,
    )
    return TracksReport(**report.model_dump() | {"num_kept": len(kept)}, tracks=(facts,) if seen else ())
