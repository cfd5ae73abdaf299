"""Another detector that is asked now and then whether what is followed is a face.

One detector's mistake, such as a jacket with two dark buttons, is seldom another one's; and a mistake that is followed
is found again and again by the detector that made it.
"""

from tasks.video.boxes import Box, overlap
from tasks.video.detectors.detector import Detector, Picture

#: The other detector looks within so many sides of a face: of one that is new, and of one that it has confirmed.
_SURROUNDINGS, _NEAR = 3.0, 1.8
#: Least score of its own face where it confirms a new one. BlazeFace gave 0.82 or more to 99 % of the faces that the
#: Haar cascade finds on mead24 and asl20, and less than 0.8 to eleven of twelve drawn and blurred patches that the
#: cascade takes for faces.
_NEW_SCORE = 0.8
#: Sides that its own face may have, as factors.
_SIZES = (0.5, 2.0)
#: It agrees when a face of its own overlaps by more.
_SAME_OVERLAP = 0.3


class SecondOpinion:
    """Counts how often it was asked, and how often it agreed."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.num_asked = self.num_agreed = 0

    def agrees(self, picture: Picture, box: Box, before: bool = False) -> bool:
        """Whether the other detector sees a face there too.

        Args:
            before: it did so a moment ago, so that it need not search, which costs more, and weak evidence is enough.
        """
        height, width = picture.grey.shape
        margin = round(((_NEAR if before else _SURROUNDINGS) - 1) / 2 * box.width)
        left, top = max(box.x - margin, 0), max(box.y - margin, 0)
        right, bottom = min(box.x + box.width + margin, width), min(box.y + box.height + margin, height)
        low_px, high_px = (round(box.width * factor) for factor in _SIZES)
        window = Box(left, top, right - left, bottom - top)
        faces = self._detector.detect(picture, window, low_px, high_px if before else None)
        sure = [face for face in faces if before or face.score is None or face.score >= _NEW_SCORE]
        agreed = any(overlap(face.box, box) > _SAME_OVERLAP for face in sure)
        self.num_asked += 1
        self.num_agreed += agreed
        return agreed
