"""A video with other pictures: they are written as an MP4 file, at the times of the old ones and with their sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from fer_models.errors import VideoFault
from tasks.video.containers import open_container
from tasks.video.decoding import Video
from tasks.video.image_sequences import is_image_sequence
from tasks.video.writing.mp4 import PictureWriter, Plan
from tasks.video.writing.sound import Sound

#: The index stands in front, so that a browser plays the file before it has all of it.
_MUXER = {"movflags": "+faststart"}


@contextmanager
def remake(source: Path, video: Video, target: Path, plan: Plan, comment: str = "") -> Iterator["Remade"]:
    """An MP4 file that is open for the pictures of another video, and whole when the block ends well.

    Args:
        source: the video file, or the images, whose frames and sound are taken.
        video: facts of it; its first frame was decoded before, the others are in the block.
        target: written under that name at once; give a temporary one.
        comment: stands in the file.

    Raises:
        UserError: this PyAV has no encoder for H.264.
    """
    with av.open(f"file:{target.absolute()}", "w", format="mp4", options=_MUXER) as container:
        if comment:
            container.metadata["comment"] = comment
        pictures = PictureWriter(container, plan)
        sound = None if is_image_sequence(source) else Sound(source, container, video.start_s)
        remade = Remade(pictures, sound, video.start_s)
        try:
            yield remade
            remade.close(video.duration_s)
        finally:
            if sound:
                sound.close()


class Remade:
    """Takes the pictures one by one; `remark` says what could not be kept, once the file is whole."""

    def __init__(self, pictures: PictureWriter, sound: Sound | None, start_s: float) -> None:
        self._pictures, self._sound = pictures, sound
        self._delay_s = start_s - sound.start_s if sound else 0.0
        self._last_s = self._longest_s = 0.0

    @property
    def remark(self) -> str:
        """A part of a sentence; empty when nothing is missing."""
        return self._sound.remark if self._sound else ""

    def add(self, picture: np.ndarray, pts_s: float) -> None:
        """The picture, uint8 RGB (height, width, 3), of the frame that is shown `pts_s` after the first."""
        self._longest_s, self._last_s = max(self._longest_s, pts_s - self._last_s), pts_s
        time_s = pts_s + self._delay_s
        if self._sound:
            self._sound.advance(time_s)
        self._pictures.add(picture, time_s)

    def close(self, duration_s: float) -> None:
        """Write what is held back; the last picture is shown until `duration_s` after the first.

        But for no longer than any before: such a time is a mistake that players do not believe.
        """
        end_s = min(duration_s, self._last_s + self._longest_s) if self._longest_s else duration_s
        self._pictures.close(end_s + self._delay_s)
        if self._sound:
            self._sound.finish()


def comment_of(path: Path) -> str:
    """What stands as the comment in a video file, as `remake` writes it; empty where there is none, or no video."""
    try:
        with open_container(path) as container:
            return container.metadata.get("comment", "")
    except VideoFault:
        return ""
