"""Training that stops, resumes, diverges and repeats as it says.

Run as a program (`python test_training_fitting.py FOLDER EPOCH`) this trains in FOLDER and kills itself after EPOCH.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.errors import FerError, TrainingDiverged, UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import (
    AugmentationSettings,
    ConstantSchedule,
    CosineSchedule,
    ModelSettings,
    PlateauSchedule,
    TrainingSettings,
)
from fer_models.statistics.metrics import score
from fer_models.training import engine, fitting, sampling
from fer_models.training.engine import predict
from fer_models.training.fitting import fit
from fer_models.training.progress import Epoch, Progress
from tasks.storage import disk
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints, epoch_weights, read_progress, read_validation

pytestmark = pytest.mark.trains

MODEL = ModelSettings(width=4, head_units=8, dropout=0.0)
#: Four epochs of two steps with nothing random in them but the order of rows.
PLAIN = TrainingSettings(
    epochs=4, batch_size=6, learning_rate=2e-3, augmentation=None, schedule=PlateauSchedule(patience=1)
)
LOSS = {"monitor": "val_loss", "schedule": ConstantSchedule()}
SEED = 5


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Small predictions, and steps that run as they stand: to trace a step takes longer than this whole training."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    patch.setattr(engine, "PREDICT_BATCH", 8)


def segments(num: int, seed: int = 0) -> SegmentArrays:
    """Noise with a light square whose place tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 6
    faces = rng.integers(0, 100, (num, 48, 48, 3), np.uint8)
    optical_flows = rng.normal(0, 0.1, (num, 48, 48, 2)).astype(np.float16)
    for row, label in enumerate(labels):
        faces[row, 8 * label : 8 * label + 8, 16:32] += 100
        optical_flows[row, :, 8 * label : 8 * label + 8, 0] += 0.5
    names = np.array([f"video{row // 3}#{row % 3}" for row in range(num)])
    return pair_arrays(faces, optical_flows, labels, np.arange(num) // 3, names)


TRAIN, VALIDATION = segments(12), segments(9, seed=1)
#: The training rows under other labels: the better a model learns, the worse it does here.
CONTRARY = pair_arrays(TRAIN.faces, TRAIN.optical_flows, (TRAIN.labels + 1) % 6, TRAIN.videos, TRAIN.names)


def build(settings: TrainingSettings, dropout: float = 0.0) -> keras.Model:
    model = MODEL.model_copy(update={"dropout": dropout})
    return build_model(ARMS["temporal-only"], model, augmentation=settings.augmentation, seed=SEED)


def train(folder: Path, settings: TrainingSettings = PLAIN, dropout: float = 0.0, **arguments) -> Progress:
    subsets = arguments.pop("train", TRAIN), arguments.pop("validation", VALIDATION)
    checkpoints = RunCheckpoints(folder, settings.keep_epochs)
    return fit(partial(build, settings, dropout), *subsets, settings, checkpoints, SEED, **arguments)


def final_weights(folder: Path) -> list[np.ndarray]:
    return load_model(folder / MODEL_FILE).get_weights()


def without_seconds(history: list[Epoch]) -> list[dict[str, float]]:
    return [epoch.model_dump(exclude={"seconds"}) for epoch in history]


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Progress, list[Epoch]]:
    """A whole run: its folder, its progress and what `on_epoch` was told."""
    folder = tmp_path_factory.mktemp("undisturbed")
    told: list[Epoch] = []
    return folder, train(folder, on_epoch=told.append), told


def test_a_run_leaves_a_model_and_its_history(undisturbed):
    folder, progress, told = undisturbed
    assert [epoch.epoch for epoch in progress.history] == [1, 2, 3, 4]
    assert told == progress.history
    assert progress.finished
    assert sorted(path.name for path in folder.iterdir()) == [MODEL_FILE, "progress.json"]
    assert read_progress(folder) == progress
    model = load_model(folder / MODEL_FILE)
    assert not model.compiled
    assert predict(model, VALIDATION).shape == (9, 6)


