from pathlib import Path

import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall, images_of, report_of, video_file, write_images, write_shard
from pydantic import ValidationError

from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import read_rows, shard_path
from tasks.video.boxes import Box
from tasks.video.cutting import cut_frames, prepare_video
from tasks.video.decoding import Video
from tasks.video.detectors.detector import Face
from tasks.video.segments import NO_SEGMENT, Sighting, VideoReport
from tasks.video.verdict import judge

EVERY_FOUR = PrepareSettings(segment_stride=4)


def face_dx_px(segments: list) -> np.ndarray:
    """Median dx over the middle of the face, in px of the video a frame."""
    scaled = [np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) * s.box[2] / 48 for s in segments]
    return np.array(scaled) * 30 / FPS


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_three_px_to_the_right_and_their_mirror(tmp_path: Path, method: str) -> None:
    settings = PrepareSettings(segment_stride=4, flow_method=method)
    frames = draw_moving_face(3.0)
    for sign, shown in ((1, frames), (-1, [np.ascontiguousarray(frame[:, ::-1]) for frame in frames])):
        path = tmp_path / f"{sign}.mp4"
        write_video(path, shown, FPS)
        segments, report = prepare_video(path, settings)
        assert report.outcome is Outcome.OK
        assert len(segments) == 5
        assert face_dx_px(segments) == pytest.approx(3.0 * sign, abs=0.3)
        dy = [np.median(s.optical_flow[14:38, 14:34, 1].astype(float)) for s in segments]
        assert np.abs(dy).max() < 0.1


def test_the_face_of_the_later_frame_is_stored_with_the_motion_that_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(3.0), FPS)
    settings = PrepareSettings(segment_stride=4, pair="neighbours")
    first, last = (prepare_video(path, settings.model_copy(update={"face": face}))[0] for face in ("first", "last"))
    assert [segment.segment for segment in last] == [segment.segment for segment in first]
    assert [segment.frame for segment in last] == [segment.frame + 1 for segment in first], "where its face is"
    assert [segment.pts_s for segment in last] == pytest.approx([segment.pts_s + 1 / FPS for segment in first])
    assert [segment.box for segment in last] == [segment.box for segment in first]
    for one, other in zip(first, last, strict=True):
        moved_px = 3.0 * 48 / one.box[2]
        shifts = [np.roll(one.face[:, :, 0].astype(float), by, axis=1) for by in (0, round(moved_px), -round(moved_px))]
        differences = [np.abs(shift - other.face[:, :, 0])[14:38, 14:34].mean() for shift in shifts]
        assert int(np.argmin(differences)) == 1, "the later face stands further to the right in the same box"
    assert face_dx_px(last) * FPS / 30 == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize("pair", [1 / 30, 0.04, "neighbours", "first_last"])
@pytest.mark.parametrize("length", [2, 16])
def test_three_px_come_back_with_every_pair(tmp_path: Path, pair: float | str, length: int) -> None:
    """From the first frame to the second one of the pair, whichever that is."""
    frames_between = length - 1 if pair == "first_last" else 1
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(3.0 / frames_between), FPS)
    segments, report = prepare_video(path, PrepareSettings(segment_length=length, segment_stride=4, pair=pair))
    assert report.num_covered == report.num_segments >= 5
    scaled_px = 3.0 if isinstance(pair, str) else 3.0 * FPS / 30
    found_px = [np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) * s.box[2] / 48 for s in segments]
    assert found_px == pytest.approx([scaled_px] * len(segments), abs=0.3)
    assert report.interval_s == pytest.approx(frames_between / FPS, abs=0.001)
    assert report.num_far == 0


def test_first_and_last_are_those_of_the_segment_whatever_lies_between(tmp_path: Path) -> None:
    """A face that jumps in the middle has moved from the first frame to the last, and between no neighbours there."""
    still, moved = draw_moving_face(0.0, 8), draw_moving_face(0.0, 8, start=0.3 + 4 / 320)
    path = tmp_path / "jump.mp4"
    write_video(path, still + moved, FPS)
    (segment,), _ = prepare_video(path, PrepareSettings(pair="first_last"))
    assert np.median(segment.optical_flow[14:38, 14:34, 0].astype(float)) * segment.box[2] / 48 == pytest.approx(
        4, abs=0.3
    )
    (segment,), _ = prepare_video(path, PrepareSettings())
    assert np.abs(segment.optical_flow[14:38, 14:34, 0].astype(float)).max() < 0.5


