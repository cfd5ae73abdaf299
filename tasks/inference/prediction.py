"""What a model says of one video: a row for the whole of it, a row a segment, a row a frame."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fer_models.errors import VideoFault
from tasks.drawing.figures import save_figure
from tasks.inference.annotation import Annotated, annotate_video
from tasks.inference.table_files import By, write_json_lines, write_parquet
from tasks.inference.thumbnails import read_thumbnails
from tasks.inference.timeline import draw_timeline
from tasks.storage.spreadsheets import write_csv
from tasks.video.segments import VideoReport


@dataclass(frozen=True)
class Prediction:
    """What a model says of one video; made by `tasks.inference.predictor.Predictor`.

    Args:
        video: what it was asked of.
        labels: the classes, in the model's order.
        report: what became of the video on its way into the model.
        rows: one of the whole video: video, outcome, message, num_segments (that show a face), predicted (empty without
            a usable face), confidence (the probability of that class), coverage (share of its segments that show a
            face), faces (`found`, or `whole frames`), uncertainty (standard deviation of that probability between the
            members of an ensemble; NaN of one model), has_verdict (whether neither confidence nor coverage is too low
            to say that) and the probability of each class, `p_<label>`. Where all faces are followed, one of each: with
            track (its number; 0 where there is none), first_s and last_s (when it was seen first and last) too, and a
            coverage of the segments from the first that shows it to the last.
        segments: a row a segment, see `tasks.inference.rows.segment_rows`; where all faces are followed, one for each
            face from the first segment that shows it to the last, and one of track 0 where nobody has one.
        frames: a row a frame, see `tasks.inference.rows.frame_rows`; where all faces are followed, one for each face
            that is, until it has been out of sight for a while, and one of track 0 where nobody is.
    """

    video: Path
    labels: tuple[str, ...]
    report: VideoReport
    rows: tuple[Mapping[str, Any], ...]
    segments: pd.DataFrame
    frames: pd.DataFrame

    @property
    def row(self) -> Mapping[str, Any]:
        """Of the video; where all faces are followed, of the one that is in most segments."""
        return max(self.rows, key=lambda row: row["num_segments"])

    def table(self, by: By = "frame") -> pd.DataFrame:
        """One of the three tables."""
        return {"video": pd.DataFrame(self.rows), "segment": self.segments, "frame": self.frames}[by]

    def to_csv(self, path: Path | str, by: By = "frame") -> None:
        """Write one of the tables as CSV, whole or not at all."""
        write_csv(Path(path), self.table(by))

    def to_parquet(self, path: Path | str, by: By = "frame") -> None:
        """Write one of the tables as Parquet, whole or not at all."""
        write_parquet(Path(path), self.table(by))

    def to_json_lines(self, path: Path | str, by: By = "frame") -> None:
        """Write one of the tables as JSON lines, whole or not at all."""
        write_json_lines(Path(path), self.table(by))

    def plot(self, path: Path | str | None = None) -> Figure:
        """The timeline of the video: probabilities over time, gaps without a face, and the faces themselves.

        Args:
            path: of a PNG file that it is also written to.

        Raises:
            UserError: not one frame was decoded.
        """
        thumbnails = []
        with suppress(VideoFault):
            thumbnails = read_thumbnails(self.video, self.frames)
        figure = draw_timeline(self.frames, self.labels, self.video.name, thumbnails)
        if path:
            save_figure(figure, Path(path))
        return figure

    def annotate(self, path: Path | str) -> Annotated:
        """Draw what is said into a copy of the video; see `tasks.inference.annotation.annotate_video`."""
        return annotate_video(self.video, self.frames, self.labels, Path(path))
