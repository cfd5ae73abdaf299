"""Solves for the last, linear layer of a model instead of training it: a support vector machine over its input.

In and out as of `fer_models.training.fitting.fit`, with one epoch. C is chosen by the validation subset, and so is the
temperature that turns the machine's decisions into probabilities (Guo et al. 2017).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from fer_models.models.building import model_network
from fer_models.segments import JoinedSegments, Mirrored, SegmentInputs, SegmentRows, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.calibration import fit_temperature
from fer_models.statistics.metrics import score
from fer_models.training.engine import outputs, predict
from fer_models.training.progress import Checkpoints, Epoch, Progress, monitored_value, only_epoch, take_one_epoch
from fer_models.training.refitting import NEVER, unscaled
from fer_models.treatments import TREATMENTS

#: Values of C that are tried, for features that have mean 0 and standard deviation 1 over the training rows.
COSTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: Numbers that a machine learns from at most, rows times features before mirroring: 20,000 rows of HOG. More take
#: minutes and add little, as the segments of a video are alike.
_MOST_VALUES = 20_000_000
#: Of what is drawn: which rows, and their order in the solver. No seed of a study moves such a model.
_SEED = 0


def solve(
    build: Callable[[], keras.Model],
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refit: Callable[[int], None] = lambda epochs: None,
) -> Progress:
    """Find the weights of the layer of the logits, and leave the model in `checkpoints`.

    Of a treatment of rare classes the rows and the weights are used, not the loss nor the second stage. Where training
    pairs are mirrored at random, the machine learns from each row both ways. With `refit` the machine of the chosen C
    and temperature is found again from the rows of both subsets.
    """

    def make() -> tuple[keras.Model, Epoch]:
        model = build()
        epoch, probabilities = _solve(model, train, validation, settings)
        if settings.refit != "none":
            checkpoints.keep_validation(validation.names, probabilities)
        return model, epoch

    return take_one_epoch(make, checkpoints, on_epoch)


def _solve(
    model: keras.Model, train: SegmentSource, validation: SegmentSource, settings: TrainingSettings
) -> tuple[Epoch, np.ndarray]:
    """Set the layer; returns how that went, and what a model that was not shown them says of the validation rows."""
    layer = model.get_layer(model_network(model).logits)
    classes = [str(number) for number in range(model.output_shape[-1])]
    data = _Rows.of(model, train, settings)
    seen = _features(model, validation)
    found: list[tuple[float, float, float]] = []
    for cost in COSTS:
        kernel, bias = fit_machine(data.features, data.labels, data.weights, cost)
        temperature = fit_temperature(validation.labels, softmax(seen @ kernel + bias, axis=1))
        scores = score(validation.labels, softmax((seen @ kernel + bias) / temperature, axis=1), classes)
        found.append((monitored_value(scores, settings.monitor), cost, temperature))
    _, cost, temperature = max(found, key=lambda one: one[0])  # the smallest C of equals
    kernel, bias = fit_machine(data.features, data.labels, data.weights, cost)
    layer.set_weights([kernel / temperature, bias / temperature])
    probabilities = predict(model, validation)
    scores = score(validation.labels, probabilities, classes)
    fitted = score(data.labels, softmax((data.features @ kernel + bias) / temperature, axis=1), classes)
    if settings.refit != "none":
        both = _Rows.of(model, JoinedSegments(train, validation), settings)
        kernel, bias = fit_machine(both.features, both.labels, both.weights, cost)
        layer.set_weights([kernel / temperature, bias / temperature])
    return only_epoch(fitted, scores, settings.monitor), probabilities


@dataclass(frozen=True)
class _Rows:
    """What a machine learns from: float (n, d), int (n,), and how much a row of each class counts, (classes,)."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(model: keras.Model, segments: SegmentSource, settings: TrainingSettings) -> "_Rows":
        """The features that a model makes of segments."""
        treatment = TREATMENTS[settings.treatment]
        rows = treatment.rows(segments.labels, _SEED, 0)
        width = model.get_layer(model_network(model).logits).input.shape[-1]
        if len(rows) > (most := max(1, _MOST_VALUES // width)):
            rows = np.random.default_rng(_SEED).choice(rows, most, replace=False)
        chosen = SegmentRows(segments, rows)
        features, labels = [_features(model, chosen)], [segments.labels[rows]]
        if settings.augmentation and settings.augmentation.mirror:
            features.append(_features(model, Mirrored(chosen)))
            labels.append(labels[0])
        weights = treatment.weights(segments.labels, int(model.output_shape[-1]))
        return _Rows(np.concatenate(features), np.concatenate(labels), weights)


def _features(model: keras.Model, segments: SegmentInputs) -> np.ndarray:
    layer = model.get_layer(model_network(model).logits)
    return outputs(keras.Model(model.inputs, layer.input), segments)


def fit_machine(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, cost: float
) -> tuple[np.ndarray, np.ndarray]:
    """A linear support vector machine, one class against the others; where no feature varies, log shares of classes.

    Args:
        features: float (n, d).
        labels: int (n,).
        weights: how much a row of each class counts, float (classes,).

    Returns:
        float64 kernel (d, classes) and bias (classes,) of its decisions. A class without rows is never chosen.
    """
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    present = np.unique(labels)
    if len(present) < 2 or not scale.any():
        kernel, bias = np.zeros((features.shape[1], len(weights))), np.full(len(weights), NEVER)
        bias[present] = np.log(np.bincount(labels)[present] / len(labels))
        return kernel, bias
    scale = np.maximum(scale, 1e-6 * scale.max())  # a feature may be silent
    machine = LinearSVC(C=cost, tol=1e-3, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where the rows can be separated, it is near enough
        machine.fit((features - mean) / scale, labels, sample_weight=weights[labels])
    return unscaled(machine, mean, scale, len(weights))
