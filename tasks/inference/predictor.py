"""A trained model, asked about videos that are prepared just as its training data was."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.building import load_model, members_of, model_labels, model_network, model_prepare
from fer_models.models.network import used_inputs
from fer_models.segments import FrameInputs, SegmentRows
from fer_models.statistics.calibration import apply_temperature
from fer_models.statistics.metrics import pooled
from fer_models.training.engine import PREDICT_BATCH, predict
from tasks.config.model_card import read_card
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.saved_preparation import Crops, carried_crops, carried_prepare
from tasks.inference.asking import Said
from tasks.inference.cutting import Cut, Faces, Preparing, cut_for_model
from tasks.inference.live.stream import Moment, Stream, TimedFrame
from tasks.inference.one_video import OneVideo, Track
from tasks.inference.prediction import Prediction
from tasks.inference.pretrained import SMOOTHING_S, STILL_TEMPERATURE, pretrained_model, pretrained_prepare
from tasks.inference.sources import find_model, find_videos
from tasks.outcomes import Outcome
from tasks.progress import progress
from tasks.storage.local_copies import local_copy
from tasks.storage.locations import read_location
from tasks.video.detectors import load_confirming, load_detector
from tasks.video.image_sequences import is_still
from tasks.video.segments import VideoReport
from tasks.video.verdict import CROPS_ADVICE

#: Less than all other classes together.
LOW_CONFIDENCE = 0.5
#: Share of the segments that show a face below which a prediction speaks for a part of the video only.
LOW_COVERAGE = 0.5


@dataclass(frozen=True)
class Calibration:
    """How the probabilities of a model become those that are told.

    Args:
        of_videos, of_stills: temperatures that the probabilities of a video, and of an image, are scaled with; 1 leaves
            them as they are.
        smoothing_s: window that those of frames are smoothed over, s; for models that look at single frames.
    """

    of_videos: float = 1.0
    of_stills: float = 1.0
    smoothing_s: float = 0.0


class Predictor:
    """A trained model, or several of one arm as an ensemble, to be asked about videos.

    Args:
        models: from `fer_models.models.building.load_model`, one or more that were prepared for alike.
        settings: how videos are prepared for them.
        crops: the frames that they were trained on, where these were face crops.
        calibration: of their probabilities.

    Raises:
        UserError: the models differ in their classes or in their preparation, or a detector's file cannot be read.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        settings: PrepareSettings,
        crops: Crops = Crops(),
        calibration: Calibration = Calibration(),
    ) -> None:
        first = models[0]
        self.labels = model_labels(first)
        for model in models[1:]:
            if model_labels(model) != self.labels or model_prepare(model) != model_prepare(first):
                raise UserError(
                    "An ensemble is of models with the same classes and the same preparation; "
                    "these differ in one of them."
                )
        self.settings, self.calibration = settings, calibration
        self._crops = crops
        self.members = [member for model in models for member in members_of(model) or [model]]
        self._pooling = model_network(first).pooling
        self._has_graphs = keras.backend.backend() != "tensorflow"  # JAX has a graph for each number
        self._lacking_in_stills = _lacking_in_stills(first)
        self._takes_motion = "optical_flow" in {one.name for one in first.inputs}
        load_detector(settings)  # a fault of its file is not one of each video
        load_confirming(settings)

    @classmethod
    def load(cls, *model_files: Path | str, detector_model: Path | str | None = None) -> "Predictor":
        """The models in these files, each a `model.keras` of a study, local or not; several are an ensemble.

        What a single one says of videos is calibrated with the temperature on the card beside it, if there is one.

        Args:
            detector_model: where the detector's model file lies, if no longer where it lay when they were trained.

        Raises:
            UserError: a file is not there or no model of this project, or as of the class.
        """
        places = [find_model(read_location(one) if isinstance(one, str) else one) for one in model_files]
        with ExitStack() as copies:
            models = [load_model(copies.enter_context(local_copy(place))) for place in places]
        carried = model_prepare(models[0])
        detector = Path(detector_model) if detector_model else None
        card = read_card(places[0]) if len(places) == 1 else None
        calibration = Calibration(of_videos=card.temperature) if card else Calibration()
        return cls(models, carried_prepare(carried, detector), carried_crops(carried), calibration)

    @classmethod
    def pretrained(cls) -> "Predictor":
        """The published expression network, for who has no model of their own; see `tasks.inference.pretrained`.

        Raises:
            UserError: its weights are not on this machine.
        """
        calibration = Calibration(of_stills=STILL_TEMPERATURE, smoothing_s=SMOOTHING_S)
        return cls([pretrained_model()], pretrained_prepare(), calibration=calibration)

    def predict(
        self,
        video: Path | str,
        stride: int | None = None,
        precropped: bool | None = None,
        faces: Faces = "one",
    ) -> Prediction:
        """What the model says of a video; memory does not grow with its length but for a row a frame.

        Args:
            video: a video file, a folder or pattern of numbered images, or an image.
            stride: frames from the start of one segment to that of the next; by default as in the training.
            precropped: frames are used whole, or faces are searched in them; by default as in the training, but in
                frames that cannot be crops like those of the training faces are searched.
            faces: `one` follows one face, `all` each as a track of its own, numbered in the order of appearance.
        """
        path, preparing = Path(video), self.preparing(stride, precropped, faces)
        asked = OneVideo(self, path, preparing)
        return asked.finish(self.refuse(path) or cut_for_model(path, preparing, asked.keep, asked.watch))

    def stream(
        self, frames: Iterable[TimedFrame], stride: int | None = None, precropped: bool | None = None
    ) -> Iterator[Moment]:
        """What the model says of frames that come live: a moment for each, at once, in memory that does not grow.

        A moment says of the face what `predict` says in the last row of `frames` for a video that ends with that frame.
        Its probabilities are those of the newest segment by then, as `predict` has them in `segments`; until the next
        one they stay, as long as a face is there. A segment of one kept frame counts with its last frame, one of
        several once as many frames more have passed as lie between the first and the last that it keeps. Where
        `predict` smooths (the published network) they are those of the last row that it gives for a video which ends
        with that segment: the mean of the past half of the window alone.

        Args:
            frames: time in s, not falling, and uint8 RGB (height, width, 3) of each.
            stride: as of `predict`; 1 asks the model at each frame.
            precropped: as of `predict`.

        Raises:
            UserError: while it goes on: a frame is no such picture, or earlier than the one before.
        """
        preparing = self.preparing(stride, precropped)
        return Stream(self.ask, self.labels, preparing, self.calibration.smoothing_s).moments(frames)

    def preparing(self, stride: int | None = None, precropped: bool | None = None, faces: Faces = "one") -> Preparing:
        """How videos are prepared for the model; arguments as of `predict`."""
        return Preparing(self.settings, self._crops, stride, precropped, faces)

    def refuse(self, path: Path) -> Cut | None:
        """What comes of a video that the model cannot be asked about, which then need not be opened; else None."""
        if not (is_still(path) and self._lacking_in_stills):
            return None
        message = f"it is a single image, and this model looks at {self._lacking_in_stills}; give it a video"
        return Cut(VideoReport(outcome=Outcome.TOO_SHORT, message=message), self.settings.precropped)

    def predict_all(self, sources: Sequence[Path], **options: Any) -> Iterator[Prediction]:
        """What the model says of each video, one after another, with progress.

        Args:
            sources: videos and folders.
            options: as of `predict`.

        Raises:
            UserError: as `find_videos` does.
        """
        videos = find_videos(sources)
        with progress("Predicting", len(videos)) as advance:
            for path in videos:
                yield self.predict(path, **options)
                advance(path.name)

    def ask(self, segments: FrameInputs) -> np.ndarray:
        """Probabilities by each member, float32 (members, n, classes)."""
        segments = self.completed(segments)
        if not self._has_graphs:
            self._build_graphs(segments)
        fewest = 1 << max(len(segments) - 1, 7).bit_length()  # a power of two, so that few graphs are built
        batch_size = min(fewest, PREDICT_BATCH)
        return np.stack([predict(member, segments, batch_size) for member in self.members])

    def _build_graphs(self, segments: FrameInputs) -> None:
        """Have what is said of a video not depend on what was asked before.

        Keras on TensorFlow builds a graph for the first number of segments, and another one for all other numbers; the
        two round differently. The first number is taken by one that is never asked for.
        """
        one = SegmentRows(segments, np.zeros(1, int))
        for member in self.members:
            for batch_size in (1, 2):
                predict(member, one, batch_size)
        self._has_graphs = True

    def completed(self, segments: FrameInputs) -> FrameInputs:
        """Segments with all that the models take; of motion that they take and do not look at there is none."""
        if segments.optical_flows is not None or not self._takes_motion:
            return segments
        return replace(segments, optical_flows=np.zeros((*segments.faces.shape[:3], 2), np.float16))

    def row(self, path: Path, cut: Cut, said: Said, track: Track | None = None) -> dict[str, Any]:
        """The row of a video, or of one of the tracks in it, see `Prediction`."""
        report = cut.report
        usable = len(said.segments) > 0 and report.outcome in (Outcome.OK, Outcome.TRUNCATED)
        probabilities = np.full(len(self.labels), np.nan)
        spread = np.nan
        if usable:
            temperature = self.calibration.of_stills if is_still(path) else self.calibration.of_videos
            probabilities = self._of_video(said.probabilities.mean(axis=0), temperature)
            by_member = np.stack([self._of_video(one, temperature) for one in said.probabilities])
            spread = by_member.std(axis=0)[probabilities.argmax()] if len(by_member) > 1 else np.nan
        num_covered, num_segments = report.num_covered, report.num_segments
        if track:
            num_covered, num_segments = len(said.segments), len(track.segments(said))
        coverage = num_covered / num_segments if num_segments else np.nan
        remarks = [report.message.replace(CROPS_ADVICE, "add --precropped"), cut.remark]
        doubts = []
        if usable and coverage < LOW_COVERAGE:
            doubts.append(f"a face in {num_covered} of {num_segments} segments only")
        if usable and probabilities.max() < LOW_CONFIDENCE:
            doubts.append("low confidence")
        if track and track.number and not usable and report.num_covered:
            doubts.append("seen for less than a segment")
        return {
            "video": str(path),
            "outcome": str(report.outcome),
            "message": "; ".join(filter(None, [*remarks, *doubts])),
            **(track.cells() if track else {}),
            "num_segments": num_covered if usable else 0,
            "predicted": self.labels[int(probabilities.argmax())] if usable else "",
            "confidence": float(probabilities.max()),
            "coverage": coverage,
            "faces": "whole frames" if cut.precropped else "found",
            "uncertainty": float(spread),
            "has_verdict": usable and not doubts,
            **{f"p_{label}": float(value) for label, value in zip(self.labels, probabilities, strict=True)},
        }

    def _of_video(self, probabilities: np.ndarray, temperature: float) -> np.ndarray:
        """The calibrated probabilities of a video from those of its segments (n, classes)."""
        of_one_video = np.zeros(len(probabilities), int)
        together = pooled(probabilities, of_one_video, self._pooling)
        return (together if temperature == 1 else apply_temperature(together, temperature))[0]


def _lacking_in_stills(model: keras.Model) -> str:
    """What a model looks at that an image does not have, in words."""
    used = used_inputs(model)
    several = "face" in used and len(used["face"].shape) == 5  # (batch, T, S, S, 3)
    lacks = [*(["several frames"] if several else []), *(["motion"] if "optical_flow" in used else [])]
    return " and ".join(lacks)
