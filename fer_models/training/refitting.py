"""Second stages of training: the last layer of a trained model is fitted again to its training rows.

What lies below the last layer stays as it was learnt (classifier retraining, Kang et al. 2020). Both ways end in a
multinomial logistic regression in which all classes have equal say, written into the layer `logits`: the model keeps
its architecture and gives probabilities. All draws follow from the seed, so that a repetition gives the same weights.
"""

from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.linear_model import LogisticRegression

#: L2 penalty over the mean loss; the rows of a trained model are often separable, where it alone bounds the weights.
_L2 = 1e-3
_MOST_NEIGHBOURS = 5
#: Logit of a class without training rows: its probability is 0.
NEVER = -1e4


def refit_to_smote(
    kernel: np.ndarray, bias: np.ndarray, features: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The last layer fitted to the features balanced by SMOTE.

    Args:
        kernel, bias: its weights as trained, float (units, classes) and (classes,).
        features: its input for the training rows, float (n, units), with dropout and augmentation switched off.
        labels: int (n,).

    Returns:
        Kernel and bias of the same shapes; unchanged where the rows are of one class, which leaves nothing to tell
        apart.
    """
    if len(np.unique(labels)) < 2:
        return kernel, bias
    return fit_softmax(*balance_by_smote(features, labels, seed), len(bias))


def refit_to_logits(
    kernel: np.ndarray, bias: np.ndarray, features: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The last layer with a second stage fitted to the trained logits, which is linear and so is folded into it.

    Args and return value as of `refit_to_smote`; nothing is drawn by the seed.
    """
    if len(np.unique(labels)) < 2:
        return kernel, bias
    second_kernel, second_bias = fit_softmax(features @ kernel + bias, labels, len(bias))
    return kernel @ second_kernel, bias @ second_kernel + second_bias


def balance_by_smote(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of every class, up to as many as the largest has, made by SMOTE (Chawla et al. 2002) with 5 neighbours.

    A class of 5 rows or fewer makes do with the neighbours that it has; a single row is repeated. The given rows, float
    (n, units) and int (n,), come first.
    """
    counts = np.bincount(labels)
    for label in np.flatnonzero((counts > 0) & (counts < counts.max())):
        missing = counts.max() - counts[label]
        if counts[label] == 1:
            features = np.concatenate([features, np.repeat(features[labels == label], missing, axis=0)])
            labels = np.concatenate([labels, np.full(missing, label)])
        else:
            neighbours = min(_MOST_NEIGHBOURS, int(counts[label]) - 1)
            smote = SMOTE(sampling_strategy={label: counts.max()}, k_neighbors=neighbours, random_state=seed)
            features, labels = smote.fit_resample(features, labels)
    return features, labels


def fit_softmax(features: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression, every class with the same total weight.

    Args:
        features: float (n, units).
        labels: int (n,) of at least two classes.

    Returns:
        float64 kernel (units, num_classes) and bias (num_classes,) of the logits.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    scale = np.maximum(features.std(axis=0, dtype=np.float64), 1e-6)  # a unit may be silent
    regression = LogisticRegression(C=1 / (_L2 * len(labels)), class_weight="balanced", max_iter=1000)
    regression.fit((features - mean) / scale, labels)
    return unscaled(regression, mean, scale, num_classes)


def unscaled(fitted: Any, mean: np.ndarray, scale: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A linear classifier of scikit-learn as a layer over features that are not scaled.

    Args:
        fitted: to (features - mean) / scale; a class that it has not seen is never chosen.
        mean, scale: float (units,).

    Returns:
        float64 kernel (units, num_classes) and bias (num_classes,).
    """
    weights, offsets = _per_class(fitted)
    kernel, bias = np.zeros((len(mean), num_classes)), np.full(num_classes, NEVER)
    kernel[:, fitted.classes_] = (weights / scale).T
    bias[fitted.classes_] = offsets - weights @ (mean / scale)
    return kernel, bias


def _per_class(regression: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights (classes, units) and offsets (classes,); of two classes scikit-learn keeps the difference alone."""
    weights, offsets = regression.coef_, regression.intercept_
    if len(regression.classes_) > 2:
        return weights, offsets
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-offsets, offsets]) / 2
