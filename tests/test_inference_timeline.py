"""A timeline shows at each moment what the model said then, or that it said nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_images
from frame_tables import LABELS, frame_table, table_of, times_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from video_surgery import encode, moving_face

from fer_models.errors import UserError
from tasks.drawing.colours import class_colours
from tasks.drawing.figures import save_figure
from tasks.inference.frame_rows import FrameRows
from tasks.inference.thumbnails import SIDE_PX, Thumbnail, read_thumbnails
from tasks.inference.timeline import MOST_TRACKS, SPAN, clock, draw_timeline
from tasks.inference.timeline_columns import MOST_COLUMNS, NO_FACE, NO_VERDICT, VERDICT, Columns, Times
from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode
from tasks.video.previews import pick_frames


def steady(num_frames: int, fps: float = 25.0) -> np.ndarray:
    return np.arange(num_frames) / fps


def parts_of(num_frames: int) -> pd.DataFrame:
    """A quarter anger, a quarter without a face, a quarter without a verdict, a quarter happiness."""
    quarter, whole = num_frames // 4, frame_table(steady(num_frames), probabilities=(1.0, 0.0, 0.0))
    columns = ["face", "x", "y", "width", "height"]
    without = frame_table(steady(num_frames), box=None)
    whole.loc[quarter : 2 * quarter - 1, columns] = without[columns]
    probabilities = [f"p_{label}" for label in LABELS]
    whole.loc[quarter : 3 * quarter - 1, [*probabilities, "confidence"]] = np.nan
    whole.loc[3 * quarter :, probabilities] = (0.0, 1.0, 0.0)
    return whole


def columns_of(table: pd.DataFrame, most: int = MOST_COLUMNS) -> tuple[Times, Columns]:
    rows = FrameRows.of(table, LABELS)
    times = Times.of(rows, most)
    return times, Columns.of(rows, times, 1)


def pixels_of(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def share_of(pixels: np.ndarray, colour: str, begin: float, end: float) -> float:
    """Which share of the stacked areas has a colour, between two shares of the time axis."""
    left, right = (round((SPAN[0] + (SPAN[1] - SPAN[0]) * at) * pixels.shape[1]) for at in (begin, end))
    stack = pixels[105:265, left:right]  # of figures of 100 px an inch
    return float((np.abs(stack - to_rgb(colour)).max(axis=2) < 0.02).mean())


@pytest.mark.parametrize("num_frames", [40, 8000])
def test_the_colours_stand_where_the_classes_were_predicted(num_frames: int) -> None:
    anger, happiness, _ = class_colours(LABELS)
    pixels = pixels_of(draw_timeline(parts_of(num_frames), LABELS, "clip"))
    assert share_of(pixels, anger, 0.02, 0.23) > 0.95
    assert share_of(pixels, happiness, 0.77, 0.98) > 0.95
    for begin, end in ((0.27, 0.48), (0.52, 0.73)):
        assert share_of(pixels, anger, begin, end) == share_of(pixels, happiness, begin, end) == 0.0


def test_frames_without_face_and_without_verdict_are_told_apart() -> None:
    pixels = pixels_of(draw_timeline(parts_of(40), LABELS, "clip"))
    assert share_of(pixels, "#d5dae0", 0.27, 0.48) > 0.5
    assert share_of(pixels, "#f3f4f6", 0.52, 0.73) > 0.5


def test_areas_are_as_high_as_classes_are_likely() -> None:
    pixels = pixels_of(draw_timeline(frame_table(steady(50), probabilities=(0.2, 0.5, 0.3)), LABELS, "clip"))
    shares = [share_of(pixels, colour, 0.1, 0.9) for colour in class_colours(LABELS)]
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.06)


def test_few_frames_have_a_column_each() -> None:
    times, columns = columns_of(parts_of(40))
    assert times.edges_s == pytest.approx(np.arange(41) / 25)
    assert columns.state.tolist() == [VERDICT] * 10 + [NO_FACE] * 10 + [NO_VERDICT] * 10 + [VERDICT] * 10
    assert columns.runs(VERDICT) == [(0, 10), (30, 40)]
    assert columns.probabilities[[0, 39]].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_many_frames_are_averaged() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 1000)
    times, columns = columns_of(frame_table(steady(1000), probabilities=probabilities, uncertainty=0.1), most=10)
    assert len(times.edges_s) == 11
    assert columns.probabilities == pytest.approx(probabilities.reshape(10, 100, 3).mean(axis=1), abs=1e-6)
    assert columns.confidence == pytest.approx(probabilities.max(axis=1).reshape(10, 100).mean(axis=1), abs=1e-6)
    assert columns.uncertainty == pytest.approx(0.1)


def test_a_column_is_what_most_of_its_frames_are() -> None:
    table = frame_table(steady(30), probabilities=(1.0, 0.0, 0.0))
    few, many = table["frame"].isin([1, 2, 3]), table["frame"].between(10, 16)
    table.loc[few | many, "face"] = "none"
    table.loc[few | many, [f"p_{label}" for label in LABELS]] = np.nan
    _, columns = columns_of(table, most=3)
    assert columns.state.tolist() == [VERDICT, NO_FACE, VERDICT]
    assert columns.probabilities[0].tolist() == [1, 0, 0], "a mean of those that have a verdict"


def test_a_frame_that_is_shown_for_long_fills_its_columns() -> None:
    times_s = np.r_[np.arange(100) / 25, 60 + np.arange(100) / 25]
    probabilities = np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 100, axis=0)
    _, columns = columns_of(frame_table(times_s, probabilities=probabilities), most=64)
    assert (columns.state == VERDICT).all()
    assert columns.probabilities[:58, 0].tolist() == [1.0] * 58


def test_where_a_track_has_no_row_it_has_no_face() -> None:
    rows = pd.concat(
        [
            frame_table(steady(20), probabilities=(1.0, 0.0, 0.0))[5:10],
            frame_table(steady(20), probabilities=(0.0, 1.0, 0.0), track=2),
        ]
    )
    _, columns = columns_of(rows)
    assert columns.runs(VERDICT) == [(5, 10)]
    assert columns.runs(NO_FACE) == [(0, 5), (10, 20)]


@pytest.mark.parametrize("num_classes", [2, 30])
@pytest.mark.parametrize("num_frames", [1, 50])
@pytest.mark.filterwarnings("error")
def test_few_and_many_classes_are_drawn(tmp_path: Path, num_classes: int, num_frames: int) -> None:
    labels = [f"class number {number}" for number in range(num_classes)]
    table = frame_table(steady(num_frames), labels, probabilities=np.full(num_classes, 1 / num_classes))
    figure = draw_timeline(table, labels, "clip")
    assert save_figure(figure, tmp_path / "timeline.png").stat().st_size > 10_000
    (heat,) = (
        axes for axes in figure.axes if axes.get_yticklabels() and axes.get_yticklabels()[0].get_text() in labels
    )
    assert [label.get_text() for label in heat.get_yticklabels()] == labels
    texts = {text.get_text() for text in figure.texts}
    assert "22 others" in texts if num_classes == 30 else not [text for text in texts if "others" in text]


@pytest.mark.filterwarnings("error")
def test_names_of_any_script_are_drawn(tmp_path: Path) -> None:
    labels = ["سعادة", "$x_1$ \\alpha", "😀", "\U0010fffd", "a name that goes on and on and on and on", "100%"]
    table = frame_table(steady(20), labels, probabilities=np.full(6, 1 / 6))
    faces = [Thumbnail(1, 0.2, np.zeros((96, 96, 3), np.uint8))]
    save_figure(draw_timeline(table, labels, "$unclosed_{ فيديو", faces), tmp_path / "timeline.png")


def test_each_face_has_its_part_of_the_page() -> None:
    alone = draw_timeline(frame_table(steady(20), probabilities=(1, 0, 0)), LABELS, "clip")
    table = pd.concat([frame_table(steady(20), probabilities=(1, 0, 0), track=track) for track in range(1, 12)])
    figure = draw_timeline(table, LABELS, "clip")
    texts = [text.get_text() for text in figure.texts]
    assert [text for text in texts if text.startswith("face ")] == [f"face {n}" for n in range(1, MOST_TRACKS + 1)]
    assert [text for text in texts if text.endswith("the 8 of 11 faces that are seen longest")]
    assert not [text for text in alone.texts if text.get_text().startswith("face ")]


def test_uncertainty_is_shown_where_it_is_known() -> None:
    known, unknown = (
        draw_timeline(frame_table(steady(20), probabilities=(1, 0, 0), uncertainty=one), LABELS, "clip")
        for one in (0.1, np.nan)
    )
    assert len(known.axes) == len(unknown.axes) + 1
    assert [text for text in known.texts if "one SD" in text.get_text()]


def test_a_video_without_any_face_has_a_timeline() -> None:
    pixels = pixels_of(draw_timeline(frame_table(steady(20), box=None), LABELS, "clip"))
    assert share_of(pixels, "#d5dae0", 0.02, 0.98) > 0.5


def test_no_frame_is_one_sentence() -> None:
    with pytest.raises(UserError, match="There is no timeline of 'clip'"):
        draw_timeline(frame_table([]), LABELS, "clip")


@pytest.mark.parametrize(
    ("time_s", "words"),
    [(0, "0 s"), (0.05, "0.05 s"), (12.34, "12.3 s"), (60, "1:00"), (725.2, "12:05"), (3725, "1:02:05")],
)
def test_times_are_written_as_people_do(time_s: float, words: str) -> None:
    assert clock(time_s) == words


def test_thumbnails_are_the_faces_at_even_times(tmp_path: Path) -> None:
    source, box = tmp_path / "clip.mp4", Box(60, 70, 90, 90)
    encode(source, moving_face())
    thumbnails = read_thumbnails(source, table_of(source, box=box), number=4)
    frames = list(decode(source, Video()))
    assert [one.time_s for one in thumbnails] == pytest.approx([frames[n].pts_s for n in (4, 12, 21, 29)])
    for one, number in zip(thumbnails, (4, 12, 21, 29), strict=True):
        assert (one.face == frames[number].rgb_crop(box, SIDE_PX)).all()


def test_thumbnails_are_of_frames_with_a_face(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    encode(source, moving_face())
    table = table_of(source)
    table.loc[table["frame"] < 17, "face"] = "none"
    assert [round(25 * one.time_s) >= 17 for one in read_thumbnails(source, table, number=6)] == [True] * 3
    table["face"] = "none"
    assert read_thumbnails(source, table) == []


def test_boxes_that_reach_out_of_the_frame_are_cut(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    encode(source, moving_face(num_frames=3))
    for box, num_faces in ((Box(-20, -20, 100, 100), 3), (Box(900, 900, 10, 10), 0)):
        assert len(read_thumbnails(source, table_of(source, box=box), number=3)) == num_faces


def test_a_still_and_numbered_images_have_thumbnails(tmp_path: Path) -> None:
    write_images(tmp_path / "images", moving_face(num_frames=3))
    for source, number in ((tmp_path / "images", 3), (tmp_path / "images" / "00000001.png", 1)):
        assert len(read_thumbnails(source, table_of(source))) == number


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_late_frames_are_sought_and_few_are_decoded(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, rng = tmp_path / name, np.random.default_rng(0)
    noise = rng.integers(0, 255, (48, 64 + 1300, 3), np.uint8)
    encode(source, [np.ascontiguousarray(noise[:, n : n + 64]) for n in range(1300)], options={"g": "25", "bf": "0"})
    times_s = times_of(source)
    wanted = {number: times_s[number] for number in (3, 700, 1201)}
    passed = {frame.index: frame.picture(64) for frame in decode(source, Video()) if frame.index in wanted}
    decoded: list[int] = []
    monkeypatch.setattr(
        "tasks.video.previews.islice", lambda frames, most: (decoded.append(1) or frame for frame in frames)
    )
    picked = {number: frame.picture(64) for number, frame in pick_frames(source, wanted)}
    assert sorted(picked) == sorted(wanted)
    assert all((picked[number] == passed[number]).all() for number in wanted)
    assert 0 < len(decoded) < 300


def test_what_cannot_be_sought_is_decoded_from_the_beginning(tmp_path: Path) -> None:
    source = tmp_path / "clip.h264"
    small = [np.full((48, 64, 3), n % 250, np.uint8) for n in range(1100)]
    encode(source, small, container="h264", options={"bf": "0"})
    (picked,) = pick_frames(source, {1050: times_of(source)[1050]})
    assert picked[0] == 1050
    assert abs(float(picked[1].picture(64).mean()) - 1050 % 250) < 4


def test_the_table_may_have_missing_boxes_of_any_kind() -> None:
    """As Parquet and CSV give them back."""
    table = parts_of(8)
    for kind in ("Int64", "float64"):
        sides = {name: table[name].astype("float64").astype(kind) for name in ("x", "y", "width", "height")}
        rows = FrameRows.of(table.assign(**sides), LABELS)
        assert rows.has_face.tolist() == [True, True, False, False, True, True, True, True]
        assert rows.box(0) == Box(40, 30, 60, 60)
        assert rows.box(2) is None
