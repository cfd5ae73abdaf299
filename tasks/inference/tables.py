"""A table of what a model says of many videos, one row each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tasks.inference.predictor import Predictor
from tasks.inference.sources import find_videos
from tasks.progress import progress


def predict_videos(
    model_file: Path, sources: Sequence[Path], detector_model: Path | None = None, precropped: bool | None = None
) -> pd.DataFrame:
    """Predict each video; raises `UserError` as `Predictor.load` and `find_videos` do.

    Args:
        model_file, detector_model: as of `Predictor.load`.
        sources: videos and folders.
        precropped: as of `Predictor.predict`.

    Returns:
        One row per video, as of `Prediction`.
    """
    videos = find_videos(sources)
    predictor = Predictor.load(model_file, detector_model=detector_model)
    rows = []
    with progress("Predicting", len(videos)) as advance:
        for path in videos:
            rows.append(predictor.predict(path, precropped=precropped).row)
            advance(path.name)
    return pd.DataFrame(rows)
