"""Following one subject's face through a video, whatever the detector.

A followed face is looked for around its last box, at sizes near the last one; the whole frame is searched when that
fails, and now and then to count the faces. Where there is a second opinion, no face is used that it does not share.
`tasks.video.tracks` follows every face in the same way.
"""

from typing import Protocol

from tasks.video.boxes import Box, distance, overlap
from tasks.video.detectors.detector import Detector, Face, Picture
from tasks.video.second_opinion import SecondOpinion

#: A followed face is looked for within this many of its sides around its centre.
_FOLLOW_RANGE = 1.5
#: Sizes at which a followed face is looked for, as factors of its last side.
_FOLLOW_SIZES = (0.82, 1.3)
#: Shares of a followed face's new centre and side in the box that is used; the rest is the last one, against jitter.
_CENTRE_GAIN, _SIDE_GAIN = 0.5, 0.35
#: The same of its roll.
_ROLL_GAIN = 0.6
#: Frames between two searches of the whole frame while a face is being followed; one costs as much as decoding
#: 12 frames of 640x360 (faces from 90 px) or more.
_FRAMES_BETWEEN_COUNTS = 250
#: Frames after which the second opinion on a followed face is asked for again.
FRAMES_BETWEEN_OPINIONS = 12
#: A followed face that this many such searches in a row miss, while they find others, is a mistake of the detector. The
#: second comes `PATIENCE_FRAMES` after the first.
_MOST_DOUBTS = 2
#: For this many frames a face out of sight is awaited where it was, and no other face is taken for it.
PATIENCE_FRAMES = 25
#: What the face awaited may have become: so many of its sides away, so many times larger or smaller.
_SAME_RANGE, _SAME_SIZE = 2.0, 1.6
#: Two boxes that overlap by more than this are one face.
SAME_OVERLAP = 0.3


class NumberedPicture(Picture, Protocol):
    """A frame of a video: a picture that knows which one it is."""

    index: int


class FaceFinder:
    """Finds faces in whole frames, and a face that is known around where it was.

    Args:
        detector: finds the faces.
        min_face_px: faces with a smaller side are not used.
        second: confirms the faces that are found.
    """

    def __init__(self, detector: Detector, min_face_px: int, second: SecondOpinion | None = None) -> None:
        self._detector, self.min_face_px, self.second = detector, min_face_px, second

    def search(self, picture: Picture, min_side_px: int) -> list[Face]:
        """All faces of at least `min_side_px` in a whole frame, as far as the second opinion shares them."""
        return [face for face in self.search_unconfirmed(picture, min_side_px) if self.confirms(picture, face)]

    def search_unconfirmed(self, picture: Picture, min_side_px: int) -> list[Face]:
        """The same, whatever the second opinion."""
        height, width = picture.grey.shape
        return self._detector.detect(picture, Box(0, 0, width, height), min_side_px)

    def confirms(self, picture: Picture, face: Face, before: bool = False) -> bool:
        """Whether the second opinion, if there is one, shares a face; see `SecondOpinion.agrees`."""
        return self.second is None or self.second.agrees(picture, face.box, before)

    def around(self, picture: Picture, last: Box) -> list[Face]:
        """The faces near a followed one's last box, of sizes that it can have by now."""
        smallest, largest = (round(last.width * factor) for factor in _FOLLOW_SIZES)
        return self._detector.detect(picture, _around(picture, last), max(self.min_face_px, smallest), largest)

    def sees(self, picture: Picture, box: Box) -> bool:
        """Whether a face is seen there on evidence as strong as a search asks for, which that around a box does not."""
        faces = self._detector.detect(picture, _around(picture, box), self.min_face_px)
        return any(overlap(face.box, box) > SAME_OVERLAP for face in faces)


