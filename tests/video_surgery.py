"""Makes real video files that are broken, odd or misleading: encoders first, then surgery on bytes."""

import functools
import random
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from conftest import draw_moving_face, draw_wall

Frames = list[np.ndarray]
Size = tuple[int, int]

NUM_FRAMES = 34
SIZE = (320, 240)


@functools.cache
def moving_face(size: Size = SIZE, num_frames: int = NUM_FRAMES, scale_px: float = 72.0, start: float = 0.3) -> Frames:
    """A face that moves 3 px a frame to the right."""
    return draw_moving_face(3.0, num_frames, size, scale_px, start=start)


@functools.cache
def wall(num_frames: int = NUM_FRAMES, size: Size = SIZE) -> Frames:
    return draw_wall(num_frames, size)


def enlarged(num_frames: int) -> Frames:
    """The moving face on frames of 7680x4320 px, 24 times as large as they were drawn."""
    small = moving_face((320, 180), num_frames, 50.0)
    return [cv2.resize(frame, (7680, 4320), interpolation=cv2.INTER_LINEAR) for frame in small]


def two_faces() -> Frames:
    """The moving face and, to its right, a smaller one that stands still."""
    small = draw_moving_face(0.0, 1, (320, 240), 40.0, subject=5, start=0.5)[0]
    right = np.ascontiguousarray(small[:, 70:250])
    return [np.concatenate([frame, right], axis=1) for frame in moving_face((320, 240), 20)]


def add_video(
    container: av.container.OutputContainer,
    frames: Frames,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
    degrees: int = 0,
    pixel_aspect: Fraction | int = 1,
) -> av.VideoStream:
    """A stream for these frames that is ready to encode."""
    fast = {"libx264": {"preset": "ultrafast", "crf": "12"}, "libx264rgb": {"preset": "ultrafast", "crf": "12"}}
    more = {"libx265": {"preset": "ultrafast", "crf": "12", "x265-params": "log-level=none"}}
    more |= {"libsvtav1": {"preset": "10", "crf": "15"}, "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"}}
    stream = container.add_stream(
        codec, rate=Fraction(rate), options=fast.get(codec, {}) | more.get(codec, {}) | (options or {})
    )
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = pix_fmt
    stream.thread_count = 1
    if pix_fmt.startswith(
        "gray"
    ):  # FFmpeg converts to grey of full range; a video that does not say so is of studio range
        stream.codec_context.color_range = 2
    if codec != "libsvtav1":  # takes a quality or a rate
        stream.bit_rate = 3_000_000
    if pixel_aspect != 1:
        stream.codec_context.sample_aspect_ratio = pixel_aspect
    if degrees:
        stream.set_display_rotation(degrees)
    return stream


def encode(
    path: Path,
    frames: Frames,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    rate: int = 25,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    pts_ms: Iterable[int] | None = None,
    degrees: int = 0,
    audio_s: float = 0.0,
    metadata: dict[str, str] | None = None,
    pixel_aspect: Fraction | int = 1,
) -> None:
    """Write uint8 RGB frames as a video.

    Args:
        container: FFmpeg's name of the muxer; guessed from the suffix by default.
        pts_ms: times of the frames; a constant rate by default.
        degrees: counterclockwise rotation that the container asks for.
        audio_s: seconds of a tone beside the pictures.
        pixel_aspect: width of a pixel over its height, as codec and container declare it.
    """
    with av.open(f"file:{path}", "w", format=container, options=muxer or {}) as file:
        file.metadata.update(metadata or {})
        stream = add_video(file, frames, codec, pix_fmt, rate, options, degrees, pixel_aspect)
        tone = file.add_stream("aac", rate=16000, layout="mono") if audio_s else None
        times = list(pts_ms) if pts_ms is not None else None
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if tone:
            write_tone(file, tone, audio_s)


def write_tone(file: av.container.OutputContainer, tone: av.AudioStream, seconds: float) -> None:
    for start in range(0, round(16000 * seconds), 1024):
        wave = np.sin(np.arange(start, start + 1024) * 0.1).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = 16000, start
        file.mux(tone.encode(sound))
    file.mux(tone.encode())


def encode_raw(path: Path, parts: list[Frames], container: str, codec: str = "libx264") -> None:
    """Several streams of different size one behind the other, as a camera writes that changes its resolution."""
    with path.open("wb") as target:
        for number, frames in enumerate(parts):
            piece = path.with_name(f"piece{number}")
            options = {"bf": "0"} if codec == "libx264" else {}
            encode(piece, frames, codec, "yuvj420p" if codec == "mjpeg" else "yuv420p", container, options=options)
            target.write(piece.read_bytes())
            piece.unlink()


def encode_streams(path: Path, streams: list[Frames], cover_first: bool = False, cover: bool = False) -> None:
    """Several video streams in one file, one of them a cover picture if wanted."""
    with av.open(f"file:{path}", "w") as file:
        pictures = [wall(1)] if cover or cover_first else []
        order = pictures + streams if cover_first else streams + pictures
        made = []
        for frames in order:
            stream = add_video(file, frames, *(("mjpeg", "yuvj420p") if frames in pictures else ()))
            if frames in pictures:
                stream.disposition = av.stream.Disposition.attached_pic
            made.append(stream)
        for stream, frames in zip(made, order, strict=True):
            for image in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            file.mux(stream.encode())


