"""What is known of a video's frames, handed over in order as soon as it is known which tracks count."""

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tasks.video.pairs import FacePairs
from tasks.video.segments import FaceFrame, Sighting
from tasks.video.tracks.track import Track


@dataclass(eq=False)
class Followed:
    """A track, and what is cut out of the video for it.

    Args:
        number: of the track, from 1 on; 0 until something of it was handed over.
        num_held: moments, and frames that count, that were not handed over yet.
        kept: numbers of the frames that were, int64.
    """

    track: Track
    pairs: FacePairs
    number: int = 0
    num_held: int = 0
    kept: array = field(default_factory=lambda: array("q"))

    @property
    def is_done(self) -> bool:
        """Whether it is over, and nothing of it will be handed over any more."""
        return self.track.is_over and self.pairs.is_settled and not self.num_held


@dataclass(frozen=True)
class Moment:
    """A decoded frame.

    Args:
        nobody: how it looks to who sees no face; None for what is left after the last frame.
        seen: the tracks that are followed in it.
        frames: what is known to count since this frame was decoded.
    """

    nobody: Sighting | None
    seen: list[tuple[Followed, Sighting]]
    frames: list[tuple[Followed, FaceFrame]]

    def tracks(self) -> Iterator[Followed]:
        """Those of which something stands in it, once for each such thing."""
        return (followed for followed, _ in (*self.seen, *self.frames))


class Timeline:
    """Holds moments back until it is decided whether the tracks that they show count, and numbers those that do.

    Args:
        keep, watch: as in `tasks.video.tracks.cutting.cut_tracks`.
    """

    def __init__(
        self, keep: Callable[[int, FaceFrame], None], watch: Callable[[int, Sighting], None] | None = None
    ) -> None:
        self._keep, self._watch = keep, watch or (lambda number, sighting: None)
        self._held: deque[Moment] = deque()
        self._num_tracks = 0

    def add(self, moment: Moment) -> None:
        """Take the next moment, and hand over what is decided by now."""
        self._held.append(moment)
        for followed in moment.tracks():
            followed.num_held += 1
        while self._held and all(followed.track.is_decided for followed in self._held[0].tracks()):
            self._hand_over(self._held.popleft())

    def _hand_over(self, moment: Moment) -> None:
        counted = [(followed, sighting) for followed, sighting in moment.seen if followed.track.is_confirmed]
        for followed, _ in sorted(counted, key=lambda part: -part[0].track.first.width):
            if not followed.number:
                self._num_tracks += 1
                followed.number = self._num_tracks
        for followed, sighting in sorted(counted, key=lambda part: part[0].number):
            self._watch(followed.number, sighting)
        if moment.nobody and not counted:
            self._watch(0, moment.nobody)
        for followed, frame in sorted(moment.frames, key=lambda part: part[0].number):
            if followed.number:
                self._keep(followed.number, frame)
                followed.kept.append(frame.frame)
        for followed in moment.tracks():
            followed.num_held -= 1
