"""One video in; the frames of its segments for each face that is followed, and a report on it out."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from tasks.video.segments import FaceFrame, Sighting
from tasks.video.tracks.following import FaceTracks
from tasks.video.tracks.report import Totals, TrackFacts, TracksReport
from tasks.video.tracks.timeline import Followed, Moment, Timeline
from tasks.video.verdict import judge, video_facts


def cut_tracks(
    path: Path,
    settings: PrepareSettings,
    keep: Callable[[int, FaceFrame], None],
    watch: Callable[[int, Sighting], None] | None = None,
) -> TracksReport:
    """Follow every face of a video, and hand over for each what `tasks.video.cutting.cut_frames` does for one subject.

    Tracks are numbered from 1 in the order in which they appear, the larger of two first. A face is a track once three
    looks saw it for sure: two where `settings` keep every 12th frame or fewer, all in a scene of fewer looks. Until
    then what is known of it is held, and what follows too; for 75 frames at most, or six times those from one that is
    kept to the next. Who is out of sight is awaited for 25 frames, and for 750 known again by place and looks. A cut
    ends all tracks where `settings.scene_cuts` looks for cuts. Segments are those of the video, whoever is seen.

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
        self.totals = Totals(settings)

    def take(self, frame: Frame) -> None:
        footage = self.footage
        footage.take(frame)
        if footage.is_resized:
            self._faces.lapse()
        if footage.is_cut:
            self._faces.end_scene()
            for followed in self._followed:
                followed.pairs.end_scene()
        was_followed = {id(followed) for followed in self._followed if not followed.track.is_lapsed}
        is_looked_at = footage.is_searched and self._faces.look(frame)
        if is_looked_at:
            self._begin()
        seen = []
        for followed in self._followed:
            track = followed.track
            if not track.is_over:
                followed.pairs.take(frame, track.found, self._faces.num_faces, footage.is_searched)
                if not track.is_lapsed or id(followed) in was_followed:
                    seen.append((followed, footage.sighting(frame, track.found, is_looked_at)))
        self._pictures.take(frame, None)
        if footage.is_searched and not any(followed.track.is_found for followed in self._followed):
            footage.add_faceless(frame)
        frames = [(followed, one) for followed in self._followed for one in followed.pairs.whole(frame.index)]
        self._timeline.add(Moment(footage.sighting(frame, None, is_looked_at), seen, frames))
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

    def _begin(self) -> None:
        """Begin to cut for those who have appeared in the last frame."""
        self.footage.count_search([track.face for track in self._faces.tracks if track.is_found])
        known = {id(followed.track) for followed in self._followed}
        for track in self._faces.tracks:
            if id(track) not in known:
                pairs = FacePairs(self._pictures.fork(), self._settings)
                self._followed.append(Followed(track, pairs))

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
