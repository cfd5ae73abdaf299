"""Models whose last layer is solved for: the classic baselines."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.models.arms import CLASSIC_ARMS, get_arm
from fer_models.models.building import build_model, load_model, model_network
from fer_models.segments import Mirrored, SegmentArrays, mirrored, pair_arrays, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings, TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training import machines
from fer_models.training.engine import predict
from fer_models.training.progress import Progress
from fer_models.training.solving import solve
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints

LABELS = ("anger", "fear", "happiness")


def striped(number: int, seed: int) -> SegmentArrays:
    """Faces whose stripes turn with the class, which move in a direction of the class; class 2 is the most frequent."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 4 % 3
    labels = np.where(np.arange(number) % 4 == 3, 2, labels)
    y, x = np.mgrid[:48, :48]
    angles = np.deg2rad(np.array([20, 70, 120])[labels] + rng.normal(0, 12, number))
    waves = np.sin(0.7 * (np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y) + rng.uniform(0, 6))
    faces = (110 + 60 * waves + rng.normal(0, 25, (number, 48, 48))).clip(0, 255).astype(np.uint8)
    flows = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None, None] + rng.normal(0, 0.7, (number, 48, 48, 2))
    names = np.array([f"v{i}#0" for i in range(number)])
    return pair_arrays(np.repeat(faces[..., None], 3, -1), flows.astype(np.float16), labels, names, names)


TRAIN, VALIDATION, TEST = striped(80, 0), striped(40, 1), striped(120, 2)
SETTINGS = TrainingSettings(augmentation=None)


def solved(folder: Path, arm: str, settings: TrainingSettings = SETTINGS) -> tuple[keras.Model, Progress]:
    def build() -> keras.Model:
        return build_model(get_arm(arm), ModelSettings(), LABELS, settings.augmentation)

    progress = solve(build, TRAIN, VALIDATION, settings, RunCheckpoints(folder), 1)
    return load_model(folder / MODEL_FILE), progress


@pytest.mark.trains
@pytest.mark.parametrize("arm", ["hog-svm", "hof-svm"])
def test_a_machine_learns_and_comes_back_from_its_file(tmp_path: Path, arm: str) -> None:
    model, progress = solved(tmp_path, arm)
    scores = score(TEST.labels, predict(model, TEST), LABELS)
    assert scores.uar > 0.85
    assert scores.loss < 0.6, "its probabilities are calibrated"
    (epoch,) = progress.history
    assert progress.finished
    validation = score(VALIDATION.labels, predict(model, VALIDATION), LABELS)
    assert (epoch.val_uar, epoch.val_accuracy) == pytest.approx((validation.uar, validation.accuracy))
    assert epoch.val_loss == pytest.approx(validation.loss, abs=1e-3)
    assert model_network(model).feature_maps == {}
    assert {path.name for path in tmp_path.iterdir()} == {MODEL_FILE, "progress.json"}


@pytest.mark.trains
def test_the_most_frequent_class_is_all_that_majority_says(tmp_path: Path) -> None:
    model, _ = solved(tmp_path, "majority", TrainingSettings(treatment="class_weights"))
    probabilities = predict(model, TEST)
    assert (probabilities.argmax(axis=1) == 2).all()
    assert np.ptp(probabilities, axis=0).max() == 0


@pytest.mark.trains
def test_a_solved_model_is_not_solved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = solved(tmp_path, "hog-svm")
    monkeypatch.setattr(machines, "fit_machine", lambda *_: pytest.fail("it was solved again"))
    told = []
    again = solve(lambda: pytest.fail("built"), TRAIN, VALIDATION, SETTINGS, RunCheckpoints(tmp_path), 1, told.append)
    assert again == first
    assert told == first.history


@pytest.mark.trains
def test_a_run_that_was_killed_before_its_model_was_left_is_finished(tmp_path: Path) -> None:
    checkpoints = RunCheckpoints(tmp_path)
    commit = checkpoints.commit
    checkpoints.finish = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    checkpoints.commit = commit  # type: ignore[method-assign]
    build = lambda: build_model(get_arm("hog-svm"), ModelSettings(), LABELS)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        solve(build, TRAIN, VALIDATION, SETTINGS, checkpoints, 1)
    assert not (tmp_path / MODEL_FILE).exists()
    solve(lambda: pytest.fail("it was built again"), TRAIN, VALIDATION, SETTINGS, RunCheckpoints(tmp_path), 1)
    assert score(TEST.labels, predict(load_model(tmp_path / MODEL_FILE), TEST), LABELS).uar > 0.85


@pytest.mark.trains
def test_mirrored_rows_are_learnt_from(tmp_path: Path) -> None:
    plain, _ = solved(tmp_path / "plain", "hof-svm")
    both, _ = solved(tmp_path / "both", "hof-svm", TrainingSettings(augmentation=AugmentationSettings()))
    turned = [score(TEST.labels, predict(model, Mirrored(TEST)), LABELS).uar for model in (plain, both)]
    assert turned[1] > turned[0] + 0.2


def test_a_mirror_turns_pictures_and_motion() -> None:
    batch = pair_inputs(TEST.faces, TEST.optical_flows).batch(np.arange(3))
    turned = mirrored(batch)
    np.testing.assert_array_equal(turned["face"][:, 0, :, 0], batch["face"][:, 0, :, -1])
    np.testing.assert_array_equal(turned["optical_flow"][:, 0, :, 0, 0], -batch["optical_flow"][:, 0, :, -1, 0])
    np.testing.assert_array_equal(turned["optical_flow"][:, 0, :, 0, 1], batch["optical_flow"][:, 0, :, -1, 1])
    for name, values in mirrored(turned).items():
        np.testing.assert_array_equal(values, batch[name])


def test_the_classic_arms() -> None:
    assert CLASSIC_ARMS == ("hog-svm", "hof-svm", "majority")
