"""Another detector that is asked now and then whether what is followed is a face.

One detector's mistake, such as a jacket with two dark buttons, is seldom another one's; and a mistake that is followed
is found again and again by the detector that made it. A drawn patch that the Haar cascade takes for a face had up to
0.6 of BlazeFace's first network in one window around it, and never more than 0.38 in both of two; real frontal faces
had 0.66 or more in each.
"""

from tasks.video.boxes import Box, overlap
from tasks.video.detectors.detector import Detector, Picture

#: The other detector looks within so many sides of a face: of one that is new twice, so that chance confirms none, and
#: of one that it has confirmed before.
_SURROUNDINGS, _NEAR = (3.0, 5.0), (1.8,)
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
        agreed = all(self._sees(picture, box, within, before) for within in (_NEAR if before else _SURROUNDINGS))
        self.num_asked += 1
        self.num_agreed += agreed
        return agreed

    def _sees(self, picture: Picture, box: Box, within: float, before: bool) -> bool:
        height, width = picture.grey.shape
        margin = round((within - 1) / 2 * box.width)
        left, top = max(box.x - margin, 0), max(box.y - margin, 0)
        right, bottom = min(box.x + box.width + margin, width), min(box.y + box.height + margin, height)
        low_px, high_px = (round(box.width * factor) for factor in _SIZES)
        window = Box(left, top, right - left, bottom - top)
        faces = self._detector.detect(picture, window, low_px, high_px if before else None)
        return any(overlap(face.box, box) > _SAME_OVERLAP for face in faces)
