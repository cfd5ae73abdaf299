"""Verdicts on arms whose relation is known."""

from dataclasses import replace

import numpy as np
import pytest

from fer_models.errors import UserError
from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.comparisons import compare_arms
from fer_models.statistics.pair_tests import holm, mcnemar_test, permutation_test
from fer_models.statistics.seed_noise import measure_seed_noise

SUBJECTS, VIDEOS, CLASSES = 8, 12, 4


def arm(error_rate: float, seed: int, num_seeds: int = 3) -> ArmPredictions:
    """Errs on random items, on others with each seed."""
    rng = np.random.default_rng([seed, 1])
    labels = np.tile(np.arange(CLASSES), SUBJECTS * VIDEOS // CLASSES)
    errs = rng.random((num_seeds, len(labels))) < error_rate
    return ArmPredictions(
        labels, np.repeat(np.arange(SUBJECTS), VIDEOS), np.where(errs, (labels + 1) % CLASSES, labels)
    )


def test_a_far_better_arm_is_better_and_the_other_one_worse():
    good, bad = arm(0.1, 0), arm(0.6, 1)
    [pair] = compare_arms({"good": good, "bad": bad}, "uar")
    assert (pair.first, pair.second, pair.verdict) == ("good", "bad", "better")
    assert pair.difference == pytest.approx(good.scores("uar").mean() - bad.scores("uar").mean())
    assert pair.interval_95.low < pair.interval_90.low < pair.difference < pair.interval_90.high < pair.interval_95.high
    assert pair.interval_95.low > pair.null_band > 0
    [turned] = compare_arms({"bad": bad, "good": good}, "uar")
    assert turned.verdict == "worse"
    assert turned.difference == pytest.approx(-pair.difference)
    assert turned.p == pytest.approx(pair.p)


def test_a_record_holds_what_the_tests_say():
    arms = {name: arm(rate, seed) for seed, (name, rate) in enumerate({"a": 0.3, "b": 0.35, "c": 0.5}.items())}
    pairs = compare_arms(arms, "macro_f1", num_resamples=500, seed=4)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    noise = measure_seed_noise(np.array([one.scores("macro_f1") for one in arms.values()]))
    assert [pair.p_holm for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))
    for pair in pairs:
        first, second = arms[pair.first], arms[pair.second]
        assert pair.p_permutation == permutation_test(first, second, "macro_f1", 4)
        assert pair.p_mcnemar == mcnemar_test(first, second)
        assert pair.null_band == noise.band()


def test_against_a_reference_only_its_pairs_are_a_family():
    arms = {"a": arm(0.3, 0), "base": arm(0.35, 1), "c": arm(0.5, 2)}
    pairs = compare_arms(arms, "uar", reference="base")
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "base"), ("c", "base")]
    assert [pair.p_holm for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))
    everything = {(pair.first, pair.second): pair for pair in compare_arms(arms, "uar")}
    assert pairs[0].interval_95 == everything["a", "base"].interval_95


def test_one_seed_shows_nothing_however_large_the_difference():
    [pair] = compare_arms({"good": arm(0.0, 0, 1), "bad": arm(0.9, 1, 1)}, "uar")
    assert pair.p_permutation < 0.01
    assert pair.null_band is None
    assert pair.verdict == "no difference shown"
    [same] = compare_arms({"a": arm(0.0, 0, 1), "b": arm(0.0, 1, 1)}, "uar")
    assert same.verdict == "no difference shown"


def test_arms_within_the_margin_are_equivalent_and_the_margin_is_named():
    arms = {"a": arm(0.002, 0), "b": arm(0.002, 1)}
    [pair] = compare_arms(arms, "uar")
    assert 0.001 < max(-pair.interval_90.low, pair.interval_90.high) < 0.02
    assert pair.verdict == "equivalent within ±2 points"
    [strict] = compare_arms(arms, "uar", margin=0.001)
    assert strict.verdict == "no difference shown"
    [loose] = compare_arms(arms, "uar", margin=0.025)
    assert loose.verdict == "equivalent within ±2.5 points"


