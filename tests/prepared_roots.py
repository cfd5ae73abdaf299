"""Data roots whose manifest, ledger and shards are made up, as preparation would leave them."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, write_shard
from stored_tables import store

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import SCHEMA as MANIFEST
from tasks.outcomes import Outcome
from tasks.preparation.ledger import SCHEMA as LEDGER
from tasks.preparation.shards import shard_name, shard_path
from tasks.video.segments import FaceFrame, VideoReport


class PreparedRoot:
    """The data root of some settings; every video shows noise, blurred as it is said, and moves."""

    def __init__(self, settings: StudySettings, dataset: str) -> None:
        self.settings, self.layout, self.dataset = settings, Layout.of(settings), dataset
        self.rows: list[dict[str, object]] = []

    def add(
        self,
        subject: str,
        emotion: str,
        sha256: str = "",
        blur: float = 0.0,
        segments: int = 2,
        outcome: Outcome = Outcome.OK,
        pixels_of: str = "",
        **facts: object,
    ) -> str:
        """A video; returns its SHA-256, by which its pixels are drawn unless it is said whose they are."""
        number = len(self.rows)
        sha256 = sha256 or f"{number:02x}{self.dataset}{number}"
        row: dict[str, object] = {
            "video_id": f"{self.dataset}/{number:03d}",
            "dataset": self.dataset,
            "sha256": sha256,
            "subject": subject,
            "emotion": emotion,
            "status": "ok",
            "outcome": str(outcome),
            "num_frames": 50,
            "num_segments": segments,
            "num_covered": segments if outcome is Outcome.OK else 0,
            "width": 320,
            "height": 240,
            "codec": "h264",
            "fps": 25.0,
            "duration_s": 2.0,
            "shard": shard_name(sha256) if outcome is Outcome.OK else "",
        }
        self.rows.append(row | facts)
        if outcome is Outcome.OK:
            self._write(sha256, pixels_of or sha256, blur, segments)
        return sha256

    def _write(self, sha256: str, pixels_of: str, blur: float, segments: int) -> None:
        rng = np.random.default_rng([*pixels_of.encode()])
        frames = []
        for number in range(segments):
            face = rng.integers(0, 256, FACE_SHAPE).astype(np.uint8)
            face = cv2.GaussianBlur(face, (0, 0), blur) if blur else face
            motion = rng.normal(0, 0.2, OPTICAL_FLOW_SHAPE)
            frames.append(FaceFrame(number, 4 * number, 0.16 * number, (5, 5, 90, 90), 1, face, motion))
        report = VideoReport(sha256=sha256, outcome=Outcome.OK, num_segments=segments)
        write_shard(shard_path(self.layout.shards, sha256), frames, report)

    def write(self, prepared: bool = True) -> "PreparedRoot":
        """Leave the manifest, and the ledger unless nothing was prepared."""
        rows = pd.DataFrame(self.rows)
        store(self.layout.manifest, rows[[name for name in rows if name in MANIFEST.names]], MANIFEST)
        if prepared:
            store(self.layout.ledger, rows[[name for name in rows if name in LEDGER.names]], LEDGER)
        return self

    def split(self, sides: Mapping[str, str]) -> None:
        """Leave a split in which people stand on these sides, and the segments of each subset."""
        from tasks.dataset.index import build_index
        from tasks.preparation.ledger import read_ledger

        rows = [
            {"fold": 0, "fold_name": "0", "side": sides[str(row["subject"])]}
            | {name: row[name] for name in ("video_id", "sha256", "subject")}
            for row in self.rows
        ]
        self.layout.split.parent.mkdir(parents=True, exist_ok=True)
        split = pd.DataFrame(rows).astype({"fold": "int32"})
        split.to_parquet(self.layout.split)
        ledger = read_ledger(self.layout.ledger, self.settings.corpus.emotions)
        build_index(ledger, split, self.layout.prepared, self.layout.index, self.settings.prepare.windows)


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """By name size and time of change of every file below a folder."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
