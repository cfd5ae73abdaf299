"""Scores of class probabilities. WAR is accuracy; UAR is balanced accuracy, the mean recall of the classes present."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

#: How the segments of a video become one prediction.
Aggregation = Literal["mean", "majority", "logit_mean"]
_EPSILON = 1e-7
#: Stands for probabilities that became 0 in float32.
SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Scores:
    """Scores of one set of items, all in 0..1 except `loss` (mean cross entropy, nats) and `num_items`."""

    accuracy: float
    uar: float
    macro_f1: float
    loss: float
    num_items: int
    precision: dict[str, float]
    recall: dict[str, float]

    def flat(self, prefix: str) -> dict[str, float]:
        """As flat metric names: `<prefix>_accuracy`, `<prefix>_recall_anger`, ..."""
        scalars = {f"{prefix}_{name}": getattr(self, name) for name in ("accuracy", "uar", "macro_f1", "loss")}
        per_class = {
            f"{prefix}_{name}_{emotion}": value
            for name in ("precision", "recall")
            for emotion, value in getattr(self, name).items()
        }
        return scalars | per_class


def score(labels: np.ndarray, probabilities: np.ndarray, emotions: Sequence[str]) -> Scores:
    """Score predictions.

    Args:
        labels: int (n,), n > 0.
        probabilities: float (n, len(emotions)); the highest wins, the first of equals.

    UAR and macro F1 are taken over the classes that occur among the labels. Precision of a class that is never
    predicted and recall of a class that never occurs are 0.
    """
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(emotions)), zero_division=0
    )
    chosen = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return Scores(
        accuracy=float(np.mean(predicted == labels)),
        uar=float(np.mean(recall[present])),
        macro_f1=float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        loss=float(-np.log(np.clip(chosen.astype(np.float64), _EPSILON, 1.0)).mean()),
        num_items=len(labels),
        precision=dict(zip(emotions, map(float, precision), strict=True)),
        recall=dict(zip(emotions, map(float, recall), strict=True)),
    )


def count_confusions(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Confusion counts, int (num_classes, num_classes): row true, column predicted."""
    return confusion_matrix(labels, predicted, labels=np.arange(num_classes))


def scores_by_group(
    groups: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, emotions: Sequence[str]
) -> dict[str, Scores]:
    """Scores of each group, for example of each subject, in sorted order; UAR over the classes that the group has.

    Args:
        groups: (n,) the group of each item; the rest as in `score`.
    """
    return {
        str(group): score(labels[groups == group], probabilities[groups == group], emotions)
        for group in np.unique(groups)
    }


def by_video(
    videos: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, how: Aggregation = "mean"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row of class probabilities a video from those of its segments.

    Args:
        videos: (n,) the video of each segment.
        labels: int (n,).
        probabilities: float (n, classes).
        how: "mean" of the probabilities; "logit_mean", the softmax of their mean logarithms, which is the normalised
            geometric mean and the softmax of the mean logits; or "majority", where each segment votes for its winning
            class and the mean counts as one more vote, to break ties.

    Returns:
        Names (v,) in sorted order, labels int (v,) and probabilities float64 (v, classes).
    """
    names, first, inverse = np.unique(videos, return_index=True, return_inverse=True)
    return names, labels[first], pooled(probabilities, inverse, how)


def pooled(probabilities: np.ndarray, groups: np.ndarray, how: Aggregation) -> np.ndarray:
    """Class probabilities of groups of segments, float64 (g, classes): the one way in which those of videos are made.

    Args:
        probabilities: float (n, classes), of segments.
        groups: int (n,), the group of each from 0 on, none without a segment.
        how: as in `by_video`.
    """
    counts = np.bincount(groups)[:, None]

    def summed(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(counts), probabilities.shape[1]))
        np.add.at(sums, groups, rows)
        return sums

    if how == "logit_mean":
        logits = summed(np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))) / counts
        return softmax(logits, axis=1)
    means = summed(probabilities) / counts
    if how == "majority":
        votes = summed(np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)])
        return (votes + means) / (counts + 1)
    return means
