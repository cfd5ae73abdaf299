"""A trained model on new videos, prepared just as its training data was."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from fer_models.building import load_model, model_labels, model_prepare
from fer_models.errors import UseError
from fer_models.segments import SegmentArrays
from fer_models.training import predict
from tasks.adapters.source import videos_below
from tasks.carried import carried_prepare
from tasks.detectors import load_detector
from tasks.image_sequences import is_image_sequence
from tasks.outcomes import Outcome
from tasks.preparation import prepare_video
from tasks.progress import progress
from tasks.settings import PrepareSettings
from tasks.working_folders import local_copy


def predict_videos(model_file: Path, sources: Sequence[Path], detector_model: Path | None = None) -> pd.DataFrame:
    """Predict each video, and each video in or below each folder; a folder of numbered images is one.

    Args:
        model_file: a model.keras of a study, local or not.
        sources: videos and folders.
        detector_model: where the detector's model file lies, if no longer where it lay when the model was trained.

    Returns:
        A row a video: video, outcome, message, num_segments, predicted (empty without a usable face) and the mean
        probability of each class, `p_<emotion>`.
    """
    if not model_file.is_file():
        raise UseError(
            f"There is no model {str(model_file)!r}; a study leaves them at studies/<name>/runs/*/model.keras."
        )
    models = [str(source) for source in sources if source.suffix == ".keras"]
    if models:
        raise UseError(f"One model at a time: {models[0]!r} stands among the videos.")
    videos = [path for source in sources for path in (videos_below(source) if source.is_dir() else [source])]
    missing = [str(path) for path in videos if not (path.is_file() or is_image_sequence(path))]
    if missing or not videos:
        raise UseError(f"There is no video at {', '.join(missing or map(str, sources))}.")
    with local_copy(model_file) as copy:
        model = load_model(copy)
    settings = carried_prepare(model_prepare(model), detector_model)
    load_detector(settings)  # a fault of its file is not one of each video
    rows = []
    with progress("Predicting", len(videos)) as advance:
        for path in videos:
            rows.append(_predict(model, path, settings))
            advance(path.name)
    return pd.DataFrame(rows)


def _predict(model: keras.Model, path: Path, settings: PrepareSettings) -> dict[str, object]:
    emotions = model_labels(model)
    segments, report = prepare_video(path, settings)
    row: dict[str, object] = {"video": str(path), "outcome": str(report.outcome), "message": report.message}
    if not segments or report.outcome not in (Outcome.OK, Outcome.TRUNCATED):
        return row | {"num_segments": 0, "predicted": ""} | {f"p_{emotion}": np.nan for emotion in emotions}
    unused = np.zeros(len(segments), np.int64)
    faces = np.stack([segment.face for segment in segments])
    optical_flows = np.stack([segment.optical_flow for segment in segments])
    probabilities = predict(model, SegmentArrays(faces, optical_flows, unused, unused, unused)).mean(axis=0)
    row |= {"num_segments": len(segments), "predicted": emotions[int(probabilities.argmax())]}
    return row | {f"p_{emotion}": float(value) for emotion, value in zip(emotions, probabilities, strict=True)}
