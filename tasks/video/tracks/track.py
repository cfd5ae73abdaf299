"""One face that is followed, as far as it is known."""

import numpy as np

from tasks.video.boxes import Box, distance
from tasks.video.detectors.detector import Face, Picture
from tasks.video.faces import NumberedPicture
from tasks.video.tracks.appearance import blended, describe, difference

#: Share of what is new in the mean motion, and in the description of what somebody looks like.
_MOTION_GAIN, _LOOKS_GAIN = 0.5, 0.3
#: Motion is believed for this many frames after somebody was last seen.
_MOTION_FRAMES = 12
#: Frames between two descriptions of what somebody looks like.
_FRAMES_BETWEEN_DESCRIPTIONS = 12


class Track:
    """A face from the frame in which it appears on.

    Args:
        picture, face: the frame in which it appears, and where.
        least_sightings: how often it must be seen for sure before it counts.

    Attributes:
        first: the box in which it appeared.
        face: as it was seen last, in a frame of that `shape`, height and width in px.
        appeared_at, seen_at, searched_at, confirmed_at: number of the frame in which it was seen first and last, in
            which a search of the whole frame saw it last, and in which the second opinion was asked for last.
        is_found: whether the last look found it.
        is_lapsed: whether it has been out of sight for so long that it is no longer looked for where it was.
        is_confirmed, is_over: whether it counts, and whether it is given up.
        num_found, num_sure: looks that found it, and how many of them with evidence as strong as a search asks for.
        num_doubts: searches of whole frames in a row that missed it, though they found others.
    """

    def __init__(self, picture: NumberedPicture, face: Face, least_sightings: int) -> None:
        self.first, self.face, self._least_sightings = face.box, face, least_sightings
        self.appeared_at = picture.index
        self.seen_at = self.searched_at = self.confirmed_at = self._described_at = picture.index
        self.shape = picture.grey.shape
        self.is_found = True
        self.is_lapsed = self.is_over = self.is_confirmed = False
        self.num_found, self.num_sure, self.num_doubts = 1, 1, 0
        self._looks = describe(picture, face.box)
        self._centre, self._motion = _centre(face.box), np.zeros(2)

    @property
    def found(self) -> Face | None:
        """Where the last look found it."""
        return self.face if self.is_found else None

    @property
    def is_decided(self) -> bool:
        """Whether it is known by now if it counts."""
        return self.is_confirmed or self.is_over

    def see(self, picture: NumberedPicture, face: Face, seen: Face, is_sure: bool) -> None:
        """It was found.

        Args:
            face: where it is from now on.
            seen: what the detector saw, from which `face` may have been smoothed.
            is_sure: whether a search of the whole frame would have seen it too; of no interest in a track that counts.
        """
        centre, num_frames = _centre(seen.box), max(picture.index - self.seen_at, 1)
        if self.is_lapsed:
            self._motion = np.zeros(2)
        else:
            self._motion += _MOTION_GAIN * ((centre - self._centre) / num_frames - self._motion)
        self.shape = picture.grey.shape
        self.face, self._centre, self.seen_at = face, centre, picture.index
        self.is_found, self.is_lapsed = True, False
        self.num_found += 1
        self.num_sure += is_sure
        self.is_confirmed |= self.num_sure >= self._least_sightings

    def lose(self) -> None:
        """The last look did not find it."""
        self.is_found = False

    def lapse(self) -> None:
        """It need not be where it was, if it comes again."""
        self.is_found, self.is_lapsed = False, True

    def describe(self, picture: NumberedPicture, box: Box) -> None:
        """Look again, now and then, at what it looks like; it was found there, and nobody else is near."""
        if picture.index - self._described_at >= _FRAMES_BETWEEN_DESCRIPTIONS:
            self._looks = blended(self._looks, describe(picture, box), _LOOKS_GAIN)
            self._described_at = picture.index

    def difference(self, picture: Picture, face: Face) -> float:
        """How different a face looks, 0..1."""
        return difference(self._looks, describe(picture, face.box))

    def sides_away(self, face: Face, index: int | None = None) -> float:
        """How far away a face is, in sides: from where it was seen last, or is expected in frame `index`."""
        last = self.face.box
        if index is None:
            return distance(face.box, last) / last.width
        expected = self._centre + self._motion * min(index - self.seen_at, _MOTION_FRAMES)
        return float(np.abs(_centre(face.box) - expected).sum()) / last.width


def _centre(box: Box) -> np.ndarray:
    return np.array([box.x + box.width / 2, box.y + box.height / 2])
