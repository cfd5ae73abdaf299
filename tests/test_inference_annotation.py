"""An annotated video is the video: its frames at their times, its sound, and on top what the model says."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from conftest import draw_moving_face, write_images
from frame_tables import LABELS, frame_table, table_of, times_of
from test_real_clips import DATA
from video_surgery import cut, encode, moving_face, rewritten

from fer_models.errors import UserError, VideoFault
from tasks.drawing.colours import track_colour
from tasks.inference.annotation import COMMENT, annotate_video
from tasks.inference.frame_rows import FrameRows
from tasks.inference.overlay import Overlay
from tasks.inference.strip import GROUND, patch
from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode
from tasks.video.frames import Frame
from tasks.video.writing.remaking import comment_of

#: How far colours may be off after a lossy encoding.
_LOSS = 12.0


def annotate(path: Path, target: Path | None = None, **more: object) -> tuple[Path, str]:
    """An annotated copy, and what is remarked on it."""
    target = target or path.with_name("annotated.mp4")
    done = annotate_video(path, table_of(path, **more), LABELS, target)
    assert done.path == target
    return target, done.remark


def pictures_of(path: Path) -> list[np.ndarray]:
    return [frame.picture(9999) for frame in decode(path, Video())]


def drawn(table: pd.DataFrame, labels: Sequence[str] = LABELS, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """The first frame of a table over a grey picture, as it is before it is encoded."""
    grey = np.full((*size, 3), 128, np.uint8)
    frame = Frame(0, 0.0, av.VideoFrame.from_ndarray(grey, format="rgb24"))
    return Overlay(FrameRows.of(table, labels), labels, size).draw(frame).copy()


def shows(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether a small picture stands somewhere in a larger one, pixel by pixel."""
    height, width = part.shape[:2]
    busiest = int(np.abs(part.astype(int) - part[0, 0]).sum(axis=(1, 2)).argmax())
    windows = np.lib.stride_tricks.sliding_window_view(picture, (width, 3), axis=(1, 2))[:, :, 0]
    rows, columns = np.nonzero((windows == part[busiest]).all(axis=(2, 3)))
    tops = rows - busiest
    places = [(top, left) for top, left in zip(tops, columns, strict=True) if 0 <= top <= len(picture) - height]
    return any((picture[top : top + height, left : left + width] == part).all() for top, left in places)


@pytest.mark.parametrize(
    ("name", "pts_ms"),
    [
        ("variable.mp4", [40 * n + (n * n * 7) % 30 for n in range(34)]),
        ("gap.mkv", [40 * n + 3000 * (n > 20) for n in range(34)]),
        ("steady.mkv", None),
    ],
)
def test_frames_stay_at_their_times(tmp_path: Path, name: str, pts_ms: list[int] | None) -> None:
    source = tmp_path / name
    encode(source, moving_face(), options={"bf": "3", "preset": "medium"}, pts_ms=pts_ms)
    target, remark = annotate(source)
    assert remark == ""
    assert times_of(target) == pytest.approx(times_of(source), abs=1e-6)
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert new.duration == pytest.approx(old.duration, abs=40_000)


def test_the_picture_is_the_frame_and_the_strip_stands_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    encode(source, moving_face())
    target, _ = annotate(source, box=None, probabilities=None)
    pictures = pictures_of(target)
    assert len(pictures) == 34
    for picture, frame in zip(pictures, moving_face(), strict=True):
        assert picture.shape[0] == 240
        assert picture.shape[1] > 320 + 100
        assert np.abs(picture[:, :320].astype(int) - frame).mean() < _LOSS
        assert picture[:, 330:].mean() < 60, "a dark ground"


