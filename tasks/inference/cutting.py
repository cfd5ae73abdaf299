"""One video cut as a model wants it: as its training data was, but where the video is something else.

Runs in child processes too, without heavy imports.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import NO_MOTION, PrepareSettings
from tasks.config.saved_preparation import Crops
from tasks.video.cutting import cut_frames
from tasks.video.decoding import Video, decode
from tasks.video.image_sequences import is_still
from tasks.video.segments import FaceFrame, Sighting, VideoReport

#: The number of the face that is followed, where only one is.
ONE_TRACK = 1
#: Whether one face is followed, or each as a track of its own.
Faces = Literal["one", "all"]
#: How an image is prepared, whatever the segments of the training were.
_OF_STILLS = {"segment_length": 1, "frames_per_segment": 1, "pair": NO_MOTION, "face": "first"}

#: Is given what a video shows of the face of a number.
Keep = Callable[[int, FaceFrame], None]
Watch = Callable[[int, Sighting], None]


@dataclass(frozen=True)
class Preparing:
    """How videos are prepared for a model.

    Args:
        trained: how its training data was.
        crops: the frames that it was trained on, where these were face crops.
        stride: frames from the start of one segment to that of the next; None for that of the training.
        precropped: frames are used whole, or faces are searched in them; None for as in the training, but in frames
            that cannot be crops like those of the training faces are searched.
        faces: with `all` each face is followed, until the scene ends.
    """

    trained: PrepareSettings
    crops: Crops
    stride: int | None = None
    precropped: bool | None = None
    faces: Faces = "one"

    @property
    def of_videos(self) -> PrepareSettings:
        """For any video, but for whether its frames are used whole."""
        if self.stride is None:
            return self.trained
        return PrepareSettings.model_validate(self.trained.model_dump() | {"segment_stride": self.stride})

    def settings_of(self, path: Path) -> PrepareSettings:
        """For one video, as far as that can be told without opening it: all but whether its frames are used whole."""
        settings = self.of_videos
        if self.faces == "all":  # behind a cut nobody is where somebody was
            settings = settings.model_copy(update={"scene_cuts": "split"})
        return settings.model_copy(update=_OF_STILLS) if is_still(path) else settings

    def uses_whole_frames(self, path: Path) -> tuple[bool, str]:
        """Whether the frames of a video are used whole, and a remark where that is not as in the training."""
        if self.precropped is not None:
            return self.precropped, ""
        return self.uses_frames_of(_first_size(path) if self.trained.precropped else None)

    def uses_frames_of(self, size: tuple[int, int] | None) -> tuple[bool, str]:
        """The same for frames of a width and height in px, where these are known."""
        if self.precropped is not None:
            return self.precropped, ""
        if size is None or not self.trained.precropped or self.crops.may_hold(*size):
            return self.trained.precropped, ""
        return False, (
            f"frames of {size[0]}x{size[1]} px cannot be face crops as in the training "
            f"(up to {self.crops.max_side_px} px): searched for faces; --precropped uses them whole"
        )


@dataclass(frozen=True)
class Cut:
    """What cutting a video for a model came to.

    Args:
        precropped: whether its frames were used whole.
        remark: where that is not as in the training, nor as it was asked for.
    """

    report: VideoReport
    precropped: bool = False
    remark: str = ""


def cut_for_model(path: Path, preparing: Preparing, keep: Keep, watch: Watch) -> Cut:
    """Hand what a model is to see of a video to `keep` and `watch`.

    See `tasks.video.cutting.cut_frames`, and of all faces `tasks.video.tracks.cutting.cut_tracks`.
    """
    precropped, remark = preparing.uses_whole_frames(path)
    settings = preparing.settings_of(path).model_copy(update={"precropped": precropped})
    if preparing.faces == "all":
        from tasks.video.tracks.cutting import cut_tracks  # which needs SciPy

        return Cut(cut_tracks(path, settings, keep, watch), precropped, remark)
    report = cut_frames(
        path, settings, lambda frame: keep(ONE_TRACK, frame), lambda sighting: watch(ONE_TRACK, sighting)
    )
    return Cut(report, precropped, remark)


def _first_size(path: Path) -> tuple[int, int] | None:
    """Width and height in px of a video's first frame; None when it has none, which its preparation will say."""
    with suppress(VideoFault):
        for frame in decode(path, Video()):
            height, width = frame.size
            return width, height
    return None
