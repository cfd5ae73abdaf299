"""Videos as a stream of frames: files decoded by PyAV (FFmpeg's libraries) on one thread, images by OpenCV."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome
from tasks.video.containers import (
    MAX_PIXELS,
    av_words,
    check_disk,
    check_file,
    is_cut,
    is_listed_beyond_end,
    is_short_of_frames,
    open_container,
    picture_stream,
)
from tasks.video.frame_times import FrameTimes
from tasks.video.frames import Frame, StreamDisplay
from tasks.video.image_sequences import (
    IMAGES,
    SEQUENCE_FPS,
    STILL,
    is_image_sequence,
    is_still,
    read_image,
    sequence_images,
)

_INTERLACED = range(2, 6)  # FFmpeg's AV_FIELD_TT, BB, TB and BT: what the container says of a codec that does not
#: A true frame rate that differs by less from the declared one is the declared one.
_RATE_TOLERANCE = 0.01


@dataclass
class Video:
    """Facts of a video; the numbers of frames and `complete` are right once its frames are all read.

    Args:
        width, height: of the first frame as it is shown, in px.
        codec: FFmpeg's name of what the pictures are encoded with, or `IMAGES` or `STILL`.
        declared_fps: frames a second by the container's header; 0 when it tells none, as of a still.
        duration_s: how long the frames are shown, by their times.
        start_s: when the first frame is shown by the clock of the file, which sound and pictures share.
        tick_s: the unit in which the file counts times.
        num_damaged: frames that could not be decoded as they were filmed, or build on such a frame.
        is_interlaced: whether frames hold two moments, in the even and in the odd lines.
        is_hdr: whether the first frame's values follow a curve of high dynamic range.
        complete: whether the file ends where it should.
        fault: where and why an incomplete one breaks off, as far as that is known.
    """

    width: int = 0
    height: int = 0
    codec: str = ""
    declared_fps: float = 0.0
    duration_s: float = 0.0
    start_s: float = 0.0
    tick_s: Fraction = Fraction(1, 90_000)
    num_decoded: int = 0
    num_damaged: int = 0
    is_interlaced: bool = False
    is_hdr: bool = False
    complete: bool = True
    fault: str = ""

    @property
    def fps(self) -> float:
        """Frames a second by their times; as declared where that agrees, for times are rounded in many files."""
        measured = self.num_decoded / self.duration_s if self.duration_s else 0.0
        agrees = self.declared_fps and abs(measured / self.declared_fps - 1) < _RATE_TOLERANCE
        return self.declared_fps if agrees or not measured else measured


def decode(path: Path, video: Video) -> Iterator[Frame]:
    """Yield the frames of a video in order of presentation, filling `video` in as they pass.

    Args:
        path: a video file, a folder of numbered images, a pattern of them, or an image file, which is a video of one
            frame (see `tasks.video.image_sequences`).

    Raises:
        VideoFault: `undecodable` when it is no video or not one frame can be decoded, `truncated` when that is so
            because its end is missing, `unreadable` when disk or share fail, `file_missing` when no image fits the
            pattern. What breaks off later ends its frames early and leaves `video.complete` false; damage in the middle
            costs the frames that it spoils, which are marked.
    """
    if is_image_sequence(path):
        return _decode_images(path, video)
    return _decode_still(path, video) if is_still(path) else _decode_file(path, video)


def _decode_images(path: Path, video: Video) -> Iterator[Frame]:
    try:
        images = sequence_images(path)
    except OSError as error:
        raise VideoFault(Outcome.UNREADABLE, f"the folder cannot be read ({error.strerror or error})") from error
    video.codec, video.declared_fps, video.tick_s = IMAGES, SEQUENCE_FPS, 1 / Fraction(SEQUENCE_FPS)
    for number, image in images:
        try:
            pixels = read_image(image)
            height, width = pixels.shape[:2]
            if video.num_decoded and (width, height) != (video.width, video.height):
                sizes = f"{width}x{height} px, those before it {video.width}x{video.height}"
                raise VideoFault(Outcome.UNDECODABLE, f"{image.name} has {sizes}")
        except VideoFault as fault:
            if not video.num_decoded:
                raise
            video.complete, video.fault = False, fault.message
            return
        video.width, video.height = width, height
        video.duration_s = (number - images[0].number + 1) / SEQUENCE_FPS
        yield Frame(video.num_decoded, (number - images[0].number) / SEQUENCE_FPS, as_frame(pixels))
        video.num_decoded += 1


def _decode_still(path: Path, video: Video) -> Iterator[Frame]:
    check_file(path)
    pixels = read_image(path)
    video.codec = STILL
    video.height, video.width = pixels.shape[:2]
    yield Frame(0, 0.0, as_frame(pixels))
    video.num_decoded = 1


def as_frame(pixels: np.ndarray) -> av.VideoFrame:
    """A picture as `read_image` gives it: uint8 BGR (height, width, 3) or grey (height, width)."""
    return av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "bgr24")


def _decode_file(path: Path, video: Video) -> Iterator[Frame]:
    with open_container(path) as container:
        stream = picture_stream(container)
        codec = stream.codec_context
        codec.thread_count = 1
        times, display = FrameTimes(container, stream), StreamDisplay(path, stream)
        video.width, video.height = codec.width, codec.height
        video.codec, video.declared_fps = codec.name, times.declared_fps
        video.tick_s = stream.time_base or video.tick_s
        faults = _Faults()
        for frame in _frames(container, stream, times, faults):
            shown = Frame(video.num_decoded, times.time_of(frame), frame, faults.spoil(frame), display.of(frame))
            if not video.num_decoded:
                video.height, video.width = shown.size
                video.is_hdr, video.start_s = shown.is_hdr, times.origin_s
            yield shown
            video.num_decoded += 1
            video.is_interlaced |= shown.is_interlaced
            video.num_damaged += shown.damaged
            video.duration_s = times.duration_s
        video.is_interlaced |= codec.field_order in _INTERLACED
        cut, num_listed = is_cut(path), stream.frames
        if cut is None:
            cut = faults.last_is_corrupt or faults.packet_is_short or is_short_of_frames(container, stream, faults.end)
        cut = cut or is_listed_beyond_end(container, stream) or (video.num_decoded > 0 and faults.packet_is_blank)
    if not video.num_decoded:
        raise _frameless(cut, faults.words, video)
    if not cut and faults.io_error:
        check_disk(faults.io_error)
    video.complete = not cut
    if cut and num_listed > video.num_decoded:
        video.fault = f"its header lists {num_listed}"


@dataclass
class _Faults:
    """What went wrong while packets were read, and whether it still spoils the frames that follow.

    Args:
        last_is_corrupt: whether the last frame is not as it was filmed.
        packet_is_short: whether the file ended within the last packet.
        packet_is_blank: whether the last packet holds zeros and no picture: its place was reserved and never filled.
        end: of the last packet, in the stream's units of time.
    """

    words: str = ""
    io_error: OSError | None = None
    last_is_corrupt: bool = False
    packet_is_short: bool = False
    packet_is_blank: bool = False
    end: int = 0
    _spoiling: bool = False

    def add(self, error: BaseException) -> None:
        self.words = av_words(error)
        self._spoiling = True

    def spoil(self, frame: av.VideoFrame) -> bool:
        """Whether a frame is damaged: it or one that it builds on could not be decoded as it was filmed."""
        self.last_is_corrupt = frame.is_corrupt
        self._spoiling = frame.is_corrupt or (self._spoiling and not frame.key_frame)
        return self._spoiling


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream, times: FrameTimes, faults: _Faults
) -> Iterator[av.VideoFrame]:
    """All frames that can be decoded; a damaged packet costs what it holds and no more."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError) as error:  # the container cannot be read on
            faults.add(error)
            faults.io_error = error if isinstance(error, OSError) else None
            packet = None
        if packet is None:
            break
        times.see(packet)
        if packet.size:  # an empty one repeats a frame (AVI) or ends the stream; for a decoder it is the end
            frames = _decoded(stream, packet, faults)
            faults.packet_is_short = packet.is_corrupt
            faults.packet_is_blank = not frames and not any(bytes(packet))
            faults.end = (packet.dts or 0) + (packet.duration or 0)
            yield from frames
    yield from _decoded(stream, None, faults)


def _decoded(stream: av.VideoStream, packet: av.Packet | None, faults: _Faults) -> list[av.VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except (av.FFmpegError, ValueError) as error:
        faults.add(error)
        return []


def _frameless(cut: bool | None, words: str, video: Video) -> VideoFault:
    if video.width * video.height > MAX_PIXELS:
        limit = f"more than the {MAX_PIXELS:,} pixels that are decoded"
        return VideoFault(Outcome.UNDECODABLE, f"it declares frames of {video.width}x{video.height} px, {limit}")
    if cut:
        return VideoFault(Outcome.TRUNCATED, "it breaks off before its first frame; copy it again")
    return VideoFault(Outcome.UNDECODABLE, f"not one frame can be decoded ({words or 'its video stream is empty'})")
