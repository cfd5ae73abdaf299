"""The page of a video shows what is in its shard and in its file, and what became of it, whatever became of it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall, images_of, video_file
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from video_surgery import encode

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import build_manifest
from tasks.corpus.sample.corpus import write_video
from tasks.drawing.colours import GREEN, VERMILION
from tasks.drawing.segment_pictures import FULL_COLOUR_PX, draw_colour_wheel, draw_optical_flow
from tasks.outcomes import TRANSIENT, Outcome
from tasks.preparation.ledger import read_ledger, select_videos, write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import shard_path
from tasks.report.inspection import _face_facts, find_video, gather, inspect_video, picture_name
from tasks.report.outcome_hints import EXPLANATIONS
from tasks.report.plots.inspection import Inspected, plot_inspection
from tasks.video.previews import read_spread_stills, read_spread_stills_in_child, spread
from tasks.video.segments import VideoReport

ROOT = Path(__file__).parent.parent
STRANGE = 'sub dir/it\'s "naïve" $x_1$\n微笑 <b>.mp4'
OVERRIDES = {"corpus.adapter": "videos", "prepare.segment_stride": 4}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    """A prepared corpus of moving faces and of faults."""
    root = tmp_path_factory.mktemp("inspect")
    videos = root / "videos"
    (videos / "sub dir").mkdir(parents=True)
    moving = draw_moving_face(3.0, 60)
    write_video(videos / "moving.mp4", moving, FPS)
    write_video(videos / STRANGE, draw_moving_face(1.0, 20), FPS)
    write_video(videos / "half.mp4", draw_wall(20) + draw_moving_face(0.0, 30), FPS)
    write_video(videos / "wall.mp4", draw_wall(40), FPS)
    write_video(videos / "short.mp4", moving[:9], FPS)
    write_video(videos / "gone.mp4", draw_moving_face(2.0, 24), FPS)
    write_video(videos / "changed.mp4", draw_moving_face(2.0, 28), FPS)
    write_video(videos / "hung.mp4", draw_moving_face(1.0, 30, start=0.4), FPS)
    (videos / "page.mp4").write_text("<!DOCTYPE html> please log in", encoding="utf-8")
    (videos / "empty.mp4").write_bytes(b"")
    settings = resolve_settings(None, None, {**OVERRIDES, "data_root": root / "data", "corpus.root": videos})
    prepare_all(settings)
    (videos / "gone.mp4").unlink()
    write_video(videos / "changed.mp4", draw_wall(28), FPS)
    return settings


def prepare_all(settings: StudySettings) -> None:
    """What the flow does, without it; `hung.mp4` ends as `timeout`."""
    layout = Layout.of(settings)
    manifest = build_manifest(settings.corpus, layout.manifest)
    reports: dict[str, VideoReport] = {}
    for video in manifest.itertuples():
        path = Path(str(video.uri))
        if path.name == "hung.mp4":
            reports[video.sha256] = VideoReport(outcome=Outcome.TIMEOUT, message="it took longer than 600 s")
        else:
            shard = shard_path(layout.shards, video.sha256)
            reports[video.sha256] = prepare_file(video_file(path), shard, settings.prepare)
    write_ledger(layout.ledger, manifest, reports, {})


def look_at(settings: StudySettings, wanted: str) -> Inspected:
    return gather(settings, find_video(read_ledger(Layout.of(settings).ledger, EMOTIONS), wanted))


def texts(figure: Figure) -> str:
    drawn = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return "\n".join(text.get_text() for text in drawn)


def rendered(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return np.asarray(Image.open(buffer).convert("RGB"))


def share_of(picture: np.ndarray, colour: str) -> float:
    wanted = np.array(to_rgb(colour)) * 255
    return float((np.abs(picture.astype(float) - wanted).max(axis=-1) < 12).mean())


def test_each_box_is_around_its_face(settings: StudySettings) -> None:
    """The drawn face starts at 0.3 of the width and moves 3 px a frame; its centre is at 0.48 of the height."""
    moments = look_at(settings, "moving").moments
    assert len(moments) == 6
    assert [moment.frame for moment in moments] == sorted(moment.frame for moment in moments)
    assert moments[-1].frame - moments[0].frame > 25, "they are spread over the video"
    for moment in moments:
        assert moment.box
        x, y, width, height = moment.box
        assert x + width / 2 == pytest.approx(320 * 0.3 + 3 * moment.frame, abs=16), "it follows a little late"
        assert y + height / 2 == pytest.approx(240 * 0.48, abs=18)
        assert moment.pts_s == pytest.approx(moment.frame / FPS)


def test_the_picture_is_the_frame_of_its_box(settings: StudySettings) -> None:
    """Cut out and shrunk, the frame under the box is the face in the shard; so is the box in the figure."""
    video = look_at(settings, "moving")
    figure = plot_inspection(video)
    boxes = [patch for axes in figure.axes for patch in axes.patches if patch.get_edgecolor()[:3] == to_rgb(GREEN)]
    assert [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in boxes] == [
        moment.box for moment in video.moments
    ]
    for moment in video.moments:
        assert moment.box
        assert moment.picture is not None
        x, y, width, height = map(round, moment.box)
        cut = Image.fromarray(moment.picture[y : y + height, x : x + width]).resize((48, 48), Image.Resampling.BOX)
        assert np.abs(np.asarray(cut).astype(int) - moment.faces[0]).mean() < 4
    assert share_of(rendered(figure), GREEN) > 0.004


def test_faces_and_motion_are_those_of_the_shard(settings: StudySettings) -> None:
    video = look_at(settings, "moving")
    row = find_video(read_ledger(Layout.of(settings).ledger, EMOTIONS), "moving")
    faces, optical_flows = images_of(Layout.of(settings).prepared / row["shard"])
    for moment in video.moments:
        assert np.array_equal(moment.faces, faces[[moment.frame // 4]])
        assert np.array_equal(moment.optical_flows, optical_flows[[moment.frame // 4]].astype(np.float32))
    assert video.timeline
    means = np.linalg.norm(optical_flows.astype(np.float32), axis=-1).mean(axis=(1, 2))
    assert video.timeline.motions_px == pytest.approx(means)
    assert list(video.timeline.covered) == list(range(12))


def test_three_px_to_the_right_are_red_and_their_arrows_point_there(settings: StudySettings) -> None:
    figure = plot_inspection(look_at(settings, "moving"))
    arrows = [quiver for axes in figure.axes for quiver in axes.collections if hasattr(quiver, "U")]
    assert len(arrows) == 6
    for quiver in arrows:
        assert np.median(np.asarray(quiver.U)) == pytest.approx(3 * 48 / 124 * FPS / 30, abs=0.15), "in 1/30 s"
        assert abs(np.median(np.asarray(quiver.V))) < 0.1
    picture = draw_optical_flow(np.full((48, 48, 2), (3.0, 0.0)))
    assert (picture == (255, 0, 0)).all()
    flow_pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    reds = [np.median(image.reshape(-1, 3), axis=0) for image in flow_pictures if image.shape[:2] == (288, 288)]
    assert sum(red > 220 and green < 110 and blue < 110 for red, green, blue in reds) == 6


def test_the_wheel_is_the_key_of_the_colours() -> None:
    wheel = draw_colour_wheel(101)
    for x, y, motion in ((100, 50, (1, 0)), (0, 50, (-1, 0)), (50, 100, (0, 1)), (50, 0, (0, -1))):
        drawn = draw_optical_flow(np.full((1, 1, 2), motion) * FULL_COLOUR_PX)[0, 0]
        assert wheel[y, x].astype(int) == pytest.approx(drawn.astype(int), abs=2)
        assert drawn.min() == 0, "it is full colour"
    assert (wheel[50, 50] > 250).all(), "still is white"
    assert (wheel[0, 0] == 255).all(), "so is what lies outside"


def test_segments_without_a_face_are_shown_too(settings: StudySettings) -> None:
    video = look_at(settings, "half")
    without = [moment for moment in video.moments if moment.faces is None]
    assert len(without) == 2
    assert all(moment.frame < 20 and moment.remark == "no face found" for moment in without)
    assert all(moment.frame >= 20 for moment in video.moments if moment.faces is not None)
    assert video.verdict == "A face was found in 4 of 9 segments."
    assert video.timeline
    assert list(video.timeline.covered) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("name", "outcome", "words", "num_pictures"),
    [
        ("wall", "no_face", ["No usable face.", "No face was found in any segment."], 6),
        ("short", "too_short", ["too short", "9 frames are fewer than one segment"], 6),
        ("page", "undecodable", ["No readable video", "No picture of it", "29 bytes", "<!DOCTYPE html>"], 0),
        ("empty", "undecodable", ["No readable video", "It is empty."], 0),
        ("hung", "timeout", ["took too long", "It took longer than 600 s.", "fer retry"], 6),
    ],
)
def test_a_failed_video_says_why_and_shows_what_it_can(
    settings: StudySettings, name: str, outcome: str, words: list[str], num_pictures: int
) -> None:
    video = look_at(settings, name)
    figure = plot_inspection(video)
    for word in (outcome, *words, f"{name}.mp4"):
        assert word in texts(figure)
    pictures = [moment.picture for moment in video.moments]
    assert len(pictures) == num_pictures
    assert all(picture is not None and picture.shape == (240, 320, 3) for picture in pictures)
    page = rendered(figure)
    assert share_of(page, VERMILION) > 0.001
    assert share_of(page, GREEN) < 0.0005


def test_a_video_whose_file_is_gone_is_drawn_from_its_shard(settings: StudySettings) -> None:
    video = look_at(settings, "gone")
    assert [moment.picture for moment in video.moments] == [None] * 3
    assert all(moment.faces is not None for moment in video.moments)
    assert "drawn from the shard alone" in " ".join(texts(plot_inspection(video)).split())


def test_a_file_that_changed_is_said_to_have_changed(settings: StudySettings) -> None:
    assert "It has changed" in look_at(settings, "changed").notice
    path = Path(find_video(read_ledger(Layout.of(settings).ledger, EMOTIONS), "half")["uri"])
    os.utime(path)
    assert look_at(settings, "half").notice == "", "another date alone is no change"


def test_a_shard_that_is_gone_is_said_to_be_gone(settings: StudySettings) -> None:
    row = find_video(read_ledger(Layout.of(settings).ledger, EMOTIONS), "moving") | {"shard": "shards/00/none.parquet"}
    video = gather(settings, row)
    assert "Its shard is not there any more" in video.notice
    assert all(moment.picture is not None and not moment.remark for moment in video.moments)


def test_every_outcome_has_plain_words() -> None:
    assert set(EXPLANATIONS) == set(Outcome)
    assert all(EXPLANATIONS[outcome][0] for outcome in Outcome if outcome is not Outcome.OK)
    assert all("fer retry" in EXPLANATIONS[outcome][1] for outcome in TRANSIENT)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_name_of_strange_signs_gives_a_plain_file(settings: StudySettings) -> None:
    path = inspect_video(settings, "naïve")
    assert path.parent == settings.data_root / "inspect"
    assert not set(path.name) & set("/\n\"'<$ ")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1540
        assert np.asarray(picture.convert("L")).std() > 20
    figure = plot_inspection(look_at(settings, "naïve"))
    assert STRANGE.replace("\n", r"\n") in texts(figure)


def test_names_of_files() -> None:
    assert picture_name("S001_001") == "S001_001.png"
    names = [picture_name(video_id) for video_id in ("a/b", "a b", "a_b", "a\nb", "..", "", "微笑/1", "x" * 300)]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) < 200 and "/" not in name and not name.startswith(".") for name in names)


def ledger_of(*video_ids: str) -> pd.DataFrame:
    return pd.DataFrame({"video_id": video_ids, "uri": [f"{ROOT}/{video_id}.mp4" for video_id in video_ids]})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("baum1s/S001_001", "baum1s/S001_001"),
        ("S001_001", "baum1s/S001_001"),
        ("S001_0012", "baum1s/S001_0012"),
        ("S002", "baum1s/S002_001.avi"),
        ("S002_001", "baum1s/S002_001.avi"),
        (f"{ROOT}/other/one.mp4", "other/one"),
    ],
)
def test_a_part_of_an_id_will_do(wanted: str, found: str) -> None:
    ledger = ledger_of("baum1s/S001_001", "baum1s/S001_0012", "baum1s/S002_001.avi", "other/one", "other/one.more")
    assert find_video(ledger, wanted)["video_id"] == found


def test_an_id_is_found_in_composed_and_decomposed_letters() -> None:
    ledger = ledger_of("a/Jose\u0301.mp4", "a/Ren\u00e9.mp4", "a/Rene\u0301.mp4")
    assert find_video(ledger, "Jos\u00e9")["video_id"] == "a/Jose\u0301.mp4"
    assert find_video(ledger, "a/Rene\u0301.mp4")["video_id"] == "a/Rene\u0301.mp4"
    assert find_video(ledger, "a/Ren\u00e9.mp4")["video_id"] == "a/Ren\u00e9.mp4"
    assert select_videos(ledger.assign(outcome="ok", sha256="content"), None, ["a/Jos\u00e9.mp4"]) == [
        "a/Jose\u0301.mp4"
    ]


def test_an_unknown_or_ambiguous_id_is_one_sentence() -> None:
    ledger = ledger_of(*(f"a/S{number:03d}" for number in range(1, 9)))
    with pytest.raises(UserError, match=r"no video 'a/S0O1' \(did you mean 'a/S001'\?\)"):
        find_video(ledger, "a/S0O1")
    with pytest.raises(UserError, match=r"8 videos fit 'S00': 'a/S001', .*'a/S005' and 3 more; name one"):
        find_video(ledger, "S00")
    with pytest.raises(UserError, match="lists no video"):
        find_video(ledger.head(0), "S00")


def test_an_output_that_cannot_be_is_refused(settings: StudySettings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"should end in \.png"):
        inspect_video(settings, "moving", tmp_path / "a.gif")
    with pytest.raises(UserError, match="no folder"):
        inspect_video(settings, "moving", tmp_path / "none" / "a.png")


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(settings: StudySettings, tmp_path: Path) -> None:
    page, photograph = tmp_path / "page.png", tmp_path / "photograph.png"
    for _ in range(2):
        assert inspect_video(settings, "short", page) == page
    Image.new("RGB", (8, 8)).save(photograph)
    before = photograph.read_bytes()
    with pytest.raises(UserError, match="was not made by this command"):
        inspect_video(settings, "short", photograph)
    assert photograph.read_bytes() == before
    inspect_video(settings, "short", photograph, force=True)
    (tmp_path / "video.png").symlink_to(settings.corpus.root / "moving.mp4")
    with pytest.raises(UserError, match="is one of the inputs"):
        inspect_video(settings, "short", tmp_path / "video.png", force=True)


def test_positions_are_spread() -> None:
    assert spread(0, 6) == []
    assert spread(4, 6) == [0, 1, 2, 3]
    assert spread(60, 6) == [5, 15, 25, 35, 45, 55]


def test_frames_of_a_file_of_unknown_length_are_spread(settings: StudySettings) -> None:
    path = settings.corpus.root / "moving.mp4"
    stills = read_spread_stills(path, 5)
    frames = [still.frame for still in stills]
    assert len(frames) == 5
    assert all(8 <= step <= 16 for step in np.diff(frames))
    assert frames[0] < 12
    assert frames[-1] >= 48
    assert [still.frame for still in read_spread_stills_in_child(path, 5)] == frames
    cut = read_spread_stills(path, 5, limit_s=0.0)
    assert [still.frame for still in cut] == [0], "what takes too long is left"


def test_the_command_is_quick_to_start_and_prints_the_path(settings: StudySettings, tmp_path: Path) -> None:
    output = tmp_path / "page.png"
    arguments = ["inspect", "moving", "--data-root", str(settings.data_root), "--output", str(output)]
    arguments += [part for key, value in OVERRIDES.items() for part in ("--set", f"{key}={value}")]
    code = (
        "import json, sys\nfrom flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    path, _, modules = result.stdout.strip().rpartition("\n")
    assert path == str(output)
    assert output.is_file()
    loaded: list[Any] = json.loads(modules)
    assert "matplotlib" in loaded
    assert not set(loaded) & {"prefect", "tensorflow", "keras", "mlflow", "sklearn", "jax"}


def test_the_axis_has_the_times_of_the_labels(tmp_path: Path) -> None:
    """A recording whose frames become rarer: the axis is not that of an even rate, and both end with the video."""
    times_ms = [20 * number if number < 30 else 600 + 100 * (number - 30) for number in range(60)]
    (tmp_path / "videos").mkdir()
    encode(tmp_path / "videos" / "rarer.mkv", draw_moving_face(1.0, 60), pts_ms=times_ms)
    overrides = {**OVERRIDES, "data_root": tmp_path / "data", "corpus.root": tmp_path / "videos"}
    settings = resolve_settings(None, None, overrides)
    prepare_all(settings)
    page = look_at(settings, "rarer")
    assert page.timeline
    assert page.timeline.time_of
    for moment in page.moments:
        assert moment.pts_s == pytest.approx(times_ms[moment.frame] / 1000, abs=0.001)
        assert page.timeline.time_of(moment.frame) == pytest.approx(moment.pts_s)
    assert page.facts["length"] == "60 frames = 3.5 s"
    assert page.timeline.time_of(60) == pytest.approx(3.54, abs=0.01)
    assert page.facts["motion"].startswith("px in 1/30 s, over 0.0")


def test_the_rate_of_numbered_images_is_an_assumption(settings: StudySettings) -> None:
    row = find_video(read_ledger(Layout.of(settings).ledger, settings.corpus.emotions), "moving")
    assert gather(settings, row).facts["video"] == "320 x 240 px, 25 fps, h264"
    assert gather(settings, row | {"codec": "images"}).facts["video"] == "320 x 240 px, 25 fps (assumed)"


def test_it_says_how_often_a_face_was_found_and_confirmed(settings: StudySettings) -> None:
    row = find_video(read_ledger(Layout.of(settings).ledger, EMOTIONS), "half.mp4")
    facts = gather(settings, row).facts
    assert facts["detector"] == "haar"
    assert (
        facts["faces found"]
        == f"in {100 * row['num_found'] / row['num_searched']:.0f} % of {row['num_searched']} frames"
    )
    assert 0 < row["num_found"] < row["num_searched"]
    assert facts["second opinion"] == ""
    confirmed = {"mean_score": 0.875, "num_searched": 40, "num_found": 30, "num_asked": 32, "num_agreed": 24}
    prepare = settings.prepare.model_copy(update={"detector": "yunet", "confirm": "haar", "align": "eyes"})
    facts = _face_facts(row | confirmed, prepare)
    assert facts == {
        "detector": "yunet, eyes level",
        "faces found": "in 75 % of 40 frames, score 0.88",
        "second opinion": "haar, agreed 75 % of 32",
    }
    earlier = {name: value for name, value in row.items() if name not in confirmed}
    assert gather(settings, earlier).facts["faces found"] == "", "an earlier version did not count"
