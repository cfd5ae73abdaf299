"""The sound of a video goes along when its pictures are written anew: as it is, or encoded again where it must be.

It is read beside the pictures and written up to the time that they have reached, so that hardly any of it is held.
Sound that cannot be read or written is left out, and said.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

import av

from fer_models.errors import VideoFault
from tasks.video.containers import av_words, open_container

#: What an MP4 file can hold and players know, by FFmpeg's names.
COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
_ENCODER: Final = "aac"
#: What AAC can have, in Hz.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_BITS_A_CHANNEL = 64_000
#: Sound that goes back by more than this belongs to another recording; less is disorder, and is left out.
_RESTART_S = 0.5


def sound_bytes(path: Path) -> int:
    """How many bytes of a video file are sound; 0 where it cannot be read."""
    with suppress(VideoFault), open_container(path) as container:
        return sum(packet.size for packet in _packets(container))
    return 0


class Sound:
    """All sound of a video on its way into an MP4 file.

    Args:
        path: the video file.
        target: the MP4 file, to which nothing was written yet.
        pictures_start_s: when the first picture is shown, by the clock of the video file.

    Raises:
        VideoFault: the video file cannot be opened.
    """

    def __init__(self, path: Path, target: av.container.OutputContainer, pictures_start_s: float) -> None:
        self._source, self._target = open_container(path), target
        starts_s = [
            float(stream.start_time * stream.time_base)
            for stream in self._source.streams.audio
            if stream.start_time is not None and stream.time_base
        ]
        # what lies before zero is not heard: an encoder's first samples
        self.start_s = min([pictures_start_s, *(max(start_s, 0.0) for start_s in starts_s)])
        self.remark = ""
        self._tracks: dict[int, _Track] = {}
        for stream in self._source.streams.audio:
            try:
                self._tracks[stream.index] = _track(stream, target, self.start_s)
            except (av.FFmpegError, ValueError) as error:
                self._leave_out(stream.index, error)
        self._packets = _packets(self._source) if self._tracks else iter(())
        self._next = next(self._packets, None)

    def advance(self, time_s: float) -> None:
        """Write the sound up to a time by the clock of the MP4 file."""
        while self._next and (self._next.dts or 0) * float(self._next.time_base) - self.start_s <= time_s:
            self._write(self._next.stream_index, self._next)
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write the rest."""
        self.advance(float("inf"))
        for index in list(self._tracks):
            self._write(index, None)

    def close(self) -> None:
        """Close the video file."""
        self._source.close()

    def _write(self, index: int, packet: av.Packet | None) -> None:
        try:
            if index in self._tracks:
                self._target.mux(self._tracks[index].take(packet))
        except (av.FFmpegError, ValueError) as error:
            self._leave_out(index, error)

    def _leave_out(self, index: int, error: BaseException) -> None:
        self._tracks.pop(index, None)
        self.remark = f"not all of its sound could be kept ({av_words(error)})"


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    """All packets of sound, up to where the file cannot be read on."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    packets = container.demux(streams) if streams else iter(())
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError):
            return
        if packet is None:
            return
        if packet.size and packet.dts is not None:
            yield packet


class _Track(Protocol):
    def take(self, packet: av.Packet | None) -> list[av.Packet]:
        """What comes of the next packet, or at the end, ready to be written."""
        ...


def _track(stream: av.AudioStream, target: av.container.OutputContainer, start_s: float) -> _Track:
    if stream.codec_context is None:
        raise ValueError("there is no decoder for it")
    return (_Copied if _can_be_copied(stream) else _Encoded)(stream, target, start_s)


def _can_be_copied(stream: av.AudioStream) -> bool:
    """Whether an MP4 file can begin with such a stream: some lack what stands in its header."""
    if stream.codec_context.codec.canonical_name not in COPIED:
        return False
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


class _Copied:
    """Sound that stays as it is encoded."""

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer, start_s: float) -> None:
        self._stream = target.add_stream_from_template(stream)
        self._times = _Times(stream.time_base or Fraction(1, 90_000), start_s)

    def take(self, packet: av.Packet | None) -> list[av.Packet]:
        if packet is None or packet.dts is None:
            return []
        pts = packet.dts if packet.pts is None else packet.pts
        dts = self._times.of(packet.dts, packet.duration or 0)
        if dts is None:
            return []
        packet.pts, packet.dts, packet.stream = pts - packet.dts + dts, dts, self._stream
        return [packet]


class _Encoded:
    """Sound that is decoded and encoded as AAC."""

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer, start_s: float) -> None:
        self._source = stream.codec_context
        rate = min(_RATES, key=lambda rate: abs(rate - self._source.sample_rate))
        layout = "mono" if self._source.layout.nb_channels == 1 else "stereo"
        self._stream = target.add_stream(_ENCODER, rate=rate, layout=layout)
        self._stream.bit_rate = _BITS_A_CHANNEL * (1 if layout == "mono" else 2)
        self._times = _Times(stream.time_base or Fraction(1, 90_000), start_s)
        self._tick_s = stream.time_base

    def take(self, packet: av.Packet | None) -> list[av.Packet]:
        made: list[av.Packet] = []
        try:
            frames = self._source.decode(packet)
        except (av.FFmpegError, ValueError):  # damage costs what it spoils
            frames = []
        for frame in frames:
            samples_s = Fraction(frame.samples, frame.sample_rate)
            if frame.pts is not None and frame.time_base and self._tick_s:
                ticks = round(frame.pts * frame.time_base / self._tick_s)
                frame.pts = self._times.of(ticks, round(samples_s / self._tick_s))
                frame.time_base = self._tick_s
            made += self._stream.encode(frame) if frame.pts is not None else []
        return made if packet else [*made, *self._stream.encode(None)]


class _Times:
    """Times by the clock of the MP4 file, which never run backwards, in ticks of the stream."""

    def __init__(self, tick_s: Fraction, start_s: float) -> None:
        self._shift = round(start_s / tick_s)
        self._restart = round(_RESTART_S / tick_s)
        self._last: int | None = None
        self._end = 0

    def of(self, ticks: int, duration: int) -> int | None:
        """The time of a packet by that of its own stream; None for one that comes too late."""
        time = ticks - self._shift
        if self._last is not None and time <= self._last:
            if self._last - time < self._restart:
                return None
            self._shift -= self._end - time
            time = self._end
        self._last, self._end = time, time + duration
        return time
