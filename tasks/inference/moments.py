"""Where a model looked at one moment of a video, by Grad-CAM, and the pictures that it saw there."""

import dataclasses
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import keras
import numpy as np

from fer_models.explanation.gradcam import GradCam
from fer_models.models.building import model_network
from fer_models.segments import FrameInputs
from fer_models.windows import Windows
from tasks.config.prepare_settings import PrepareSettings
from tasks.inference.cutting import Faces, cut_for_model
from tasks.inference.one_video import OneVideo
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Predictor
from tasks.storage.files import atomic_write
from tasks.video.segments import FaceFrame, Sighting


class FaceLog:
    """The frames of a video that a model is asked about, kept on the disk: memory does not grow with its length.

    Args:
        folder: gets the files `faces.raw`, `flows.raw` and `faces.npz`.
        settings: that the video is cut with.
    """

    def __init__(self, folder: Path, settings: PrepareSettings) -> None:
        self._folder, self._settings = folder, settings
        self._frames, self._tracks, self._times_s = array("q"), array("q"), array("d")
        self._faces = (folder / "faces.raw").open("wb")
        self._flows = (folder / "flows.raw").open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._faces.close()
        self._flows.close()

    def watch(self, track: int, sighting: Sighting) -> None:
        """A decoded frame, as `tasks.inference.cutting` hands it over, once for each track."""
        if sighting.frame == len(self._times_s):
            self._times_s.append(sighting.pts_s)

    def keep(self, track: int, frame: FaceFrame) -> None:
        """A frame of a track, likewise."""
        self._frames.append(frame.frame)
        self._tracks.append(track)
        self._faces.write(frame.face.tobytes())
        if frame.optical_flow is not None:
            self._flows.write(frame.optical_flow.astype(np.float16).tobytes())

    def finish(self, num_segments: int) -> None:
        """There are no more; the video has so many segments."""
        self._faces.flush()
        self._flows.flush()
        settings = self._settings
        facts: dict[str, Any] = {
            "frames": np.array(self._frames, np.int64),
            "tracks": np.array(self._tracks, np.int64),
            "times_s": np.array(self._times_s),
            "num_segments": num_segments,
            "windows": dataclasses.astuple(settings.windows),
            "side_px": settings.face_size_px,
            "has_optical_flow": settings.has_optical_flow,
        }
        with atomic_write(self._folder / "faces.npz") as temporary:
            np.savez(temporary, **facts)


def predict_and_keep(
    predictor: Predictor,
    video: Path,
    folder: Path,
    see: Callable[[Sighting], None] = lambda sighting: None,
    faces: Faces = "one",
) -> Prediction:
    """What `predictor.predict` says of a video; what the model was asked about is kept for `find_segment`.

    Args:
        folder: see `FaceLog`.
        see: is told of each decoded frame too, and may end the work by an exception.
        faces: as of `predictor.predict`.
    """
    preparing = predictor.preparing(faces=faces)
    asked = OneVideo(predictor, video, preparing)
    with FaceLog(folder, preparing.settings_of(video)) as log:

        def keep(track: int, frame: FaceFrame) -> None:
            asked.keep(track, frame)
            log.keep(track, frame)

        def watch(track: int, sighting: Sighting) -> None:
            asked.watch(track, sighting)
            log.watch(track, sighting)
            see(sighting)

        found = asked.finish(predictor.refuse(video) or cut_for_model(video, preparing, keep, watch))
        log.finish(found.report.num_segments)
    return found


class KeptSegment(NamedTuple):
    """A segment of a video, when its first and its last frame are shown, s, and what a model is asked about."""

    start_s: float
    end_s: float
    inputs: FrameInputs


def find_segment(folder: Path, track: int, time_s: float) -> KeptSegment | None:
    """The covered segment of a track whose middle is nearest to a time; None without any.

    Args:
        folder: that a `FaceLog` was kept in.
    """
    known = np.load(folder / "faces.npz")
    length, stride, num_frames, least = known["windows"]
    windows = Windows(int(length), int(stride), int(num_frames), float(least))
    of_track = np.flatnonzero(known["tracks"] == track)
    covered = windows.covered(known["frames"][of_track], int(known["num_segments"]))
    if not len(covered.segments):
        return None
    times_s, first = known["times_s"], covered.segments * windows.stride
    middles_s = (times_s[first] + times_s[first + windows.length - 1]) / 2
    nearest = int(np.abs(middles_s - time_s).argmin())
    rows = of_track[covered.rows[nearest]]
    shape = (len(known["frames"]), int(known["side_px"]), int(known["side_px"]))
    faces = np.memmap(folder / "faces.raw", np.uint8, "r", shape=(*shape, 3))[rows]
    flows = None
    if known["has_optical_flow"]:
        flows = np.array(np.memmap(folder / "flows.raw", np.float16, "r", shape=(*shape, 2))[rows])
    inputs = FrameInputs(np.array(faces), flows, np.arange(len(rows))[None], covered.seen[[nearest]])
    begins = int(first[nearest])
    return KeptSegment(float(times_s[begins]), float(times_s[begins + windows.length - 1]), inputs)


@dataclass(frozen=True)
class Looked:
    """Where models looked in one segment.

    Args:
        faces: what was kept of it, uint8 RGB (T, S, S, 3).
        optical_flows: float16 (T, S, S, 2), px; None for models that were prepared for without.
        seen: bool (T,), in which of them the face was found.
        maps: by stream the mean of the members' maps, float (S, S) in 0..1 or, a map a frame, (T, S, S); a stream whose
            maps are empty speaks for nothing.
    """

    faces: np.ndarray
    optical_flows: np.ndarray | None
    seen: np.ndarray
    maps: dict[str, np.ndarray]


class Explainer:
    """Grad-CAM of the members of an ensemble, or of one model; compiled once."""

    def __init__(self, members: Sequence[keras.Model]) -> None:
        self._cams = [GradCam(member, batch_size=1) for member in members if model_network(member).feature_maps]

    @property
    def has_maps(self) -> bool:
        """Whether there is a model that can be looked into."""
        return bool(self._cams)

    def look(self, segment: FrameInputs, number: int) -> Looked:
        """Where they looked for the class of that number."""
        first, chosen = np.array([0]), np.array([number])
        found: list[dict[str, Any]] = [cam.maps(segment, first, chosen) for cam in self._cams]
        maps = {stream: np.mean([one[stream][0] for one in found], axis=0) for stream in (found or [{}])[0]}
        batch = segment.batch(first)
        flows = batch["optical_flow"][0] if segment.optical_flows is not None else None
        return Looked(batch["face"][0], flows, batch["seen"][0], maps)
