"""A model asked about one video: its rows by segment and by frame, which agree, and how little of the video is held."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_prediction import PREPARE

from fer_models.errors import UserError
from fer_models.models.arms import ensemble_of, get_arm
from fer_models.models.building import build_ensemble, build_model
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.settings import ModelSettings
from fer_models.statistics.calibration import apply_temperature
from fer_models.statistics.metrics import pooled
from fer_models.training.engine import predict
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.inference.asking import Said, SegmentAsker
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Calibration, Predictor
from tasks.inference.rows import Sightings, frame_rows
from tasks.inference.table_files import write_table
from tasks.video.boxes import Box
from tasks.video.cutting import cut_frames
from tasks.video.segments import FaceFrame, Sighting

LABELS = ("anger", "fear")
P = [f"p_{label}" for label in LABELS]
OVERLAPPING = PREPARE.model_copy(update={"segment_length": 4, "segment_stride": 2})
SEQUENCES = OVERLAPPING.model_copy(update={"frames_per_segment": 2})


def build(arm: str, prepare: PrepareSettings, seed: int = 0, **settings: object) -> keras.Model:
    """An untrained model whose probabilities differ from segment to segment."""
    model = build_model(
        get_arm(arm),
        ModelSettings(width=2, head_units=4, **settings),
        LABELS,
        prepare=prepare.model_dump(mode="json"),
        shape=SegmentShape(prepare.frames_per_segment, has_optical_flow=prepare.has_optical_flow),
        seed=seed,
    )
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([30 * kernel, bias])
    return model


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for 12 frames, then a wall for 8."""
    path = tmp_path_factory.mktemp("video") / "half.mp4"
    write_video(path, draw_moving_face(2.0, 12) + draw_wall(8), FPS)
    return path


@pytest.mark.parametrize(
    ("arm", "prepare", "how"),
    [
        ("gap-sum", OVERLAPPING, "mean_probability"),
        ("gap-sum", OVERLAPPING, "linear_svm"),
        ("lstm-spatial", SEQUENCES, "mean_probability"),
    ],
)
def test_the_rows_of_segments_make_that_of_the_video(half: Path, arm: str, prepare: PrepareSettings, how: str) -> None:
    predictor = Predictor([build(arm, prepare, video_classifier=how)], prepare)
    found = predictor.predict(half)
    rows = found.segments
    assert rows["segment"].tolist() == list(range(9))
    assert rows["first_frame"].tolist() == list(range(0, 18, 2))
    assert (rows["end_s"] - rows["start_s"]).to_numpy() == pytest.approx(3 / FPS, abs=1e-3)
    said = rows[rows["seen_share"] > 0]
    assert 5 <= len(said) == found.row["num_segments"] <= 7
    assert (said["predicted"] != "").all()
    lone = rows[rows["seen_share"] == 0]
    assert set(lone["predicted"]) == {""}
    assert lone[[*P, "confidence"]].isna().all(axis=None)
    means = pooled(said[P].to_numpy(), np.zeros(len(said), int), predictor._pooling)[0]
    assert [found.row[name] for name in P] == pytest.approx(list(means), abs=1e-6)
    assert said[P].std().max() > 1e-4, "else all of this says little"


@pytest.mark.parametrize(("arm", "prepare"), [("gap-sum", OVERLAPPING), ("lstm-spatial", SEQUENCES)])
def test_a_frame_is_the_mean_of_the_segments_it_stands_in(half: Path, arm: str, prepare: PrepareSettings) -> None:
    found = Predictor([build(arm, prepare)], prepare).predict(half)
    frames, segments = found.frames, found.segments
    assert frames["frame"].tolist() == list(range(20)), "each frame has its row"
    assert frames["time_s"].to_numpy() == pytest.approx(np.arange(20) / FPS, abs=1e-3)
    assert set(frames["track"]) == {1}
    assert set(frames["face"][:11]) == {"found", "between"}
    assert set(frames["face"][-4:]) == {"none"}
    checked = 0
    for row in frames.to_dict("records"):
        of_it = segments[(segments["first_frame"] <= row["frame"]) & (row["frame"] <= segments["last_frame"])]
        of_it = of_it[of_it["seen_share"] > 0]
        if row["face"] == "none" or of_it.empty:
            assert np.isnan([row[name] for name in P]).all()
            assert row["predicted"] == ""
            continue
        checked += 1
        means = of_it[P].mean()
        assert [row[name] for name in P] == pytest.approx(list(means), abs=1e-6)
        assert row["predicted"] == LABELS[int(means.to_numpy().argmax())]
        assert row["confidence"] == pytest.approx(means.max(), abs=1e-6)
    assert checked >= 10
    boxes = frames[["x", "y", "width", "height"]]
    assert (boxes.isna().all(axis=1) == (frames["face"] == "none")).all()
    xs = boxes["x"][:11].astype(float)
    assert xs.is_monotonic_increasing
    assert xs[:9].nunique() >= 7, "the box goes with the face, also in frames between"


