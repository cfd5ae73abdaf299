"""Pictures as the H.264 video of an MP4 file, each at its own time, and the file no larger than it may be.

The encoder is libx264, which PyAV's wheels carry. It is under the GNU GPL 2 or later (FFmpeg's libraries beside it are
under the LGPL): nothing here is linked to it, but who hands on an environment with such a wheel hands it on too.
"""

import math
from fractions import Fraction
from typing import Final, NamedTuple

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import VideoReformatter

from fer_models.errors import UserError

_ENCODER: Final = "libx264"
#: `crf` is x264's scale of quality: where nothing limits the size, losses can hardly be seen. No frame builds on a
#: later one (`bf`): that makes files an eighth larger and writes them a quarter faster, and with such frames x264
#: (build 165, on processors with AVX-512) makes another file of one video each time.
_ENCODING = {"preset": "veryfast", "crf": "23", "bf": "0"}
#: The most seconds between two pictures that a player can begin with.
_KEY_S = 4.0
#: Clocks of fewer ticks a second are refined by the container; of more, times would not fit into its fields.
_MIN_TICKS, _MAX_TICKS = 10_000, 1_000_000
_USUAL_TICKS = 90_000
#: What the container adds for a frame and for the whole, at most; the rate is held with the rest.
_FRAME_BYTES, _FILE_BYTES = 20, 2500
#: Of the size that is allowed: rate control is not exact.
_SHARE = 0.96
#: The encoder may run ahead of its rate by what this share of the video, or so many seconds, would take.
_AHEAD_SHARE, _AHEAD_S = 0.1, 2.0
_MAX_RATE = 200_000_000
_STUDIO_RANGE = 1  # AVCOL_RANGE_MPEG
_BT709, _BT601 = 1, 5  # AVCOL_SPC_*


class Plan(NamedTuple):
    """What is known of a video before its first picture is written.

    Args:
        width, height: of every picture in px, both even.
        num_frames, duration_s: of the whole.
        tick_s: the unit in which the times of its frames were counted.
        max_bytes: how large the video may become, without its sound; None for any size.
        threads: of the encoder. Another number makes another file that looks alike.
    """

    width: int
    height: int
    num_frames: int
    duration_s: float
    tick_s: Fraction
    max_bytes: int | None = None
    threads: int = 1


class PictureWriter:
    """The video stream of an MP4 file that is open for writing.

    Args:
        container: as `av.open(path, "w", format="mp4")` gives it.

    Raises:
        UserError: this PyAV has no encoder for H.264.
    """

    def __init__(self, container: av.container.OutputContainer, plan: Plan) -> None:
        duration_s = max(plan.duration_s, 0.04)
        fps = Fraction(max(plan.num_frames, 1) / duration_s).limit_denominator(1001)
        try:
            stream = container.add_stream(_ENCODER, rate=fps, options=_options(plan, fps))
        except av.codec.codec.UnknownCodecError as error:
            raise UserError(
                f"This build of PyAV has no encoder {_ENCODER}, which writes MP4; install the wheel (`pip install av`)."
            ) from error
        stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, "yuv420p"
        self._ticks = _ticks_a_second(plan.tick_s)
        self._matrix = _BT709 if plan.height > 576 or plan.width >= 1280 else _BT601
        codec = stream.codec_context
        codec.time_base = Fraction(1, self._ticks)
        codec.thread_count = plan.threads
        codec.flags |= Flags.frame_duration  # or the last picture is shown for the usual time
        codec.colorspace, codec.color_range = self._matrix, _STUDIO_RANGE
        self._container, self._stream = container, stream
        self._reformatter = VideoReformatter()
        self._held: av.VideoFrame | None = None  # the last picture, until it is known for how long it is shown

    def add(self, picture: np.ndarray, time_s: float) -> None:
        """Write one picture.

        Args:
            picture: uint8 RGB (height, width, 3).
            time_s: when it is shown, in seconds from the beginning of the file.
        """
        rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = self._reformatter.reformat(
            rgb, format="yuv420p", dst_colorspace=self._matrix, dst_color_range=_STUDIO_RANGE
        )
        frame.pts, frame.time_base = round(time_s * self._ticks), Fraction(1, self._ticks)
        if self._held:  # two frames of one time are one tick apart, or no player would take the file
            frame.pts = max(frame.pts, self._pts_of_held + 1)
            self._encode_held(frame.pts)
        self._held = frame

    def close(self, end_s: float) -> None:
        """Write what is held back; `end_s` is when the last picture ends."""
        self._encode_held(round(end_s * self._ticks))
        self._container.mux(self._stream.encode())

    @property
    def _pts_of_held(self) -> int:
        return (self._held.pts or 0) if self._held else 0

    def _encode_held(self, end: int) -> None:
        if self._held:
            self._held.duration = max(end - self._pts_of_held, 1)
            self._container.mux(self._stream.encode(self._held))


def _ticks_a_second(tick_s: Fraction) -> int:
    """A clock in which every multiple of a tick is a whole number, if it can be."""
    ticks = tick_s.denominator
    ticks *= 2 ** max(math.ceil(math.log2(_MIN_TICKS / ticks)), 0)
    return ticks if ticks <= _MAX_TICKS else _USUAL_TICKS


def _options(plan: Plan, fps: Fraction) -> dict[str, str]:
    options = {**_ENCODING, "g": str(max(round(_KEY_S * fps), 1))}
    if plan.max_bytes is None:
        return options
    room = max(_SHARE * plan.max_bytes - _FRAME_BYTES * plan.num_frames - _FILE_BYTES, 1000.0)
    duration_s = max(plan.duration_s, 0.04)
    ahead_s = min(_AHEAD_SHARE * duration_s, _AHEAD_S)
    rate = min(8 * room / (duration_s + ahead_s), _MAX_RATE)  # bits a second
    return options | {"maxrate": f"{rate:.0f}", "bufsize": f"{max(rate * ahead_s, 1000):.0f}"}
