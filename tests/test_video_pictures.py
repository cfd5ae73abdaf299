"""Repeats are found and stepped over, and motion is that of the time between two pictures, at whatever frame rate."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_moving_face, draw_wall, write_images
from test_real_clips import DATA
from video_surgery import encode, encode_raw

from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.frames import Frame
from tasks.video.pairs import is_far
from tasks.video.pictures import Pictures
from tasks.video.segments import FaceFrame, VideoReport

SPEED_PX_S = 60.0
DENSE = PrepareSettings(segment_stride=4)
NEIGHBOURS = PrepareSettings(segment_stride=4, pair="neighbours")

Frames = list[np.ndarray]


@cache
def scene(rate: float, num_frames: int = 24) -> Frames:
    """A face that moves by 60 px a second, filmed at so many frames a second."""
    return draw_moving_face(SPEED_PX_S / rate, num_frames, start=0.25)


def repeated(pictures: Frames, pattern: Iterable[int]) -> Frames:
    """Each picture as often as the pattern, over and over, says."""
    times = list(pattern)
    return [picture for number, picture in enumerate(pictures) for _ in range(times[number % len(times)])]


def speed_px_s(segments: Iterable[FaceFrame], seconds: float = 1 / 30) -> np.ndarray:
    """What the stored motion says of the speed of the face, in px of the video a second."""
    return np.array(
        [np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) * s.box[2] / 48 / seconds for s in segments]
    )


def prepare(
    folder: Path, frames: Frames, rate: int, settings: PrepareSettings = DENSE, **how: object
) -> tuple[list[FaceFrame], VideoReport]:
    path = folder / "clip.mp4"
    encode(path, frames, rate=rate, **how)  # type: ignore[arg-type]
    segments, report = prepare_video(path, settings)
    assert report.outcome is Outcome.OK
    assert report.num_segments == report.num_covered == len(segments) > 0
    return segments, report


@pytest.mark.parametrize("rate", [6, 10, 15, 24, 25, 30, 50, 60, 96, 120])
def test_the_same_scene_moves_as_fast_at_every_frame_rate(tmp_path: Path, rate: int) -> None:
    segments, report = prepare(tmp_path, scene(rate, max(20, rate // 2)), rate)
    assert np.median(speed_px_s(segments)) == pytest.approx(SPEED_PX_S, rel=0.12)
    assert report.repeated_share == 0
    wanted_s = max(1, round(rate / 30)) / rate
    assert [segment.interval_s for segment in segments] == pytest.approx([wanted_s] * len(segments), abs=1e-4)
    assert report.interval_s == pytest.approx(wanted_s, abs=1e-4)
    assert report.num_far == (len(segments) if rate < 20 else 0)


@pytest.mark.parametrize(
    ("pattern", "rate", "of_camera"),
    [
        ([2], 50, 25.0),
        ([2, 3], 60, 24.0),
        ([3, 2], 60, 24.0),
        ([2, 1, 1, 1], 30, 24.0),
        ([1, 1, 1, 1, 2], 30, 25.0),
        ([2, 2, 1], 50, 30.0),
        ([3], 30, 10.0),
        ([5], 25, 5.0),
        ([4], 60, 15.0),
    ],
)
@pytest.mark.parametrize("phase", [0, 1])
def test_repeats_are_stepped_over(tmp_path: Path, pattern: list[int], rate: int, of_camera: float, phase: int) -> None:
    """Whether a segment begins with a picture or with its repeat, motion is that of the camera's time."""
    frames = repeated(scene(of_camera, 24), pattern)[phase:][: 90 if rate > 30 else 60]
    segments, report = prepare(tmp_path, frames, rate)
    share = 1 - len(pattern) / sum(pattern)
    assert report.repeated_share == pytest.approx(share, abs=0.05)
    assert np.median(speed_px_s(segments)) == pytest.approx(SPEED_PX_S, rel=0.12)
    assert (speed_px_s(segments) > 0.5 * SPEED_PX_S).all(), "not one pair is still"
    assert report.interval_s == pytest.approx(1 / of_camera, rel=0.07)
    assert report.fps == rate, "what the file holds, repeats counted"


