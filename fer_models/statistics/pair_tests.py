"""Tests of two arms on the same items, and the correction for testing many pairs.

Which test suits which comparison: Dror et al. 2018, The hitchhiker's guide to testing statistical significance in
natural language processing.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from fer_models.statistics.arm_predictions import ArmPredictions, Metric, UnitCounts

#: Up to so many swaps are all tried; of more, so many are drawn.
MAX_EXACT_SWAPS = 4096
NUM_RANDOM_SWAPS = 10_000
#: Swaps that give the observed difference up to rounding count as equal to it.
_ROUNDING = 1e-9


def permutation_test(first: ArmPredictions, second: ArmPredictions, metric: Metric, seed: int = 0) -> float:
    """Two-sided p of the difference of mean scores when the arms' predictions of whole subjects are swapped.

    Exact for up to 13 subjects; with more, of random swaps, the observed one counted among them (Phipson & Smyth 2010,
    Permutation p-values should never be zero). Knows of subjects only: a lucky seed is a difference to it. With n
    subjects no p is below 2 / 2**n, so five or fewer never show a difference at 5 %.
    """
    one, two = first.counts, second.counts
    num_units = len(one.support)
    exact = 2 ** (num_units - 1) <= MAX_EXACT_SWAPS
    swaps = _all_swaps(num_units) if exact else _random_swaps(num_units, seed)
    differences = _swapped_scores(one, two, swaps, metric) - _swapped_scores(two, one, swaps, metric)
    observed = abs(first.scores(metric).mean() - second.scores(metric).mean())
    as_large = np.abs(differences) >= observed - _ROUNDING
    return float(as_large.mean()) if exact else float((as_large.sum() + 1) / (len(as_large) + 1))


def _all_swaps(num_units: int) -> np.ndarray:
    """Every way to swap units but the first, (2**(n-1), n) of 0 and 1; swapping all others only turns the sign."""
    numbers = np.arange(2 ** (num_units - 1))[:, None]
    return ((numbers << 1 >> np.arange(num_units)) & 1).astype(float)


def _random_swaps(num_units: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (NUM_RANDOM_SWAPS, num_units)).astype(float)


def _swapped_scores(first: UnitCounts, second: UnitCounts, swaps: np.ndarray, metric: Metric) -> np.ndarray:
    """Mean score over seeds of the first arm when it takes the second's predictions of the swapped units, (rows,)."""
    hits, predicted = (
        mine.sum(axis=0) + np.tensordot(swaps, other - mine, axes=1)
        for mine, other in ((first.hits, second.hits), (first.predicted, second.predicted))
    )
    return UnitCounts(first.support.sum(axis=0, keepdims=True), hits, predicted).scores(metric).mean(axis=1)


def mcnemar_test(first: ArmPredictions, second: ArmPredictions) -> float:
    """Exact McNemar test (1947) of which items the first seed of each arm gets right, two-sided p.

    A reference only: it takes the items of one subject for independent, and one seed for the arm.
    """
    first_right, second_right = (arm.predicted[0] == arm.labels for arm in (first, second))
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    num_unlike = only_first + only_second
    return float(binomtest(only_first, num_unlike).pvalue) if num_unlike else 1.0


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values (1979, A simple sequentially rejective multiple test procedure), in the given order.

    Calling different what is below 0.05 calls any pair of the family wrongly different in at most 5 % of studies.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1.0)
    return adjusted
