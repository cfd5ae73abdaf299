"""Which arm is better than which, in words that a few subjects and seeds can bear."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fer_models.errors import UserError
from fer_models.statistics.arm_predictions import ArmPredictions, Metric
from fer_models.statistics.differences import Difference, measure_differences
from fer_models.statistics.intervals import NUM_RESAMPLES, Interval
from fer_models.statistics.pair_tests import holm, mcnemar_test, permutation_test
from fer_models.statistics.seed_noise import measure_seed_noise

#: Differences of this size and less are of no account.
MARGIN = 0.02
_ALPHA = 0.05


@dataclass(frozen=True)
class PairComparison:
    """The first arm against the second on the same items.

    Args:
        difference: of the mean scores over seeds, first minus second, in 0..1.
        interval_95, interval_90: of it, for other subjects and other seeds; for one seed for other subjects only.
        p: of no difference, from the distribution of the intervals.
        p_holm: `p` after Holm's correction over all pairs that were compared.
        p_permutation: swaps of whole subjects.
        p_mcnemar: for reference, see `mcnemar_test`.
        null_band: what seed noise alone keeps within in 95 % of cases; 0 for arms that do not vary by seed, None where
            one does and nothing tells of seed noise, as one seed and ensembles do not.
        verdict: "better", "worse", "equivalent within ±2 points" (with the margin in use) or "no difference shown".
    """

    first: str
    second: str
    difference: float
    interval_95: Interval
    interval_90: Interval
    p: float
    p_holm: float
    p_permutation: float
    p_mcnemar: float
    null_band: float | None
    verdict: str


def compare_arms(
    arms: Mapping[str, ArmPredictions],
    metric: Metric,
    reference: str | None = None,
    margin: float = MARGIN,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[PairComparison]:
    """Compare all pairs of arms, or each other arm (first) with a reference (second).

    An arm is "better" or "worse" when three things agree: p with Holm's correction is below 0.05, where p knows of
    subjects and seeds; swapping subjects (a test that assumes no distribution) gives p < 0.05; and the difference
    exceeds the null band. The last two do not suffice, even with Holm's correction of the swaps: with thirty subjects a
    lucky seed passes the swaps, and some pair of many its band; with six subjects no swap test survives the correction
    (`benchmarks/false_positives.py` prints both).

    Arms are "equivalent" when the 90 % interval lies within the margin (two one-sided tests at 5 %, Schuirmann 1987);
    that is not corrected for the number of pairs. One seed says nothing of seed noise, so it shows neither; nor do
    ensembles alone.

    Raises:
        UserError: fewer than two arms, an unknown reference, or arms of other items or numbers of seeds.
    """
    _check(arms, reference)
    names, predictions = list(arms), list(arms.values())
    showing = [arm.scores(metric) for arm in predictions if arm.shows_seed_noise]
    noise = measure_seed_noise(np.array(showing)) if showing else None
    pairs = _pairs(names, reference)
    differences = measure_differences(predictions, pairs, metric, num_resamples, seed)
    adjusted = holm([difference.p for difference in differences])
    comparisons = []
    for (i, j), difference, p_holm in zip(pairs, differences, adjusted, strict=True):
        p_permutation = permutation_test(predictions[i], predictions[j], metric, seed)
        weight = predictions[i].seed_weight + predictions[j].seed_weight
        band = 0.0 if not weight else noise.band(weight) if noise else None
        comparisons.append(
            PairComparison(
                first=names[i],
                second=names[j],
                difference=difference.estimate,
                interval_95=difference.interval(0.95),
                interval_90=difference.interval(0.90),
                p=difference.p,
                p_holm=float(p_holm),
                p_permutation=p_permutation,
                p_mcnemar=mcnemar_test(predictions[i], predictions[j]),
                null_band=band,
                verdict=_verdict(difference, max(float(p_holm), p_permutation), band, margin),
            )
        )
    return comparisons


def _verdict(difference: Difference, p: float, band: float | None, margin: float) -> str:
    if band is None:
        return "no difference shown"
    if p < _ALPHA and abs(difference.estimate) > band:
        return "better" if difference.estimate > 0 else "worse"
    interval = difference.interval(1 - 2 * _ALPHA)
    if -margin < interval.low and interval.high < margin:
        return f"equivalent within ±{100 * margin:g} points"
    return "no difference shown"


def _pairs(names: list[str], reference: str | None) -> list[tuple[int, int]]:
    if reference is None:
        return list(combinations(range(len(names)), 2))
    position = names.index(reference)
    return [(i, position) for i in range(len(names)) if i != position]


def _check(arms: Mapping[str, ArmPredictions], reference: str | None) -> None:
    if len(arms) < 2:
        raise UserError(f"A comparison needs at least two arms, not {len(arms)}; train another one.")
    if reference is not None and reference not in arms:
        raise UserError(
            f"The reference arm {reference!r} is not among the compared ones: name one of {', '.join(arms)}."
        )
    name, known = next(iter(arms.items()))
    for other, arm in arms.items():
        if not (np.array_equal(arm.labels, known.labels) and np.array_equal(arm.subjects, known.subjects)):
            raise UserError(f"{other} and {name} were evaluated on other items; evaluate both in one test subset.")
        if arm.num_seeds != known.num_seeds:
            raise UserError(
                f"{other} has {arm.num_seeds} seeds and {name} has {known.num_seeds}; train both with the same ones."
            )