def test_neighbours_are_neighbours_whatever_they_show(tmp_path: Path) -> None:
    frames = repeated(scene(25, 24), [2])
    segments, report = prepare(tmp_path, frames, 50, NEIGHBOURS)
    assert np.abs(speed_px_s(segments, 1 / 25)).max() < 5, "each pair is a picture and its repeat"
    assert report.repeated_share == pytest.approx(0.5, abs=0.05)
    assert [segment.interval_s for segment in segments] == pytest.approx([0.02] * len(segments))
    assert report.num_far == 0
    plain, _ = prepare(tmp_path, frames[::2], 25, NEIGHBOURS)
    assert np.median(speed_px_s(plain, 1 / 25)) == pytest.approx(SPEED_PX_S, rel=0.12), "unscaled, in px a frame"


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"preset": "veryfast", "crf": "23", "bf": "2"}),
        ("libx264", {"preset": "ultrafast", "crf": "0", "qp": "0"}),
        ("mpeg4", {}),
        ("mpeg2video", {"bf": "2"}),
        ("libx265", {}),
    ],
    ids=["b-frames", "lossless", "mpeg4", "mpeg2", "hevc"],
)
def test_repeats_that_were_encoded_again_are_repeats(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    frames = repeated(scene(25, 24), [2])
    segments, report = prepare(tmp_path, frames, 50, codec=codec, options=options)
    assert report.repeated_share == pytest.approx(0.5, abs=0.08)
    assert np.median(speed_px_s(segments)) == pytest.approx(SPEED_PX_S, rel=0.12)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray"])
def test_repeats_are_found_in_every_format_of_pixels(tmp_path: Path, pix_fmt: str) -> None:
    _, report = prepare(tmp_path, repeated(scene(25, 20), [2]), 50, pix_fmt=pix_fmt)
    assert report.repeated_share == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [("rawvideo", "bgr24", "clip.avi"), ("rawvideo", "uyvy422", "clip.avi"), ("ffv1", "bgr0", "clip.mkv")],
)
def test_repeats_are_found_where_a_plane_holds_all_colours(tmp_path: Path, codec: str, pix_fmt: str, name: str) -> None:
    path = tmp_path / name
    encode(path, repeated(scene(25, 12), [2]), codec, pix_fmt, rate=50)
    assert prepare_video(path, DENSE)[1].repeated_share == pytest.approx(0.5, abs=0.05)


def test_repeats_with_something_else_moving_beside_the_face(tmp_path: Path) -> None:
    """A meeting recorder: 25 pictures a second of a face in a window, and a pointer that moves in every frame."""
    frames = [frame.copy() for frame in repeated(scene(25, 24), [2])]
    for number, frame in enumerate(frames):
        frame[4:24, 4 + 6 * number : 24 + 6 * number] = 255
    segments, report = prepare(tmp_path, frames, 50)
    assert report.repeated_share == pytest.approx(0.5, abs=0.06)
    assert (speed_px_s(segments) > 0.5 * SPEED_PX_S).all()


def test_a_picture_that_stands_still_loses_no_segment(tmp_path: Path) -> None:
    frames = [draw_moving_face(0.0, 1)[0]] * 34
    segments, _ = prepare(tmp_path, frames, 25)
    assert np.abs(speed_px_s(segments)).max() < 3
    assert [segment.interval_s for segment in segments] == pytest.approx([0.04] * len(segments))


def test_a_still_video_with_a_cameras_noise_repeats_nothing(tmp_path: Path) -> None:
    _, report = prepare(tmp_path, draw_moving_face(0.0, 60), 25)
    assert report.repeated_share < 0.1


