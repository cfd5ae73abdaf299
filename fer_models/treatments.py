"""Treatments of rare classes: one record each, in one registry, whose keys are what settings may name.

A treatment acts on the rows of an epoch, on their weights, on the loss, or on the last layer of the trained model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from fer_models.suggest import nearest

if TYPE_CHECKING:
    import keras
    import numpy as np


def _every_row(labels: "np.ndarray", seed: int, epoch: int) -> "np.ndarray":
    import numpy as np

    return np.arange(len(labels))


def _downsampled(labels: "np.ndarray", seed: int, epoch: int) -> "np.ndarray":
    from fer_models.training.sampling import rows_of_equal_classes

    return rows_of_equal_classes(labels, seed, epoch, min)


def _oversampled(labels: "np.ndarray", seed: int, epoch: int) -> "np.ndarray":
    from fer_models.training.sampling import rows_of_equal_classes

    return rows_of_equal_classes(labels, seed, epoch, max)


def _equal(labels: "np.ndarray", num_classes: int) -> "np.ndarray":
    import numpy as np

    return np.ones(num_classes)


def _inverse_to_frequency(labels: "np.ndarray", num_classes: int) -> "np.ndarray":
    from fer_models.training.sampling import class_weights

    return class_weights(labels, num_classes)


def _cross_entropy(labels: "np.ndarray", num_classes: int) -> "keras.losses.Loss":
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _focal(labels: "np.ndarray", num_classes: int) -> "keras.losses.Loss":
    from fer_models.training.losses import FocalLoss

    return FocalLoss()


def _adjusted(labels: "np.ndarray", num_classes: int) -> "keras.losses.Loss":
    from fer_models.training.losses import LogitAdjustedLoss, class_shares

    return LogitAdjustedLoss(class_shares(labels, num_classes))


def _one_vs_rest(labels: "np.ndarray", num_classes: int) -> "keras.losses.Loss":
    from fer_models.training.losses import OneVersusRestLoss

    return OneVersusRestLoss()


def _refit_to_smote(
    kernel: "np.ndarray", bias: "np.ndarray", features: "np.ndarray", labels: "np.ndarray", seed: int
) -> tuple["np.ndarray", "np.ndarray"]:
    from fer_models.training.refitting import refit_to_smote

    return refit_to_smote(kernel, bias, features, labels, seed)


def _refit_to_logits(
    kernel: "np.ndarray", bias: "np.ndarray", features: "np.ndarray", labels: "np.ndarray", seed: int
) -> tuple["np.ndarray", "np.ndarray"]:
    from fer_models.training.refitting import refit_to_logits

    return refit_to_logits(kernel, bias, features, labels)


@dataclass(frozen=True)
class Treatment:
    """What is done about classes of unequal size.

    Args:
        summary: for users.
        rows: from the labels, int (n,), the seed and the number of an epoch: the rows that it takes, int (m,).
        weights: from the labels and the number of classes: how much a row of each class counts, (classes,).
        loss: from the same: the loss, on logits.
        refit: from kernel and bias of the last layer, its input for the training rows, float (n, units), their labels
            and the seed: its new kernel and bias. None leaves the layer as it was trained.
    """

    summary: str
    rows: "Callable[[np.ndarray, int, int], np.ndarray]" = _every_row
    weights: "Callable[[np.ndarray, int], np.ndarray]" = _equal
    loss: "Callable[[np.ndarray, int], keras.losses.Loss]" = _cross_entropy
    refit: "Callable[..., tuple[np.ndarray, np.ndarray]] | None" = None


TREATMENTS: dict[str, Treatment] = {
    "none": Treatment("nothing"),
    "class_weights": Treatment("rows count by the inverse of their class's frequency", weights=_inverse_to_frequency),
    "downsample": Treatment("an epoch draws as many rows of each class as the rarest has", rows=_downsampled),
    "oversample": Treatment("an epoch draws as many rows of each class as the largest has", rows=_oversampled),
    "smote": Treatment("the last layer is fitted anew to features balanced by SMOTE", refit=_refit_to_smote),
    "focal": Treatment("focal loss: rows that are easy count less", loss=_focal),
    "logit_adjustment": Treatment("log priors are added to the logits in training", loss=_adjusted),
    "one_vs_rest": Treatment(
        "a binary loss a class, then a second stage over the logits", loss=_one_vs_rest, refit=_refit_to_logits
    ),
}


def _known(name: str) -> str:
    if name not in TREATMENTS:
        raise ValueError(
            f"there is no treatment {name!r}{nearest(name, TREATMENTS)}; there are {', '.join(TREATMENTS)}"
        )
    return name


#: A key of `TREATMENTS`.
TreatmentName = Annotated[str, AfterValidator(_known)]
