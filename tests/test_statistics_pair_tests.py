"""Tests of pairs against scipy and statsmodels."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test as scipy_permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.pair_tests import holm, mcnemar_test, permutation_test


def two_arms(num_subjects: int, num_seeds: int = 2, seed: int = 0, worse: float = 0.3) -> list[ArmPredictions]:
    """Three classes; the second arm errs more often."""
    rng = np.random.default_rng(seed)
    labels, subjects = rng.integers(0, 3, 8 * num_subjects), np.repeat(np.arange(num_subjects), 8)
    shape = (num_seeds, len(labels))
    return [
        ArmPredictions(labels, subjects, np.where(rng.random(shape) < share, rng.integers(0, 3, shape), labels))
        for share in (0.2, 0.2 + worse)
    ]


def swapped_differences(first: ArmPredictions, second: ArmPredictions, metric: str) -> list[float]:
    """The difference of means for every swap of subjects, one by one."""
    differences = []
    for swap in product([False, True], repeat=len(np.unique(first.subjects))):
        swapped = np.array(swap)[first.subjects]
        one = ArmPredictions(first.labels, first.subjects, np.where(swapped, second.predicted, first.predicted))
        two = ArmPredictions(first.labels, first.subjects, np.where(swapped, first.predicted, second.predicted))
        differences.append(one.scores(metric).mean() - two.scores(metric).mean())
    return differences


@pytest.mark.parametrize("metric", ["accuracy", "uar", "macro_f1"])
def test_few_subjects_are_swapped_in_every_way(metric: str):
    first, second = two_arms(6)
    differences = np.abs(swapped_differences(first, second, metric))
    expected = np.mean(differences >= differences[0] - 1e-12)
    assert 0.03 < expected < 0.5
    assert permutation_test(first, second, metric) == pytest.approx(expected)


def test_it_is_scipys_paired_permutation_test_when_subjects_have_as_many_items():
    first, second = two_arms(7, worse=0.15)
    by_subject = [
        np.array([(arm.predicted == arm.labels)[:, arm.subjects == subject].mean() for subject in range(7)])
        for arm in (first, second)
    ]
    theirs = scipy_permutation_test(
        by_subject, lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert permutation_test(first, second, "accuracy") == pytest.approx(theirs)


def test_many_subjects_are_swapped_at_random_close_to_the_exact_p(monkeypatch: pytest.MonkeyPatch):
    first, second = two_arms(9, worse=0.1)
    exact = permutation_test(first, second, "uar")
    monkeypatch.setattr("fer_models.statistics.pair_tests.MAX_EXACT_SWAPS", 1)
    drawn = permutation_test(first, second, "uar")
    assert 0.02 < exact < 0.5
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000))


def test_random_swaps_never_give_p_0():
    first, second = two_arms(25, worse=0.7)
    assert permutation_test(first, second, "uar") == pytest.approx(1 / 10_001)


def test_the_same_predictions_have_p_1():
    first, _ = two_arms(5)
    assert permutation_test(first, first, "macro_f1") == 1.0
    assert mcnemar_test(first, first) == 1.0


def test_five_subjects_cannot_show_a_difference():
    labels, subjects = np.array([0, 1] * 20), np.repeat(np.arange(5), 8)
    right, wrong = ArmPredictions(labels, subjects, labels[None]), ArmPredictions(labels, subjects, 1 - labels[None])
    assert permutation_test(right, wrong, "uar") == 2 / 2**5


def test_mcnemar_is_statsmodels_of_the_first_seeds():
    first, second = two_arms(6)
    right, other = (arm.predicted[0] == arm.labels for arm in (first, second))
    table = [[(right & other).sum(), (right & ~other).sum()], [(~right & other).sum(), (~right & ~other).sum()]]
    assert mcnemar_test(first, second) == pytest.approx(mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.9], [0.02], [0.001, 0.0011, 0.2, 0.2, 1.0]]
)
def test_holm_is_statsmodels(p_values: list[float]):
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