def test_a_difference_inside_the_null_band_is_none():
    """Every subject agrees on the difference, but the seeds of an arm lie as far apart as the arms."""
    labels, subjects = np.zeros(SUBJECTS * VIDEOS, int), np.repeat(np.arange(SUBJECTS), VIDEOS)
    video = np.tile(np.arange(VIDEOS), SUBJECTS)

    def with_hits(*hits: int) -> ArmPredictions:
        return ArmPredictions(labels, subjects, np.array([video >= right for right in hits]).astype(int))

    [pair] = compare_arms({"lucky": with_hits(9, 12), "unlucky": with_hits(7, 10)}, "accuracy")
    assert pair.p_permutation < 0.01
    assert abs(pair.difference) < pair.null_band
    assert pair.verdict == "no difference shown"


def test_what_cannot_be_compared_is_refused():
    good = arm(0.1, 0)
    with pytest.raises(UserError, match="at least two arms, not 1"):
        compare_arms({"a": good}, "uar")
    with pytest.raises(UserError, match="reference arm 'x' is not among the compared ones: name one of a, b"):
        compare_arms({"a": good, "b": good}, "uar", reference="x")
    with pytest.raises(UserError, match="b has 2 seeds and a has 3"):
        compare_arms({"a": good, "b": arm(0.1, 0, 2)}, "uar")
    other = ArmPredictions(good.labels[::-1], good.subjects, good.predicted)
    with pytest.raises(UserError, match="b and a were evaluated on other items"):
        compare_arms({"a": good, "b": other}, "uar")


def test_arms_that_no_seed_moves_do_not_make_the_others_look_steadier():
    arms = {"a": arm(0.1, 0, 3), "b": arm(0.2, 3, 3)}
    fixed = arm(0.3, 6, 1)
    fixed = replace(fixed, predicted=np.repeat(fixed.predicted, 3, axis=0), varies_by_seed=False)
    (alone,) = compare_arms(arms, "uar", num_resamples=500)
    three = compare_arms({**arms, "fixed": fixed}, "uar", num_resamples=500)
    pairs = {(pair.first, pair.second): pair for pair in three}
    assert pairs["a", "b"].null_band == alone.null_band
    assert pairs["a", "b"].interval_95 == alone.interval_95, "nor does what people do with the fixed one"
    assert pairs["a", "fixed"].null_band == pytest.approx(alone.null_band / np.sqrt(2))


def test_two_arms_that_no_seed_moves_are_judged_with_one_seed():
    good, bad = (replace(arm(share, number, 1), varies_by_seed=False) for number, share in enumerate((0.0, 0.9)))
    (pair,) = compare_arms({"good": good, "bad": bad}, "uar")
    assert (pair.verdict, pair.null_band) == ("better", 0.0)
    (mixed,) = compare_arms({"good": good, "bad": replace(bad, varies_by_seed=True)}, "uar")
    assert (mixed.verdict, mixed.null_band) == ("no difference shown", None)


def test_an_ensemble_does_not_change_what_is_known_of_two_arms():
    arms = {"a": arm(0.1, 0), "b": arm(0.2, 3)}
    one = arm(0.05, 6, 1)
    ensemble = replace(one, predicted=np.repeat(one.predicted, 3, axis=0), is_ensemble=True)
    (alone,) = compare_arms(arms, "uar", num_resamples=500)
    three = compare_arms({**arms, "ensemble": ensemble}, "uar", num_resamples=500)
    pairs = {(pair.first, pair.second): pair for pair in three}
    assert pairs["a", "b"].null_band == alone.null_band
    assert pairs["a", "b"].interval_95 == alone.interval_95
    noise = measure_seed_noise(np.array([other.scores("uar") for other in arms.values()]))
    assert pairs["a", "ensemble"].null_band == noise.band(4), "its own noise is that of one run"
    assert pairs["a", "ensemble"].null_band == pytest.approx(alone.null_band * np.sqrt(2))


def test_ensembles_alone_show_nothing():
    ensembles = {}
    for number, share in enumerate((0.0, 0.9)):
        one = arm(share, number, 1)
        ensembles[str(share)] = replace(one, predicted=np.repeat(one.predicted, 3, axis=0), is_ensemble=True)
    (pair,) = compare_arms(ensembles, "uar")
    assert (pair.verdict, pair.null_band) == ("no difference shown", None)