@pytest.mark.parametrize(("size", "degrees"), [((641, 359), 0), ((321, 241), 0), ((320, 240), 90), ((319, 241), 270)])
def test_odd_sizes_and_turned_pictures(tmp_path: Path, size: tuple[int, int], degrees: int) -> None:
    source, frames = tmp_path / "clip.mkv" if not degrees else tmp_path / "clip.mp4", moving_face(size, 5)
    stored = [np.ascontiguousarray(np.rot90(frame, -degrees // 90)) for frame in frames]
    encode(source, stored, "mpeg4", degrees=degrees)
    target, _ = annotate(source, box=None, probabilities=None)
    picture = pictures_of(target)[-1]
    assert [side % 2 for side in picture.shape[:2]] == [0, 0]
    assert np.abs(picture[: size[1], : size[0]].astype(int) - frames[-1]).mean() < _LOSS


def test_an_upright_picture_has_its_strip_below(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    encode(source, moving_face((240, 400), 5))
    height, width = pictures_of(annotate(source)[0])[0].shape[:2]
    assert (width, height > 450) == (240, True)


def test_small_pictures_are_enlarged_so_that_there_is_room_for_words() -> None:
    picture = drawn(frame_table([0.0], box=Box(0, 0, 48, 48), probabilities=(0.1, 0.7, 0.2)), size=(48, 48))
    assert picture.shape[0] == 192
    assert shows(picture, patch("happiness", 11, (244, 246, 248), track_colour(1), True))


def test_the_box_has_the_colour_of_its_track_and_what_is_said_of_it() -> None:
    picture = drawn(frame_table([0.0], box=Box(100, 80, 60, 60), probabilities=(0.1, 0.7, 0.2)))
    for y, x in ((80, 130), (139, 130), (110, 100), (110, 159)):
        assert tuple(picture[y, x]) == track_colour(1), (y, x)
    assert tuple(picture[110, 130]) == (128, 128, 128), "nothing hides the face"
    for words in ("happiness", " 70 %"):
        assert shows(picture[:80, :320], patch(words, 12, (244, 246, 248), track_colour(1), True))
    for words in ("anger", "10 %", "sadness", "20 %"):
        assert shows(picture[:, 320:], patch(words, 12, (176, 184, 196), GROUND))


def test_bars_are_as_long_as_classes_are_likely() -> None:
    strip = drawn(frame_table([0.0], probabilities=(0.25, 0.75, 0.0)))[:, 320:].astype(int)
    bright = np.abs(strip - track_colour(1)).max(axis=2) < 3  # of the predicted class
    dim = np.abs(strip - np.multiply(track_colour(1), 0.72)).max(axis=2) < 3
    assert dim.any(axis=0).sum() == pytest.approx(bright.any(axis=0).sum() / 3, abs=1)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (frame_table([0.0], box=None), "no face"),
        (frame_table([0.0]), "no verdict"),
        (frame_table([0.0], probabilities=(0.1, 0.7, 0.2), uncertainty=0.04), "70 ± 4 %"),
    ],
)
def test_the_strip_says_what_there_is(table: pd.DataFrame, words: str) -> None:
    colours = [(245, 190, 80), (176, 184, 196)]
    assert any(shows(drawn(table)[:, 320:], patch(words, 12, ink, GROUND, True)[:, :-4]) for ink in colours)


def test_each_face_has_its_colour_its_number_and_its_block() -> None:
    left = frame_table([0.0], box=Box(20, 100, 60, 60), probabilities=(0.8, 0.1, 0.1))
    right = frame_table([0.0], box=Box(200, 100, 60, 60), probabilities=(0.1, 0.1, 0.8), track=2)
    picture = drawn(pd.concat([right, left]))
    assert tuple(picture[130, 20]) == track_colour(1)
    assert tuple(picture[130, 200]) == track_colour(2)
    assert shows(picture, patch("1 ", 12, (244, 246, 248), track_colour(1), True))
    assert shows(picture, patch("2 ", 12, (0, 0, 0), track_colour(2), True))
    for track in (1, 2):
        assert shows(picture[:, 320:], patch(f"{track}  ", 12, track_colour(track), GROUND, True)[:, :-8])


def test_faces_beside_each_other_have_a_bar_for_every_class() -> None:
    """Two face crops side by side leave no room for two blocks one above the other."""
    labels = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    rows = [
        frame_table([0.0], labels, Box(256 * side + 50, 50, 150, 150), np.full(8, 1 / 8), track=side + 1)
        for side in (0, 1)
    ]
    strip = drawn(pd.concat(rows), labels, (256, 512))[:, 512:]
    for half in np.array_split(strip, 2, axis=1):
        for label in labels[1:]:
            assert shows(half, patch(label, 12, (176, 184, 196), GROUND)), label


def test_a_face_keeps_its_block_and_leaves_it_to_the_next() -> None:
    rows = pd.concat(
        [
            frame_table([0.0, 0.04, 0.08, 0.12], box=Box(20, 100, 60, 60), probabilities=(0.8, 0.1, 0.1)),
            frame_table([0.0, 0.04], box=Box(120, 100, 60, 60), probabilities=(0.8, 0.1, 0.1), track=2),
            frame_table([0.0, 0.04, 0.08, 0.12], box=Box(220, 100, 60, 60), track=3, probabilities=(0.1, 0.8, 0.1))[3:],
        ]
    )
    overlay = Overlay(FrameRows.of(rows, LABELS), LABELS, (240, 320))
    seen = []
    for number in range(4):
        grey = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 128, np.uint8), format="rgb24")
        strip = overlay.draw(Frame(number, 0.04 * number, grey))[:, 320:]
        titles = [patch(f"{track}  ", 12, track_colour(track), GROUND, True)[:, :-8] for track in (1, 2, 3)]
        seen.append([shows(strip, title) for title in titles])
    assert seen == [[True, True, False], [True, True, False], [True, False, False], [True, False, True]]