def test_training_learns(tmp_path):
    def stop_when_learned(epoch: Epoch) -> None:
        told.append(epoch)
        if epoch.train_loss < told[0].train_loss * 0.8 and max(one.val_uar for one in told) >= 0.5:
            raise Interrupted

    told: list[Epoch] = []
    settings = PLAIN.model_copy(update={"epochs": 100, "learning_rate": 5e-3, "schedule": ConstantSchedule()})
    with pytest.raises(Interrupted):  # after some 10 epochs
        train(tmp_path, settings, on_epoch=stop_when_learned)


def test_history_holds_the_learning_rates_of_the_schedule(tmp_path):
    progress = train(
        tmp_path, PLAIN.model_copy(update=LOSS | {"schedule": PlateauSchedule(patience=1)}), train=CONTRARY
    )
    rates = [epoch.learning_rate for epoch in progress.history]
    monitored = [epoch.monitored for epoch in progress.history]
    assert monitored == [-epoch.val_loss for epoch in progress.history]
    expected = [2e-3]
    for number in range(1, 4):  # a first epoch always is the best so far
        stalled = number > 1 and monitored[number - 1] <= max(monitored[: number - 1])
        expected.append(expected[-1] / 2 if stalled else expected[-1])
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("monitor", ["val_loss", "val_uar"])
def test_the_model_is_that_of_the_best_epoch(monitor, tmp_path):
    settings = PLAIN.model_copy(
        update=LOSS | {"monitor": monitor, "learning_rate": 5e-3, "epochs": 40, "early_stopping_patience": 2}
    )
    progress = train(tmp_path, settings, validation=CONTRARY)
    monitored = [epoch.monitored for epoch in progress.history]
    best = progress.history[progress.best_epoch - 1]
    assert progress.best_epoch == 1 + int(np.argmax(monitored))
    probabilities = predict(load_model(tmp_path / MODEL_FILE), CONTRARY)
    scores = score(CONTRARY.labels, probabilities, "abcdef")
    assert (scores.loss, scores.uar, scores.accuracy) == pytest.approx((best.val_loss, best.val_uar, best.val_accuracy))
    if monitor == "val_loss":  # else the test would not tell the best epoch from the last
        assert best.epoch < len(progress.history) < 40
        assert progress.history[-1].val_loss != pytest.approx(best.val_loss)


@pytest.mark.parametrize("choose", ["smoothed", "last"])
def test_the_model_is_that_of_the_chosen_epoch(choose, tmp_path):
    settings = PLAIN.model_copy(update=LOSS | {"learning_rate": 5e-3, "epochs": 5, "choose": choose})
    progress = train(tmp_path, settings, validation=CONTRARY)
    chosen = progress.history[progress.best_epoch - 1]
    assert chosen.epoch == {"smoothed": 3, "last": 5}[choose]
    assert chosen.monitored < max(epoch.monitored for epoch in progress.history)
    probabilities = predict(load_model(tmp_path / MODEL_FILE), CONTRARY)
    assert score(CONTRARY.labels, probabilities, "abcdef").loss == pytest.approx(chosen.val_loss)


def test_early_stopping(tmp_path):
    settings = PLAIN.model_copy(update=LOSS | {"epochs": 40, "early_stopping_patience": 2, "learning_rate": 5e-3})
    progress = train(tmp_path, settings, validation=CONTRARY)
    assert progress.finished
    assert len(progress.history) == progress.best_epoch + 2 < 40
    assert (tmp_path / MODEL_FILE).is_file()


def test_predictions_do_not_depend_on_how_rows_fill_batches(monkeypatch):
    model = build(PLAIN)
    probabilities = predict(model, segments(11))
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (11, 6)
    monkeypatch.setattr(engine, "PREDICT_BATCH", 16)
    np.testing.assert_allclose(predict(model, segments(11)), probabilities, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(model([TRAIN.faces[:1], TRAIN.optical_flows[:1]])), predict(model, segments(12))[:1], atol=1e-6
    )


