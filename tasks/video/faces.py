"""Following one subject's face through a video, whatever the detector.

A followed face is looked for around its last box, at sizes near the last one; the whole frame is searched when that
fails, and now and then to count the faces.
"""

from typing import Protocol

from tasks.video.boxes import Box, distance, overlap
from tasks.video.detectors.detector import Detector, Picture

#: A followed face is looked for within this many of its sides around its centre.
_FOLLOW_RANGE = 1.5
#: Sizes at which a followed face is looked for, as factors of its last side.
_FOLLOW_SIZES = (0.82, 1.3)
#: Shares of a followed face's new centre and side in the box that is used; the rest is the last one, against jitter.
_CENTRE_GAIN, _SIDE_GAIN = 0.5, 0.35
#: Frames between two searches of the whole frame while a face is being followed; one costs as much as decoding
#: 12 frames of 640x360 (faces from 90 px) or more.
_FRAMES_BETWEEN_COUNTS = 250
#: A followed face that this many such searches in a row miss, while they find others, is a mistake of the detector. The
#: second comes `_PATIENCE_FRAMES` after the first.
_MOST_DOUBTS = 2
#: For this many frames a face out of sight is awaited where it was, and no other face is taken for it.
_PATIENCE_FRAMES = 25
#: What the face awaited may have become: so many of its sides away, so many times larger or smaller.
_SAME_RANGE, _SAME_SIZE = 2.0, 1.6
#: Two boxes that overlap by more than this are one face.
_SAME_OVERLAP = 0.3


class NumberedPicture(Picture, Protocol):
    """A frame of a video: a picture that knows which one it is."""

    index: int


class FaceTracker:
    """Follows one subject through a video.

    Args:
        detector: finds the faces.
        min_face_px: faces with a smaller side are not used.
    """

    def __init__(self, detector: Detector, min_face_px: int) -> None:
        self._detector = detector
        self._min_face_px = min_face_px
        self._last: Box | None = None
        self._shape: tuple[int, ...] = ()
        self._seen_at = self._counted_at = 0
        self._num_faces = self._num_doubts = 0

    def find(self, picture: NumberedPicture) -> tuple[Box | None, int]:
        """The box of the followed face in a frame, and the number of faces in the whole of it.

        The first face is the largest one. It is followed as long as it is seen, even when another becomes larger. The
        number is that of the last search of a whole frame, at most `_FRAMES_BETWEEN_COUNTS` frames ago.
        """
        if picture.grey.shape != self._shape or picture.index - self._seen_at > _PATIENCE_FRAMES:
            self._last, self._shape = None, picture.grey.shape
        box = self._follow(picture, self._last) if self._last else None
        count_after = _PATIENCE_FRAMES if self._num_doubts else _FRAMES_BETWEEN_COUNTS
        if box is None or picture.index - self._counted_at >= count_after:
            box = self._check(box, self.search(picture, self._min_face_px))
            self._counted_at = picture.index
        if box:
            self._last, self._seen_at = box, picture.index
        return box, self._num_faces

    def search(self, picture: Picture, min_side_px: int) -> list[Box]:
        """All faces of at least `min_side_px` in a whole frame."""
        height, width = picture.grey.shape
        return self._detector.detect(picture, Box(0, 0, width, height), min_side_px)

    def _follow(self, picture: Picture, last: Box) -> Box | None:
        reach = round(last.width * _FOLLOW_RANGE / 2)
        centre_x, centre_y = last.x + last.width // 2, last.y + last.height // 2
        left, top = max(centre_x - reach, 0), max(centre_y - reach, 0)
        height, width = picture.grey.shape
        window = Box(left, top, min(centre_x + reach, width) - left, min(centre_y + reach, height) - top)
        smallest, largest = (round(last.width * factor) for factor in _FOLLOW_SIZES)
        faces = self._detector.detect(picture, window, max(self._min_face_px, smallest), largest)
        nearest = min(faces, key=lambda box: distance(box, last), default=None)
        return _blend(last, nearest, width, height) if nearest else None

    def _check(self, followed: Box | None, faces: list[Box]) -> Box | None:
        """Hold what is followed against all faces of the frame; returns what is followed from here on."""
        if followed:
            confirmed = any(overlap(followed, face) > _SAME_OVERLAP for face in faces)
            self._num_faces = len(faces) + (not confirmed)  # a turned face is seen only by who knows where to look
            self._num_doubts = 0 if confirmed or not faces else self._num_doubts + 1
            if self._num_doubts < _MOST_DOUBTS:
                return followed
        self._num_faces, self._num_doubts = len(faces), 0
        if self._last and not followed:
            last = self._last
            faces = [face for face in faces if _may_be(face, last)]
            return min(faces, key=lambda face: distance(face, last), default=None)
        return max(faces, key=lambda face: face.width * face.height, default=None)


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


def _may_be(face: Box, last: Box) -> bool:
    """Whether a face can be the one that was seen within the last second."""
    near = distance(face, last) < _SAME_RANGE * last.width
    return near and 1 / _SAME_SIZE < face.width / last.width < _SAME_SIZE
