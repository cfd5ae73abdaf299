"""One video in, one shard out. Runs in a worker process, which imports neither Prefect nor TensorFlow."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_models.errors import VideoFault
from fer_models.geometry import FACE_SIZE_PX
from tasks.decoding import Frame, Video, decode
from tasks.faces import Box, FaceTracker
from tasks.optical_flow import WORKING_SIZE_PX, pair_optical_flow
from tasks.outcomes import Outcome
from tasks.settings import PrepareSettings, digest
from tasks.shards import SCHEMA_VERSION, Segment, VideoReport, write_shard

#: Raised when the same settings give other shards than before; part of the preparation digest.
CODE_VERSION = 1


def prepare_digest(settings: PrepareSettings) -> str:
    """Names the folder of the shards that these settings give."""
    return digest(settings, {"schema": SCHEMA_VERSION, "code": CODE_VERSION})


def prepare_file(video: Path, sha256: str, shard: Path, settings: PrepareSettings) -> VideoReport:
    """Prepare one video and write its shard; a fault of the data is an outcome, not an exception."""
    start = time.monotonic()
    segments, report = prepare_video(video, settings)
    report = report.model_copy(
        update={
            "sha256": sha256,
            "prepare_digest": prepare_digest(settings),
            "seconds": round(time.monotonic() - start, 4),
        }
    )
    write_shard(shard, segments, report)
    return report


def prepare_video(path: Path, settings: PrepareSettings) -> tuple[list[Segment], VideoReport]:
    """The segments of a video and the report on it.

    A segment counts when all its frames exist, and is covered when its first frame shows a usable face. Segments of a
    video that does not end `ok` are returned too: what is whole in a truncated file can be looked at.
    """
    video = Video()
    cutter = _SegmentCutter(settings)
    try:
        for frame in decode(path, video):
            cutter.take(frame)
    except VideoFault as fault:
        return [], VideoReport(outcome=Outcome(fault.outcome), message=fault.message, **_facts(video))
    num_segments = _num_segments(video.num_decoded, settings)
    segments = [segment for segment in cutter.segments if segment.segment < num_segments]
    outcome, message = _judge(video, num_segments, len(segments), cutter, settings)
    facts = _facts(video) | {"num_segments": num_segments, "num_covered": len(segments)}
    return segments, VideoReport(outcome=outcome, message=message, **facts)


#: A face that was found is looked for again after this many frames; it moves little in between.
_FRAMES_BETWEEN_SEARCHES = 4


@dataclass
class _SegmentCutter:
    """Takes the frames of a video one by one and keeps what its segments need."""

    settings: PrepareSettings
    segments: list[Segment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = FaceTracker(self.settings.min_face_px)
        self.faceless: list[np.ndarray] = []
        self._open: tuple[Frame, Box, int] | None = None
        self._found: Box | None = None
        self._found_at = self._num_faces = 0

    def take(self, frame: Frame) -> None:
        if self._open:
            self._close(frame)
        if frame.index % self.settings.segment_stride == 0:
            if not self._found or frame.index - self._found_at >= _FRAMES_BETWEEN_SEARCHES:
                self._found, self._num_faces = self.tracker.find(frame.grey)
                self._found_at = frame.index
            if self._found:
                self._open = (frame, self._found, self._num_faces)
            elif len(self.faceless) < 3:
                self.faceless.append(frame.grey.copy())

    def _close(self, second: Frame) -> None:
        assert self._open
        first, box, num_faces = self._open
        self._open = None
        if first.grey.shape != second.grey.shape:
            return  # the resolution changed between the two frames of a pair
        crops = [frame.grey_crop(box, WORKING_SIZE_PX) for frame in (first, second)]
        self.segments.append(
            Segment(
                segment=first.index // self.settings.segment_stride,
                frame=first.index,
                pts_s=first.pts_s,
                box=box,
                num_faces=num_faces,
                face=first.rgb_crop(box, FACE_SIZE_PX),
                optical_flow=pair_optical_flow(crops[0], crops[1], self.settings.flow_method),
            )
        )


def _num_segments(num_frames: int, settings: PrepareSettings) -> int:
    return max(0, (num_frames - settings.segment_length) // settings.segment_stride + 1)


def _judge(
    video: Video, num_segments: int, num_covered: int, cutter: _SegmentCutter, settings: PrepareSettings
) -> tuple[Outcome, str]:
    if not video.complete:
        return Outcome.TRUNCATED, f"it breaks off after {video.num_decoded} frames"
    if not num_segments:
        return Outcome.TOO_SHORT, f"{video.num_decoded} frames are fewer than one segment of {settings.segment_length}"
    if num_covered:
        return Outcome.OK, ""
    small = [box for grey in cutter.faceless for box in cutter.tracker.search(grey, 24)]
    if small:
        side = max(box.width for box in small)
        return (
            Outcome.FACE_TOO_SMALL,
            f"its largest face is {side} px wide, less than min_face_px = {settings.min_face_px}",
        )
    return Outcome.NO_FACE, "no face was found in any segment"


def _facts(video: Video) -> dict[str, Any]:
    return {
        "num_frames": video.num_decoded,
        "width": video.width,
        "height": video.height,
        "fps": round(video.fps, 3),
    }