class FaceTracker:
    """Follows one subject through a video.

    Args:
        detector: finds the faces.
        min_face_px: faces with a smaller side are not used.
        second: confirms the faces that are found, and a followed one now and then.
    """

    def __init__(self, detector: Detector, min_face_px: int, second: SecondOpinion | None = None) -> None:
        self.finder = FaceFinder(detector, min_face_px, second)
        self._last: Face | None = None
        self._shape: tuple[int, ...] = ()
        self._seen_at = self._counted_at = self._confirmed_at = 0
        self._num_faces = self._num_doubts = 0

    def forget(self) -> None:
        """Another scene begins: nobody is awaited where somebody was."""
        self._last, self._num_doubts = None, 0

    def find(self, picture: NumberedPicture) -> tuple[Face | None, int]:
        """The followed face in a frame, and the number of faces in the whole of it.

        The first face is the largest one. It is followed as long as it is seen, even when another becomes larger. The
        number is that of the last search of a whole frame, at most `_FRAMES_BETWEEN_COUNTS` frames ago.
        """
        if picture.grey.shape != self._shape or picture.index - self._seen_at > PATIENCE_FRAMES:
            self._last, self._shape = None, picture.grey.shape
        face = self._follow(picture, self._last) if self._last else None
        if face and picture.index - self._confirmed_at >= FRAMES_BETWEEN_OPINIONS:
            if self.finder.confirms(picture, face, before=True):
                self._confirmed_at = picture.index
            else:
                face = None
        count_after = PATIENCE_FRAMES if self._num_doubts else _FRAMES_BETWEEN_COUNTS
        if face is None or picture.index - self._counted_at >= count_after:
            followed, face = face, self._check(face, self.search(picture, self.finder.min_face_px))
            self._counted_at = picture.index
            if face is not followed:
                self._confirmed_at = picture.index
        if face:
            self._last, self._seen_at = face, picture.index
        return face, self._num_faces

    def search(self, picture: Picture, min_side_px: int) -> list[Face]:
        """See `FaceFinder.search`."""
        return self.finder.search(picture, min_side_px)

    def _follow(self, picture: Picture, followed: Face) -> Face | None:
        faces = self.finder.around(picture, followed.box)
        nearest = min(faces, key=lambda face: distance(face.box, followed.box), default=None)
        return followed_on(picture, followed, nearest) if nearest else None

    def _check(self, followed: Face | None, faces: list[Face]) -> Face | None:
        """Hold what is followed against all faces of the frame; returns what is followed from here on."""
        if followed:
            confirmed = any(overlap(followed.box, face.box) > SAME_OVERLAP for face in faces)
            self._num_faces = len(faces) + (not confirmed)  # a turned face is seen only by who knows where to look
            self._num_doubts = 0 if confirmed or not faces else self._num_doubts + 1
            if self._num_doubts < _MOST_DOUBTS:
                return followed
        self._num_faces, self._num_doubts = len(faces), 0
        if self._last and not followed:
            last = self._last.box
            faces = [face for face in faces if may_be(face.box, last)]
            return min(faces, key=lambda face: distance(face.box, last), default=None)
        return max(faces, key=lambda face: face.box.width * face.box.height, default=None)


def _around(picture: Picture, box: Box) -> Box:
    """Where a face is looked for whose last box that is."""
    reach = round(box.width * _FOLLOW_RANGE / 2)
    centre_x, centre_y = box.x + box.width // 2, box.y + box.height // 2
    left, top = max(centre_x - reach, 0), max(centre_y - reach, 0)
    height, width = picture.grey.shape
    return Box(left, top, min(centre_x + reach, width) - left, min(centre_y + reach, height) - top)


def followed_on(picture: Picture, last: Face, found: Face) -> Face:
    """A followed face where it was found again; its box goes a part of the way only, against jitter."""
    height, width = picture.grey.shape
    roll_deg = _blend_rolls(last.roll_deg, found.roll_deg)
    return found._replace(box=_blend(last.box, found.box, width, height), roll_deg=roll_deg)


def _blend(last: Box, found: Box, width: int, height: int) -> Box:
    """A square between two, inside a frame of that size."""
    side = min(round(last.width + _SIDE_GAIN * (found.width - last.width)), width, height)
    x, y = (
        round(old + old_side / 2 + _CENTRE_GAIN * (new - old + (new_side - old_side) / 2) - side / 2)
        for old, old_side, new, new_side in (
            (last.x, last.width, found.x, found.width),
            (last.y, last.height, found.y, found.height),
        )
    )
    return Box(min(max(x, 0), width - side), min(max(y, 0), height - side), side, side)


def _blend_rolls(last_deg: float | None, found_deg: float | None) -> float | None:
    """A roll between two; that of a profile is not known and stays what it was."""
    if last_deg is None or found_deg is None:
        return last_deg if found_deg is None else found_deg
    return last_deg + _ROLL_GAIN * ((found_deg - last_deg + 180) % 360 - 180)


def may_be(face: Box, last: Box) -> bool:
    """Whether a face can be the one that was seen within the last second."""
    near = distance(face, last) < _SAME_RANGE * last.width
    return near and 1 / _SAME_SIZE < face.width / last.width < _SAME_SIZE
