"""Video files as a stream of frames, decoded by PyAV (FFmpeg's libraries) on one thread."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np

from fer_models.errors import VideoFault
from tasks.faces import Box
from tasks.outcomes import Outcome

#: 8-bit formats whose first plane is the grey image, with the factors of their chroma planes.
_PLANAR = {
    "yuv420p": 2,
    "yuvj420p": 2,
    "yuv444p": 1,
    "yuvj444p": 1,
}
_BT709, _FULL_RANGE = 1, 2  # FFmpeg's AVCOL_SPC_BT709 and AVCOL_RANGE_JPEG


@dataclass
class Frame:
    """One decoded frame. Nothing is converted before it is asked for."""

    index: int
    pts_s: float
    _frame: av.VideoFrame
    _grey_crops: dict[tuple[Box, int], np.ndarray] = field(default_factory=dict)

    @cached_property
    def grey(self) -> np.ndarray:
        """Luma, uint8 (height, width); read in place where the format allows it."""
        if self._frame.format.name in _PLANAR and not self._quarter_turns:
            return _plane(self._frame, 0)
        return self._turned(self._frame.to_ndarray(format="gray"))

    def grey_crop(self, box: Box, side_px: int) -> np.ndarray:
        """The box as a square grey image, uint8 (side_px, side_px)."""
        if (box, side_px) not in self._grey_crops:
            self._grey_crops[box, side_px] = resize(crop(self.grey, box), side_px)
        return self._grey_crops[box, side_px]

    def rgb_crop(self, box: Box, side_px: int) -> np.ndarray:
        """The box as a square uint8 RGB image (side_px, side_px, 3)."""
        if self._frame.format.name not in _PLANAR or self._quarter_turns:
            rgb = self._turned(self._frame.to_ndarray(format="rgb24"))
            return resize(rgb[box.y : box.y + box.height, box.x : box.x + box.width], side_px)
        factor = _PLANAR[self._frame.format.name]
        luma = self.grey_crop(box, side_px)
        top, left = box.y // factor, box.x // factor
        height, width = max(box.height // factor, 1), max(box.width // factor, 1)
        chroma = [
            resize(_plane(self._frame, number)[top : top + height, left : left + width], side_px) for number in (1, 2)
        ]
        return _yuv_to_rgb(np.stack([luma, *chroma], axis=-1), self._matrix)

    @property
    def _matrix(self) -> tuple[bool, bool]:
        full = self._frame.color_range == _FULL_RANGE or self._frame.format.name.startswith("yuvj")
        return self._frame.colorspace == _BT709, full

    @property
    def _quarter_turns(self) -> int:
        return round(getattr(self._frame, "rotation", 0) / 90) % 4

    def _turned(self, image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(image, self._quarter_turns)) if self._quarter_turns else image


@dataclass
class Video:
    """What the container says of a video; `num_decoded` and `complete` are right once its frames are all read."""

    width: int = 0
    height: int = 0
    fps: float = 0.0
    num_decoded: int = 0
    complete: bool = True


def decode(path: Path, video: Video) -> Iterator[Frame]:
    """Yield the frames of a file in order of presentation, filling `video` in as they pass.

    Raises:
        VideoFault: `undecodable` when the file is no video or not one frame can be decoded. A file that breaks off
            later ends its frames early and leaves `video.complete` false.
    """
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoFault(Outcome.UNDECODABLE, f"it cannot be opened as a video ({_words(error)})") from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise VideoFault(Outcome.UNDECODABLE, "it holds no video stream")
        if stream.codec_context is None:
            raise VideoFault(Outcome.UNDECODABLE, "there is no decoder for its video stream")
        stream.thread_count = 1
        video.width, video.height = stream.codec_context.width, stream.codec_context.height
        video.fps = float(stream.average_rate or 0)
        faults = _Faults()
        last_s = 0.0
        for frame in _frames(container, stream, faults):
            last_s = float(frame.time) if frame.time is not None else video.num_decoded / (video.fps or 25.0)
            yield Frame(video.num_decoded, last_s, frame)
            video.num_decoded += 1
        if not video.num_decoded:
            raise VideoFault(Outcome.UNDECODABLE, f"not one frame can be decoded {faults.words}".strip())
        promised_s = container.duration / av.time_base if container.duration else 0.0
        missing = faults.num_packets < stream.frames or (not stream.frames and last_s < promised_s - 1.0)
        video.complete = not (faults.words or missing)


@dataclass
class _Faults:
    """What went wrong while packets were read."""

    num_packets: int = 0
    words: str = ""

    def add(self, error: BaseException) -> None:
        self.words = f"({_words(error)})"


def _frames(container: av.container.InputContainer, stream: av.VideoStream, faults: _Faults) -> Iterator[av.VideoFrame]:
    """All frames that can be decoded; a damaged packet costs what it holds and no more."""
    packets = container.demux(stream)
    ended = False
    while not ended:
        try:
            packet = next(packets, None)
            ended = packet is None
            frames = packet.decode() if packet else []  # the last packet is empty and gives what the decoder holds
            faults.num_packets += bool(packet and packet.size)
        except (av.FFmpegError, ValueError) as error:
            faults.add(error)
            frames = []
        yield from frames
    with suppress(av.FFmpegError, ValueError):  # the decoder may have been emptied before
        yield from stream.codec_context.decode(None) if faults.words else []


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The part of an image that lies in a box, as a view."""
    return image[box.y : box.y + box.height, box.x : box.x + box.width]


def resize(image: np.ndarray, side_px: int) -> np.ndarray:
    """Resize to a square; area averaging when it shrinks."""
    shrinks = image.shape[0] > side_px
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _plane(frame: av.VideoFrame, number: int) -> np.ndarray:
    plane = frame.planes[number]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _yuv_to_rgb(yuv: np.ndarray, matrix: tuple[bool, bool]) -> np.ndarray:
    """uint8 YUV (H, W, 3) to RGB by ITU-R BT.601 or BT.709, studio or full range."""
    bt709, full = matrix
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    luma_gain, chroma_gain, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    red_v, blue_u = 2 * (1 - kr) * chroma_gain, 2 * (1 - kb) * chroma_gain
    kg = 1 - kr - kb
    to_rgb = np.array(
        [
            [luma_gain, 0.0, red_v],
            [luma_gain, -blue_u * kb / kg, -red_v * kr / kg],
            [luma_gain, blue_u, 0.0],
        ]
    )
    offset = -to_rgb @ np.array([black, 128.0, 128.0])
    return cv2.transform(yuv, np.column_stack([to_rgb, offset]))  # rounds and saturates


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