def encode_sound(path: Path, codec: str = "aac", container: str | None = None) -> None:
    with av.open(f"file:{path}", "w", format=container) as file:
        write_tone(file, file.add_stream(codec, rate=16000, layout="mono"), 2.0)


def encode_subtitles(path: Path) -> None:
    text = path.with_suffix(".srt")
    text.write_text("".join(f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\nline {n}\n\n" for n in range(3)))
    remux(text, path, lambda packet: None)
    text.unlink()


def remux(source: Path, path: Path, change: Callable[[av.Packet], None]) -> None:
    """Copy the first stream of a file into a Matroska file, with every packet changed on the way."""
    with av.open(f"file:{source}") as old, av.open(f"file:{path}", "w", format="matroska") as new:
        stream = new.add_stream_from_template(old.streams[0])
        for packet in old.demux():
            if packet.dts is not None:
                change(packet)
                packet.stream = stream
                new.mux(packet)


def same_time_twice(path: Path) -> None:
    """Every second frame has the time of the one before it."""

    def change(packet: av.Packet) -> None:
        step = round(Fraction(2, 25) / packet.time_base)
        packet.pts = packet.dts = packet.pts // step * step

    piece = path.with_name("piece.avi")
    encode(piece, moving_face(), "mjpeg", "yuvj420p")
    remux(piece, path, change)
    piece.unlink()


def mp3_with_cover(path: Path) -> None:
    """An ID3 tag with a picture before frames of MPEG audio that hold silence."""
    jpeg = cv2.imencode(".jpg", wall(1)[0])[1].tobytes()
    body = b"\x00image/jpeg\x00\x03\x00" + jpeg
    tag = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = bytes(len(tag) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\x00\x00" + size + tag + (b"\xff\xfb\x90\x64" + bytes(413)) * 60)


def rewritten(write: Callable[[Path], None], change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A writer whose file is changed byte by byte afterwards."""

    def write_changed(path: Path) -> None:
        write(path)
        path.write_bytes(change(path.read_bytes()))

    return write_changed


def cut(share: float) -> Callable[[bytes], bytes]:
    """Keep the first share of a file; an odd number of bytes, so that no packet ends there by chance."""
    return lambda content: content[: int(len(content) * share) | 1]


def flip_bits(seed: int, num_flips: int = 12, first: float = 0.05) -> Callable[[bytes], bytes]:
    """Turn single bits over behind the first share of a file."""

    def flip(content: bytes) -> bytes:
        rng, damaged = random.Random(seed), bytearray(content)
        for _ in range(num_flips):
            damaged[rng.randrange(int(len(content) * first), len(content))] ^= 1 << rng.randrange(8)
        return bytes(damaged)

    return flip


def patch(mark: bytes, offset: int, value: bytes, occurrence: int = 0) -> Callable[[bytes], bytes]:
    """Overwrite bytes at a distance from a mark; `occurrence` may be -1 for all of them."""

    def overwrite(content: bytes) -> bytes:
        starts = [at for at in range(len(content) - len(mark)) if content.startswith(mark, at)]
        assert starts, f"{mark!r} is not in the file"
        damaged = bytearray(content)
        for at in starts if occurrence < 0 else starts[occurrence : occurrence + 1]:
            damaged[at + offset : at + offset + len(value)] = value
        return bytes(damaged)

    return overwrite


def without_fragment(number: int) -> Callable[[bytes], bytes]:
    """Take one fragment (`moof` and `mdat`) out of a fragmented MP4."""

    def remove(content: bytes) -> bytes:
        at, boxes = 0, []
        while at + 8 <= len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            boxes.append((content[at + 4 : at + 8], content[at : at + length]))
            at += length
        starts = [index for index, (kind, _) in enumerate(boxes) if kind == b"moof"]
        gone = {starts[number], starts[number] + 1}
        kept = [box for index, (kind, box) in enumerate(boxes) if index not in gone and kind != b"mfra"]
        return b"".join(kept)

    return remove


def with_dropped_frames(content: bytes) -> bytes:
    """Empty every fourth chunk of an AVI, which is how a recorder says `the same picture again`."""
    damaged, at, number = bytearray(content.replace(b"idx1", b"JUNK")), content.index(b"movi") + 4, 0
    while content[at : at + 4] in (b"00dc", b"JUNK"):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        number += 1
        if number % 4 == 0:
            damaged[at + 4 : at + 16] = bytes(4) + b"JUNK" + (length - 8).to_bytes(4, "little")
        at += 8 + length + length % 2
    return bytes(damaged)


def with_edit_list(skipped_frames: int) -> Callable[[bytes], bytes]:
    """Let the edit list of an MP4 begin later, as a phone does that trims a clip without encoding it again."""

    def trim(content: bytes) -> bytes:
        at = content.index(b"elst")
        scale = int.from_bytes(content[content.index(b"mdhd") + 16 : content.index(b"mdhd") + 20], "big")
        begin = int.from_bytes(content[at + 16 : at + 20], "big") + skipped_frames * scale // 25
        kept_ms = int.from_bytes(content[at + 12 : at + 16], "big") - skipped_frames * 40
        return content[: at + 12] + struct.pack(">II", kept_ms, begin) + content[at + 20 :]

    return trim
