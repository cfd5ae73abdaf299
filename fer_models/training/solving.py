"""Solves for the last, linear layer of a model instead of training it: a support vector machine over its input.

In and out as of `fer_models.training.fitting.fit`, with one epoch. C is chosen by the validation subset, and so is the
temperature that turns the machine's decisions into probabilities (Guo et al. 2017).
"""

import time
import warnings
from collections.abc import Callable

import keras
import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from fer_models.models.building import model_network
from fer_models.segments import Mirrored, SegmentRows, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.calibration import fit_temperature
from fer_models.statistics.metrics import score
from fer_models.training.engine import predict
from fer_models.training.progress import Checkpoints, Epoch, Progress
from fer_models.training.refitting import NEVER, unscaled
from fer_models.treatments import TREATMENTS

#: Values of C that are tried, for features that have mean 0 and standard deviation 1 over the training rows.
COSTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: Rows that a machine learns from at most; more of them take minutes and add little, as segments of a video are alike.
_MOST_ROWS = 10_000


def solve(
    build: Callable[[], keras.Model],
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Progress:
    """Find the weights of the layer of the logits, and leave the model in `checkpoints`.

    Of a treatment of rare classes the rows and the weights are used, not the loss nor the second stage. Where training
    pairs are mirrored at random, the machine learns from each row both ways.
    """
    progress = checkpoints.progress()
    if not progress:
        model = build()
        epoch = _solve(model, train, validation, settings, seed)
        name = "epoch-0001.keras"
        progress = Progress(history=[epoch], last_checkpoint=name, best_checkpoint=name, best_epoch=1, finished=True)
        checkpoints.commit(model, progress)
    on_epoch(progress.history[0])
    if best := checkpoints.load_best(progress):
        checkpoints.finish(best, progress)
    return progress


def _solve(
    model: keras.Model, train: SegmentSource, validation: SegmentSource, settings: TrainingSettings, seed: int
) -> Epoch:
    start = time.monotonic()
    layer = model.get_layer(model_network(model).logits)
    body = keras.Model(model.inputs, layer.input)
    num_classes = int(model.output_shape[-1])
    treatment = TREATMENTS[settings.treatment]
    rows = treatment.rows(train.labels, seed, 0)
    if len(rows) > _MOST_ROWS:
        rows = np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False)
    features, labels = predict(body, SegmentRows(train, rows)), train.labels[rows]
    if settings.augmentation and settings.augmentation.mirror:
        features = np.concatenate([features, predict(body, Mirrored(SegmentRows(train, rows)))])
        labels = np.concatenate([labels, labels])
    weights = treatment.weights(train.labels, num_classes)
    seen = predict(body, validation)
    classes = [str(number) for number in range(num_classes)]
    found: list[tuple[float, np.ndarray, np.ndarray, dict[str, float]]] = []
    for cost in COSTS:
        kernel, bias = fit_machine(features, labels, weights, cost, seed)
        temperature = fit_temperature(validation.labels, softmax(seen @ kernel + bias, axis=1))
        kernel, bias = kernel / temperature, bias / temperature
        scores = score(validation.labels, softmax(seen @ kernel + bias, axis=1), classes)
        values = {"val_loss": scores.loss, "val_accuracy": scores.accuracy, "val_uar": scores.uar}
        found.append((values[settings.monitor] * (-1 if settings.monitor == "val_loss" else 1), kernel, bias, values))
    monitored, kernel, bias, values = max(found, key=lambda one: one[0])  # the smallest C of equals
    layer.set_weights([kernel, bias])
    fitted = score(labels, softmax(features @ kernel + bias, axis=1), classes)
    return Epoch(
        epoch=1,
        learning_rate=0.0,
        train_loss=fitted.loss,
        train_accuracy=fitted.accuracy,
        **values,
        monitored=monitored,
        seconds=round(time.monotonic() - start, 3),
    )


def fit_machine(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, cost: float, seed: int
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
    machine = LinearSVC(C=cost, tol=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where the rows can be separated, it is near enough
        machine.fit((features - mean) / scale, labels, sample_weight=weights[labels])
    return unscaled(machine, mean, scale, len(weights))
