"""Calibration against cases worked by hand."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from fer_models.statistics.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)


def two_classes(confidences: list[float]) -> np.ndarray:
    """Probabilities (n, 2) whose first class has the given one."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences])


def test_hand_computed_bins_and_error():
    # Five bins: 0.55 and 0.6 lie in (0.4, 0.6], 0.7 and 0.8 in (0.6, 0.8], 1.0 in the last.
    probabilities = two_classes([0.55, 0.6, 0.7, 0.8, 1.0])
    labels = np.array([0, 1, 0, 0, 1])
    bins = reliability_bins(labels, probabilities, 5)
    assert bins.count.tolist() == [0, 0, 2, 2, 1]
    np.testing.assert_allclose(bins.confidence, [np.nan, np.nan, 0.575, 0.75, 1.0])
    np.testing.assert_allclose(bins.accuracy, [np.nan, np.nan, 0.5, 1.0, 0.0])
    error = (2 * 0.075 + 2 * 0.25 + 1 * 1.0) / 5
    assert bins.expected_error == pytest.approx(error)
    assert expected_calibration_error(labels, probabilities, 5) == pytest.approx(error)


def test_the_bins_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    bins = reliability_bins(labels, probabilities)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=15)
    filled = bins.count > 0
    np.testing.assert_allclose(bins.accuracy[filled], accuracy)
    np.testing.assert_allclose(bins.confidence[filled], confidence)


def test_right_as_often_as_it_says_is_no_error():
    assert expected_calibration_error(np.array([0, 0, 0, 1]), two_classes([0.75] * 4)) == pytest.approx(0.0)


def test_the_temperature_brings_confidence_to_accuracy():
    # Always 0.95 sure, right in 3 of 4: logit(0.95) / T = logit(0.75).
    probabilities, labels = two_classes([0.95] * 4), np.array([0, 0, 0, 1])
    temperature = fit_temperature(labels, probabilities)
    assert temperature == pytest.approx(math.log(19) / math.log(3), rel=1e-4)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature)[:, 0], 0.75, rtol=1e-4)


def test_sharpened_probabilities_get_back_the_loss_they_had():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(6), 400)
    labels = np.array([rng.choice(6, p=row) for row in probabilities])
    sharpened = probabilities**2.5 / (probabilities**2.5).sum(axis=1, keepdims=True)
    own, temperature = fit_temperature(labels, probabilities), fit_temperature(labels, sharpened)
    assert own == pytest.approx(1.0, abs=0.15)
    assert temperature == pytest.approx(2.5 * own, rel=1e-4)
    losses = [log_loss(labels, apply_temperature(sharpened, t), labels=range(6)) for t in np.linspace(1, 5, 41)]
    assert log_loss(labels, apply_temperature(sharpened, temperature), labels=range(6)) <= min(losses) + 1e-9


def test_temperature_1_changes_nothing_and_no_temperature_the_winner():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    np.testing.assert_allclose(apply_temperature(probabilities, 1.0), probabilities)
    for temperature in (0.1, 7.0):
        scaled = apply_temperature(probabilities, temperature)
        np.testing.assert_allclose(scaled.sum(axis=1), 1)
        np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


def test_float32_zeros_and_a_faultless_side_stay_finite():
    probabilities = np.array([[1, 0], [0, 1]], np.float32)
    assert np.isfinite(apply_temperature(probabilities, 0.02)).all()
    assert fit_temperature(np.array([0, 1]), probabilities) > 0
    assert 1 < fit_temperature(np.array([0, 0]), probabilities) < 50.1
