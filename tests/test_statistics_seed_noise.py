"""Seed noise by hand, and by drawing seeds."""

from math import sqrt

import numpy as np
import pytest

from fer_models.statistics.seed_noise import measure_seed_noise


def test_hand_computed_case():
    # Variances 0.01 and 0.04 pool to 0.025; t(0.975, 4 degrees) is 2.776445 in any table.
    noise = measure_seed_noise(np.array([[0.5, 0.6, 0.7], [0.2, 0.4, 0.6]]))
    assert noise.sd == pytest.approx(sqrt(0.025))
    assert noise.degrees == 4
    assert noise.difference_variance() == pytest.approx(0.025 * 2 / 3)
    assert noise.band() == pytest.approx(2.776445 * sqrt(0.025 * 2 / 3), rel=1e-6)


def test_one_seed_cannot_tell():
    assert measure_seed_noise(np.array([[0.5], [0.7]])) is None


def test_arms_that_differ_only_in_seeds_leave_the_band_in_5_percent_of_cases():
    studies = np.random.default_rng(0).normal(0.6, 0.03, (4000, 4, 3))
    beyond = [abs(s[0].mean() - s[1].mean()) > measure_seed_noise(s).band() for s in studies]
    assert np.mean(beyond) == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / 4000))