@pytest.mark.parametrize(("time_s", "words"), [(0.0, "0:00.0"), (75.26, "1:15.2"), (3725.0, "1:02:05.0")])
def test_the_time_is_that_of_the_frame(time_s: float, words: str) -> None:
    ink = [patch(sign, 12, (176, 184, 196), GROUND) for sign in words]
    assert shows(drawn(frame_table([time_s]))[:40, 320:], np.concatenate(ink, axis=1))


def test_tags_do_not_cover_each_other() -> None:
    boxes = (Box(100, 100, 60, 60), Box(120, 104, 60, 60))
    rows = [
        frame_table([0.0], box=box, probabilities=(0.8, 0.1, 0.1), track=track) for track, box in enumerate(boxes, 1)
    ]
    picture = drawn(pd.concat(rows))
    assert shows(picture[:, :320], patch("anger", 12, (244, 246, 248), track_colour(1), True))
    assert shows(picture[:, :320], patch("anger", 12, (0, 0, 0), track_colour(2), True))


@pytest.mark.parametrize("box", [Box(-20, -30, 60, 60), Box(300, 220, 60, 60), Box(0, 0, 320, 240)])
def test_boxes_at_the_edge_are_drawn_as_far_as_they_are_seen(box: Box) -> None:
    picture = drawn(frame_table([0.0], box=box, probabilities=(0.1, 0.7, 0.2)))
    assert shows(picture[:, :320], patch("happiness", 12, (244, 246, 248), track_colour(1), True))


@pytest.mark.parametrize("num_classes", [2, 30])
@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (640, 360)])
def test_few_and_many_classes_have_room(num_classes: int, size: tuple[int, int]) -> None:
    labels = [f"class number {number}" for number in range(num_classes)]
    share = np.full(num_classes, 1 / num_classes)
    table = frame_table([0.0], labels, probabilities=share)
    overlay = Overlay(FrameRows.of(table, labels), labels, size)
    places = overlay._strip.classes.places
    assert len(places) == num_classes or places[-1].endswith("others")
    picture = drawn(table, labels, size)
    last = patch(overlay._strip._names[-1], overlay._strip.size_px, (176, 184, 196), GROUND)
    strip = picture[size[0] :] if size[0] > size[1] else picture[:, size[1] :]
    assert shows(strip, last), "the last row is whole"


def test_names_of_any_script_are_drawn(tmp_path: Path) -> None:
    labels = ["سعادة", "$x_1$ \\alpha", "😀", "喜び", "a name that goes on and on and on and on", "\u202eevil"]
    source = tmp_path / "clip.mp4"
    encode(source, moving_face(num_frames=3))
    table = frame_table(times_of(source), labels, probabilities=np.full(6, 1 / 6))
    assert annotate_video(source, table, labels, tmp_path / "out.mp4").num_frames == 3


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    overlay = Overlay(FrameRows.of(frame_table([0.0], probabilities=(1, 0, 0)), LABELS), LABELS, (240, 320))
    white = av.VideoFrame.from_ndarray(np.full((480, 480, 3), 255, np.uint8), format="rgb24")
    picture = overlay.draw(Frame(0, 0.0, white))
    assert picture[5, 30].tolist() == [0, 0, 0]
    assert picture[5, 160].tolist() == [255, 255, 255]
    assert tuple(picture[40, 60]) == track_colour(1), "the box is where its face is: 40 px of 480 are 20 of 240, ..."


def test_a_file_is_not_twice_as_large(tmp_path: Path) -> None:
    """Though the bars change as much as they can."""
    source, rng = tmp_path / "clip.mp4", np.random.default_rng(0)
    encode(source, draw_moving_face(1.0, 100), options={"crf": "34", "preset": "medium"})
    table = frame_table(times_of(source), probabilities=rng.dirichlet(np.ones(3), 100))
    done = annotate_video(source, table, LABELS, tmp_path / "out.mp4")
    assert done.remark == ""
    assert done.path.stat().st_size <= 2 * source.stat().st_size


