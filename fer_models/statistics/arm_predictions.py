"""What an arm predicted on the test items, and its scores under any weighting of the subjects.

Accuracy, UAR and macro F1 depend only on counts that add up over subjects. A resample of subjects, or a swap of two
arms' predictions of some subjects, is therefore a product of a weight matrix with those counts, thousands at a time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from fer_models.errors import UserError

Metric = Literal["accuracy", "uar", "macro_f1"]


@dataclass(frozen=True)
class ArmPredictions:
    """Predicted classes of one arm, one row per seed; arms that are compared have the same items in the same order.

    Args:
        labels: int (v,), v > 1.
        subjects: (v,) the subject of each item.
        predicted: int (seeds, v).
        varies_by_seed: another seed gives another model.
        is_ensemble: it is one model of all seeds, and each row is what that one predicts. Other seeds would give
            another one, but its rows do not show how far it would lie.

    Raises `UserError` when the shapes do not fit.
    """

    labels: np.ndarray
    subjects: np.ndarray
    predicted: np.ndarray
    varies_by_seed: bool = True
    is_ensemble: bool = False

    def __post_init__(self) -> None:
        num_items = len(self.labels)
        if num_items < 2 or len(self.subjects) != num_items or self.predicted.shape[1:] != (num_items,):
            raise UserError(
                f"An arm's predictions have {num_items} labels, {len(self.subjects)} subjects and predicted classes of "
                f"shape {self.predicted.shape}; pass at least 2 items, and one row of them for each seed."
            )

    @property
    def num_seeds(self) -> int:
        return len(self.predicted)

    @property
    def shows_seed_noise(self) -> bool:
        """Whether the spread of its rows is what another seed does."""
        return self.varies_by_seed and not self.is_ensemble

    @property
    def seed_weight(self) -> int:
        """How much of its score's variance is of the seeds, in variances of a mean over its seeds.

        That of an ensemble is taken to be that of a single run. Averaging probabilities raises a score more than it
        steadies it: where votes of noisy models were simulated, its standard deviation was 0.7 to 0.95 times that of a
        run, but 1.2 to 1.8 times that of a mean over its seeds.
        """
        if self.is_ensemble:
            return self.num_seeds
        return int(self.varies_by_seed)

    @cached_property
    def units(self) -> np.ndarray:
        """What is resampled and swapped as a whole, 0..n-1 for each item: its subject, or the item if all are of one.

        Items of one subject are not independent, so it is subjects that vary (Field & Welsh 2007, Bootstrapping
        clustered data). With one subject only the items can vary, and no result goes beyond that subject.
        """
        names, unit = np.unique(self.subjects, return_inverse=True)
        return unit if len(names) > 1 else np.arange(len(self.labels))

    @cached_property
    def counts(self) -> "UnitCounts":
        """What the scores of any weighting of the units are made of."""
        return UnitCounts.of(self)

    def scores(self, metric: Metric) -> np.ndarray:
        """The score of each seed on all items, float (seeds,)."""
        return self.counts.weighted(np.ones((1, len(self.counts.support)))).scores(metric)[0]


@dataclass(frozen=True)
class UnitCounts:
    """Counts of the k classes that occur among the labels, for each of n units (subjects, or weightings of subjects).

    `support` (n, 1, k) items of a class; `hits` (n, seeds, k) those predicted rightly; `predicted` (n, seeds, k) items
    predicted as the class. All float.
    """

    support: np.ndarray
    hits: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, arm: ArmPredictions) -> "UnitCounts":
        """A row a unit of the arm."""
        classes = np.unique(arm.labels)
        unit = arm.units
        of_unit = (unit == np.arange(unit.max() + 1)[:, None]).astype(float)  # (n, v)
        is_label = arm.labels[:, None] == classes  # (v, k)
        is_predicted = arm.predicted[:, :, None] == classes  # (seeds, v, k)
        return cls(
            support=(of_unit @ is_label)[:, None],
            hits=(of_unit @ (is_predicted & is_label)).swapaxes(0, 1),
            predicted=(of_unit @ is_predicted).swapaxes(0, 1),
        )

    def weighted(self, weights: np.ndarray) -> "UnitCounts":
        """Sums over the units, a row for each row of the weights (rows, n)."""
        sums = (np.tensordot(weights, counts, axes=1) for counts in (self.support, self.hits, self.predicted))
        return UnitCounts(*sums)

    def scores(self, metric: Metric) -> np.ndarray:
        """Scores in 0..1, float (n, seeds); UAR and macro F1 over the classes that have items in that row."""
        if metric == "accuracy":
            return self.hits.sum(axis=2) / self.support.sum(axis=2)
        # A class without items in a row has no hits there either, so it adds nothing to the sum.
        items = self.support if metric == "uar" else (self.support + self.predicted) / 2
        num_present = (self.support > 0).sum(axis=2)
        return np.divide(self.hits, items, out=np.zeros_like(self.hits), where=self.hits > 0).sum(axis=2) / num_present
