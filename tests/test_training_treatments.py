"""Every treatment of class imbalance through a whole training, on a set where rare classes are lost without one."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from fer_models.models.building import EmotionProbabilities, load_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import ConstantSchedule, TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training.engine import predict
from fer_models.training.fitting import fit
from fer_models.training.progress import Epoch, Progress
from fer_models.treatments import TREATMENTS
from tasks.storage import disk
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints, read_progress

pytestmark = pytest.mark.trains

#: Those with a second stage.
REFITTING = [name for name, treatment in TREATMENTS.items() if treatment.refit]
#: Those whose training differs by what the backend computes.
LOSSES = ("focal", "logit_adjustment", "one_vs_rest")
SETTINGS = TrainingSettings(
    epochs=5, batch_size=16, learning_rate=0.01, augmentation=None, schedule=ConstantSchedule(), monitor="val_loss"
)


def clouds(counts: tuple[int, ...], seed: int) -> SegmentArrays:
    """A cloud of points a class, at the corners of a tetrahedron, as optical flows of one cell, 3 components."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), counts)
    points = 2.0 * np.eye(4)[labels, 1:] + rng.normal(0, 0.8, (len(labels), 3))
    faces = np.zeros((len(labels), 1, 1, 3), np.uint8)
    rows = np.arange(len(labels))
    return pair_arrays(faces, points[:, None, None].astype(np.float16), labels, rows, rows.astype(str))


TRAIN, VALIDATION = clouds((160, 40, 16, 16), seed=0), clouds((60, 60, 60, 60), seed=99)


def build(dropout: float) -> keras.Model:
    """One small dense layer in the place of the streams."""
    face, optical_flow = keras.Input((1, 1, 3), dtype="uint8", name="face"), keras.Input((1, 1, 3), name="optical_flow")
    x = layers.Flatten()(optical_flow)
    x = layers.Dense(16, activation="relu")(x)
    x = layers.Dropout(dropout, seed=0)(x)
    logits = layers.Dense(4, name="logits")(x)
    model = keras.Model([face, optical_flow], EmotionProbabilities("abcd", name="probabilities")(logits))
    rng = np.random.default_rng(0)  # no two backends draw alike
    model.set_weights([rng.normal(0, 0.3, weight.shape) for weight in model.weights])
    return model


def train(folder: Path, treatment: str, epochs: int = 5, dropout: float = 0.1, **arguments) -> Progress:
    settings = SETTINGS.model_copy(update={"treatment": treatment, "epochs": epochs})
    validation = arguments.pop("validation", VALIDATION)
    return fit(partial(build, dropout), TRAIN, validation, settings, RunCheckpoints(folder), 0, **arguments)


def probabilities(folder: Path) -> np.ndarray:
    return predict(load_model(folder / MODEL_FILE), VALIDATION)


def without_seconds(progress: Progress) -> list[dict[str, float]]:
    return [epoch.model_dump(exclude={"seconds"}) for epoch in progress.history]


class Interrupted(Exception):
    """What stops a run in a test."""


def interrupt_after(epoch: Epoch, last: int) -> None:
    if epoch.epoch == last:
        raise Interrupted


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of undisturbed runs, by treatment; their steps are compiled and run on as many threads as there are."""
    folders = {name: tmp_path_factory.mktemp(name) for name in TREATMENTS}
    for name, folder in folders.items():
        train(folder, name)
    return folders


def uar(folder: Path) -> float:
    return score(VALIDATION.labels, probabilities(folder), "abcd").uar


@pytest.mark.parametrize("treatment", [name for name in TREATMENTS if name != "none"])
@pytest.mark.slow
def test_a_treatment_finds_more_of_the_rare_classes(treatment, runs):
    least = 0.02 if treatment == "focal" else 0.08  # focal loss minds hard rows, of whatever class
    assert uar(runs[treatment]) > uar(runs["none"]) + least


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_validation_loss_is_plain_cross_entropy_of_the_chosen_epoch(treatment, runs):
    folder = runs[treatment]
    progress = read_progress(folder)
    found = score(VALIDATION.labels, probabilities(folder), "abcd").loss
    recorded = progress.history[progress.best_epoch - 1].val_loss
    if treatment in REFITTING:  # the history is of training
        assert abs(found - recorded) > 1e-3
    else:
        assert found == pytest.approx(recorded, rel=1e-5)


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_a_resumed_run_ends_as_an_undisturbed_one(treatment, runs, tmp_path, monkeypatch):
    """Stopped in the middle, then once more just before the model takes its name."""
    undisturbed = runs[treatment]
    with pytest.raises(Interrupted):
        train(tmp_path, treatment, on_epoch=partial(interrupt_after, last=2))
    with monkeypatch.context() as patch:
        plain = os.replace

        def broken(source, target):
            if Path(target).name == MODEL_FILE:
                raise Interrupted
            plain(source, target)

        patch.setattr(disk.os, "replace", broken)
        with pytest.raises(Interrupted):
            train(tmp_path, treatment)
    progress = train(tmp_path, treatment)
    assert without_seconds(progress) == without_seconds(read_progress(undisturbed))
    weights, expected = (load_model(folder / MODEL_FILE).get_weights() for folder in (tmp_path, undisturbed))
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL_FILE, "progress.json"]


@pytest.mark.parametrize("treatment", REFITTING)
def test_only_the_last_layer_is_refitted(treatment, runs, tmp_path, monkeypatch):
    monkeypatch.setitem(TREATMENTS, treatment, replace(TREATMENTS[treatment], refit=None))
    train(tmp_path, treatment)
    trained, refitted = (load_model(folder / MODEL_FILE) for folder in (tmp_path, runs[treatment]))
    assert refitted.count_params() == trained.count_params()
    for layer, other in zip(trained.layers, refitted.layers, strict=True):
        same = all(np.array_equal(*pair) for pair in zip(layer.get_weights(), other.get_weights(), strict=True))
        assert same == (layer.name != "logits")


@pytest.mark.parametrize("treatment", REFITTING)
def test_validation_rows_have_no_part_in_a_refit(treatment, tmp_path):
    weights = []
    for name, validation in (("first", VALIDATION), ("second", clouds((50, 60, 70, 80), seed=5))):
        train(tmp_path / name, treatment, epochs=1, validation=validation)
        weights.append(load_model(tmp_path / name / MODEL_FILE).get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def validation_losses(folder: Path) -> dict[str, list[float]]:
    """Of two epochs with each of `LOSSES`, the second one resumed, and last of the final model."""
    losses = {}
    for name in LOSSES:
        try:
            train(folder / name, name, 2, dropout=0.0, on_epoch=partial(interrupt_after, last=1))
        except Interrupted:
            progress = train(folder / name, name, 2, dropout=0.0)
        final = score(VALIDATION.labels, probabilities(folder / name), "abcd").loss
        losses[name] = [*(epoch.val_loss for epoch in progress.history), final]
    return losses