def test_a_box_between_two_lies_between_them_and_no_scene_hands_it_on() -> None:
    boxes = {0: Box(0, 0, 10, 10), 4: Box(40, 20, 30, 10), 8: None, 12: Box(100, 0, 10, 10)}
    sightings = Sightings()
    for number in range(16):
        sightings.add(
            Sighting(number, number / 10, (90, 90), number in boxes, boxes.get(number), scene=int(number > 13))
        )
    said = Said(np.array([0]), np.ones(1), np.full((1, 1, 2), 0.5))
    rows = frame_rows(sightings, said, OVERLAPPING.windows, LABELS, track=3)
    assert rows.loc[1, ["x", "y", "width", "height"]].tolist() == [10, 5, 15, 10]
    assert rows.loc[6, ["x", "y", "width", "height"]].tolist() == [40, 20, 30, 10], "what follows is not known"
    words = ["found", "between", "between", "between", "found", "between", "between", "between"]
    assert rows["face"].tolist() == [*words, *["none"] * 4, "found", "between", "none", "none"]
    assert set(rows["track"]) == {3}


@pytest.mark.parametrize("change", ["size", "gap"])
def test_no_box_is_handed_on_to_frames_of_another_size_or_behind_a_gap(change: str) -> None:
    sightings = Sightings()
    for number in range(10):
        box = Box(10 * number, 0, 40, 40) if number in (0, 8) else None
        size = (45, 80) if change == "size" and number >= 5 else (90, 160)
        frame = number + 20 if change == "gap" and number >= 5 else number
        sightings.add(Sighting(frame, frame / 10, size, box is not None, box, scene=0))
    said = Said(np.array([0]), np.ones(1), np.full((1, 1, 2), 0.5))
    rows = frame_rows(sightings, said, OVERLAPPING.windows, LABELS, track=1)
    assert rows["face"].tolist() == ["found", *["between"] * 4, "none", "none", "none", "found", "between"]
    assert rows.loc[:4, "x"].tolist() == [0] * 5, "what follows is of another size, or long after"


def test_members_of_an_ensemble_show_how_far_they_are_apart(half: Path, tmp_path: Path) -> None:
    arm = get_arm("spatial-only")
    members = [build("spatial-only", OVERLAPPING, seed) for seed in (0, 1, 2)]
    found = Predictor(members, OVERLAPPING).predict(half)
    alone = [Predictor([member], OVERLAPPING).predict(half) for member in members]
    means = np.mean([one.segments[P] for one in alone], axis=0)
    assert found.segments[P].to_numpy() == pytest.approx(means, abs=1e-6, nan_ok=True)
    best = [f"p_{name}" for name in found.segments["predicted"][:3]]
    spreads = [np.std([one.segments.loc[row, name] for one in alone]) for row, name in enumerate(best)]
    assert found.segments["uncertainty"][:3].tolist() == pytest.approx(spreads, abs=1e-6)
    assert found.row["uncertainty"] > 0
    assert all(np.isnan(one.row["uncertainty"]) for one in alone)
    build_ensemble(ensemble_of(arm, 3), members).save(tmp_path / "model.keras")
    saved = Predictor.load(tmp_path / "model.keras").predict(half)
    assert saved.segments[P].to_numpy() == pytest.approx(means, abs=1e-6, nan_ok=True)
    assert saved.row["uncertainty"] == pytest.approx(found.row["uncertainty"], abs=1e-6)


def test_what_does_not_go_together_is_no_ensemble() -> None:
    models = [build("spatial-only", prepare) for prepare in (OVERLAPPING, PREPARE)]
    with pytest.raises(UserError, match="the same preparation"):
        Predictor(models, OVERLAPPING)


def test_a_temperature_is_applied_to_the_video(half: Path) -> None:
    model = build("gap-sum", OVERLAPPING)
    plain, calibrated = (
        Predictor([model], OVERLAPPING, calibration=Calibration(of_videos=one)).predict(half) for one in (1.0, 2.0)
    )
    pd.testing.assert_frame_equal(plain.segments, calibrated.segments)
    expected = apply_temperature(np.array([[plain.row[name] for name in P]]), 2.0)[0]
    assert [calibrated.row[name] for name in P] == pytest.approx(list(expected))
    assert calibrated.row["confidence"] < plain.row["confidence"]


