"""How often arms that do not differ are called different, and how often a true difference is found.

    PYTHONPATH=. .venv/bin/python benchmarks/false_positives.py

Simulates studies: an item is predicted rightly when a normal score exceeds 0, made of effects of its subject, video and
class, of the run (arm and seed), of the arm with this subject, and of chance; otherwise another class is drawn. No arm
is better than another, or the first one is. Prints for each setting, in %, the pairs called different by

- McNemar: the exact test on one seed, the customary practice;
- swaps: the permutation test by subject, without correction;
- swaps, Holm, band: the same with Holm's correction, if the difference also exceeds the null band;
- verdict: `fer_models.statistics.comparisons`;

and for the last two the studies in which any pair is called different.
"""

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy.stats import norm

from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.comparisons import PairComparison, compare_arms
from fer_models.statistics.pair_tests import holm

NUM_CLASSES = 6
RULES = ("McNemar", "swaps", "swaps, Holm, band", "verdict")
OF_STUDIES = ("any: swaps, Holm, band", "any: verdict")
_ACCURACY = 0.65
#: Standard deviations of what makes an item hard for all arms, beside chance (1).
_SUBJECT, _VIDEO, _CLASS = 0.5, 0.5, 0.4


@dataclass(frozen=True)
class Setting:
    """One kind of study; `seed_effect` and `subject_effect` are standard deviations, all three in accuracy (0..1).

    `seed_effect` moves a whole run, `subject_effect` an arm with one subject; `gain` makes the first arm better.
    """

    num_arms: int = 4
    num_seeds: int = 3
    num_subjects: int = 8
    videos_per_subject: int = 9
    seed_effect: float = 0.0
    subject_effect: float = 0.0
    gain: float = 0.0


def simulate_study(setting: Setting, rng: np.random.Generator) -> dict[str, ArmPredictions]:
    """The predictions of each arm of one study, by name."""
    arms, seeds, num_subjects = setting.num_arms, setting.num_seeds, setting.num_subjects
    subjects = np.repeat(np.arange(num_subjects), setting.videos_per_subject)
    labels = rng.integers(0, NUM_CLASSES, len(subjects))
    mean = norm.ppf(_ACCURACY)
    # An effect of e in accuracy is e / density of the whole spread, which the effects are themselves a part of.
    shares = np.array([setting.seed_effect, setting.subject_effect]) / norm.pdf(mean)
    spread = sqrt((1 + _SUBJECT**2 + _VIDEO**2 + _CLASS**2) / (1 - (shares**2).sum()))
    seed_sd, subject_sd = shares * spread
    hardness = (
        rng.normal(0, _SUBJECT, num_subjects)[subjects]
        + rng.normal(0, _VIDEO, len(subjects))
        + rng.normal(0, _CLASS, NUM_CLASSES)[labels]
    )
    scores = (
        mean * spread
        + hardness
        + rng.normal(0, seed_sd, (arms, seeds, 1))
        + rng.normal(0, subject_sd, (arms, 1, num_subjects))[:, :, subjects]
        + rng.normal(0, 1, (arms, seeds, len(subjects)))
    )
    scores[0] += (norm.ppf(_ACCURACY + setting.gain) - mean) * spread
    wrong = (labels + rng.integers(1, NUM_CLASSES, scores.shape)) % NUM_CLASSES
    predicted = np.where(scores > 0, labels, wrong)
    return {f"arm{arm}": ArmPredictions(labels, subjects, predicted[arm]) for arm in range(arms)}


def rates(setting: Setting, num_studies: int, seed: int = 0) -> dict[str, float]:
    """The share (0..1) of pairs that each of `RULES` calls different, then `OF_STUDIES`, the share of studies with any.

    With a gain only the pairs of the better arm count.
    """
    found = []
    for study in range(num_studies):
        rng = np.random.default_rng([seed, study])
        pairs = compare_arms(simulate_study(setting, rng), "uar", num_resamples=1000, seed=study)
        swaps_holm = holm([pair.p_permutation for pair in pairs])
        calls = [_calls(pair, p) for pair, p in zip(pairs, swaps_holm, strict=True)]
        shown = [call for pair, call in zip(pairs, calls, strict=True) if not setting.gain or pair.first == "arm0"]
        found.append(shown)
    called = np.array(found)  # (studies, pairs, rules)
    shares = [*called.mean(axis=(0, 1)), *called[:, :, -2:].any(axis=1).mean(axis=0)]
    return dict(zip(RULES + OF_STUDIES, map(float, shares), strict=True))


def _calls(pair: PairComparison, swaps_holm: float) -> list[bool]:
    """Whether each rule calls a pair different."""
    beyond_band = pair.null_band is not None and abs(pair.difference) > pair.null_band
    return [
        pair.p_mcnemar < 0.05,
        pair.p_permutation < 0.05,
        swaps_holm < 0.05 and beyond_band,
        pair.verdict in ("better", "worse"),
    ]


#: Kinds of studies, the number that is simulated for each row of the table, and the gains.
STUDIES = (
    (Setting(), 250, (0.0, 0.1, 0.2)),
    (Setting(num_arms=6, num_subjects=6, num_seeds=5), 120, (0.0, 0.1, 0.2)),
    (Setting(num_subjects=30), 100, (0.0, 0.1)),
    (Setting(num_seeds=1), 100, (0.0,)),
)
#: Effects of seed and of arm with subject.
EFFECTS = ((0.0, 0.0), (0.02, 0.0), (0.05, 0.0), (0.03, 0.08))


def main() -> None:
    """Print the table, in points."""
    print("| arms | seeds | people | seed effect | person effect | gain | " + " | ".join(RULES + OF_STUDIES) + " |")
    print("|---:" * (6 + len(RULES + OF_STUDIES)) + "|")
    for kind, num_studies, gains in STUDIES:
        for gain in gains:
            for seed_effect, subject_effect in EFFECTS:
                setting = replace(kind, seed_effect=seed_effect, subject_effect=subject_effect, gain=gain)
                numbers = [f"{100 * number:.0f}" for number in (seed_effect, subject_effect, gain)]
                shares = [f"{100 * share:.1f}" for share in rates(setting, num_studies).values()]
                cells = [str(kind.num_arms), str(kind.num_seeds), str(kind.num_subjects), *numbers, *shares]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
