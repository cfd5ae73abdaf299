"""Another detector that is asked now and then whether what is followed is a face.

One detector's mistake, such as a jacket with two dark buttons, is seldom another one's; and a mistake that is followed
is found again and again by the detector that made it.
"""

from tasks.video.boxes import Box, overlap
from tasks.video.detectors.detector import Detector, Picture

#: The other detector searches within so many sides of a face, and for faces of no less than this share of its side.
_SURROUNDINGS, _LEAST_SIDE = 3.0, 0.5
#: It agrees when a face of its own overlaps by more.
_SAME_OVERLAP = 0.3


class SecondOpinion:
    """Counts how often it was asked, and how often it agreed."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.num_asked = self.num_agreed = 0

    def agrees(self, picture: Picture, box: Box) -> bool:
        """Whether the other detector, which is told nothing, sees a face there too."""
        height, width = picture.grey.shape
        margin = round((_SURROUNDINGS - 1) / 2 * box.width)
        left, top = max(box.x - margin, 0), max(box.y - margin, 0)
        right, bottom = min(box.x + box.width + margin, width), min(box.y + box.height + margin, height)
        window = Box(left, top, right - left, bottom - top)
        faces = self._detector.detect(picture, window, max(round(_LEAST_SIDE * box.width), 1))
        agreed = any(overlap(face.box, box) > _SAME_OVERLAP for face in faces)
        self.num_asked += 1
        self.num_agreed += agreed
        return agreed
