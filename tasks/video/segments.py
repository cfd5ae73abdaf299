"""What comes of a video: its segments, and one report on the whole of it."""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

from tasks.config.digests import SCHEMA_VERSION
from tasks.outcomes import Outcome
from tasks.video.boxes import Box


class VideoReport(BaseModel):
    """What preparing one video came to.

    Args:
        fps: frames a second by their times, repeats counted.
        duration_s: how long its frames are shown, by their times.
        repeated_share: share of the frames that repeat the one before.
        interval_s: median time between the two pictures of a pair; 0 without any.
        num_far: pairs whose time between the two is far from `prepare.pair`.
        num_kept: frames that are stored, where segments have several; else each covered segment has its own.
        num_cuts, num_cut_off: hard cuts, and segments whose pair would lie on both sides of one, where that is looked
            at (`prepare.scene_cuts`).
        num_searched, num_found: frames in which a face was looked for, and those of them with one that could be used.
        mean_score: of these faces, 0..1; 0 where the detector gives no scores.
        num_asked, num_agreed: how often the second opinion was asked, and how often it agreed.
    """

    sha256: str = ""
    prepare_digest: str = ""
    schema_version: int = SCHEMA_VERSION
    outcome: Outcome
    message: str = ""
    num_frames: int = 0
    num_segments: int = 0
    num_covered: int = 0
    width: int = 0
    height: int = 0
    codec: str = ""
    fps: float = 0.0
    duration_s: float = 0.0
    repeated_share: float = 0.0
    interval_s: float = 0.0
    num_far: int = 0
    num_kept: int | None = None
    num_cuts: int = 0
    num_cut_off: int = 0
    num_searched: int = 0
    num_found: int = 0
    mean_score: float = 0.0
    num_asked: int = 0
    num_agreed: int = 0
    seconds: float = 0.0

    @property
    def num_rows(self) -> int:
        """Of its shard."""
        return self.num_covered if self.num_kept is None else self.num_kept


#: In place of the number of a segment.
NO_SEGMENT = -1


@dataclass(frozen=True)
class FaceFrame:
    """A frame with a face, and the motion from it on: one row of a shard.

    Args:
        segment: number of the segment that begins with it; `NO_SEGMENT` where none does.
        pts_s: seconds since the first frame of the video.
        box: of the face, px of the video: x, y, width, height.
        face: uint8 RGB (S, S, 3).
        optical_flow: float16 (S, S, 2), see `tasks.preparation.shards`; None where none is wanted.
    """

    segment: int
    frame: int
    pts_s: float
    box: tuple[int, int, int, int]
    num_faces: int
    face: np.ndarray
    optical_flow: np.ndarray | None
    interval_s: float = 0.0


@dataclass(frozen=True)
class Sighting:
    """A decoded frame and the face that was looked for in it.

    Args:
        pts_s: seconds since the first frame of the video.
        size: height and width in px, as the frame is shown.
        searched: whether a face was looked for; one that was found is looked for again some frames later.
        box: of the face that was found.
        scene: 0 for the first scene of the video, 1 after the first cut, where cuts are looked for.
    """

    frame: int
    pts_s: float
    size: tuple[int, int]
    searched: bool
    box: Box | None
    scene: int