@pytest.mark.parametrize(("arm", "prepare"), [("gap-sum", OVERLAPPING), ("lstm-spatial", SEQUENCES)])
def test_blocks_are_asked_as_one(
    half: Path, arm: str, prepare: PrepareSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the segments of a video are cut into blocks."""
    model = build(arm, prepare)
    sizes: list[int] = []

    def ask(segments: FrameInputs) -> np.ndarray:
        sizes.append(len(segments.faces))
        return predict(model, segments)[None]

    def said(block: int) -> Said:
        monkeypatch.setattr("tasks.inference.asking.PREDICT_BATCH", block)
        asker = SegmentAsker(ask, prepare)
        report = cut_frames(half, prepare, asker.take)
        return asker.finish(report.num_segments)

    whole = said(256)
    assert len(sizes) == 1
    sizes.clear()
    parts = said(2)
    assert len(sizes) >= 3
    assert max(sizes) <= 4, "no more frames are held than a block needs"
    assert parts.segments.tolist() == whole.segments.tolist()
    assert parts.seen.tolist() == whole.seen.tolist()
    assert parts.probabilities == pytest.approx(whole.probabilities, abs=1e-6)


def test_a_gap_longer_than_a_block_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.asking.PREDICT_BATCH", 2)
    asked: list[int] = []

    def ask(segments: FrameInputs) -> np.ndarray:
        asked.append(len(segments))
        return np.full((1, len(segments), 2), 0.5, np.float32)

    asker = SegmentAsker(ask, SEQUENCES)
    picture = np.zeros((4, 4, 3), np.uint8)
    for number in (0, 2, 100, 102, 104):
        asker.take(FaceFrame(number // 2, number, 0.0, (0, 0, 4, 4), 1, picture, picture[..., :2].astype(np.float16)))
    found = asker.finish(60)
    assert found.segments.tolist() == [0, 1, 49, 50, 51, 52]
    assert found.seen.tolist() == [1, 0.5, 0.5, 1, 1, 0.5]
    assert sum(asked) == 6


def test_a_stride_of_its_own(half: Path) -> None:
    predictor = Predictor([build("gap-sum", OVERLAPPING)], OVERLAPPING)
    found = predictor.predict(half, stride=1)
    assert found.segments["first_frame"].tolist() == list(range(17))
    usual = predictor.predict(half)
    assert found.segments.loc[[0, 2, 4], P].to_numpy() == pytest.approx(usual.segments.loc[[0, 1, 2], P].to_numpy())


@pytest.mark.parametrize("rows_at_a_time", [5000, 7])
def test_tables_are_written_whole(
    half: Path, tmp_path: Path, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.inference.table_files._ROWS", rows_at_a_time)
    found = Predictor([build("gap-sum", OVERLAPPING)], OVERLAPPING).predict(half)
    for by, length in (("video", 1), ("segment", 9), ("frame", 20)):
        found.to_csv(tmp_path / f"{by}.csv", by)
        found.to_parquet(tmp_path / f"{by}.parquet", by)
        csv, parquet = pd.read_csv(tmp_path / f"{by}.csv"), pd.read_parquet(tmp_path / f"{by}.parquet")
        assert len(csv) == len(parquet) == length
        assert csv.columns.tolist() == parquet.columns.tolist() == found.table(by).columns.tolist()
        found.to_json_lines(tmp_path / f"{by}.jsonl", by)
        lines = pd.read_json(tmp_path / f"{by}.jsonl", lines=True)
        assert (len(lines), lines.columns.tolist()) == (length, csv.columns.tolist())
        write_table(tmp_path / "any.jsonl", found.table(by))
        assert (tmp_path / "any.jsonl").read_bytes() == (tmp_path / f"{by}.jsonl").read_bytes()


def test_a_file_that_is_no_video_has_a_row_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    found: Prediction = Predictor([build("gap-sum", OVERLAPPING)], OVERLAPPING).predict(tmp_path / "text.mp4")
    assert found.row["outcome"] == "undecodable"
    assert found.row["predicted"] == ""
    assert len(found.segments) == len(found.frames) == 0


@pytest.mark.parametrize("prepare", [PREPARE, SEQUENCES])
def test_a_video_that_cannot_be_read_to_its_end_has_no_segments(
    prepare: PrepareSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the model was asked about its beginning already."""
    monkeypatch.setattr("tasks.inference.asking.PREDICT_BATCH", 2)
    asker = SegmentAsker(lambda segments: np.full((1, len(segments), 2), 0.5, np.float32), prepare)
    picture = np.zeros((4, 4, 3), np.uint8)
    for number in range(0, 20, 2):
        asker.take(FaceFrame(number // 2, number, 0.0, (0, 0, 4, 4), 1, picture, picture[..., :2].astype(np.float16)))
    found = asker.finish(0)
    assert (len(found.segments), len(found.seen), found.probabilities.shape) == (0, 0, (1, 0, 2))
