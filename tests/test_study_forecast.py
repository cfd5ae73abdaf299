"""What a study will take is told from what the like took before, and nothing is told that was not measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FPS

from fer_models.models.arms import get_arm
from fer_models.training.progress import Epoch, Progress
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.preparation.measuring import foresee_preparation, remember_preparation
from tasks.preparation.shards import shard_path
from tasks.storage.measured import Measured, recall, remember
from tasks.study import forecast as forecasts
from tasks.study.forecast import Material, forecast, remember_training, remembered_evaluation
from tasks.study.runs import Run
from tasks.video.segments import VideoReport


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty record."""
    path = tmp_path / "cache" / "measured.json"
    monkeypatch.setattr("tasks.storage.measured._file", lambda: path)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> StudySettings:
    overrides = {"data_root": tmp_path / "data", "arms": ["gap-sum", "hog-svm"], "training.steps": 100}
    return resolve_settings("modern", overrides=overrides)


def material(settings: StudySettings, due: list[Path]) -> Material:
    return Material(due, 10, 0.6, 0.2, settings.all_arms(), 2, 2)


def test_later_measurements_count_more() -> None:
    remember("train", "arm", "a", Measured(work=100, seconds=10, start_s=4))
    remember("train", "arm", "a", Measured(work=100, seconds=40, start_s=1))
    known = recall("train", "arm", "a")
    assert known is not None
    assert known.seconds_for(300) == pytest.approx((4 / 2 + 1) / 1.5 + 300 * (10 / 2 + 40) / 150)


@pytest.mark.parametrize(
    "entry", [{}, {"times": 0}, {"times": -1}, {"times": 1, "work": -5}, {"times": 1, "work": float("nan")}, [], "x", 3]
)
def test_a_record_that_somebody_changed_counts_as_none(entry: object, file: Path, settings: StudySettings) -> None:
    """It is a help: nothing of it may end a command."""
    remember("train", "gap-sum", "a", Measured(work=10, seconds=5))
    file.write_text(json.dumps({"train": {"gap-sum/a": entry}, "evaluate": {"run/": entry}}), encoding="utf-8")
    assert recall("train", "gap-sum", "a") is None
    assert forecast(settings, material(settings, [])).total_s is None


def test_an_evaluation_of_no_run_tells_nothing_of_others(settings: StudySettings) -> None:
    remember("evaluate", "run", "", Measured(work=0, seconds=5))
    assert "evaluating" in forecast(settings, material(settings, [])).unknown


def test_the_like_stands_in_for_what_was_not_measured() -> None:
    assert recall("train", "arm", "a") is None
    remember("train", "arm", "b", Measured(work=10, seconds=5))
    remember("train", "arm-2", "b", Measured(work=10, seconds=500))
    known = recall("train", "arm", "a")
    assert known is not None
    assert known.seconds_for(20) == pytest.approx(10)
    assert recall("evaluate", "arm") is None


