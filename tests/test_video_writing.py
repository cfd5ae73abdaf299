"""Videos that are written anew: pictures at their times, the sound that was there."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_surgery import add_video, cut, encode, moving_face

from fer_models.errors import UserError
from tasks.video.decoding import Video, decode
from tasks.video.writing.mp4 import PictureWriter, Plan, _options, _ticks_a_second
from tasks.video.writing.remaking import remake
from tasks.video.writing.sound import COPIED, sound_bytes

#: A tone that begins and ends where the sound does, so that a shift is seen.
_TONE_HZ, _LOUD = 440, 0.2


def write_sound(path: Path, codec: str, rate: int, layout: str = "stereo", delay_s: float = 0.0) -> None:
    """A video of 1.36 s with a tone from `delay_s` on that lasts 1.2 s."""
    video_codec = {".mpg": "mpeg2video"}.get(path.suffix, "libx264")
    with av.open(str(path), "w") as file:
        pictures = add_video(file, moving_face(), video_codec)
        tone = file.add_stream(codec, rate=rate, layout=layout)
        for image in moving_face():
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(pictures.encode())
        channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
        for start in range(0, int(1.2 * rate), 1024):
            wave = np.sin(np.arange(start, start + 1024) * _TONE_HZ * 2 * np.pi / rate) * 12000
            samples = np.repeat(wave.astype(np.int16)[:, None], channels, axis=1).reshape(1, -1)
            sound = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            sound.sample_rate, sound.pts, sound.time_base = rate, start + round(delay_s * rate), Fraction(1, rate)
            file.mux(tone.encode(sound))
        file.mux(tone.encode())


def remade(source: Path, target: Path) -> str:
    """The same pictures written again; returns what could not be kept."""
    video = Video()
    frames = list(decode(source, video))
    height, width = frames[0].size
    plan = Plan(width, height, len(frames), video.duration_s, video.tick_s)
    with remake(source, video, target, plan) as writer:
        for frame in frames:
            writer.add(frame.picture(9999), frame.pts_s)
    return writer.remark


def heard_from_to(path: Path) -> tuple[float, float]:
    """When the sound begins and ends to be loud, in seconds from the first picture on."""
    with av.open(str(path)) as file:
        first = next(file.decode(video=0)).time or 0.0
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", stream.codec_context.sample_rate)
        loud_s = [
            (frame.time + np.flatnonzero(np.abs(frame.to_ndarray()[0]) > _LOUD) / frame.sample_rate)
            for decoded in file.decode(stream)
            for frame in resampler.resample(decoded)
        ]
    times_s = np.concatenate(loud_s)
    return float(times_s[0]) - first, float(times_s[-1]) - first


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "delay_s"),
    [
        ("aac.mkv", "aac", 44100, "stereo", 0.0),
        ("late.mkv", "aac", 44100, "stereo", 0.5),
        ("stream.ts", "aac", 44100, "stereo", 0.0),
        ("opus.webm.mkv", "libopus", 48000, "stereo", 0.0),
        ("flac.mkv", "flac", 44100, "stereo", 0.0),
        ("mp3.mkv", "libmp3lame", 44100, "stereo", 0.0),
        ("pcm.mov", "pcm_s16le", 44100, "stereo", 0.0),
        ("mono.mov", "pcm_s16le", 8000, "mono", 0.0),
        ("fast.mkv", "pcm_s16le", 96000, "stereo", 0.25),
        ("surround.mkv", "pcm_s16le", 48000, "5.1", 0.0),
        ("mp2.mpg", "mp2", 44100, "stereo", 0.0),
    ],
)
def test_sound_stays_where_it_is(tmp_path: Path, name: str, codec: str, rate: int, layout: str, delay_s: float) -> None:
    source, target = tmp_path / name, tmp_path / "out.mp4"
    write_sound(source, codec, rate, layout, delay_s)
    assert remade(source, target) == ""
    assert heard_from_to(target) == pytest.approx(heard_from_to(source), abs=0.03)
    with av.open(str(source)) as old, av.open(str(target)) as new:
        before, after = old.streams.audio[0].codec_context.codec, new.streams.audio[0].codec_context.codec
        assert after.canonical_name == (before.canonical_name if before.canonical_name in COPIED else "aac")


def test_sound_that_mp4_can_hold_is_copied_bit_by_bit(tmp_path: Path) -> None:
    source, target = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    encode(source, moving_face(), audio_s=2.5)
    remade(source, target)
    old, new = (
        [bytes(packet) for packet in file.demux(audio=0) if packet.size]
        for file in (av.open(str(source)), av.open(str(target)))
    )
    assert old == new
    assert sound_bytes(source) == sum(map(len, old)) > 0


def test_all_languages_are_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "clip.mkv", tmp_path / "out.mp4"
    write_sound(tmp_path / "one.mkv", "aac", 44100)
    with av.open(str(tmp_path / "one.mkv")) as old, av.open(str(source), "w") as new:
        copies = [new.add_stream_from_template(old.streams[number]) for number in (0, 1, 1)]
        for packet in old.demux():
            if packet.dts is not None:
                content, is_sound = packet, packet.stream_index == 1
                for copy in copies[1:] if is_sound else copies[:1]:
                    again = av.Packet(bytes(content))
                    again.pts, again.dts, again.time_base, again.stream = (
                        content.pts,
                        content.dts,
                        content.time_base,
                        copy,
                    )
                    new.mux(again)
    remade(source, target)
    with av.open(str(target)) as file:
        assert len(file.streams.audio) == 2


def test_sound_of_a_file_that_breaks_off_ends_there(tmp_path: Path) -> None:
    whole, source, target = tmp_path / "whole.mkv", tmp_path / "clip.mkv", tmp_path / "out.mp4"
    encode(whole, moving_face(), options={"g": "5"}, audio_s=1.4)
    source.write_bytes(cut(0.6)(whole.read_bytes()))
    remade(source, target)
    assert 0 < sound_bytes(target) < sound_bytes(whole)


def test_sound_that_cannot_be_written_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "clip.mov", tmp_path / "out.mp4"
    write_sound(source, "pcm_s16le", 44100)
    monkeypatch.setattr("tasks.video.writing.sound._ENCODER", "no_such_encoder")
    assert "not all of its sound could be kept" in remade(source, target)
    with av.open(str(target)) as file:
        assert len(list(file.decode(video=0))) == 34


def test_without_an_encoder_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.video.writing.mp4._ENCODER", "no_such_encoder")
    with (
        av.open(str(tmp_path / "out.mp4"), "w") as file,
        pytest.raises(UserError, match="This build of PyAV has no encoder"),
    ):
        PictureWriter(file, Plan(320, 240, 1, 1.0, Fraction(1, 25)))


def test_colours_survive(tmp_path: Path) -> None:
    """Of matrices and ranges, those that are written are those that are declared."""
    for number, (height, width) in enumerate(((240, 320), (720, 1280))):
        source, target = tmp_path / f"{number}.mkv", tmp_path / f"{number}.mp4"
        picture = np.zeros((height, width, 3), np.uint8)
        picture[: height // 2, : width // 2], picture[height // 2 :, : width // 2] = (200, 30, 30), (30, 200, 30)
        picture[:, width // 2 :] = (30, 30, 200)
        encode(source, [picture] * 2, "ffv1", "bgr0")
        remade(source, target)
        for frame in decode(target, Video()):
            assert np.abs(frame.picture(9999).astype(int) - picture).mean() < 5


@pytest.mark.parametrize(
    ("tick_s", "ticks"),
    [
        (Fraction(1, 12800), 12800),
        (Fraction(1001, 30000), 30000),
        (Fraction(1, 25), 12800),
        (Fraction(1, 1000), 16000),
        (Fraction(1, 90000), 90000),
        (Fraction(1, 10_000_000), 90000),
    ],
)
def test_clocks_hold_every_tick_of_the_source(tick_s: Fraction, ticks: int) -> None:
    assert _ticks_a_second(tick_s) == ticks


def test_the_rate_is_held_only_where_it_must_be() -> None:
    free = _options(Plan(320, 240, 100, 4.0, Fraction(1, 25)), Fraction(25))
    assert "maxrate" not in free
    bound = _options(Plan(320, 240, 100, 4.0, Fraction(1, 25), 100_000), Fraction(25))
    assert int(bound["maxrate"]) * 4.0 / 8 + int(bound["bufsize"]) / 8 < 100_000
