"""The null arm: how far two means over seeds lie apart when only the seeds differ.

Training again with another seed moves the score of an arm by itself, often by more than arms differ (Bouthillier et al.
2021, Accounting for variance in machine learning benchmarks). The spread of the seeds within the arms measures it.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t as student_t


@dataclass(frozen=True)
class SeedNoise:
    """Pooled spread of the seeds within the arms.

    Args:
        sd: standard deviation of one seed's score within its arm.
        degrees: degrees of freedom of `sd`, arms * (seeds - 1).
        num_seeds: seeds that the mean of an arm is taken over.

    A `weight` is the sum of the `seed_weight` of two arms: 2 where both vary by seed.
    """

    sd: float
    degrees: int
    num_seeds: int

    def difference_variance(self, weight: int = 2) -> float:
        """Variance of the difference of two arms' means over seeds, from the seeds alone."""
        return self.sd**2 * weight / self.num_seeds

    def band(self, weight: int = 2) -> float:
        """Half width of the band that this difference stays within by seed noise alone, in 95 % of cases."""
        return float(student_t.ppf(0.975, self.degrees)) * sqrt(self.difference_variance(weight))


def measure_seed_noise(scores: np.ndarray) -> SeedNoise | None:
    """Seed noise from the scores (arms, seeds) of all arms that show it; None without any, or for one seed.

    Arms are taken to be about equally noisy: a few seeds an arm are too few to measure each by itself.
    """
    num_arms, num_seeds = scores.shape
    if num_seeds == 1 or not num_arms:
        return None
    return SeedNoise(float(np.sqrt(scores.var(axis=1, ddof=1).mean())), num_arms * (num_seeds - 1), num_seeds)
