"""Losses against their formulas in NumPy, and at the edges of what numbers hold."""

import keras
import numpy as np
import pytest

from fer_models.training.losses import FocalLoss, LogitAdjustedLoss, OneVersusRestLoss, SoftTargetLoss, soft_targets
from fer_models.treatments import TREATMENTS

LABELS = np.array([0, 1, 2, 2, 0, 3])
LOGITS = np.random.default_rng(0).normal(0, 2, (6, 4)).astype(np.float32)
PRIORS = np.array([0.6, 0.2, 0.15, 0.05])
#: Right and wrong beyond what a float32 probability can hold.
CERTAIN = np.array([[500, -500, 0, 0], [500, -500, 0, 0], [-3e4, 3e4, 0, 0]], np.float32)
ALL = [FocalLoss(), LogitAdjustedLoss(PRIORS), OneVersusRestLoss()]


def by_row(loss: keras.losses.Loss, logits: np.ndarray = LOGITS, labels: np.ndarray = LABELS) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(keras.ops.cast(labels, "float32"), keras.ops.convert_to_tensor(logits)))


def probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray = LOGITS) -> np.ndarray:
    return -np.log(probabilities(logits)[np.arange(len(LABELS)), LABELS])


def test_focal_loss_by_its_formula():
    p = np.exp(-cross_entropy())
    np.testing.assert_allclose(by_row(FocalLoss()), -((1 - p) ** 2) * np.log(p), rtol=1e-5)


def test_focal_loss_without_focus_is_cross_entropy():
    np.testing.assert_allclose(by_row(FocalLoss(gamma=0.0)), cross_entropy(), rtol=1e-5)


def test_focal_loss_by_hand():
    # p = 0.9 and 0.1: 0.01 * 0.10536 and 0.81 * 2.30259
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1]], np.float32))
    np.testing.assert_allclose(by_row(FocalLoss(), logits, np.array([0, 1])), [0.0010536, 1.8650942], rtol=1e-4)


def test_logit_adjustment_multiplies_probabilities_by_priors():
    adjusted = probabilities(LOGITS) * PRIORS
    adjusted /= adjusted.sum(axis=1, keepdims=True)
    expected = -np.log(adjusted[np.arange(6), LABELS])
    np.testing.assert_allclose(by_row(LogitAdjustedLoss(PRIORS)), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [LogitAdjustedLoss([0.25] * 4), LogitAdjustedLoss(PRIORS, tau=0.0)])
def test_equal_priors_or_no_tau_are_cross_entropy(loss):
    np.testing.assert_allclose(by_row(loss), cross_entropy(), rtol=1e-5)


def test_a_class_without_rows_is_pushed_down_as_ever():
    loss = by_row(LogitAdjustedLoss([0.5, 0.5, 0.0]), np.array([[1.0, 0.0, 2.0]], np.float32), np.array([0]))
    assert loss == pytest.approx(-np.log(0.5 * np.e / (0.5 * np.e + 0.5 + np.exp(2.0))))


def test_one_versus_rest_is_a_binary_cross_entropy_a_class():
    sigmoids = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    own = np.eye(4)[LABELS]
    expected = -(own * np.log(sigmoids) + (1 - own) * np.log(1 - sigmoids)).sum(axis=1)
    np.testing.assert_allclose(by_row(OneVersusRestLoss()), expected, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the gradients are TensorFlow's")
@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_losses_and_gradients_stay_finite(loss):
    import tensorflow as tf

    logits = tf.constant(CERTAIN)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss.call(tf.constant([0.0, 1.0, 0.0]), logits)
    assert np.isfinite(values.numpy()).all()
    gradients = tape.gradient(values, logits).numpy()
    assert np.isfinite(gradients).all()
    assert np.abs(gradients[0, :2]).max() < 1e-3  # nothing to learn from a row that is right
    assert gradients[1, 1] == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_losses_are_weighted_means_and_survive_saving(loss):
    weights = np.array([1, 0, 2, 0, 0.5, 1], np.float32)
    expected = (by_row(loss) * weights).mean()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    for one in (loss, again):
        assert float(one(LABELS, LOGITS, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


def test_treatments_have_their_losses():
    labels = np.array([0, 0, 0, 2])
    kinds = {name: type(TREATMENTS[name].loss(labels, 3)) for name in ("focal", "logit_adjustment", "one_vs_rest")}
    assert list(kinds.values()) == [FocalLoss, LogitAdjustedLoss, OneVersusRestLoss]
    assert TREATMENTS["logit_adjustment"].loss(labels, 3).priors == [0.75, 0.0, 0.25]
    for name in ("none", "class_weights", "downsample", "oversample", "smote"):
        loss = TREATMENTS[name].loss(LABELS, 4)(LABELS, LOGITS)
        assert float(loss) == pytest.approx(cross_entropy().mean(), rel=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_soft_targets_are_the_mean_over_the_labels_that_a_row_may_have(loss):
    certain = soft_targets(LABELS, 4, 0.0)
    np.testing.assert_allclose(by_row(SoftTargetLoss(loss), labels=certain), by_row(loss), rtol=1e-5)
    smoothed = soft_targets(LABELS, 4, 0.2)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(smoothed[np.arange(6), LABELS], 0.85, rtol=1e-6)
    of_all = np.stack([by_row(loss, labels=np.full(6, label)) for label in range(4)], axis=-1)
    expected = 0.8 * by_row(loss) + 0.2 * of_all.mean(axis=-1)
    np.testing.assert_allclose(by_row(SoftTargetLoss(loss), labels=smoothed), expected, rtol=1e-5)


def test_smoothed_cross_entropy_is_that_of_keras():
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    mine = SoftTargetLoss(TREATMENTS["none"].loss(LABELS, 4))(soft_targets(LABELS, 4, 0.1), LOGITS)
    assert float(mine) == pytest.approx(float(keras_loss(np.eye(4)[LABELS], LOGITS)), rel=1e-5)
