"""Differences of two arms' mean scores, with the error that other subjects and other seeds would bring.

Subjects and seeds are crossed: each run meets each subject. A bootstrap over subjects alone takes the very models at
hand for granted; the spread of the seeds alone takes these subjects for granted. Both count, as Owen 2007, The
pigeonhole bootstrap, and Bouthillier et al. 2021 show, so the variance of a difference of means over S seeds is

    2 sd^2 / S  +  within_first + within_second - 2 between

(sd^2 / S where only one of the arms varies by seed, 0 where none does) with the pooled variance sd^2 of the seeds
within the arms that vary, and with covariances over subjects, from a bootstrap of whole subjects (Field & Welsh
2007), between the scores of different runs of one arm (within) and of the two arms (between). What only one run does
with one subject is in sd^2 already; covariances of different runs leave it out, so it is not counted twice. This is
the variance of Obuchowski & Rockette 1995, Hypothesis testing of diagnostic accuracy for multiple readers and
multiple tests, the readers being seeds, each of one arm only. It is never taken to be less than the bootstrap
variance of the difference itself. Degrees of freedom are Satterthwaite's.

With six subjects the part of subjects is often far too small by luck, and of many pairs some is lucky. It is
therefore drawn halfway to its mean over all pairs of arms of which as many vary by seed, and as many are ensembles, as
in Smyth 2004, Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments, without counting the degrees of freedom that this gains.

Runs of two arms with one seed may share initial weights; taking them to be independent errs to the safe side.

An ensemble is one model of all seeds, given as S equal rows. They tell nothing of sd, so it has no part in the pooled
one; its own noise is taken to be that of a single run, sd^2 (`ArmPredictions.seed_weight`). That errs to the safe
side, as does the covariance over subjects of equal rows, from which nothing is left out, and as does taking it to be
independent of its members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t as student_t

from fer_models.statistics.arm_predictions import ArmPredictions, Metric
from fer_models.statistics.intervals import NUM_RESAMPLES, Interval, resampled_scores
from fer_models.statistics.seed_noise import measure_seed_noise


@dataclass(frozen=True)
class Difference:
    """First minus second: estimate, variance, and the variance's degrees of freedom."""

    estimate: float
    variance: float
    degrees: float

    def interval(self, level: float) -> Interval:
        """Student's interval."""
        half = float(student_t.ppf((1 + level) / 2, self.degrees)) * sqrt(self.variance)
        return Interval(self.estimate, self.estimate - half, self.estimate + half)

    @property
    def p(self) -> float:
        """Two-sided p of no difference, from the same distribution as the interval."""
        if not self.variance:
            return float(self.estimate == 0)
        return 2 * float(student_t.sf(abs(self.estimate) / sqrt(self.variance), self.degrees))


def measure_differences(
    arms: Sequence[ArmPredictions],
    pairs: Sequence[tuple[int, int]],
    metric: Metric,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """The difference of each pair, given as positions among arms that predict the same items with as many seeds.

    All arms tell of the seed noise and of the variance over subjects, whether they are in a pair or not. For one seed
    the error is that of subjects only.
    """
    scores = np.array([arm.scores(metric) for arm in arms])  # (arms, seeds)
    means = scores.mean(axis=1)
    weights = np.array([arm.seed_weight for arm in arms])
    noise = measure_seed_noise(scores[[arm.shows_seed_noise for arm in arms]])
    from_seeds = (weights[:, None] + weights) * (noise.difference_variance(1) if noise else 0.0)
    from_subjects = _subject_variances(arms, metric, from_seeds, num_resamples, seed)
    subject_degrees = len(arms[0].counts.support) - 1
    differences = []
    for first, second in pairs:
        parts = [(float(from_subjects[first, second]), subject_degrees)]
        if noise and weights[first] + weights[second]:
            parts.append((float(from_seeds[first, second]), noise.degrees))
        variance = sum(part for part, _ in parts)
        degrees = variance**2 / sum(part**2 / n for part, n in parts) if variance else subject_degrees
        differences.append(Difference(float(means[first] - means[second]), variance, float(degrees)))
    return differences


def _subject_variances(
    arms: Sequence[ArmPredictions],
    metric: Metric,
    from_seeds: np.ndarray,
    num_resamples: int,
    seed: int,
) -> np.ndarray:
    """What subjects add to the variance of the difference of each two arms, float (arms, arms)."""
    num_arms, num_seeds = len(arms), arms[0].num_seeds
    num_units = len(arms[0].counts.support)
    runs = np.hstack([resampled_scores(arm.counts, metric, num_resamples, seed) for arm in arms])
    # The bootstrap's variance is (n - 1) / n of the unbiased one.
    covariances = np.cov(runs, rowvar=False) * num_units / (num_units - 1)
    blocks = covariances.reshape(num_arms, num_seeds, num_arms, num_seeds)
    between = blocks.mean(axis=(1, 3))
    of_means = np.diag(between)
    variances = of_means[:, None] + of_means - 2 * between
    if num_seeds > 1:
        own = np.einsum("asas->a", blocks)
        within = (np.einsum("asat->a", blocks) - own) / (num_seeds * (num_seeds - 1))
        variances = np.maximum(within[:, None] + within - 2 * between, variances - from_seeds)
    variances = np.maximum(variances, 0.0)
    upper = np.triu(np.ones((num_arms, num_arms), bool), 1)
    means = np.zeros_like(variances)
    kinds = np.array([arm.varies_by_seed + 2 * arm.is_ensemble for arm in arms])  # no two sums of two are alike
    of_pairs = kinds[:, None] + kinds
    for kind in np.unique(of_pairs[upper]):
        means[of_pairs == kind] = variances[upper & (of_pairs == kind)].mean()
    return (variances + means) / 2
