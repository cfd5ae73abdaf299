"""What a model says of one video: a row for the whole of it, a row a segment, a row a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tasks.inference.table_files import write_parquet
from tasks.storage.spreadsheets import write_csv
from tasks.video.segments import VideoReport

By = Literal["video", "segment", "frame"]


@dataclass(frozen=True)
class Prediction:
    """What a model says of one video; made by `tasks.inference.predictor.Predictor`.

    Args:
        video: what it was asked of.
        labels: the classes, in the model's order.
        report: what became of the video on its way into the model.
        row: of the whole video: video, outcome, message, num_segments (that show a face), predicted (empty without a
            usable face), confidence (the probability of that class), coverage (share of its segments that show a
            face), faces (`found`, or `whole frames`), uncertainty (standard deviation of that probability between the
            members of an ensemble; NaN of one model) and the probability of each class, `p_<label>`.
        segments: a row a segment, see `tasks.inference.rows.segment_rows`.
        frames: a row a frame, see `tasks.inference.rows.frame_rows`.
    """

    video: Path
    labels: tuple[str, ...]
    report: VideoReport
    row: Mapping[str, Any]
    segments: pd.DataFrame
    frames: pd.DataFrame

    def table(self, by: By = "frame") -> pd.DataFrame:
        """One of the three tables."""
        return {"video": pd.DataFrame([self.row]), "segment": self.segments, "frame": self.frames}[by]

    def to_csv(self, path: Path | str, by: By = "frame") -> None:
        """Write one of the tables as CSV, whole or not at all."""
        write_csv(Path(path), self.table(by))

    def to_parquet(self, path: Path | str, by: By = "frame") -> None:
        """Write one of the tables as Parquet, whole or not at all."""
        write_parquet(Path(path), self.table(by))
