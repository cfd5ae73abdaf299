"""A trained model on new videos, prepared just as its training data was."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from fer_models.errors import VideoFault
from fer_models.models.building import load_model, model_labels, model_network, model_prepare
from fer_models.models.network import used_inputs
from fer_models.segments import FrameInputs
from fer_models.statistics.metrics import pooled
from fer_models.training.engine import predict
from tasks.config.prepare_settings import NO_MOTION, PrepareSettings
from tasks.config.saved_preparation import Crops, carried_crops, carried_prepare
from tasks.inference.sources import find_model, find_videos
from tasks.outcomes import Outcome
from tasks.progress import progress
from tasks.storage.local_copies import local_copy
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.detectors import load_confirming, load_detector
from tasks.video.image_sequences import is_still
from tasks.video.segments import FaceFrame, VideoReport
from tasks.video.verdict import CROPS_ADVICE

#: Less than all other classes together.
_LOW_CONFIDENCE = 0.5
#: Share of the segments that show a face below which a prediction speaks for a part of the video only.
_LOW_COVERAGE = 0.5
#: How an image is prepared, whatever the segments of the training were.
_OF_STILLS = {"segment_length": 1, "frames_per_segment": 1, "pair": NO_MOTION, "face": "first"}


def predict_videos(
    model_file: Path, sources: Sequence[Path], detector_model: Path | None = None, precropped: bool | None = None
) -> pd.DataFrame:
    """Predict each video; raises `UserError` as `find_model` and `find_videos` do.

    Args:
        model_file: a model.keras of a study, local or not.
        sources: videos and folders.
        detector_model: where the detector's model file lies, if no longer where it lay when the model was trained.
        precropped: frames are used whole, or faces are searched in them; by default as in the training, but in frames
            that cannot be crops like those of the training faces are searched.

    Returns:
        One row per video: video, outcome, message, num_segments (that show a face), predicted (empty without a usable
        face), confidence (the probability of that class), coverage (share of its segments that show a face), faces
        (`found`, or `whole frames`) and the probability of each class, `p_<emotion>`.
    """
    videos = find_videos(sources)
    with local_copy(find_model(model_file)) as copy:
        model = load_model(copy)
    carried = model_prepare(model)
    settings = carried_prepare(carried, detector_model)
    load_detector(settings)  # a fault of its file is not one of each video
    load_confirming(settings)
    rows = []
    with progress("Predicting", len(videos)) as advance:
        for path in videos:
            chosen, remark = _choose(path, settings, carried_crops(carried), precropped)
            rows.append(_predict(model, path, chosen, remark))
            advance(path.name)
    return pd.DataFrame(rows)


def _choose(
    path: Path, settings: PrepareSettings, crops: Crops, precropped: bool | None
) -> tuple[PrepareSettings, str]:
    """How a video is prepared, and a remark where that is not as in the training, nor as it was asked for."""
    if is_still(path):
        settings = settings.model_copy(update=_OF_STILLS)
    if precropped is not None:
        return settings.model_copy(update={"precropped": precropped}), ""
    size = _first_size(path) if settings.precropped else None
    if size is None or crops.may_hold(*size):
        return settings, ""
    remark = (
        f"frames of {size[0]}x{size[1]} px cannot be face crops as in the training (up to {crops.max_side_px} px): "
        "searched for faces; --precropped uses them whole"
    )
    return settings.model_copy(update={"precropped": False}), remark


def _first_size(path: Path) -> tuple[int, int] | None:
    """Width and height in px of a video's first frame; None when it has none, which its preparation will say."""
    with suppress(VideoFault):
        for frame in decode(path, Video()):
            height, width = frame.size
            return width, height
    return None


def _predict(model: keras.Model, path: Path, settings: PrepareSettings, remark: str) -> dict[str, object]:
    emotions = model_labels(model)
    frames: list[FaceFrame] = []
    if is_still(path) and (lacks := _lacking_in_stills(model)):
        message = f"it is a single image, and this model looks at {lacks}; give it a video"
        report = VideoReport(outcome=Outcome.TOO_SHORT, message=message)
    else:
        frames, report = prepare_video(path, settings)
    usable = report.num_covered > 0 and report.outcome in (Outcome.OK, Outcome.TRUNCATED)
    probabilities = np.full(len(emotions), np.nan)
    if usable:
        segments = segment_inputs(frames, report.num_segments, settings)
        if segments.optical_flows is None and "optical_flow" in {one.name for one in model.inputs}:
            unused = np.zeros((*segments.faces.shape[:3], 2), np.float16)
            segments = replace(segments, optical_flows=unused)
        of_one_video = np.zeros(len(segments), int)
        probabilities = pooled(predict(model, segments), of_one_video, model_network(model).pooling)[0]
    coverage = report.num_covered / report.num_segments if report.num_segments else np.nan
    remarks = [report.message.replace(CROPS_ADVICE, "add --precropped"), remark]
    if usable and coverage < _LOW_COVERAGE:
        remarks.append(f"a face in {report.num_covered} of {report.num_segments} segments only")
    if usable and probabilities.max() < _LOW_CONFIDENCE:
        remarks.append("low confidence")
    return {
        "video": str(path),
        "outcome": str(report.outcome),
        "message": "; ".join(filter(None, remarks)),
        "num_segments": report.num_covered if usable else 0,
        "predicted": emotions[int(probabilities.argmax())] if usable else "",
        "confidence": float(probabilities.max()),
        "coverage": coverage,
        "faces": "whole frames" if settings.precropped else "found",
        **{f"p_{emotion}": float(value) for emotion, value in zip(emotions, probabilities, strict=True)},
    }


def _lacking_in_stills(model: keras.Model) -> str:
    """What a model looks at that an image does not have, in words."""
    used = used_inputs(model)
    several = "face" in used and len(used["face"].shape) == 5  # (batch, T, S, S, 3)
    lacks = [*(["several frames"] if several else []), *(["motion"] if "optical_flow" in used else [])]
    return " and ".join(lacks)


def segment_inputs(frames: Sequence[FaceFrame], num_segments: int, settings: PrepareSettings) -> FrameInputs:
    """The covered segments of a video in memory.

    Args:
        frames: as from `prepare_video`, at least one.
        num_segments: of the video, covered or not.
    """
    faces = np.stack([frame.face for frame in frames])
    flows = [frame.optical_flow for frame in frames if frame.optical_flow is not None]
    windows, seen = np.arange(len(frames))[:, None], np.ones((len(frames), 1), bool)
    if settings.frames_per_segment > 1:
        numbers = np.array([frame.frame for frame in frames])
        _, windows, seen = settings.windows.covered(numbers, num_segments)
    return FrameInputs(faces, np.stack(flows) if settings.has_optical_flow else None, windows, seen)
