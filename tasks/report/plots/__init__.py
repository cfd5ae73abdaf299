"""Figures. Each module has one function that takes plain data and returns a `matplotlib.figure.Figure`.

Figures are made without pyplot, so that they can be drawn in any thread and need no display.
"""

import warnings
from pathlib import Path

from matplotlib.figure import Figure

from tasks.report.outputs import SOFTWARE
from tasks.storage.files import atomic_write

# a video's name may be in any script; boxes for what the font lacks are no reason to interrupt
warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)

#: Colour-blind-safe colours (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b7280"


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix (`.png`, or `.jpg` for photographs), whole or not at all."""
    kind = path.suffix[1:].lower()
    with atomic_write(path) as temporary:
        metadata = {"Software": SOFTWARE} if kind == "png" else None
        figure.savefig(temporary, format=kind, dpi=110, facecolor="white", metadata=metadata)
    return path
