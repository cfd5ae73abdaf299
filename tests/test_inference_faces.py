"""`--faces all`: every face of a video is asked about, as a track of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_predictor import LABELS, OVERLAPPING, SEQUENCES, P, build
from test_real_clips import DATA
from test_video_tracks import beside
from typer.testing import CliRunner

from flows.cli import app
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.inference import one_video
from tasks.inference.one_video import OneVideo
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Predictor
from tasks.inference.pretrained import NAME
from tasks.inference.thumbnails import read_thumbnails
from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode
from tasks.video.segments import FaceFrame, Sighting
from tasks.weights.cache import find

needs_the_clips = pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")
SUM, LSTM = ("gap-sum", OVERLAPPING), ("lstm-spatial", SEQUENCES)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor([build(*SUM)], OVERLAPPING)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A larger face at the left throughout; another one at the right from frame 16 to frame 47."""
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    left = draw_moving_face(0.5, 80, subject=3, scale_px=72)
    right = draw_wall(16) + draw_moving_face(0.5, 32, subject=5, scale_px=60, start=0.6) + draw_wall(32)
    write_video(path, beside(left, right), FPS)
    return path


@pytest.fixture(scope="module")
def found(predictor: Predictor, two: Path) -> Prediction:
    return predictor.predict(two, faces="all")


@pytest.mark.parametrize(("arm", "prepare"), [SUM, LSTM])
def test_of_one_face_the_numbers_are_the_same(moving_face: Path, arm: str, prepare: PrepareSettings) -> None:
    same_as_following_one(Predictor([build(arm, prepare)], prepare), moving_face)


@needs_the_clips
@pytest.mark.skipif(find(NAME) is None, reason="its weights are not here")
def test_of_one_real_person_too() -> None:
    same_as_following_one(Predictor.pretrained(), DATA / "asl20" / "learn.mkv")


def same_as_following_one(predictor: Predictor, path: Path) -> None:
    one, every = predictor.predict(path), predictor.predict(path, faces="all")
    assert len(one.frames)
    pd.testing.assert_frame_equal(every.frames, one.frames)
    pd.testing.assert_frame_equal(every.segments, one.segments)
    (row,) = every.rows
    assert set(row) - set(one.row) == {"track", "first_s", "last_s"}
    pd.testing.assert_series_equal(pd.Series(row).drop(["track", "first_s", "last_s"]), pd.Series(one.row))


def test_each_face_has_its_rows(found: Prediction) -> None:
    first, second = found.rows
    assert (first["track"], second["track"]) == (1, 2)
    assert first["coverage"] == second["coverage"] == 1, "of the time in which it is there"
    assert first["first_s"] == 0
    assert second["first_s"] == pytest.approx(16 / FPS, abs=0.5)
    assert second["last_s"] == pytest.approx(47 / FPS, abs=0.3)
    assert found.row is first
    frames, segments = found.frames, found.segments
    assert set(frames["track"]) == set(segments["track"]) == {1, 2}
    assert frames.sort_values(["frame", "track"]).index.tolist() == list(range(len(frames)))
    assert frames["frame"].unique().tolist() == list(range(80))
    for track, row in enumerate(found.rows, start=1):
        of_it = segments[segments["track"] == track]
        assert row["num_segments"] == len(of_it) == (of_it["seen_share"] > 0).sum()
        assert [row[name] for name in P] == pytest.approx(list(of_it[P].mean()), abs=1e-6)
        there = frames[(frames["track"] == track) & (frames["face"] != "none")]
        assert there["predicted"].isin(LABELS).all()
        assert there["x"].max() < 320 if track == 1 else there["x"].min() > 320
    gone = frames[(frames["track"] == 2) & (frames["frame"] >= 52)]
    assert set(gone["face"]) == {"none"}
    assert gone[P].isna().all(axis=None)
    assert found.table("video")["track"].tolist() == [1, 2]