def test_class_weights_reach_the_loss(tmp_path):
    """With one class drowned by the others, weights lift its share of the loss."""
    kept = np.r_[np.arange(0, 12), np.arange(0, 12, 6), np.arange(0, 12, 6)]
    subset = pair_arrays(
        *(getattr(TRAIN, field)[kept] for field in ("faces", "optical_flows", "labels", "videos", "names"))
    )
    once = PLAIN.model_copy(update={"epochs": 1, "batch_size": 16})
    plain = train(tmp_path / "plain", once, train=subset).history[0]
    weighted = train(
        tmp_path / "weighted", once.model_copy(update={"treatment": "class_weights"}), train=subset
    ).history[0]
    model = build(once)
    losses = -np.log(predict(model, subset)[np.arange(16), subset.labels])
    counts = np.bincount(subset.labels)[subset.labels]
    penalty = float(np.sum(model.losses))
    assert plain.train_loss == pytest.approx(losses.mean() + penalty, rel=1e-4)
    assert weighted.train_loss == pytest.approx((losses * 16 / 6 / counts).mean() + penalty, rel=1e-4)
    assert abs(weighted.train_loss - plain.train_loss) > 1e-4


def test_the_training_loss_and_accuracy_are_those_of_the_whole_epoch(tmp_path):
    """With a learning rate of next to nothing, four batches are as good as one."""
    still = PLAIN.model_copy(update={"epochs": 1, "learning_rate": 1e-12, "class_weights": True})
    predicted = predict(build(still), TRAIN).argmax(axis=1)
    labels = np.where(np.arange(12) < 5, predicted, (predicted + 1) % 6)
    subset = pair_arrays(TRAIN.faces, TRAIN.optical_flows, labels, TRAIN.videos, TRAIN.names)
    one, four = (
        train(tmp_path / str(size), still.model_copy(update={"batch_size": size}), train=subset).history[0]
        for size in (12, 3)
    )
    assert four.train_loss == pytest.approx(one.train_loss, rel=1e-5)
    assert four.train_accuracy == pytest.approx(one.train_accuracy)
    assert 0 < one.train_accuracy < 1


# Divergence


def test_a_huge_learning_rate_is_named(tmp_path):
    settings = PLAIN.model_copy(update={"learning_rate": 1e30, "batch_size": 4, "schedule": ConstantSchedule()})
    with pytest.raises(
        TrainingDiverged, match=r"epoch 1, step [23] of 3, at learning rate 1e\+30; .*video\d#\d"
    ) as caught:
        train(tmp_path, settings)
    assert "Lower training.learning_rate" in str(caught.value)
    assert not (tmp_path / MODEL_FILE).exists()


@pytest.mark.parametrize("eagerly", [True, False], ids=["eager", "graph"])
def test_a_fault_in_the_data_is_named_by_its_rows(eagerly, tmp_path):
    """In a graph TensorFlow's fused convolution and ReLU turn nan into 0, so the loss alone does not tell."""
    import tensorflow as tf

    optical_flows = TRAIN.optical_flows.copy()
    optical_flows[7] = np.nan
    subset = pair_arrays(TRAIN.faces, optical_flows, TRAIN.labels, TRAIN.videos, TRAIN.names)
    tf.config.run_functions_eagerly(eagerly)
    try:
        with pytest.raises(FerError, match=r"\bvideo2#1\b"):
            train(tmp_path, PLAIN.model_copy(update={"batch_size": 1}), train=subset)
    finally:
        tf.config.run_functions_eagerly(True)


def test_a_long_batch_names_a_few_rows(tmp_path):
    settings = PLAIN.model_copy(update={"learning_rate": 1e30, "batch_size": 12, "schedule": ConstantSchedule()})
    with pytest.raises(TrainingDiverged, match=r"(video\d#\d, ){7}video\d#\d and 4 more\."):
        train(tmp_path, settings, train=segments(24))


@pytest.mark.parametrize("epochs", [1, 3])
def test_divergence_in_the_last_step_of_an_epoch_is_named_every_time(epochs, tmp_path):
    settings = PLAIN.model_copy(
        update={"learning_rate": 1e30, "batch_size": 12, "epochs": epochs, "schedule": ConstantSchedule()}
    )
    for _ in range(2):  # the second attempt resumes what the first left
        with pytest.raises(TrainingDiverged):
            train(tmp_path, settings)
    assert not (tmp_path / MODEL_FILE).exists()


# Resuming


def kill_after(epoch: Epoch, last: int) -> None:
    if epoch.epoch == last:
        os.kill(os.getpid(), signal.SIGKILL)


