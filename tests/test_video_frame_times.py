"""Times are those at which frames are shown: they never run backwards and end where the video does."""

from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw_wall
from odd_usable_videos import TIMES, Case
from video_surgery import encode, moving_face, with_dropped_frames

from tasks.config.prepare_settings import PrepareSettings
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.frame_times import FrameTimes


def times_of(path: Path) -> tuple[np.ndarray, Video]:
    video = Video()
    return np.array([frame.pts_s for frame in decode(path, video)]), video


def every_second_frame(path: Path) -> None:
    """An AVI of 24 frames/s in which each second frame is empty, which says `the same picture again`."""
    whole = path.with_name("whole.avi")
    encode(whole, moving_face(), "mjpeg", "yuvj420p", "avi", rate=24)
    content, at, number = whole.read_bytes(), whole.read_bytes().index(b"movi") + 4, 0
    thinned = bytearray(content.replace(b"idx1", b"JUNK"))
    while content[at : at + 4] in (b"00dc", b"JUNK"):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if number % 2:
            thinned[at + 4 : at + 16] = bytes(4) + b"JUNK" + (length - 8).to_bytes(4, "little")
        number += 1
        at += 8 + length + length % 2
    path.write_bytes(thinned)


def test_an_avi_of_every_second_frame_lasts_as_long_as_it_is_shown(tmp_path: Path) -> None:
    every_second_frame(tmp_path / "clip.avi")
    times, video = times_of(tmp_path / "clip.avi")
    assert (len(times), video.declared_fps) == (17, 24.0)
    assert np.diff(times) == pytest.approx(1 / 12)
    assert video.duration_s == pytest.approx(34 / 24)
    assert video.fps == pytest.approx(12.0)
    segments, report = prepare_video(tmp_path / "clip.avi", PrepareSettings(segment_stride=1, segment_length=4))
    assert (report.fps, report.duration_s) == (pytest.approx(12), pytest.approx(34 / 24, abs=1e-5))
    assert [segment.interval_s for segment in segments] == pytest.approx([1 / 12] * len(segments))


@pytest.mark.parametrize("case", TIMES, ids=lambda case: case.name)
def test_times_never_run_backwards(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.file_name
    case.write(path)
    times, video = times_of(path)
    assert times[0] == 0.0
    assert (np.diff(times) >= 0).all()
    assert times[-1] < video.duration_s < times[-1] + 2.0
    assert video.fps == pytest.approx(len(times) / video.duration_s, rel=0.011)


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [
        ("libx264", "avi", {"bf": "2"}),
        ("libx264", "avi", {"bf": "3", "preset": "medium", "b-adapt": "0"}),
        ("mpeg4", "avi", {"bf": "2"}),
        ("mpeg4", "avi", {}),
        ("libx264", "h264", {"bf": "2"}),
        ("libx264", "mpegts", {"bf": "3"}),
        ("mpeg2video", "mpeg", {"bf": "2"}),
        ("libx264", "matroska", {"bf": "3"}),
        ("libx264", "flv", {"bf": "2"}),
    ],
)
def test_reordered_frames_are_evenly_spaced(
    tmp_path: Path, codec: str, container: str, options: dict[str, str]
) -> None:
    path = tmp_path / "clip.any"
    encode(path, moving_face(), codec, container=container, options=options)
    times, video = times_of(path)
    assert len(times) == 34
    assert np.diff(times) == pytest.approx(0.04, abs=0.0011)
    assert (video.fps, video.duration_s) == (25.0, pytest.approx(34 / 25, abs=0.002))


def test_times_of_two_recordings_in_one_stream_go_on(tmp_path: Path) -> None:
    """Joined transport streams begin again at zero in the middle."""
    for number in range(2):
        encode(tmp_path / f"{number}.ts", moving_face(), container="mpegts", options={"bf": "0"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"{number}.ts").read_bytes() for number in range(2)))
    times, video = times_of(joined)
    assert len(times) == 68
    assert np.diff(times) == pytest.approx(0.04, abs=0.001)
    assert video.duration_s == pytest.approx(68 / 25, abs=0.01)


@pytest.mark.parametrize("offset_ms", [0, 80, 93_600_000])
def test_times_count_from_the_first_frame(tmp_path: Path, offset_ms: int) -> None:
    path = tmp_path / "clip.mkv"
    encode(path, draw_wall(10), pts_ms=[offset_ms + 40 * number for number in range(10)])
    times, video = times_of(path)
    assert times == pytest.approx(np.arange(10) * 0.04)
    assert video.duration_s == pytest.approx(0.4)


def test_a_frame_without_a_time_stands_between_its_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode(path, draw_wall(10))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times, seen = FrameTimes(container, stream), []
        for number, frame in enumerate(container.decode(stream)):
            if number in (0, 4, 5):
                frame.pts = None
            seen.append(times.time_of(frame))
    assert np.diff(seen) == pytest.approx(0.04)


def test_dropped_frames_leave_their_time(tmp_path: Path) -> None:
    encode(tmp_path / "whole.avi", moving_face(), "mjpeg", "yuvj420p", "avi")
    (tmp_path / "clip.avi").write_bytes(with_dropped_frames((tmp_path / "whole.avi").read_bytes()))
    times, video = times_of(tmp_path / "clip.avi")
    assert (len(times), video.duration_s) == (26, pytest.approx(34 / 25))
    assert set(np.round(np.diff(times), 3).tolist()) == {0.04, 0.08}