@pytest.mark.parametrize("settings", [DENSE, NEIGHBOURS], ids=["time", "neighbours"])
@pytest.mark.parametrize(("length", "stride"), [(2, 1), (2, 2), (3, 1), (16, 1), (16, 16), (5, 7)])
def test_every_whole_segment_has_a_pair_within_it(
    tmp_path: Path, settings: PrepareSettings, length: int, stride: int
) -> None:
    """Also when the wanted second frame lies beyond its end, as in a segment of two frames at 120 frames/s."""
    settings = settings.model_copy(update={"segment_length": length, "segment_stride": stride})
    segments, report = prepare(tmp_path, scene(120, 30), 120, settings)
    assert report.num_segments == (30 - length) // stride + 1
    assert [segment.frame for segment in segments] == list(range(0, 30 - length + 1, stride))
    assert all(0 < segment.interval_s <= (length - 1) / 120 + 1e-6 for segment in segments)
    if settings.pair != "neighbours" and length > 2:
        assert np.median(speed_px_s(segments)) == pytest.approx(SPEED_PX_S, rel=0.25)


def test_times_count_not_numbers(tmp_path: Path) -> None:
    """A recording whose rate falls in the middle, as a camera's does in the dark."""
    step_s = [0.0, *([1 / 50] * 30), *([1 / 10] * 30)]
    times_s = np.cumsum(step_s)
    pictures = draw_moving_face(SPEED_PX_S / 1000, 1)
    frames = [draw_moving_face(SPEED_PX_S * time_s, 2)[1] for time_s in times_s * 0.5]  # half as fast: it is long
    assert frames[0].shape == pictures[0].shape
    segments, report = prepare(tmp_path, frames, 25, pts_ms=[round(1000 * time_s) for time_s in times_s])
    early = [s for s in segments if s.frame < 28]
    late = [s for s in segments if s.frame > 32]
    assert [s.interval_s for s in early] == pytest.approx([0.04] * len(early), abs=0.002)
    assert [s.interval_s for s in late] == pytest.approx([0.1] * len(late), abs=0.002)
    for part in (early, late):
        assert np.median(speed_px_s(part)) == pytest.approx(SPEED_PX_S / 2, rel=0.15)
    assert report.num_far == sum(is_far(s.interval_s, DENSE) for s in segments) >= len(late) > 0
    assert report.fps == pytest.approx(61 / (3.6 + 0.1), rel=0.03)


def test_numbered_images_repeat_too_and_numbers_stand_for_times(tmp_path: Path) -> None:
    """Each number counts as 1/30 s; motion over a gap in the numbers is that of the longer time."""
    frames = scene(30, 13)
    write_images(tmp_path / "all", frames)
    write_images(tmp_path / "each-twice", repeated(frames, [2]))
    write_images(tmp_path / "every-second", frames)
    for number in range(2, 14, 2):
        (tmp_path / "every-second" / f"{number:08d}.png").unlink()
    wanted = {"all": (0.0, 1 / 30), "each-twice": (0.5, 2 / 30), "every-second": (0.0, 2 / 30)}
    for name, (share, interval_s) in wanted.items():
        segments, report = prepare_video(
            tmp_path / name, PrepareSettings(segment_length=4, segment_stride=1, min_face_px=48)
        )
        assert report.repeated_share == pytest.approx(share, abs=0.05)
        assert report.interval_s == pytest.approx(interval_s, rel=0.05)
        speed = SPEED_PX_S / 2 if name == "each-twice" else SPEED_PX_S
        assert np.median(speed_px_s(segments)) == pytest.approx(speed, rel=0.12)


def test_a_pair_of_images_is_what_there_is(tmp_path: Path) -> None:
    """Segments of two images, as in CK+: the two neighbours, one the repeat of the other or not."""
    write_images(tmp_path, repeated(scene(30, 4), [2]))
    settings = PrepareSettings(segment_length=2, segment_stride=1)
    segments, _ = prepare_video(tmp_path, settings)
    assert [segment.frame for segment in segments] == list(range(7))
    still = np.abs(speed_px_s(segments)) < 5
    assert still.tolist() == [True, False, True, False, True, False, True]


