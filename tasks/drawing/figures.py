"""How figures and pictures are written.

Figures are made without pyplot, so that they can be drawn in any thread and need no display.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from tasks.drawing import SOFTWARE
from tasks.drawing.lettering import settle_texts
from tasks.storage.files import atomic_write


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix (`.png`, or `.jpg` for photographs), whole or not at all."""
    kind = path.suffix[1:].lower()
    settle_texts(figure)
    with atomic_write(path) as temporary:
        metadata = {"Software": SOFTWARE} if kind == "png" else None
        figure.savefig(temporary, format=kind, dpi=110, facecolor="white", metadata=metadata)
    return path


def save_picture(picture: np.ndarray, path: Path) -> Path:
    """Write a picture, uint8 RGB (height, width, 3), in the format of its suffix, whole or not at all."""
    kind = path.suffix[1:].lower()
    with atomic_write(path) as temporary:
        imsave(temporary, picture, format=kind, metadata={"Software": SOFTWARE} if kind == "png" else None)
    return path