def test_what_cannot_be_kept_so_small_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.annotation._MOST_TIMES", 0.01)
    encode(tmp_path / "clip.mp4", moving_face(num_frames=3))
    _, remark = annotate(tmp_path / "clip.mp4")
    assert "times as large" in remark


def test_one_file_comes_of_one_video(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    encode(source, moving_face(), audio_s=1.0)
    first, second = (annotate(source, tmp_path / name)[0] for name in ("a.mp4", "b.mp4"))
    assert first.read_bytes() == second.read_bytes()


def test_a_file_tells_that_it_was_made_here(tmp_path: Path) -> None:
    source, text = tmp_path / "clip.mp4", tmp_path / "text.mp4"
    encode(source, moving_face(num_frames=3))
    text.write_text("no video")
    assert comment_of(annotate(source)[0]) == COMMENT
    assert comment_of(source) == comment_of(text) == ""


def test_a_file_that_breaks_off_gives_what_can_be_decoded(tmp_path: Path) -> None:
    source = tmp_path / "clip.mkv"
    rewritten(lambda path: encode(path, moving_face(), options={"g": "5"}, audio_s=1.4), cut(0.6))(source)
    target, remark = annotate(source)
    assert "breaks off" in remark
    assert 5 < len(times_of(target)) < 34


def test_numbered_images_become_a_video(tmp_path: Path) -> None:
    write_images(tmp_path / "images", moving_face(num_frames=6))
    target, remark = annotate(tmp_path / "images", tmp_path / "out.mp4")
    assert remark == ""
    assert times_of(target) == pytest.approx([number / 30 for number in range(6)], abs=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_still_becomes_a_picture(tmp_path: Path, suffix: str) -> None:
    write_images(tmp_path, moving_face(num_frames=1), "still")
    source = tmp_path / "still00000001.png"
    target, _ = annotate(source, tmp_path / f"out{suffix}")
    (picture,) = pictures_of(target)
    assert np.abs(picture[150:, :320].astype(int) - moving_face()[0][150:]).mean() < 3


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("clip.mp4", "clip.mp4", "is the video itself"),
        ("clip.mp4", "out.avi", "should end in .mp4"),
        ("still.png", "out.mp4", "should end in .png or .jpg"),
    ],
)
def test_targets_that_cannot_be(tmp_path: Path, source: str, target: str, words: str) -> None:
    encode(tmp_path / "clip.mp4", moving_face(num_frames=2))
    before = (tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(UserError, match=words):
        annotate_video(tmp_path / source, frame_table([0.0]), LABELS, tmp_path / target)
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = tmp_path / "broken.mp4", tmp_path / "whole.mp4"
    broken.write_bytes(b"no video at all")
    encode(whole, moving_face(), audio_s=1.0)
    table = table_of(whole)
    with pytest.raises(VideoFault):
        annotate_video(broken, table, LABELS, tmp_path / "out.mp4")

    def fail(self: Overlay, frame: Frame) -> np.ndarray:
        if frame.index == 20:
            raise RuntimeError("in the middle")
        return self.canvas

    monkeypatch.setattr(Overlay, "draw", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        annotate_video(whole, table, LABELS, tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "whole.mp4"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")
@pytest.mark.parametrize(
    "name",
    [
        "mead24/W009_front_fear_level3_001.mp4",
        "asl20/bird.mkv",
        pytest.param("clips/face_noface.mov", marks=pytest.mark.slow),
        pytest.param("clips/no_face.mp4", marks=pytest.mark.slow),
    ],
)
def test_real_clips_keep_times_sound_and_half_their_size(tmp_path: Path, name: str) -> None:
    source, target = DATA / name, tmp_path / "out.mp4"
    times_s = times_of(source)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(times_s))
    done = annotate_video(source, frame_table(times_s, probabilities=probabilities), LABELS, target)
    assert done.remark == ""
    assert target.stat().st_size <= 2 * source.stat().st_size
    assert times_of(target) == pytest.approx(times_s, abs=1e-4)
    step_s = max(np.diff(times_s))
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert new.duration == pytest.approx(old.duration, abs=1e6 * step_s)
        assert len(new.streams.audio) == len(old.streams.audio)
        for before, after in zip(old.streams.audio, new.streams.audio, strict=True):
            assert float(after.start_time * after.time_base) == pytest.approx(
                float(before.start_time * before.time_base), abs=step_s
            )
