"""How a figure is written.

Figures are made without pyplot, so that they can be drawn in any thread and need no display.
"""

from pathlib import Path

from matplotlib.figure import Figure

from tasks.drawing import SOFTWARE
from tasks.storage.files import atomic_write


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix (`.png`, or `.jpg` for photographs), whole or not at all."""
    kind = path.suffix[1:].lower()
    with atomic_write(path) as temporary:
        metadata = {"Software": SOFTWARE} if kind == "png" else None
        figure.savefig(temporary, format=kind, dpi=110, facecolor="white", metadata=metadata)
    return path