def test_segments_start_every_stride_and_are_whole(moving_face: Path) -> None:
    for stride, wanted in ((16, [0, 16]), (4, [0, 4, 8, 12, 16]), (2, list(range(0, 19, 2)))):
        segments, report = prepare_video(moving_face, PrepareSettings(segment_stride=stride))
        assert [segment.frame for segment in segments] == wanted, "34 frames hold no 16 frames after frame 18"
        assert [segment.segment for segment in segments] == [frame // stride for frame in wanted]
        assert report.num_segments == report.num_covered == len(wanted)


def test_one_box_serves_both_frames_of_a_pair(tmp_path: Path) -> None:
    """A face that stands still shows no motion, however the detector's box may jump."""
    path = tmp_path / "still.mp4"
    write_video(path, draw_moving_face(0.0), FPS)
    segments, _ = prepare_video(path, PrepareSettings(segment_stride=2))
    assert np.abs(face_dx_px(segments)).max() < 0.1


def test_outcomes(tmp_path: Path) -> None:
    def outcome(name: str, frames: list[np.ndarray], settings: PrepareSettings = EVERY_FOUR) -> Outcome:
        path = tmp_path / f"{name}.mp4"
        write_video(path, frames, FPS)
        return prepare_video(path, settings)[1].outcome

    face = draw_moving_face(1.0, 20)
    assert outcome("face", face) is Outcome.OK
    assert outcome("wall", draw_wall(20)) is Outcome.NO_FACE
    assert outcome("short", face[:15]) is Outcome.TOO_SHORT
    assert outcome("small", face, PrepareSettings(min_face_px=200)) is Outcome.FACE_TOO_SMALL
    assert outcome("half", draw_wall(16) + face, EVERY_FOUR) is Outcome.OK


@pytest.mark.parametrize(
    ("side", "outcome", "words"),
    [(0, Outcome.NO_FACE, "no face was found in any segment"), (30, Outcome.FACE_TOO_SMALL, "is 30 px wide, less than"),
     (65, Outcome.NO_FACE, "in any segment; one of 65 px was seen in single frames alone")],
)  # fmt: skip
def test_a_face_that_is_large_enough_is_not_called_too_small(side: int, outcome: Outcome, words: str) -> None:
    """It may be found when a few frames are searched for faces of any size, and not otherwise."""
    facts = {"num_segments": 3, "num_covered": 0, "num_asked": 0, "num_agreed": 0, "num_cuts": 0}
    seen = [Face(Box(0, 0, side, side))] if side else []
    found, why = judge(Video(width=640, height=480, num_decoded=48), facts, 0, seen, PrepareSettings(min_face_px=48))
    assert found is outcome
    assert words in why


def test_coverage_counts_segments_without_a_face(tmp_path: Path) -> None:
    path = tmp_path / "half.mp4"
    write_video(path, draw_wall(16) + draw_moving_face(0.0, 32), FPS)
    segments, report = prepare_video(path, PrepareSettings(segment_stride=16))
    assert (report.num_segments, report.num_covered) == (3, 2)
    assert [segment.segment for segment in segments] == [1, 2]


@pytest.mark.parametrize("size", [(48, 48), (16, 20), (90, 61)])
def test_precropped_frames_are_used_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    """Whatever they show, however small and of whatever shape."""
    frames = [np.roll(draw_wall(1, size)[0], shift, axis=1) for shift in range(3)]
    write_images(tmp_path, frames)
    settings = PrepareSettings(precropped=True, segment_length=2, segment_stride=1)
    segments, report = prepare_video(tmp_path, settings)
    assert (report.outcome, report.num_segments, report.num_covered) == (Outcome.OK, 2, 2)
    assert [(s.frame, tuple(s.box), s.num_faces) for s in segments] == [(n, (0, 0, *size), 1) for n in (0, 1)]
    if size == (48, 48):
        assert np.array_equal(segments[1].face, frames[1])


def test_precropped_files_are_used_whole_too(tmp_path: Path) -> None:
    path = tmp_path / "wall.mp4"
    write_video(path, draw_wall(16, (64, 48)), FPS)
    (segment,), report = prepare_video(path, PrepareSettings(precropped=True))
    assert (report.outcome, tuple(segment.box)) == (Outcome.OK, (0, 0, 64, 48))


def test_small_frames_without_a_face_point_to_precropped(tmp_path: Path) -> None:
    write_images(tmp_path / "small", draw_wall(2, (48, 48)))
    write_images(tmp_path / "large", draw_wall(2))
    settings = PrepareSettings(segment_length=2)
    messages = [prepare_video(tmp_path / name, settings)[1].message for name in ("small", "large")]
    assert ["prepare.precropped=true" in message for message in messages] == [True, False]


def test_the_shard_holds_what_was_prepared(tmp_path: Path, moving_face: Path) -> None:
    video = video_file(moving_face)
    shard = shard_path(tmp_path / prepare_digest(EVERY_FOUR) / "shards", video.sha256)
    report = prepare_file(video, shard, EVERY_FOUR)
    segments, _ = prepare_video(moving_face, EVERY_FOUR)
    faces, flows = images_of(shard)
    assert np.array_equal(faces, np.stack([s.face for s in segments]))
    assert np.array_equal(flows, np.stack([s.optical_flow for s in segments]))
    assert read_rows(shard)["box"].to_pylist() == [list(s.box) for s in segments]
    assert report_of(shard) == report
    assert (report.sha256, report.prepare_digest) == (video.sha256, prepare_digest(EVERY_FOUR))


def test_settings_that_matter_change_the_digest() -> None:
    digests = {
        prepare_digest(settings)
        for settings in (
            PrepareSettings(),
            PrepareSettings(segment_stride=2),
            PrepareSettings(min_face_px=90),
            PrepareSettings(flow_method="dis"),
            PrepareSettings(segment_length=8),
            PrepareSettings(precropped=True),
            PrepareSettings(pair=0.04),
            PrepareSettings(pair="neighbours"),
            PrepareSettings(face="last"),
            PrepareSettings(pair="first_last"),
        )
    }
    assert len(digests) == 10


def test_a_shard_of_another_video_is_made_again(moving_face: Path, tmp_path: Path) -> None:
    video = video_file(moving_face)
    shard = shard_path(tmp_path / "shards", video.sha256)
    write_shard(shard_path(tmp_path / "shards", "cd"), [], VideoReport(outcome=Outcome.NO_FACE))
    shard.parent.mkdir(parents=True, exist_ok=True)
    shard_path(tmp_path / "shards", "cd").replace(shard)
    assert prepare_file(video, shard, PrepareSettings()).outcome is Outcome.OK


def sequence(stride: int, frames: int = 16, **changes: object) -> PrepareSettings:
    return PrepareSettings(segment_stride=stride, frames_per_segment=frames, **changes)


@pytest.mark.parametrize("stride", [2, 16])
def test_every_frame_of_a_segment_is_kept_once(moving_face: Path, stride: int) -> None:
    """34 frames: the segments end with frame 31, or 33 at a stride of 2; the motion of the last frame is not known."""
    frames, report = prepare_video(moving_face, sequence(stride))
    end = 32 if stride == 16 else 33
    assert [frame.frame for frame in frames] == list(range(end))
    assert report.num_segments == report.num_covered == (2 if stride == 16 else 10)
    assert report.num_rows == report.num_kept == len(frames)
    starts = {frame.frame: frame.segment for frame in frames if frame.segment != NO_SEGMENT}
    assert starts == {start: start // stride for start in range(0, end, stride)}


def test_frames_of_a_segment_are_what_they_are_alone(moving_face: Path) -> None:
    """The same frames, faces and motions as those of segments that begin with them."""
    alone = {frame.frame: frame for frame in prepare_video(moving_face, PrepareSettings(segment_stride=4))[0]}
    together = {frame.frame: frame for frame in prepare_video(moving_face, sequence(16, 4))[0]}
    assert set(alone) < set(together) == set(range(0, 32, 4))
    for number, frame in alone.items():
        assert frame.box == together[number].box
        np.testing.assert_array_equal(frame.face, together[number].face)
        np.testing.assert_array_equal(frame.optical_flow, together[number].optical_flow)


def test_three_px_come_back_from_every_frame_of_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(3.0), FPS)
    frames, _ = prepare_video(path, sequence(16))
    assert face_dx_px(frames) == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize(("share", "covered"), [(0.25, 2), (0.5, 1), (1.0, 0)])
def test_a_segment_is_covered_when_enough_of_its_frames_show_the_face(
    tmp_path: Path, share: float, covered: int
) -> None:
    """Of the first 16 frames 4 show it, of the next 12."""
    path = tmp_path / "half.mp4"
    write_video(path, draw_wall(12) + draw_moving_face(0.0, 16) + draw_wall(4), FPS)
    frames, report = prepare_video(path, sequence(16, 4, min_covered_share=share))
    assert [frame.frame for frame in frames] == [12, 16, 20, 24]
    assert (report.num_segments, report.num_covered, report.num_kept) == (2, covered, 4)
    assert report.outcome is (Outcome.OK if covered else Outcome.NO_FACE)


def test_without_motion_a_segment_can_be_one_frame(moving_face: Path, tmp_path: Path) -> None:
    settings = PrepareSettings(segment_length=1, segment_stride=1, pair="none")
    frames, report = prepare_video(moving_face, settings)
    assert [frame.frame for frame in frames] == list(range(34)), "the last one too"
    assert all(frame.optical_flow is None for frame in frames)
    assert report.num_covered == 34
    shard = shard_path(tmp_path, video_file(moving_face).sha256)
    prepare_file(video_file(moving_face), shard, settings)
    faces, optical_flows = images_of(shard)
    assert (len(faces), optical_flows) == (34, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames_per_segment": 17}, "a segment has 16 frames"),
        ({"frames_per_segment": 2, "pair": "first_last"}, "first_last is for segments of one kept frame"),
        ({"frames_per_segment": 2, "face": "last"}, "where a segment has one pair"),
        ({"segment_length": 1}, "a segment of one frame"),
        ({"pair": "none", "face": "last"}, "where a segment has one pair"),
    ],
)
def test_settings_of_frames_that_do_not_go_together(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PrepareSettings(**changes)


@pytest.mark.parametrize(("frames", "kept"), [(1, None), (4, 8)])
def test_a_shard_of_segments_of_one_frame_is_what_it_always_was(
    moving_face: Path, tmp_path: Path, frames: int, kept: int | None
) -> None:
    shard = shard_path(tmp_path, video_file(moving_face).sha256)
    report = prepare_file(video_file(moving_face), shard, sequence(16, frames))
    assert (report.num_kept, report_of(shard).num_kept) == (kept, kept)
    assert (b"num_kept" in shard.read_bytes()) == (frames > 1)
    assert len(read_rows(shard)) == report.num_rows


def test_who_watches_is_told_of_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(1.0, 10), FPS)
    seen: list[Sighting] = []
    kept: list[tuple[int, int]] = []
    settings = PrepareSettings(segment_length=2, segment_stride=4)
    report = cut_frames(path, settings, lambda one: kept.append((one.frame, len(seen))), seen.append)
    assert report.num_frames == 10
    assert [one.frame for one in seen] == list(range(10))
    assert [one.pts_s for one in seen] == pytest.approx([number / FPS for number in range(10)], abs=1e-3)
    assert [one.frame for one in seen if one.searched] == [0, 4, 8]
    assert all((one.box is not None) == one.searched for one in seen)
    assert {one.size for one in seen} == {(240, 320)}
    assert kept == [(0, 2), (4, 6), (8, 10)], "told of each frame before what counts because of it"
