"""Losses of the treatments of rare classes, on logits, which is where they are exact and safe for any confidence.

All take labels int (n,) and logits float (n, classes) and give one value per row, in nats, on any Keras backend.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def cross_entropy(labels: np.ndarray, num_classes: int) -> keras.losses.Loss:
    """Softmax cross entropy, whatever the labels of the training rows, int (n,)."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def focal(labels: np.ndarray, num_classes: int) -> "FocalLoss":
    """The focal loss, whatever the labels."""
    return FocalLoss()


def adjusted(labels: np.ndarray, num_classes: int) -> "LogitAdjustedLoss":
    """The logit-adjusted loss for the shares of the classes in the training rows."""
    return LogitAdjustedLoss(class_shares(labels, num_classes))


def one_versus_rest(labels: np.ndarray, num_classes: int) -> "OneVersusRestLoss":
    """The binary losses, whatever the labels."""
    return OneVersusRestLoss()


def class_shares(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Share of each class in the rows with these labels, float (classes,)."""
    return np.bincount(labels, minlength=num_classes) / len(labels)


@keras.saving.register_keras_serializable(package="fer_models")
class FocalLoss(keras.losses.Loss):
    """Focal loss (Lin et al. 2017, eq. 4): cross entropy times (1 - p) ** gamma, so that easy rows count less."""

    def __init__(self, gamma: float = 2.0, name: str = "focal", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.gamma = gamma

    def call(self, labels: Any, logits: Any) -> Any:
        log_p = _log_probability(labels, logits)
        doubt = ops.maximum(-ops.expm1(log_p), keras.config.epsilon())  # 1 - p; a power has no gradient at 0
        return -(doubt**self.gamma) * log_p

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="fer_models")
class LogitAdjustedLoss(keras.losses.Loss):
    """Logit-adjusted softmax cross entropy (Menon et al. 2021, eq. 10): log priors are added in training only.

    What is learnt without them ranks the classes as if all were equally frequent.

    Args:
        priors: share of each class in the training rows (classes,). A class without rows is not adjusted.
        tau: the log priors' factor.
    """

    def __init__(
        self, priors: Sequence[float] | np.ndarray, tau: float = 1.0, name: str = "logit_adjusted", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.priors = [float(prior) for prior in priors]
        self.tau = tau

    def call(self, labels: Any, logits: Any) -> Any:
        adjustments = [self.tau * float(np.log(prior or 1.0)) for prior in self.priors]
        return -_log_probability(labels, logits + ops.convert_to_tensor(adjustments, logits.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "priors": self.priors, "tau": self.tau}


@keras.saving.register_keras_serializable(package="fer_models")
class OneVersusRestLoss(keras.losses.Loss):
    """One binary cross entropy a class, of the sigmoid of its logit, summed over the classes."""

    def __init__(self, name: str = "one_versus_rest", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, labels: Any, logits: Any) -> Any:
        # -log sigmoid(z) = softplus(z) - z for the row's own class, -log(1 - sigmoid(z)) = softplus(z) for the others
        return ops.sum(ops.softplus(logits), axis=-1) - ops.sum(_one_hot(labels, logits) * logits, axis=-1)


class SoftTargetLoss(keras.losses.Loss):
    """The mean of another loss over the labels that a row may have, each by its share.

    For smoothed (Szegedy et al. 2016) and mixed labels: instead of labels it takes targets, float (n, classes), whose
    rows sum to 1.
    """

    def __init__(self, loss: keras.losses.Loss, name: str = "soft_target", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.loss = loss

    def call(self, targets: Any, logits: Any) -> Any:
        labels = ops.zeros_like(logits[:, 0])
        losses = [self.loss.call(labels + label, logits) for label in range(logits.shape[-1])]
        return ops.sum(targets * ops.stack(losses, axis=-1), axis=-1)


def soft_targets(labels: np.ndarray, num_classes: int, smoothing: float) -> np.ndarray:
    """Shares of the classes, float32 (n, classes): `smoothing` of a row's own is spread over all of them."""
    return (np.eye(num_classes)[labels] * (1 - smoothing) + smoothing / num_classes).astype(np.float32)


def _one_hot(labels: Any, logits: Any) -> Any:
    return ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1], dtype=logits.dtype)  # Keras hands over floats


def _log_probability(labels: Any, logits: Any) -> Any:
    """Log of the softmax probability of each row's own class (n,)."""
    return ops.sum(_one_hot(labels, logits) * ops.log_softmax(logits, axis=-1), axis=-1)
