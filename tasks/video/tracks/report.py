"""What comes of following all faces of a video, counted."""

from array import array
from typing import Any

import numpy as np
from pydantic import BaseModel

from fer_models.windows import Windows
from tasks.config.prepare_settings import PrepareSettings
from tasks.video.pictures import Pictures
from tasks.video.segments import VideoReport
from tasks.video.tracks.timeline import Followed
from tasks.video.verdict import pair_facts


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


class Totals:
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
                first_frame=followed.track.appeared_at,
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