@pytest.mark.parametrize("text", ["", "[]", '{"train": 3}', '{"train": {"arm/a": {"speed": 1}}}', "\x00"])
def test_a_damaged_record_is_none(text: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    assert recall("train", "arm", "a") is None
    remember("train", "arm", "a", Measured(work=1, seconds=1))
    assert recall("train", "arm", "a") is not None


def test_a_cache_that_cannot_be_written_stops_nobody(file: Path) -> None:
    file.parent.write_text("a file in the place of the folder", encoding="utf-8")
    remember("train", "arm", "a", Measured(work=1, seconds=1))
    assert recall("train", "arm", "a") is None


def test_a_preparation_is_foretold_by_its_pixels(settings: StudySettings, tmp_path: Path) -> None:
    """A video of twice the frames and four times the pixels takes eight times as long."""
    assert foresee_preparation(settings, [tmp_path / "absent.mp4"]) is None
    folder, sha256 = Layout.of(settings).shards, "ab" * 32
    shard = shard_path(folder, sha256)
    shard.parent.mkdir(parents=True)
    shard.write_bytes(bytes(5000))
    small = VideoReport(outcome=Outcome.OK, num_frames=10, width=160, height=120, num_covered=3, num_segments=4)
    failed = VideoReport(outcome=Outcome.NO_FACE, message="nobody")
    remember_preparation(settings, {sha256: small, "cd" * 32: failed}, seconds=6.0)
    videos = [tmp_path / f"{number}.mp4" for number in range(2)]
    for video in videos:
        write_video(video, [np.zeros((240, 320, 3), np.uint8)] * 20, FPS)
    foreseen = foresee_preparation(settings, videos)
    assert foreseen is not None
    assert foreseen.seconds == pytest.approx(2 * 8 * 6.0)
    assert foreseen.num_bytes == pytest.approx(2 * 8 * 5000)
    assert foreseen.rows == pytest.approx(2 * 8 * 3)


def test_what_was_not_measured_is_named(settings: StudySettings, tmp_path: Path) -> None:
    found = forecast(settings, material(settings, [tmp_path / "a.mp4"]))
    assert found.unknown == ("preparing videos", "gap-sum", "hog-svm", "evaluating")
    assert (found.total_s, found.seconds, found.disk_bytes, found.memory_bytes) == (None, {}, 0.0, None)


def test_the_steps_add_up(settings: StudySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("start", "flow", "", Measured(start_s=20))
    for arm, seconds in (("gap-sum", 8.0), ("hog-svm", 2.0)):
        run = Run(get_arm(arm), 1, None, Layout.of(settings).runs / arm)
        run.folder.mkdir(parents=True)
        (run.folder / "model.keras").write_bytes(bytes(1000))
        monkeypatch.setattr(forecasts, "data_of", lambda settings, fold: forecasts.TrainingData(0, 500, 10))
        remember_training(settings, run, history(seconds), seconds=seconds + 3)
    remember("evaluate", "run", "", Measured(work=4, seconds=40, num_bytes=800))
    remember("memory", "train", "", Measured(num_bytes=10**9))
    monkeypatch.setattr(forecasts, "rows_of_a_video", lambda settings: 5.0)
    longer = settings.model_copy(update={"training": settings.training.model_copy(update={"steps": 200})})
    found = forecast(longer, material(longer, []))
    assert found.unknown == ()
    assert found.seconds["starting"] == 20
    assert found.seconds["evaluating"] == 20
    # of 8 s the first epoch took 4 s more than the others, and 4 s become 8; the other arm has 30 rows in place of 500
    assert found.seconds["training"] == pytest.approx((4 + 3) + 2 * 4 + (1 + 3) + 1 * 30 / 500)
    assert found.disk_bytes == pytest.approx(2 * 1000 + 2 * 200)
    assert found.memory_bytes is not None
    assert 10**9 < found.memory_bytes < 3 * 10**9


def history(seconds: float) -> Progress:
    """Three epochs, of which the first takes two thirds."""
    names = ("learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_uar", "monitored")
    rest = dict.fromkeys(names, 0.0)
    took = (4 / 6 * seconds, 1 / 6 * seconds, 1 / 6 * seconds)
    epochs = [Epoch(epoch=number, seconds=one, **rest) for number, one in enumerate(took, start=1)]
    return Progress(history=epochs, last_checkpoint="", best_checkpoint="", best_epoch=1)


def test_one_part_that_is_not_known_leaves_no_total(settings: StudySettings) -> None:
    remember("train", "gap-sum", "x", Measured(work=100, seconds=1))
    found = forecast(settings, material(settings, []))
    assert found.unknown == ("hog-svm", "evaluating")
    assert found.total_s is None
    assert found.seconds["training"] > 0


def test_what_an_evaluation_leaves_is_counted_with_what_mlflow_copies(settings: StudySettings) -> None:
    layout = Layout.of(settings)
    artifacts = layout.root / "mlartifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "before").write_bytes(bytes(70))
    runs = [Run(get_arm(arm), 1, None, layout.runs / arm) for arm in settings.arms]
    with remembered_evaluation(settings, runs):
        (artifacts / "model").write_bytes(bytes(1000))
        layout.report.mkdir(parents=True)
        (layout.report / "index.html").write_bytes(bytes(500))
    known = recall("evaluate", "run")
    assert known is not None
    assert (known.work, known.num_bytes) == (2, 1500)
    (runs[0].folder / "test-1").mkdir(parents=True)
    with remembered_evaluation(settings, runs):
        """One of them is evaluated already, so that the time would tell of fewer than there are."""
    assert recall("evaluate", "run") == known
