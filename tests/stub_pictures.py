"""Pictures of a batch of predictions without drawing anything, for children: a picture is the size of its table."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome


def draw(name: str, video: Path, frames: Path, labels: Sequence[str], folder: Path) -> str:
    """Write how many rows and classes there are."""
    (folder / name).write_bytes(f"{pq.read_table(frames).num_rows} rows, {len(labels)} classes".encode() + _END)
    return ""


def remark(name: str, video: Path, frames: Path, labels: Sequence[str], folder: Path) -> str:
    """The same, with a remark."""
    draw(name, video, frames, labels, folder)
    return "without sound"


def fail(name: str, *_: object) -> str:
    """There is nothing to draw."""
    raise VideoFault(Outcome.UNDECODABLE, f"no {name}")


def die(*_: object) -> str:
    """As when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def hang(*_: object) -> str:
    """Never comes back."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return ""


#: What a PNG file ends with.
_END = b"IEND\xaeB`\x82"