def test_a_face_is_told_of_as_it_would_be_alone(
    predictor: Predictor, found: Prediction, two: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.mp4"
    write_video(alone, [frame.picture(640)[:, :320].copy() for frame in decode(two, Video())], FPS)
    expected, rows = predictor.predict(alone).frames, found.frames[found.frames["track"] == 1]
    assert rows[P].to_numpy() == pytest.approx(expected[P].to_numpy(), abs=0.1)
    assert rows[["x", "y"]].to_numpy(float) == pytest.approx(expected[["x", "y"]].to_numpy(float), abs=8)


def test_where_nobody_is_there_is_a_row_all_the_same(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    write_video(path, draw_wall(40) + draw_moving_face(1.0, 30), FPS)
    found = predictor.predict(path, faces="all")
    assert [row["track"] for row in found.rows] == [1]
    assert found.frames["frame"].tolist() == list(range(70)), "each has one"
    assert found.segments["segment"].tolist() == list(range(34))
    assert set(found.frames["track"][:36]) == {0}
    assert set(found.segments["track"][:16]) == {0}
    assert set(found.segments["seen_share"][:16]) == {0}
    write_video(path, draw_wall(20), FPS)
    nobody = predictor.predict(path, faces="all")
    assert (nobody.row["outcome"], nobody.row["track"], nobody.row["predicted"]) == ("no_face", 0, "")
    assert set(nobody.frames["track"]) == set(nobody.segments["track"]) == {0}
    (path.with_name("text.mp4")).write_text("no video")
    unread = predictor.predict(path.with_name("text.mp4"), faces="all")
    assert (unread.row["outcome"], len(unread.rows), len(unread.frames)) == ("undecodable", 1, 0)


@pytest.mark.parametrize(("arm", "prepare"), [SUM, LSTM])
def test_of_many_faces_few_frames_are_held(arm: str, prepare: PrepareSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many have come and gone, and what is said of them is the same."""
    predictor = Predictor([build(arm, prepare)], prepare)
    rng = np.random.default_rng(0)
    num_frames, lasts = 400, 10
    faces = rng.integers(0, 255, (num_frames, 48, 48, 3), dtype=np.uint8)
    flows = rng.standard_normal((num_frames, 48, 48, 2)).astype(np.float16)

    def asked(most: int) -> tuple[OneVideo, int]:
        monkeypatch.setattr(one_video, "_MOST_WAITING", most)
        asked, held = OneVideo(predictor, Path("many.mp4"), predictor.preparing(faces="all")), 0
        for number in range(num_frames):
            track = number // lasts + 1
            asked.watch(track, Sighting(number, number / FPS, (90, 90), True, Box(0, 0, 50, 50), 0))
            if number % 2 == 0:
                asked.keep(
                    track, FaceFrame(number // 2, number, number / FPS, (0, 0, 50, 50), 1, faces[number], flows[number])
                )
            held = max(held, asked._num_waiting)
        return asked, held

    def said(of: OneVideo) -> np.ndarray:
        return np.concatenate([face.asker.finish(198).probabilities[0] for face in of._faces.values()])

    (all_at_once, most), (little_by_little, least) = asked(10**6), asked(20)
    assert most > 150
    assert least <= 20 + lasts
    assert len(little_by_little._faces) == num_frames // lasts
    assert said(little_by_little) == pytest.approx(said(all_at_once), abs=1e-6)


def test_the_timeline_has_a_part_for_each(found: Prediction, tmp_path: Path) -> None:
    figure = found.plot(tmp_path / "timeline.png")
    words = [text.get_text() for text in figure.texts]
    assert [one for one in words if one.startswith("face ")] == ["face 1", "face 2"]
    assert {one.track for one in read_thumbnails(found.video, found.frames)} == {1, 2}


def test_the_command_shows_a_row_a_face(predictor: Predictor, two: Path, tmp_path: Path) -> None:
    predictor.members[0].save(tmp_path / "model.keras")
    output = tmp_path / "faces.csv"
    command = ["predict", str(tmp_path / "model.keras"), str(two), "--faces", "all", "-o", str(output)]
    said = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert [line.split("│")[2].strip() for line in said.output.splitlines() if " s │" in line] == ["1", "2"]
    assert pd.read_csv(output)["track"].tolist() == [1, 2]


def film(path: Path, num_frames: int) -> list[np.ndarray]:
    """The frames of a clip, forwards and backwards until there are so many: uint8 RGB."""
    frames = [frame.picture(4096).copy() for frame in decode(path, Video())]
    there_and_back = frames + frames[-2:0:-1]
    return [there_and_back[number % len(there_and_back)] for number in range(num_frames)]


@needs_the_clips
@pytest.mark.slow
@pytest.mark.skipif(find(NAME) is None, reason="its weights are not here")
def test_two_real_people_beside_each_other_for_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay who they are, and of each the network says nearly what it says of the film of that one alone."""
    monkeypatch.setattr("flows.cli.using.signal.signal", lambda *_: None)
    films = {
        name: film(DATA / "mead24" / f"{name}_level3_001.mp4", 250) for name in ("M030_front_happy", "W009_front_angry")
    }
    for name, frames in films.items():
        write_video(tmp_path / f"{name}.mp4", frames, FPS)
    write_video(tmp_path / "both.mp4", beside(*films.values()), FPS)
    command = ["predict", str(tmp_path / "both.mp4"), "--faces", "all", "--by", "frame", "--timeline", "--annotate"]
    said = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    assert "In them 2 faces were followed." in said.output
    out = tmp_path / "out" / "both.mp4"
    rows, together = pd.read_csv(tmp_path / "out" / "predictions.csv"), pd.read_csv(out / "frames.csv")
    assert rows["track"].tolist() == [1, 2]
    assert rows["coverage"].tolist() == [1, 1]
    assert len(together) == 500
    for name, track in zip(films, (1, 2), strict=True):
        alone = Predictor.pretrained().predict(tmp_path / f"{name}.mp4")
        of_it = together[together["track"] == track]
        middles = of_it["x"] + of_it["width"] / 2
        assert (middles > 256).all() if track == 2 else (middles < 256).all()
        columns = [column for column in of_it if column.startswith("p_")]
        apart = np.abs(of_it[columns].to_numpy() - alone.frames[columns].to_numpy())
        assert apart.mean() < 0.03, "the boxes differ by a few px, and the film was encoded anew"
        assert (of_it["predicted"].to_numpy() == alone.frames["predicted"].to_numpy()).mean() > 0.9
        row = rows[rows["track"] == track].iloc[0]
        assert [row[column] for column in columns] == pytest.approx([alone.row[column] for column in columns], abs=0.05)
    assert (out / "timeline.png").stat().st_size > 50_000
    assert sum(1 for _ in decode(out / "annotated.mp4", Video())) == 250