def test_a_change_of_size_is_no_repeat(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    encode_raw(path, [draw_wall(10, (160, 120)), draw_wall(10)], "mpegts")
    pictures = Pictures()
    new = [pictures.take(frame, None) for frame in decode(path, Video())]
    assert (new[0], new[10]) == (True, True)


@pytest.mark.parametrize(
    ("interval_s", "far"), [(1 / 24, False), (1 / 20, False), (1 / 15, True), (1 / 50, True), (0.0, True)]
)
def test_what_is_far_from_the_wanted_time(interval_s: float, far: bool) -> None:
    assert is_far(interval_s, DENSE) is far
    assert not is_far(interval_s, NEIGHBOURS)


FAULTS = DATA / "faults"


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the faulty inputs are not here")
@pytest.mark.parametrize("stride", [4, 16])
def test_a_recording_with_each_frame_twice_moves_as_the_original(stride: int) -> None:
    settings = PrepareSettings(segment_stride=stride)
    doubled, report = prepare_video(FAULTS / "repeated_frames_25_in_50.mp4", settings)
    original, plain = prepare_video(
        FAULTS / "anamorphic_plain_square_pixels.mp4", settings.model_copy(update={"segment_stride": stride // 2})
    )
    assert (report.fps, plain.fps, report.duration_s, plain.duration_s) == (50.0, 25.0, 1.6, 1.6)
    assert report.repeated_share == pytest.approx(0.5, abs=0.05)
    assert plain.repeated_share == 0
    of_original = {segment.pts_s: segment for segment in original}
    pairs = [(segment, of_original[segment.pts_s]) for segment in doubled if segment.pts_s in of_original]
    assert len(pairs) >= 2
    for segment, same in pairs:
        assert segment.interval_s == pytest.approx(same.interval_s, rel=0.03)
        ours, theirs = (np.linalg.norm(s.optical_flow.astype(float), axis=-1).mean() for s in (segment, same))
        assert ours == pytest.approx(theirs, rel=0.1, abs=0.01)


@pytest.mark.parametrize("begins", [20, 37, 60])
def test_repeats_that_begin_on_the_way_are_noticed_within_a_second(tmp_path: Path, begins: int) -> None:
    """Not every frame is looked at while nothing repeats; after a repeat all are."""
    frames = scene(25, begins) + repeated(draw_moving_face(1.2, 40, start=0.4), [2])
    segments, report = prepare(tmp_path, frames, 25, PrepareSettings(segment_stride=2))
    assert report.repeated_share == pytest.approx(40 / (begins + 80), abs=0.16)
    late = [segment for segment in segments if segment.frame > begins + 32]
    assert (np.abs([np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) for s in late]) > 0.05).all()
    assert [segment.interval_s for segment in late] == pytest.approx([0.08] * len(late), rel=0.05)


def test_of_a_video_that_repeats_nothing_few_frames_are_compared(moving_face: Path) -> None:
    class Counting(Pictures):
        compared = 0

        def _repeats(self, frame: Frame) -> bool:
            self.compared += 1
            return super()._repeats(frame)

    pictures = Counting()
    assert all(pictures.take(frame, None) for frame in decode(moving_face, Video()))
    assert pictures.compared == 8 + 2, "34 frames: the first eight, and two from the 32nd on"


@pytest.mark.parametrize("begins", [0, 40])
def test_pictures_that_nobody_asks_for_any_more_are_forgotten(
    tmp_path: Path, begins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And motion is what it was."""
    pictures = scene(24.0, 60)
    frames = pictures[:begins] + repeated(pictures[begins:], [2, 3])
    usual, report = prepare(tmp_path, frames, 60)
    monkeypatch.setattr("tasks.video.pictures._MANY_FORGOTTEN", 1)
    most = 0

    class Watched(Pictures):
        def take(self, frame: Frame, face: Box | None) -> bool:
            nonlocal most
            most = max(most, len(self._starts_s))
            return super().take(frame, face)

    monkeypatch.setattr("tasks.video.cutting.Pictures", Watched)
    found, again = prepare(tmp_path, frames, 60)
    assert again.model_dump(exclude={"seconds"}) == report.model_dump(exclude={"seconds"})
    assert [one.interval_s for one in found] == [one.interval_s for one in usual]
    assert all(np.array_equal(one.optical_flow, other.optical_flow) for one, other in zip(found, usual, strict=True))
    assert most < 60
