"""What a face detector is given, and what it gives."""

from typing import Protocol

import numpy as np

from tasks.video.boxes import Box


class Picture(Protocol):
    """A frame as a detector looks at it; nothing is converted that it does not ask for."""

    @property
    def grey(self) -> np.ndarray:
        """Luma of the whole frame, uint8 (height, width)."""

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        """The box resized, uint8 RGB (height_px, width_px, 3)."""


class Detector(Protocol):
    """Finds faces in one picture and remembers nothing of it; one a thread."""

    def detect(self, picture: Picture, window: Box, low_px: int, high_px: int | None = None) -> list[Box]:
        """The faces that lie in a window of a picture.

        Args:
            picture: the frame.
            window: where to look; the boxes that come back are squares inside it, in px of the whole frame.
            low_px: faces with a smaller side are not wanted.
            high_px: the largest side that is wanted. It says too that such a face was in the window a moment ago, so
                that weak evidence is enough; without it every face needs strong evidence.
        """
