"""Every face of a video as a track of its own."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall, write_images
from test_real_clips import DATA
from test_video_faces import EMPTY, LEFT, RIGHT, Scripted, Still
from test_video_scene_cuts import CUT, two_scenes

from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.corpus.sample.drawing import FaceArtist, Pose, compose, draw_background
from tasks.corpus.sample.people import draw_person
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.cutting import cut_frames
from tasks.video.decoding import Video, decode
from tasks.video.faces import FaceFinder
from tasks.video.segments import FaceFrame, Sighting
from tasks.video.tracks.appearance import describe, difference
from tasks.video.tracks.association import assign, same_faces
from tasks.video.tracks.cutting import TracksReport, cut_tracks
from tasks.video.tracks.following import FaceTracks

EVERY_FRAME = PrepareSettings(segment_length=1, segment_stride=1, pair="none")
needs_the_clips = pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")


class Log:
    """What `cut_tracks` hands over of a video."""

    def __init__(self, path: Path, settings: PrepareSettings = EVERY_FRAME) -> None:
        self.events: list[tuple[int, FaceFrame | Sighting]] = []
        add: Callable[[int, FaceFrame | Sighting], None] = lambda track, event: self.events.append((track, event))  # noqa: E731
        self.report: TracksReport = cut_tracks(path, settings, add, add)

    def kept(self, track: int) -> list[FaceFrame]:
        return [event for number, event in self.events if number == track and isinstance(event, FaceFrame)]

    def seen(self, track: int) -> list[Sighting]:
        return [event for number, event in self.events if number == track and isinstance(event, Sighting)]

    def centres(self, track: int) -> dict[int, float]:
        """Where the middle of the box stands, by frame, in px from the left."""
        return {one.frame: one.box.x + one.box.width / 2 for one in self.seen(track) if one.box}


def video(tmp_path: Path, frames: list[np.ndarray]) -> Path:
    path = tmp_path / "video.mp4"
    write_video(path, frames, FPS)
    return path


def beside(left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    return [np.hstack(pair) for pair in zip(left, right, strict=True)]


def draw_people(subjects: tuple[int, int], places: Callable[[int], list[Pose]], num_frames: int) -> list[np.ndarray]:
    """Two people before a wall, the first one behind: uint8 RGB frames of 480x270."""
    artists = [FaceArtist(draw_person(7, subject)) for subject in subjects]
    faces = [artist.draw(np.zeros(8)) for artist in artists]
    rng = np.random.default_rng(0)
    wall = draw_background(artists[0].person, 270, 480, None, rng)
    frames = []
    for number in range(num_frames):
        frame = wall
        for face, artist, pose in zip(faces, artists, places(number), strict=True):
            frame = compose(face, artist.opacity, frame, pose, rng, noise=0.0).astype(np.float32)
        frames.append(np.clip(frame + rng.standard_normal((270, 480, 1)), 0, 255).astype(np.uint8))
    return frames


def fields(frame: FaceFrame) -> tuple[object, ...]:
    flow = None if frame.optical_flow is None else frame.optical_flow.tobytes()
    return frame.segment, frame.frame, frame.pts_s, frame.box, frame.interval_s, frame.face.tobytes(), flow


def same_as_one_subject(path: Path, settings: PrepareSettings) -> None:
    """One track, and of it the very frames, boxes and facts that following one subject gives."""
    kept: list[FaceFrame] = []
    seen: list[Sighting] = []
    report = cut_frames(path, settings, kept.append, seen.append)
    log = Log(path, settings)
    assert [fields(frame) for frame in log.kept(1)] == [fields(frame) for frame in kept]
    assert [one for one in log.seen(1) if one.box] == [one for one in seen if one.box]
    assert [facts.track for facts in log.report.tracks] == [1]
    facts = log.report.tracks[0]
    assert (facts.num_kept, facts.num_covered) == (len(kept), report.num_covered)
    of_faces = {"num_kept", "num_asked", "num_agreed", "message", "tracks", "num_passed_over"}
    assert log.report.model_dump(exclude=of_faces) == report.model_dump(exclude=of_faces)


@pytest.mark.parametrize(
    "settings",
    [
        PrepareSettings(segment_stride=4),
        PrepareSettings(segment_stride=2, frames_per_segment=16),
        PrepareSettings(pair="first_last", scene_cuts="split"),
        EVERY_FRAME,
    ],
)
def test_one_face_is_one_track_and_just_what_following_one_subject_gives(
    moving_face: Path, settings: PrepareSettings
) -> None:
    same_as_one_subject(moving_face, settings)


@needs_the_clips
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("clips/face_noface.mov", PrepareSettings()),
        ("mead24/W011_front_happy_level3_001.mp4", PrepareSettings(segment_stride=1)),
        ("asl20/learn.mkv", PrepareSettings()),
        ("asl20/please.mkv", PrepareSettings(segment_stride=4, frames_per_segment=4)),
        ("faults/repeated_frames_25_in_50.mp4", PrepareSettings(segment_stride=2)),
    ],
)
def test_one_real_person_is_one_track(name: str, settings: PrepareSettings) -> None:
    same_as_one_subject(DATA / name, settings)


def test_two_people_side_by_side_are_two_tracks_the_larger_first(tmp_path: Path) -> None:
    left = draw_moving_face(0.5, 60, subject=3, scale_px=60)
    right = draw_moving_face(-0.5, 60, subject=5, scale_px=72, start=0.6)
    log = Log(video(tmp_path, beside(left, right)), PrepareSettings(segment_stride=4))
    assert [facts.track for facts in log.report.tracks] == [1, 2]
    assert min(log.centres(1).values()) > 320 > max(log.centres(2).values())
    for track in (1, 2):
        assert list(log.centres(track)) == list(range(0, 60, 4))
        assert [frame.frame for frame in log.kept(track)] == list(range(0, 45, 4))
        assert {frame.num_faces for frame in log.kept(track)} == {2}
    assert log.report.num_segments == log.report.num_covered == 12
    assert log.report.num_kept == 24


@pytest.mark.parametrize("subjects", [(3, 5), (1, 4)])
def test_two_people_who_pass_each_other_do_not_change_places(tmp_path: Path, subjects: tuple[int, int]) -> None:
    frames = draw_people(subjects, lambda n: [Pose(90 + 4 * n, 125, 45, 0), Pose(390 - 4 * n, 140, 48, 0)], 76)
    log = Log(video(tmp_path, frames))
    assert len(log.report.tracks) == 2
    ways = [log.centres(track) for track in (1, 2)]
    for way in ways:
        assert (min(way), max(way)) == (0, 72)
    to_the_right, to_the_left = sorted(ways, key=lambda way: way[0])
    assert max(abs(x - (90 + 4 * n)) for n, x in to_the_right.items()) < 30
    assert max(abs(x - (390 - 4 * n)) for n, x in to_the_left.items()) < 30
    assert set(to_the_left) == set(range(0, 76, 4)), "who is in front is always seen"
    assert len(to_the_right) > 12


@pytest.mark.parametrize("subjects", [(3, 5), (1, 4)])
def test_two_people_who_meet_and_part_again_do_not_change_places(tmp_path: Path, subjects: tuple[int, int]) -> None:
    """One hides the other for a moment; only by their looks can it be told that they have turned."""

    def places(number: int) -> list[Pose]:
        moved = 3.4 * (40 - abs(number - 40))
        return [Pose(104 + moved, 128, 45, 0), Pose(376 - moved, 135, 48, 0)]

    log = Log(video(tmp_path, draw_people(subjects, places, 80)))
    assert len(log.report.tracks) == 2
    left, right = sorted((log.centres(track) for track in (1, 2)), key=lambda way: way[0])
    apart = [n for n in range(0, 80, 4) if abs(n - 40) > 12]
    assert max(left[n] for n in apart) < 240 < min(right[n] for n in apart)


def test_what_is_seen_for_a_moment_is_passed_over_and_counted(tmp_path: Path) -> None:
    """A second face, as detectors see one here and there, in five frames in which the first one is looked for once."""
    wall, face = draw_wall(40), draw_moving_face(0.0, 40)
    flicker = draw_moving_face(0.0, 40, subject=5, start=0.5)
    frames = beside(face, [*flicker[:3], *wall[3:]])
    log = Log(video(tmp_path, frames))
    assert [facts.track for facts in log.report.tracks] == [1]
    assert {track for track, _ in log.events} == {1}
    assert log.report.num_passed_over == 1
    assert log.report.message == "1 face was seen too briefly to be followed"
    assert log.report.outcome is Outcome.OK
    only_flicker = Log(video(tmp_path, beside([*flicker[:3], *wall[3:]], wall)))
    assert only_flicker.report.outcome is Outcome.NO_FACE
    assert only_flicker.report.num_passed_over == 1
    assert only_flicker.report.tracks == ()
    assert {track for track, _ in only_flicker.events} == {0}


def test_a_track_begins_with_the_frame_in_which_it_appeared_and_ends_when_its_patience_is_over(tmp_path: Path) -> None:
    """Everybody is looked for once a second; who has gone is awaited for a second."""
    wall, first = draw_wall(150), draw_moving_face(0.0, 150)
    second = draw_moving_face(0.0, 150, subject=5, scale_px=60)
    log = Log(video(tmp_path, beside(first, [*wall[:30], *second[30:80], *wall[80:]])))
    assert len(log.report.tracks) == 2
    assert list(log.centres(1)) == list(range(0, 150, 4))
    frames = [one.frame for one in log.seen(2)]
    assert frames == list(range(frames[0], frames[-1] + 1))
    assert 30 <= frames[0] <= 56
    assert 72 <= max(log.centres(2)) < 84 <= frames[-1] <= 80 + 30
    assert log.report.tracks[1].first_frame == min(log.centres(2)) == frames[0]
    assert log.report.tracks[1].last_frame == max(log.centres(2))


def test_frames_come_in_order_and_each_once(tmp_path: Path) -> None:
    wall, first = draw_wall(60), draw_moving_face(0.0, 60)
    second = draw_moving_face(0.0, 60, subject=5)
    frames = beside([*wall[:10], *first[10:]], [*wall[:30], *second[30:]])
    log = Log(video(tmp_path, frames), PrepareSettings(segment_length=4, segment_stride=2))
    sightings = [(event.frame, track) for track, event in log.events if isinstance(event, Sighting)]
    assert sightings == sorted(sightings)
    assert sorted({frame for frame, _ in sightings}) == list(range(60))
    assert [frame for frame, track in sightings if track == 0] == list(range(10))
    assert [frame for frame, track in sightings if track == 1] == list(range(10, 60))
    told = -1
    for _, event in log.events:
        if isinstance(event, Sighting):
            told = event.frame
        else:
            assert event.frame + 3 <= told, "all frames of its segment were told of before"
    for track in (1, 2):
        numbers = [frame.frame for frame in log.kept(track)]
        assert numbers == sorted(set(numbers))
    assert log.report.num_kept == len(log.kept(1)) + len(log.kept(2))
    covered = {frame.segment for track in (1, 2) for frame in log.kept(track)}
    assert log.report.num_covered == len(covered)
    assert [facts.num_covered for facts in log.report.tracks] == [len(log.kept(1)), len(log.kept(2))]


def test_coverage_is_that_of_each_track(tmp_path: Path) -> None:
    """Segments of 16 frames that keep 4; one person is there for the first half, the other for the second."""
    wall = draw_wall(64)
    left, right = draw_moving_face(0.0, 64), draw_moving_face(0.0, 64, subject=5)
    path = video(tmp_path, beside([*left[:32], *wall[32:]], [*wall[:32], *right[32:]]))
    settings = PrepareSettings(frames_per_segment=4, min_covered_share=0.75)
    log = Log(path, settings)
    assert [(facts.num_kept, facts.num_covered) for facts in log.report.tracks] == [(8, 2), (8, 2)]
    assert (log.report.num_segments, log.report.num_covered, log.report.num_kept) == (4, 4, 16)


def test_a_cut_ends_all_tracks(tmp_path: Path) -> None:
    path = video(tmp_path, two_scenes())
    log = Log(path, PrepareSettings(segment_stride=4, scene_cuts="split"))
    assert [(facts.first_frame, facts.last_frame) for facts in log.report.tracks] == [(0, CUT - 4), (CUT, 56)]
    assert max(one.frame for one in log.seen(1)) == CUT - 1
    assert {one.scene for one in log.seen(2)} == {1}
    assert all(frame.frame < CUT for frame in log.kept(1))
    assert log.report.num_cuts == 1


def test_what_is_short_needs_no_more_looks_than_there_are(tmp_path: Path) -> None:
    """Two people in an image, and in a video of two frames."""
    both = beside(draw_moving_face(0.0, 2), draw_moving_face(0.0, 2, subject=5, scale_px=60))
    write_images(tmp_path / "still", both[:1])
    (still,) = (tmp_path / "still").iterdir()
    for path, num_frames in ((still, 1), (video(tmp_path, both), 2)):
        log = Log(path)
        assert log.report.outcome is Outcome.OK
        assert [facts.num_kept for facts in log.report.tracks] == [num_frames, num_frames]
        assert max(log.centres(1).values()) < 320, "the larger one is the first"


def test_precropped_frames_are_one_track(tmp_path: Path) -> None:
    write_images(tmp_path, draw_wall(6, (48, 48)))
    settings = PrepareSettings(precropped=True, segment_length=2, segment_stride=1)
    same_as_one_subject(tmp_path, settings)
    assert Log(tmp_path, settings).report.tracks[0].last_frame == 5


def test_what_cannot_be_read_has_no_tracks(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    log = Log(path)
    assert (log.report.outcome, log.report.tracks, log.events) == (Outcome.UNDECODABLE, (), [])


class Room:
    """Detected faces of which some are there for a while only; each looks the same wherever it is."""

    def __init__(self, *faces: Box) -> None:
        self.detector = Scripted(*faces)
        self.tracks = FaceTracks(FaceFinder(self.detector, 48))
        self.index = 0

    def pass_time(self, num_frames: int, *faces: Box) -> None:
        self.detector.faces = list(faces)
        for _ in range(num_frames):
            self.tracks.look(Still(EMPTY, self.index))
            self.index += 1

    def found(self) -> list[Box]:
        return [track.face.box for track in self.tracks.tracks if track.is_found]


def test_who_comes_back_is_known_for_half_a_minute() -> None:
    room = Room()
    room.pass_time(40, LEFT, RIGHT)
    left, right = room.tracks.tracks
    assert (left.face.box, right.face.box) == (LEFT, RIGHT)
    room.pass_time(600, RIGHT)
    assert room.found() == [RIGHT]
    room.pass_time(40, LEFT, RIGHT)
    assert room.tracks.tracks == [left, right]
    assert left.is_found
    room.pass_time(800, RIGHT)
    assert room.tracks.tracks == [right]
    assert left.is_over
    room.pass_time(40, LEFT, RIGHT)
    assert left not in room.tracks.tracks
    assert room.found() == [RIGHT, LEFT]


def test_who_sits_down_where_somebody_else_sat_is_somebody_else() -> None:
    red, blue = EMPTY + np.array([200, 60, 40], np.uint8), EMPTY + np.array([40, 60, 200], np.uint8)
    tracks = FaceTracks(FaceFinder(detector := Scripted(LEFT), 48))
    for index, (picture, faces) in enumerate([*[(red, [LEFT])] * 20, *[(red, [])] * 40, *[(blue, [LEFT])] * 20]):
        detector.faces = faces
        tracks.look(Still(picture, index))
    assert [(track.appeared_at, track.is_found) for track in tracks.tracks] == [(0, False), (60, True)]


def test_faces_that_come_and_go_leave_nothing_behind() -> None:
    """Minutes of mistakes, each at another place than the one before, beside one person."""
    room = Room()
    most = 0
    for number in range(500):
        flicker = Box(*[(260, 5), (130, 180), (260, 180)][number % 3], 50, 50)
        room.pass_time(20, LEFT)
        room.pass_time(5, LEFT, flicker)
        most = max(most, len(room.tracks.tracks))
    assert room.index == 500 * 25
    assert room.found()[0] == LEFT
    assert not any(track.is_confirmed for track in room.tracks.tracks[1:])
    assert most <= 4


def test_a_followed_face_costs_a_search_a_second() -> None:
    room = Room()
    room.pass_time(500, LEFT, RIGHT)
    assert 20 <= room.detector.num_searches <= 26 + 4, "four looks at each new face must see it for sure"


@pytest.mark.parametrize(
    ("costs", "miss", "pairs"),
    [
        ([[1.0, 0.5], [0.4, 0.1]], None, [(0, 1), (1, 0)]),
        ([[1.0, 0.5], [np.inf, 0.1]], None, [(0, 0), (1, 1)]),
        ([[np.inf, 2.0], [np.inf, 0.1]], None, [(1, 1)]),
        ([[1.4, 1.0], [np.inf, 2.2]], 2.0, [(0, 1)]),
        ([[np.inf]], None, []),
    ],
)
def test_faces_are_given_to_tracks_at_the_least_cost_together(
    costs: list[list[float]], miss: float | None, pairs: list[tuple[int, int]]
) -> None:
    assert assign(np.array(costs), *([] if miss is None else [miss])) == pairs


def test_no_face_or_no_track_makes_no_pair() -> None:
    assert assign(np.zeros((0, 3))) == assign(np.zeros((3, 0))) == []


def test_boxes_of_one_face_are_one() -> None:
    near = Box(24, 64, 80, 80)
    assert same_faces([LEFT, RIGHT, near]) == [[1], [0, 2]]
    assert same_faces([]) == []


def test_looks_are_those_of_the_face_and_not_of_the_wall_behind() -> None:
    def looks(subject: int, tint: int) -> np.ndarray:
        frame = draw_moving_face(0.0, 1, subject=subject, start=0.5)[0]
        frame[:, :120] = frame[:, 200:] = tint
        return describe(Still(frame), Box(160 - 48, 115 - 48, 96, 96))

    same = difference(looks(3, 20), looks(3, 230))
    other = difference(looks(3, 20), looks(5, 20))
    assert difference(looks(3, 20), looks(3, 20)) < 0.01
    assert same < 0.2 < other


def read(path: Path) -> list[np.ndarray]:
    """The frames of a video, uint8 RGB."""
    return [frame.picture(4096) for frame in decode(path, Video())]


@needs_the_clips
@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("M030", "W009"), ("W009", "W011")])
def test_two_real_people_in_one_picture_are_two_tracks_for_ten_seconds(tmp_path: Path, first: str, second: str) -> None:
    people = []
    for person, emotions in ((first, ("happy", "angry", "sad")), (second, ("fear", "surprised", "happy"))):
        clips = [DATA / "mead24" / f"{person}_front_{emotion}_level3_001.mp4" for emotion in emotions]
        people.append([frame for clip in clips for frame in read(clip)][:250])
    log = Log(video(tmp_path, beside(*people)))
    assert [(facts.track, facts.num_kept) for facts in log.report.tracks] == [(1, 250), (2, 250)]
    sides = [{x > 256 for x in log.centres(track).values()} for track in (1, 2)]
    assert sorted(map(len, sides)) == [1, 1]
    assert sides[0] != sides[1]


@needs_the_clips
@pytest.mark.slow
def test_two_real_people_who_pass_each_other_do_not_change_places(tmp_path: Path) -> None:
    people = [read(DATA / "mead24" / f"{name}_level3_001.mp4")[:90] for name in ("W009_front_fear", "W011_front_happy")]
    y, x = np.mgrid[:256, :256]
    mask = cv2.GaussianBlur(np.float64(((x - 128) / 105) ** 2 + ((y - 128) / 125) ** 2 < 1.0), (0, 0), 4)[..., None]
    frames = []
    for number, faces in enumerate(zip(*people, strict=True)):
        frame = np.full((300, 800, 3), 150.0)
        for face, left, top in zip(faces, (5 + 6 * number, 540 - 6 * number), (10, 35), strict=True):
            part = frame[top : top + 256, left : left + 256]
            part += (face - part) * mask
        frames.append(frame.astype(np.uint8))
    log = Log(video(tmp_path, frames))
    assert len(log.report.tracks) == 2
    ways = sorted((log.centres(track) for track in (1, 2)), key=lambda way: way[0])
    for way, (start, step) in zip(ways, ((133, 6), (668, -6)), strict=True):
        assert max(way) > 80
        assert max(abs(place - start - step * number) for number, place in way.items()) < 90
