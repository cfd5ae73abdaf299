"""Differences of arms against Student's tests, which they become where only subjects or only seeds vary."""

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.differences import Difference, measure_differences

VIDEOS = 20


def arm_with_hits(hits: list[list[int]]) -> ArmPredictions:
    """One class; hits[seed][subject] of each subject's videos are right."""
    predicted = np.array([[video >= right for right in row for video in range(VIDEOS)] for row in hits]).astype(int)
    num_items = predicted.shape[1]
    return ArmPredictions(np.zeros(num_items, int), np.repeat(np.arange(num_items // VIDEOS), VIDEOS), predicted)


def test_interval_and_p_of_a_known_variance():
    # t(0.975, 10 degrees) is 2.228139 in any table.
    difference = Difference(0.1, 0.04**2, 10)
    assert difference.interval(0.95).low == pytest.approx(0.1 - 2.228139 * 0.04, abs=1e-7)
    assert difference.interval(0.95).high == pytest.approx(0.1 + 2.228139 * 0.04, abs=1e-7)
    assert Difference(2.228139, 1.0, 10).p == pytest.approx(0.05, abs=1e-6)
    assert Difference(0.0, 0.0, 5).p == 1.0
    assert Difference(0.1, 0.0, 5).p == 0.0


def test_with_one_seed_it_is_the_paired_t_test_of_subjects():
    first, second = [12, 15, 9, 17, 14, 11, 16], [10, 14, 10, 12, 11, 9, 16]
    [difference] = measure_differences([arm_with_hits([first]), arm_with_hits([second])], [(0, 1)], "accuracy", 40_000)
    theirs = ttest_rel(np.array(first) / VIDEOS, np.array(second) / VIDEOS)
    low, high = theirs.confidence_interval(0.95)
    assert difference.degrees == theirs.df == 6
    assert difference.p == pytest.approx(theirs.pvalue, rel=0.03)
    assert difference.estimate == pytest.approx((np.mean(first) - np.mean(second)) / VIDEOS)
    ours = difference.interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-3)


def test_with_subjects_that_are_alike_it_is_the_t_test_of_seeds():
    first, second = [12, 14, 16], [9, 10, 13]
    arms = [arm_with_hits([[right] * 6 for right in rights]) for rights in (first, second)]
    [difference] = measure_differences(arms, [(0, 1)], "uar")
    theirs = ttest_ind(np.array(first) / VIDEOS, np.array(second) / VIDEOS)
    assert difference.degrees == pytest.approx(theirs.df)
    assert difference.p == pytest.approx(theirs.pvalue)


def test_subjects_and_seeds_add_up_and_pairs_lean_to_their_mean():
    rng = np.random.default_rng(2)
    subjects, seeds = 8, 3
    # Arms that each meet subjects in their own way, and runs that differ.
    of_arm_and_subject, of_run = rng.integers(-4, 5, (3, 1, subjects)), rng.integers(-2, 3, (3, seeds, 1))
    hits = 10 + of_arm_and_subject + of_run + rng.integers(-1, 2, (3, seeds, subjects))
    pairs = [(0, 1), (0, 2), (1, 2)]
    differences = measure_differences([arm_with_hits(h.tolist()) for h in hits], pairs, "accuracy", 40_000)

    shares = hits / VIDEOS
    covariances = np.cov(shares.reshape(3 * seeds, subjects)).reshape(3, seeds, 3, seeds) / subjects
    other = ~np.eye(seeds, dtype=bool)
    from_seeds = shares.mean(axis=2).var(axis=1, ddof=1).mean() * 2 / seeds
    parts = [
        covariances[i, :, i][other].mean() + covariances[j, :, j][other].mean() - 2 * covariances[i, :, j].mean()
        for i, j in pairs
    ]
    assert min(parts) > 0
    for difference, part in zip(differences, parts, strict=True):
        from_subjects = (part + np.mean(parts)) / 2
        assert difference.variance == pytest.approx(from_subjects + from_seeds, rel=0.03)
        degrees = difference.variance**2 / (from_subjects**2 / 7 + from_seeds**2 / 6)
        assert difference.degrees == pytest.approx(degrees, rel=0.05)


def test_the_variance_is_never_below_the_bootstraps_of_subjects():
    """Runs that differ on each subject and have one mean: no seed noise is seen, and nothing that runs share."""
    first, second = arm_with_hits([[14, 14, 6, 6], [14, 6, 14, 6]]), arm_with_hits([[10] * 4, [10] * 4])
    [difference] = measure_differences([first, second], [(0, 1)], "accuracy", 40_000)
    assert difference.variance == pytest.approx(np.var([14, 10, 10, 6], ddof=1) / VIDEOS**2 / 4, rel=0.03)