class Interrupted(Exception):
    """What stops a run in a test."""


def interrupt_after(epoch: Epoch, last: int) -> None:
    if epoch.epoch == last:
        raise Interrupted


@pytest.fixture
def trained_epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of each epoch that is trained in this test."""
    numbers: list[int] = []
    plain = fitting._train_epoch

    def count(*arguments):
        epoch = plain(*arguments)
        numbers.append(epoch.epoch)
        return epoch

    monkeypatch.setattr(fitting, "_train_epoch", count)
    return numbers


def test_each_epoch_sees_the_rows_in_its_own_order(tmp_path, monkeypatch):
    asked: list[tuple[int, ...]] = []
    plain = sampling.epoch_batches

    def record(*arguments):
        asked.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(sampling, "epoch_batches", record)
    with pytest.raises(Interrupted):
        train(tmp_path, on_epoch=partial(interrupt_after, last=2))
    train(tmp_path)
    assert asked == [(12, 6, SEED, epoch) for epoch in range(4)]


def test_a_budget_of_steps_ends_at_that_step_and_resumes_inside_a_pass(tmp_path):
    """Five steps in three looks, over passes of two steps."""
    settings = PLAIN.model_copy(update={"steps": 5, "epochs": 3, "schedule": CosineSchedule(warmup=0.2)})
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(Interrupted):
        train(tmp_path / "resumed", settings, on_epoch=partial(interrupt_after, last=1))
    left = RunCheckpoints(tmp_path / "resumed")
    assert int(left.load_last(left.progress()).optimizer.iterations) == 1
    resumed = train(tmp_path / "resumed", settings)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    assert len(whole.history) == 3
    assert_same(final_weights(tmp_path / "resumed"), final_weights(tmp_path / "whole"))


REFIT = PLAIN.model_copy(
    update=LOSS | {"learning_rate": 5e-3, "epochs": 4, "refit": "train_and_validation", "ema": 0.5}
)


@pytest.fixture(scope="module")
def refitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Progress]:
    """A whole run with a second training; the validation rows contradict the others, so that few epochs are best."""
    folder = tmp_path_factory.mktemp("refitted")
    return folder, train(folder, REFIT, validation=CONTRARY)


def test_a_refit_is_the_training_on_both_subsets_for_the_chosen_epochs(refitted, tmp_path):
    folder, progress = refitted
    assert (len(progress.history), progress.num_refitted) == (4, progress.best_epoch)
    assert progress.best_epoch < 4, "else the test would not tell the chosen epoch from the last"
    first = train(tmp_path / "first", REFIT.model_copy(update={"refit": "none"}), validation=CONTRARY)
    assert without_seconds(progress.history) == without_seconds(first.history)
    both = pair_arrays(
        *(
            np.concatenate([getattr(TRAIN, field), getattr(CONTRARY, field)])
            for field in ("faces", "optical_flows", "labels", "videos", "names")
        )
    )
    alone = REFIT.model_copy(update={"refit": "none", "epochs": progress.best_epoch, "choose": "last"})
    train(tmp_path / "both", alone, train=both, validation=VALIDATION)
    assert_same(final_weights(folder), final_weights(tmp_path / "both"))


def test_what_is_said_of_validation_rows_is_said_by_a_model_that_never_saw_them(refitted, tmp_path):
    folder, _ = refitted
    train(tmp_path, REFIT.model_copy(update={"refit": "none"}), validation=CONTRARY)
    expected = predict(load_model(tmp_path / MODEL_FILE), CONTRARY)
    kept = read_validation(folder, CONTRARY.names)
    np.testing.assert_allclose(kept, expected, atol=1e-6)
    assert np.abs(kept - predict(load_model(folder / MODEL_FILE), CONTRARY)).max() > 1e-3
    with pytest.raises(UserError, match="does not hold the validation segments"):
        read_validation(folder, CONTRARY.names[::-1])


@pytest.mark.parametrize("phase", ["first", "second"])
@pytest.mark.slow
def test_a_run_with_a_refit_goes_on_in_either_training(phase, refitted, tmp_path, trained_epochs):
    _, whole = refitted

    def stop_in_first(epoch: Epoch) -> None:
        if phase == "first":
            interrupt_after(epoch, 2)

    def stop_in_second(epochs: int) -> None:
        if phase == "second" and epochs == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(tmp_path, REFIT, validation=CONTRARY, on_epoch=stop_in_first, on_refit=stop_in_second)
    counted: list[int] = []
    resumed = train(tmp_path, REFIT, validation=CONTRARY, on_refit=counted.append)
    assert trained_epochs == [1, 2, 3, 4]
    assert counted == list(range(1 if phase == "first" else 2, whole.best_epoch + 1))
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    assert_same(final_weights(tmp_path), final_weights(refitted[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL_FILE, "progress.json", "validation.parquet"]


@pytest.mark.parametrize("missing", ["last", "best"])
@pytest.mark.slow
def test_a_refit_killed_while_its_checkpoints_were_dropped_is_done(missing, tmp_path, monkeypatch, refitted):
    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "finish", lambda *_: (_ for _ in ()).throw(Interrupted))
        with pytest.raises(Interrupted):
            train(tmp_path, REFIT, validation=CONTRARY)
    left = read_progress(tmp_path)
    shutil.copy(refitted[0] / MODEL_FILE, tmp_path / MODEL_FILE)  # as `finish` writes it first
    (tmp_path / getattr(left, f"{missing}_checkpoint")).unlink()
    train(tmp_path, REFIT, validation=CONTRARY)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL_FILE, "progress.json", "validation.parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blocks", "resident", "steps"])
def test_a_killed_run_goes_on_where_it_was(engine, tmp_path, trained_epochs, undisturbed):
    folder, settings = tmp_path / "run", PLAIN.model_copy(update={"engine": engine})
    if engine != "blocks":  # which `auto` takes without an accelerator
        undisturbed = tmp_path / "other", train(tmp_path / "other", settings)
        trained_epochs.clear()
    command = [sys.executable, __file__, folder, "2", engine]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = read_progress(folder)
    assert left
    assert len(left.history) == 2
    assert not left.finished
    told: list[Epoch] = []
    progress = train(folder, settings, on_epoch=told.append)
    assert trained_epochs == [3, 4]
    assert told == progress.history
    assert progress.history[:2] == left.history  # to the millisecond
    assert [epoch.epoch for epoch in progress.history] == [1, 2, 3, 4]
    assert sorted(path.name for path in folder.iterdir()) == [MODEL_FILE, "progress.json"]
    assert without_seconds(progress.history) == without_seconds(undisturbed[1].history)
    assert_same(final_weights(folder), final_weights(undisturbed[0]))


def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, trained_epochs, undisturbed):
    with pytest.raises(Interrupted):
        train(tmp_path, on_epoch=partial(interrupt_after, last=3))
    progress = train(tmp_path)
    assert trained_epochs == [1, 2, 3, 4]
    assert without_seconds(progress.history) == without_seconds(undisturbed[1].history)
    assert_same(final_weights(tmp_path), final_weights(undisturbed[0]))


@pytest.mark.parametrize(
    ("dropout", "augmentation"),
    [(0.4, None), (0.0, AugmentationSettings(rotation_deg=10))],
    ids=["dropout", "augmentation"],
)
def test_a_resumed_run_draws_as_an_undisturbed_one(dropout, augmentation, tmp_path):
    settings = PLAIN.model_copy(update={"augmentation": augmentation, "epochs": 2, "schedule": ConstantSchedule()})
    whole = train(tmp_path / "whole", settings, dropout)
    with pytest.raises(Interrupted):
        train(tmp_path / "resumed", settings, dropout, on_epoch=partial(interrupt_after, last=1))
    resumed = train(tmp_path / "resumed", settings, dropout)
    assert without_seconds(resumed.history) == without_seconds(whole.history)


@pytest.mark.parametrize("failing", ["save", "replace"])
def test_a_commit_that_breaks_is_done_again(failing, tmp_path, monkeypatch, trained_epochs, undisturbed):
    """Epoch 2 breaks while its checkpoint is written, or just before `progress.json` takes its name."""
    calls: list[None] = []

    def broken(plain, *arguments):
        if failing == "replace" and Path(arguments[-1]).name != "progress.json":
            return plain(*arguments)
        calls.append(None)
        if len(calls) == 2:
            if failing == "save":
                Path(arguments[-1]).write_bytes(b"half a file")
            raise Interrupted
        return plain(*arguments)

    with monkeypatch.context() as patch:
        if failing == "save":
            plain_save = keras.Model.save
            patch.setattr(keras.Model, "save", lambda *arguments: broken(plain_save, *arguments))
        else:
            patch.setattr(disk.os, "replace", partial(broken, os.replace))
        with pytest.raises(Interrupted):
            train(tmp_path)
    left = read_progress(tmp_path)
    assert left
    assert len(left.history) == 1
    progress = train(tmp_path)
    assert trained_epochs == [1, 2, 2, 3, 4]
    assert without_seconds(progress.history) == without_seconds(undisturbed[1].history)
    assert_same(final_weights(tmp_path), final_weights(undisturbed[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL_FILE, "progress.json"]


def test_a_run_killed_before_its_model_took_its_name_only_finishes(tmp_path, monkeypatch, trained_epochs, undisturbed):
    with monkeypatch.context() as patch:
        plain = os.replace

        def broken(source, target):
            if Path(target).name == MODEL_FILE:
                raise Interrupted
            plain(source, target)

        patch.setattr(disk.os, "replace", broken)
        with pytest.raises(Interrupted):
            train(tmp_path)
    assert not (tmp_path / MODEL_FILE).exists()
    train(tmp_path)
    assert trained_epochs == [1, 2, 3, 4]
    assert_same(final_weights(tmp_path), final_weights(undisturbed[0]))


def test_the_weights_of_every_epoch_can_be_kept(tmp_path):
    progress = train(tmp_path, PLAIN.model_copy(update={"epochs": 2, "keep_epochs": True}))
    paths = epoch_weights(tmp_path)
    assert len(paths) == 2
    model = load_model(tmp_path / MODEL_FILE)
    chosen = model.get_weights()
    model.load_weights(paths[progress.best_epoch - 1])
    assert_same(model.get_weights(), chosen)


def test_a_finished_run_trains_nothing(undisturbed, trained_epochs, monkeypatch):
    folder, progress, _ = undisturbed
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    told: list[Epoch] = []

    def refuse() -> keras.Model:
        raise AssertionError("nothing is to be built")

    assert fit(refuse, TRAIN, VALIDATION, PLAIN, RunCheckpoints(folder), SEED, told.append) == progress
    assert told == progress.history
    assert trained_epochs == []
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_seed_gives_one_run(tmp_path, monkeypatch):
    """With everything random switched on, in compiled steps on as many threads as there are; each is traced once."""
    import tensorflow as tf

    traced: list[None] = []
    plain = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda *arguments: traced.append(None) or plain(*arguments))
    settings = PLAIN.model_copy(update={"augmentation": AugmentationSettings(rotation_deg=10), "epochs": 2})
    tf.config.run_functions_eagerly(False)
    try:
        runs = [train(tmp_path / name, settings, 0.4, train=segments(36)) for name in ("first", "again")]
    finally:
        tf.config.run_functions_eagerly(True)
    assert without_seconds(runs[0].history) == without_seconds(runs[1].history)
    assert_same(final_weights(tmp_path / "first"), final_weights(tmp_path / "again"))
    assert len(traced) == len(runs)


def test_another_seed_gives_another_run(tmp_path, undisturbed):
    other = fit(partial(build, PLAIN), TRAIN, VALIDATION, PLAIN, RunCheckpoints(tmp_path), SEED + 1)
    assert without_seconds(other.history) != without_seconds(undisturbed[1].history)


if __name__ == "__main__":
    make_quick(pytest.MonkeyPatch())
    chosen = PLAIN.model_copy(update={"engine": sys.argv[3]})
    train(Path(sys.argv[1]), chosen, on_epoch=partial(kill_after, last=int(sys.argv[2])))


@pytest.mark.slow
def test_a_finished_run_whose_model_was_deleted_is_trained_again(tmp_path):
    first = train(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
    again = train(tmp_path)
    assert (tmp_path / MODEL_FILE).is_file()
    assert without_seconds(again.history) == without_seconds(first.history)
