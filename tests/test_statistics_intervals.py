"""Bootstrap intervals against scipy's, and what they do at the edges."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm
from scipy.stats import t as student_t

from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.intervals import interval, resampled_scores


def arm_with_hits(hits_of_subjects: list[int], videos: int = 10, num_seeds: int = 1) -> ArmPredictions:
    """One class; so many of each subject's videos are right in each seed."""
    predicted = np.concatenate([np.arange(videos) >= hits for hits in hits_of_subjects]).astype(int)
    subjects = np.repeat(np.arange(len(hits_of_subjects)), videos)
    return ArmPredictions(np.zeros(len(predicted), int), subjects, np.tile(predicted, (num_seeds, 1)))


@pytest.mark.parametrize("hits", [[3, 9, 5, 7, 8, 6, 9, 2, 7, 10], [10, 10, 10, 9, 10, 4, 10, 10, 9, 10, 8, 10]])
def test_it_is_scipys_bca_interval_of_the_subjects_accuracies_at_the_expanded_level(hits: list[int]):
    ours = interval(arm_with_hits(hits), "accuracy", num_resamples=40_000)
    # Ten subjects: Student's 2.2622 (9 degrees) times sqrt(10 / 9) is 2.3845, beyond which 0.855 % lie a side.
    n = len(hits)
    level = 1 - 2 * norm.sf(student_t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)))
    assert n != 10 or level == pytest.approx(1 - 2 * 0.00855, abs=1e-4)
    rng = np.random.default_rng(1)
    theirs = bootstrap((np.array(hits) / 10,), np.mean, n_resamples=40_000, confidence_level=level, rng=rng)
    low, high = theirs.confidence_interval
    assert ours.estimate == pytest.approx(np.mean(hits) / 10)
    # Far out in the tail two draws of the resamples differ by up to two videos.
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=2.1 / (10 * n))


def test_a_wider_level_gives_a_wider_interval():
    arm = arm_with_hits([3, 9, 5, 7, 8, 6])
    wide, narrow = interval(arm, "accuracy", 0.95), interval(arm, "accuracy", 0.5)
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


def test_it_is_of_the_mean_over_seeds():
    labels, subjects = np.array([0, 1] * 4), np.repeat(np.arange(4), 2)
    opposite = ArmPredictions(labels, subjects, np.stack([labels, 1 - labels]))
    whole = interval(opposite, "uar")
    assert (whole.estimate, whole.low, whole.high) == (0.5, 0.5, 0.5)


def test_subjects_vary_and_not_their_videos():
    alike, unlike = arm_with_hits([5, 5, 5, 5]), arm_with_hits([0, 0, 10, 10])
    assert interval(alike, "accuracy").high - interval(alike, "accuracy").low == 0
    assert interval(unlike, "accuracy").high - interval(unlike, "accuracy").low > 0.7


def test_one_subject_leaves_videos_to_vary():
    whole = interval(arm_with_hits([5]), "accuracy")
    assert 0.05 < whole.low < 0.3
    assert 0.7 < whole.high < 0.95


def test_an_arm_that_is_always_right_has_no_width():
    whole = interval(arm_with_hits([10, 10, 10]), "uar")
    assert (whole.low, whole.high) == (1.0, 1.0)


def test_arms_meet_the_same_resamples():
    arm, other = arm_with_hits([3, 9, 5]), arm_with_hits([2, 8, 4])
    scores, others = (resampled_scores(one.counts, "accuracy", 100, seed=3) for one in (arm, other))
    np.testing.assert_allclose(scores - others, 0.1)


@pytest.mark.parametrize("hits", [[3, 9], [0, 10], [9, 9], [10, 10], [1, 4, 10]])
def test_two_or_three_subjects_leave_all_that_they_showed_open(hits: list[int]):
    """Student's t of one degree of freedom is so far out that the normal distribution has nothing there."""
    found = interval(arm_with_hits(hits), "accuracy")
    assert (found.low, found.high) == (min(hits) / 10, max(hits) / 10)
