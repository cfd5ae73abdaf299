"""Drift is told where it is, and not where there is none; distances and shares are exact."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, write_shard
from scipy.stats import chi2_contingency
from stored_tables import store

from fer_models.labels import EMOTIONS
from flows.cli.answers import Answers
from flows.drift import print_drift
from tasks.config.layout import Layout
from tasks.config.presets import sample
from tasks.config.settings import StudySettings
from tasks.dataset.drift import (
    compare,
    describe_videos,
    drift_rows,
    measure_drift,
    read_drift,
    record_drift,
)
from tasks.outcomes import Outcome
from tasks.preparation.ledger import SCHEMA as LEDGER
from tasks.preparation.ledger import read_ledger
from tasks.preparation.scan import Conclusion
from tasks.preparation.shards import shard_path
from tasks.video.segments import FaceFrame, VideoReport


def column(name: str, values: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({name: list(values)})


def only_row(before: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    (row,) = (row for _, row in compare(before, new).iterrows())
    return row


def test_shares_and_their_distance_are_exact() -> None:
    before = column("emotion", ["anger"] * 60 + ["fear"] * 30 + ["sadness"] * 10)
    new = column("emotion", ["anger"] * 2 + ["fear"] * 6 + ["disgust"] * 12)
    row = only_row(before, new)
    assert row["before"] == "anger 60 %, fear 30 %, sadness 10 %, disgust 0 %"
    assert row["new"] == "anger 10 %, fear 30 %, sadness 0 %, disgust 60 %"
    assert row["distance"] == pytest.approx((0.5 + 0 + 0.1 + 0.6) / 2)
    assert row["p_value"] == pytest.approx(1 / 10_000), "no draw comes near"
    assert row["remark"] == "more disgust"


def test_many_categories_are_not_all_listed() -> None:
    sizes = column("resolution", [f"{100 + number}x100" for number in range(12)])
    assert only_row(sizes, sizes)["before"].endswith("107x100 8 %, 4 others")


def test_numbers_are_told_by_their_distribution() -> None:
    low, high = column("fps", np.arange(0, 20)), column("fps", np.arange(100, 120))
    row = only_row(low, high)
    assert (row["distance"], row["remark"]) == (1.0, "higher")
    assert (row["before"], row["new"]) == ("9.5 (0.95 to 18.1)", "110 (101 to 118)")
    assert only_row(high, low)["remark"] == "lower"
    half = column("fps", np.arange(10, 30))
    assert only_row(low, half)["distance"] == 0.5
    same = only_row(column("fps", [25.0] * 20), column("fps", [25.0] * 10))
    assert (same["distance"], same["p_value"], same["before"], same["remark"]) == (0, 1, "25", "")


def test_a_wider_spread_around_the_same_middle() -> None:
    narrow, wide = np.linspace(-1, 1, 101), np.linspace(-9, 9, 101)
    assert only_row(column("brightness", narrow), column("brightness", wide))["remark"] == "spread otherwise"


def test_the_same_distribution_is_hardly_ever_called_different() -> None:
    rng = np.random.default_rng(7)

    def batch(size: int) -> pd.DataFrame:
        return pd.DataFrame({"length": rng.normal(size=size), "emotion": rng.choice(list("abcdef"), size)})

    remarks = pd.concat([compare(batch(200), batch(int(rng.integers(8, 60))))["remark"] for _ in range(100)])
    assert len(remarks) == 200
    assert (remarks != "").sum() <= 4, "at a level of 1 % two are expected"


def test_chance_is_what_a_chi_square_test_says_where_that_holds() -> None:
    """Of two categories both order the possible batches alike; of large batches its approximation is good."""
    rng = np.random.default_rng(3)
    for share in (0.45, 0.48, 0.5, 0.53, 0.56):
        before, new = (
            pd.Series(rng.choice(list("ab"), 400)),
            pd.Series(rng.choice(list("ab"), 400, p=[share, 1 - share])),
        )
        expected = chi2_contingency([before.value_counts().sort_index(), new.value_counts().sort_index()]).pvalue
        found = only_row(before.to_frame("emotion"), new.to_frame("emotion"))["p_value"]
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("number", "remark"), [(7, "too few to tell"), (8, "higher")])
def test_few_videos_tell_nothing(number: int, remark: str) -> None:
    many, few = column("fps", np.arange(100)), column("fps", np.arange(500, 500 + number))
    assert only_row(many, few)["remark"] == remark
    assert only_row(few, many)["remark"] == remark.replace("higher", "lower")


def test_what_one_side_cannot_show_has_no_row() -> None:
    before = pd.DataFrame({"sharpness": [1.0] * 9, "coverage": [1.0] * 9})
    new = pd.DataFrame({"sharpness": [np.nan] * 9, "coverage": [0.0] * 9})
    assert compare(before, new)["measure"].tolist() == ["coverage"]


class World:
    """A data root whose shards hold faces of known sharpness, size and brightness."""

    def __init__(self, folder: Path) -> None:
        self.settings: StudySettings = sample().model_copy(update={"data_root": folder})
        self.layout = Layout.of(self.settings)
        self.rows: list[dict[str, object]] = []
        self.rng = np.random.default_rng(7)

    def add(
        self, number: int, prefix: str, blur: float = 0.0, side_px: int = 90, motion_px: float = 0.0, **facts: object
    ) -> list[str]:
        """Prepare so many videos; returns their SHA-256."""
        added = []
        for index in range(number):
            sha256 = f"{len(self.rows):02x}{prefix}{index}"
            path = shard_path(self.layout.shards, sha256)
            noise = self.rng.integers(0, 256, FACE_SHAPE).astype(np.uint8)
            face = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
            motion = np.broadcast_to([0.6 * motion_px, 0.8 * motion_px], OPTICAL_FLOW_SHAPE)
            segment = FaceFrame(0, 0, 0.0, (5, 5, side_px, side_px), 1, face, motion)
            write_shard(path, [segment] * 3, VideoReport(sha256=sha256, outcome=Outcome.OK))
            row: dict[str, object] = {
                "video_id": f"{prefix}{index}",
                "sha256": sha256,
                "subject": f"{prefix} person {index % 3}",
                "emotion": "anger",
                "outcome": "ok",
                "num_frames": 50,
                "num_segments": 4,
                "num_covered": 3,
                "width": 320,
                "height": 240,
                "codec": "h264",
                "fps": 25.0,
                "duration_s": 2.0,
                "repeated_share": 0.0,
                "shard": path.relative_to(self.layout.prepared).as_posix(),
            }
            self.rows.append(row | facts)
            added.append(sha256)
        store(self.layout.ledger, pd.DataFrame(self.rows), LEDGER)
        return added

    def place(self, side: str, prefix: str, fold: int = 0) -> None:
        """Put the videos of that prefix on a side."""
        rows = [
            {"fold": fold, "side": side, **{name: row[name] for name in ("video_id", "sha256", "subject")}}
            for row in self.rows
            if str(row["video_id"]).startswith(prefix)
        ]
        self.layout.split.parent.mkdir(exist_ok=True)
        before = [pd.read_parquet(self.layout.split)] if self.layout.split.is_file() else []
        pd.concat([*before, pd.DataFrame(rows)]).to_parquet(self.layout.split)

    def conclude(self, batch: Sequence[str]) -> Conclusion:
        """What a preparation came to that tried these videos."""
        ledger = read_ledger(self.layout.ledger, EMOTIONS)
        return Conclusion(ledger, {}, ledger[ledger["sha256"].isin(batch)], ledger[:0])

    def drift(self, batch: Sequence[str]) -> pd.DataFrame:
        return measure_drift(self.settings, batch).set_index("measure")


def test_a_ledger_of_an_older_version_has_no_codec_and_no_times(world: World) -> None:
    world.add(10, "old")
    world.add(10, "new", repeated_share=0.5)
    ledger = read_ledger(world.layout.ledger, EMOTIONS).drop(columns=["codec", "duration_s", "repeated_share"])
    facts = describe_videos(ledger, world.layout.prepared)
    assert facts["length, s"].tolist() == [2.0] * 20
    assert "codec" not in facts


@pytest.mark.parametrize(
    ("facts", "measure", "remark"),
    [
        ({"codec": "mpeg4"}, "codec", "more mpeg4"),
        ({"repeated_share": 0.5}, "repeated frames, %", "higher"),
        ({"fps": 50.0}, "frames per second", "higher"),
        ({"duration_s": 9.0}, "length, s", "higher"),
    ],
)
def test_files_of_another_make_are_drift(world: World, facts: dict[str, object], measure: str, remark: str) -> None:
    world.add(20, "old")
    drift = world.drift(world.add(10, "new", **facts))
    assert drift.loc[measure, "remark"] == remark
    assert (drift["remark"] != "").sum() == 1


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_videos_measures(world: World) -> None:
    world.add(1, "a", side_px=77, motion_px=0.5)
    (facts,) = describe_videos(read_ledger(world.layout.ledger, EMOTIONS), world.layout.prepared).to_dict("records")
    noise = np.random.default_rng(7).integers(0, 256, FACE_SHAPE).astype(np.uint8)
    grey = cv2.cvtColor(noise, cv2.COLOR_RGB2GRAY)
    assert facts == {
        "emotion": "anger",
        "resolution": "320x240",
        "frames per second": 25.0,
        "codec": "h264",
        "repeated frames, %": 0.0,
        "length, s": 2.0,
        "coverage, %": 75.0,
        "face size, px": 77.0,
        "sharpness": pytest.approx(cv2.Laplacian(grey, cv2.CV_64F).var()),
        "brightness": pytest.approx(grey.mean()),
        "motion, px": pytest.approx(0.5, abs=1e-3),
    }


def test_the_distance_of_blurred_faces_is_exact(world: World) -> None:
    for index in range(4):
        world.add(5, f"old{index}-", blur=0.5 + 0.25 * index)
    distances = []
    for blur in (0.6, 0.85, 1.1, 1.5):
        row = world.drift(world.add(10, f"new{blur}-", blur=blur)).loc["sharpness"]
        world.rows = world.rows[:20]
        distances.append(row["distance"])
    assert row["remark"] == "lower"
    assert distances == [0.75, 0.5, 0.75, 1.0], (
        "all but a quarter are blurred more, then half; then three quarters are sharper, and all"
    )


def test_videos_like_the_others_show_no_drift(world: World) -> None:
    world.add(40, "old")
    drift = world.drift(world.add(30, "new"))
    assert set(drift["remark"]) == {""}
    exact = ["emotion", "resolution", "frames per second", "codec", "repeated frames, %", "length, s", "coverage, %"]
    assert drift.loc[[*exact, "face size, px"], "distance"].tolist() == [0.0] * 8
    assert set(drift["reference"]) == {"earlier"}
    assert set(drift["num_people"]) == {3}


def test_uncovered_videos_count_for_coverage_and_nothing_else(world: World) -> None:
    world.add(40, "old")
    lost = world.add(10, "lost", outcome="no_face", num_covered=0, width=640)
    drift = world.drift([*lost, *world.add(10, "new")])
    assert drift.loc["coverage, %", ["num_new", "distance", "remark"]].tolist() == [20, 0.5, "lower"]
    assert drift.loc["resolution", ["num_new", "new"]].tolist() == [10, "320x240 100 %"]


def test_only_the_training_side_of_one_fold_is_compared_with(world: World) -> None:
    for name, side in (("train", "train"), ("valid", "validation"), ("tested", "test"), ("kept", "reserve")):
        world.add(10, name, blur=0.0 if side == "train" else 3.0)
        world.place(side, name)
    world.place("train", "tested", fold=1)
    for row in world.rows[10:]:
        (world.layout.prepared / str(row["shard"])).unlink()
    drift = world.drift(world.add(9, "new"))
    assert set(drift["num_before"]) == {10}
    assert set(drift["reference"]) == {"training"}
    assert drift.loc["sharpness", "remark"] == ""


def test_a_large_corpus_costs_no_more_than_a_sample(world: World) -> None:
    world.add(1, "old")
    (row,) = world.rows
    world.rows = [row | {"video_id": f"v{number}", "sha256": f"s{number}"} for number in range(900)]
    drift = world.drift(world.add(8, "new"))
    assert drift["num_before"].to_dict() == dict.fromkeys(drift.index[:7], 900) | dict.fromkeys(drift.index[7:], 200)


def test_the_first_batch_has_nothing_to_be_compared_with(world: World) -> None:
    batch = world.add(9, "first")
    drift = measure_drift(world.settings, world.conclude(batch).newly_prepared)
    assert drift.empty
    assert drift_rows(drift) == []
    record_drift(world.layout.drift, drift)
    assert not world.layout.drift.exists()


def test_a_batch_is_kept_and_shown(world: World) -> None:
    world.add(9, "old")
    emotions = ["anger", "fear", "sadness", "disgust", "happiness", "surprise"]
    batch = [sha for emotion in emotions for sha in world.add(4, emotion, emotion=emotion, width=1920, height=1080)]
    conclusion = world.conclude(batch)
    assert conclusion.newly_prepared == set(batch)
    drift = measure_drift(world.settings, conclusion.newly_prepared)
    record_drift(world.layout.drift, drift)
    record_drift(world.layout.drift, drift)
    kept = read_drift(world.layout.drift, world.settings.name)
    assert kept["measure"].tolist() == drift["measure"].tolist() * 2
    pd.testing.assert_frame_equal(kept.drop(columns="time").head(len(drift)), drift, check_dtype=False)
    resolution = drift_rows(drift)[1]
    assert resolution == {
        "measure": "resolution",
        "earlier": "320x240 100 %, 1920x1080 0 %",
        "new": "320x240 0 %, 1920x1080 100 %",
        "distance": "1.00",
        "remark": "more 1920x1080",
    }
    with (world.layout.root / "table.txt").open("w") as file:
        print_drift(drift, Answers(file=file, width=100))
    lines = (world.layout.root / "table.txt").read_text().splitlines()
    assert lines[0].startswith("24 new videos of 18 people beside 9 that were prepared earlier")
    assert any(line.split()[:4] == ["resolution", "320x240", "100", "%"] for line in lines)
    assert max(map(len, lines)) <= 100


def test_the_drift_of_another_study_is_not_told(world: World) -> None:
    world.add(9, "old")
    drift = measure_drift(world.settings, world.add(9, "new", width=1920))
    record_drift(world.layout.drift, drift.drop(columns="study").assign(study=None))  # as it was recorded before
    record_drift(world.layout.drift, drift)
    record_drift(world.layout.drift, drift.assign(study="another"))
    assert len(read_drift(world.layout.drift, world.settings.name)) == 2 * len(drift)
    pd.read_parquet(world.layout.drift).drop(columns="study").to_parquet(world.layout.drift)
    assert len(read_drift(world.layout.drift, world.settings.name)) == 3 * len(drift)
    record_drift(world.layout.drift, drift)
    assert len(read_drift(world.layout.drift, world.settings.name)) == 4 * len(drift)
