"""Intervals of an arm's score that say what other subjects would have changed."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from fer_models.statistics.arm_predictions import ArmPredictions, Metric, UnitCounts

NUM_RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, both in the unit of the score (0..1)."""

    estimate: float
    low: float
    high: float


def interval(
    arm: ArmPredictions, metric: Metric, level: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Interval:
    """BCa bootstrap interval of an arm's mean score over its seeds (Efron 1987, Better bootstrap confidence intervals).

    Whole subjects are resampled (see `ArmPredictions.units`), and the level is expanded as Student's t is against the
    normal distribution (Hesterberg 2015, What teachers should know about the bootstrap): without that, an interval of
    95 % from six subjects holds the truth in 83 to 86 % of simulated studies, with it in 91 to 94 %.

    It is about these very models on other subjects; what other seeds would have given stands in the standard deviation
    over the seeds and, for two arms, in `fer_models.statistics.differences`.
    """
    counts = arm.counts
    estimate = float(arm.scores(metric).mean())
    resampled = resampled_scores(counts, metric, num_resamples, seed).mean(axis=1)
    num_units = len(counts.support)
    without_one = counts.weighted(1 - np.eye(num_units)).scores(metric).mean(axis=1)
    tails = student_t.ppf([(1 - level) / 2, (1 + level) / 2], num_units - 1)
    tails = tails * np.sqrt(num_units / (num_units - 1))
    low, high = np.quantile(resampled, _bca_levels(tails, estimate, resampled, without_one))
    return Interval(estimate, float(low), float(high))


def difference_of(first: Interval, second: Interval) -> Interval:
    """The first less the second, of other items and other subjects each: from their intervals alone.

    Zou and Donner 2008, Construction of confidence limits about effect measures: a general approach.
    """
    estimate = first.estimate - second.estimate
    below = np.hypot(first.estimate - first.low, second.high - second.estimate)
    above = np.hypot(first.high - first.estimate, second.estimate - second.low)
    return Interval(estimate, float(estimate - below), float(estimate + above))


def resampled_scores(counts: UnitCounts, metric: Metric, num_resamples: int, seed: int) -> np.ndarray:
    """Scores of each seed in bootstrap resamples of the units, float (num_resamples, seeds).

    The same seed and number of units give the same resamples, so that arms stay paired.
    """
    num_units = len(counts.support)
    times_drawn = np.random.default_rng(seed).multinomial(num_units, np.full(num_units, 1 / num_units), num_resamples)
    return counts.weighted(times_drawn.astype(float)).scores(metric)


def _bca_levels(tails: np.ndarray, estimate: float, resampled: np.ndarray, without_one: np.ndarray) -> np.ndarray:
    """The quantiles of the resamples that stand for two tails, in standard deviations of a normal distribution.

    Corrected for bias and for skewness; a tail so far out that the correction has no value there is the outermost.
    """
    share_below = np.mean((resampled < estimate) + (resampled == estimate) / 2)
    outermost = 0.5 / len(resampled)
    bias = norm.ppf(np.clip(share_below, outermost, 1 - outermost))
    influence = without_one.mean() - without_one
    spread = (influence**2).sum()
    acceleration = (influence**3).sum() / (6 * spread**1.5) if spread else 0.0
    z = bias + tails
    room = 1 - acceleration * z
    return np.where(room > 0, norm.cdf(bias + z / np.where(room > 0, room, 1.0)), z > 0)
