"""What grows with a corpus: rows of a table, people left out one by one, classes of a confusion figure, in CPU seconds.

`PYTHONPATH=. .venv/bin/python benchmarks/growth.py`; for an earlier version put its checkout into `PYTHONPATH`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.config.settings import CorpusSettings
from tasks.config.split_settings import SplitSettings
from tasks.corpus.adapters import table
from tasks.corpus.manifest import build_manifest
from tasks.dataset.splits import update_split
from tasks.drawing.figures import save_figure
from tasks.report.plots.confusion import plot_confusion

_EMOTIONS = ("anger", "happiness", "sadness")
_VIDEOS_OF_ONE = 6


def measure(name: str, work: Callable[[], object]) -> None:
    """Print how long it takes."""
    start_s = time.process_time()
    work()
    print(f"{name}: {time.process_time() - start_s:.1f} CPU s", flush=True)


def ledger(num_subjects: int) -> pd.DataFrame:
    """Videos of so many people, all usable."""
    rows = [
        (f"v{subject}-{number}", f"{subject * 1000 + number:064x}", f"S{subject:03d}", _EMOTIONS[number % 3])
        for subject in range(num_subjects)
        for number in range(_VIDEOS_OF_ONE)
    ]
    videos = pd.DataFrame(rows, columns=["video_id", "sha256", "subject", "emotion"])
    return videos.assign(outcome="ok", num_covered=2)


def main() -> None:
    """Measure all three."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = range(100_000)
        columns = {
            "path": [f"clips/{row % 1000}/v{row}.mp4" for row in rows],
            "subject": [f"S{row % 500}" for row in rows],
            "emotion": [_EMOTIONS[row % 3] for row in rows],
        }
        pd.DataFrame(columns).to_csv(folder / "labels.csv", index=False)
        corpus = CorpusSettings(adapter="table", root=folder / "labels.csv")
        measure("table of 100,000 rows", lambda: table.read(corpus))
        measure("manifest of 100,000 rows", lambda: build_manifest(corpus, folder / "manifest.parquet"))
        loso = SplitSettings(protocol="loso")
        for num_subjects in (100, 500):
            videos, path = ledger(num_subjects), folder / f"split-{num_subjects}.parquet"
            measure(f"{num_subjects} people, drawn", lambda v=videos, p=path: update_split(v, _EMOTIONS, loso, p))
            measure(f"{num_subjects} people, again", lambda v=videos, p=path: update_split(v, _EMOTIONS, loso, p))
        for num_classes in (6, 40, 300):
            counts = np.random.default_rng(0).integers(0, 9, (num_classes, num_classes))
            names = [f"class number {number}" for number in range(num_classes)]
            measure(
                f"confusion figure of {num_classes} classes",
                lambda c=counts, n=names: save_figure(plot_confusion(c, n, "a title"), folder / "confusion.png"),
            )


if __name__ == "__main__":
    main()
