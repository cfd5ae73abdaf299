"""The verdict's promise, on simulated studies: arms that do not differ are not called different."""

from math import sqrt

import pytest

from benchmarks.false_positives import Setting, rates


@pytest.mark.parametrize(
    "setting",
    [
        Setting(),
        Setting(seed_effect=0.05),
        Setting(seed_effect=0.03, subject_effect=0.08),
        Setting(num_arms=2, num_subjects=7, seed_effect=0.03, subject_effect=0.08),
    ],
    ids=str,
)
def test_the_verdict_errs_in_at_most_5_percent_of_studies(setting: Setting):
    """In no more studies of 60 than 5 % and two binomial standard deviations, 10.6 %, in any of their pairs."""
    shares = rates(setting, 60)
    assert shares["any: verdict"] <= 0.05 + 2 * sqrt(0.05 * 0.95 / 60)
    assert shares["verdict"] <= 0.05


def test_noisy_seeds_fool_the_customary_tests():
    shares = rates(Setting(seed_effect=0.08), 40)
    assert shares["McNemar"] > 0.1
    assert shares["swaps"] > 0.1
    assert shares["verdict"] <= 0.05


def test_a_large_true_difference_is_found():
    assert rates(Setting(num_arms=2, gain=0.25, seed_effect=0.02), 40)["verdict"] > 0.8


def test_one_seed_is_never_enough():
    assert rates(Setting(num_seeds=1, gain=0.25), 5)["verdict"] == 0
