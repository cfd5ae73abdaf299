"""Linear support vector machines in place of the layer of a model's logits, over its input: of segments, or of videos.

C is chosen by the validation subset, and so is the temperature that turns the machine's decisions into probabilities
(Guo et al. 2017).

The feature of a video is the mean of its segments' (Zhang et al. 2019, *Learning affective video features for facial
expression recognition via hybrid deep learning*). A linear machine's decision on that mean is the mean of its decisions
on the segments, so the machine finds its place in the layer, which sees segments: the probabilities of a video are the
softmax of the mean of its segments' log probabilities (`Network.pooling`).
"""

import warnings
from dataclasses import dataclass, replace

import keras
import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from fer_models.models.building import model_network
from fer_models.segments import Mirrored, SegmentInputs, SegmentRows, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.calibration import fit_temperature
from fer_models.statistics.metrics import score
from fer_models.training.engine import outputs
from fer_models.training.progress import monitored_value
from fer_models.training.refitting import NEVER, unscaled
from fer_models.treatments import TREATMENTS

#: Values of C that are tried, for features that have mean 0 and standard deviation 1 over the training rows.
COSTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: Numbers that a machine learns from at most, rows times features before mirroring: 20,000 rows of HOG. More take
#: minutes and add little, as the segments of a video are alike.
MOST_VALUES = 20_000_000
#: How far apart the log probabilities of a segment may lie in a validation video; float32 forgets what lies below -87,
#: and segments of other videos may lie further out.
_MOST_NATS = 60.0
#: Of what is drawn: which rows, and their order in the solver. No seed of a study moves such a model.
_SEED = 0


@dataclass(frozen=True)
class Rows:
    """What a machine learns from: float (n, d), int (n,), and how much a row of each class counts, (classes,)."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Machine:
    """A linear machine: float64 kernel (d, classes) and bias (classes,), and what was chosen for it."""

    kernel: np.ndarray
    bias: np.ndarray
    cost: float
    temperature: float = 1.0

    def decisions(self, features: np.ndarray) -> np.ndarray:
        """Float64 (n, classes) of features (n, d)."""
        return features @ self.kernel + self.bias

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Float64 (n, classes) of features (n, d)."""
        return softmax(self.decisions(features) / self.temperature, axis=1)

    def put_into(self, model: keras.Model) -> None:
        """Become the layer of a model's logits."""
        layer = model.get_layer(model_network(model).logits)
        layer.set_weights([self.kernel / self.temperature, self.bias / self.temperature])


def choose_machine(model: keras.Model, rows: Rows, validation: SegmentSource, settings: TrainingSettings) -> Machine:
    """The machine that learns from these rows with the best C and temperature, put into the model."""
    network = model_network(model)
    classes = [str(number) for number in range(model.output_shape[-1])]
    seen, labels = _judging_rows(model, validation)
    found: list[tuple[float, Machine]] = []
    for cost in COSTS:
        machine = Machine(*fit_machine(rows.features, rows.labels, rows.weights, cost), cost)
        temperature = fit_temperature(labels, softmax(machine.decisions(seen), axis=1))
        machine = replace(machine, temperature=temperature)
        scores = score(labels, machine.probabilities(seen), classes)
        found.append((monitored_value(scores, settings.monitor), machine))
    _, machine = max(found, key=lambda one: one[0])  # the smallest C of equals
    if network.classifies_videos:
        machine = replace(machine, temperature=max(machine.temperature, _least_temperature(model, machine, validation)))
    machine.put_into(model)
    return machine


def fit_again(model: keras.Model, chosen: Machine, segments: SegmentSource, settings: TrainingSettings) -> None:
    """Put a machine into the model that has C and temperature of the chosen one and learns from other segments."""
    rows = learning_rows(model, segments, settings)
    kernel, bias = fit_machine(rows.features, rows.labels, rows.weights, chosen.cost)
    replace(chosen, kernel=kernel, bias=bias).put_into(model)


def learning_rows(model: keras.Model, segments: SegmentSource, settings: TrainingSettings) -> Rows:
    """What a machine in a model learns from: segments, or videos where the model classifies those.

    Of a treatment of rare classes the rows and the weights are used. Where training pairs are mirrored at random, each
    row comes both ways.
    """
    treatment, encoder = TREATMENTS[settings.treatment], _encoder(model)
    of_videos = model_network(model).classifies_videos
    labels = _labels_of_videos(segments) if of_videos else segments.labels
    rows = treatment.rows(labels, _SEED, 0)
    if len(rows) > (most := max(1, MOST_VALUES // encoder.output_shape[-1])):
        rows = np.random.default_rng(_SEED).choice(rows, most, replace=False)
    ways: list[SegmentInputs] = [segments]
    if settings.augmentation and settings.augmentation.mirror:
        ways.append(Mirrored(segments))
    if of_videos:
        features = [video_features(encoder, one, segments.videos, rows) for one in ways]
    else:
        features = [outputs(encoder, SegmentRows(one, rows)) for one in ways]
    weights = treatment.weights(labels, int(model.output_shape[-1]))
    return Rows(np.concatenate(features), np.tile(labels[rows], len(ways)), weights)


def _judging_rows(model: keras.Model, segments: SegmentSource) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and labels (n,) of all segments, or of all videos where the model classifies those."""
    if not model_network(model).classifies_videos:
        return outputs(_encoder(model), segments), segments.labels
    labels = _labels_of_videos(segments)
    return video_features(_encoder(model), segments, segments.videos, np.arange(len(labels))), labels


def _encoder(model: keras.Model) -> keras.Model:
    """What makes the features of segments."""
    return keras.Model(model.inputs, model.get_layer(model_network(model).logits).input)


def _labels_of_videos(segments: SegmentSource) -> np.ndarray:
    """Int (v,), in the sorted order of the videos."""
    _, first = np.unique(segments.videos, return_index=True)
    return segments.labels[first]


def video_features(encoder: keras.Model, segments: SegmentInputs, videos: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean features of the segments of some videos, float64 (r, d); they are never all in memory.

    Args:
        encoder: makes the features of segments, (n, d).
        videos: (n,) the video of each segment.
        rows: int (r,), numbers of videos in their sorted order.
    """
    _, numbers = np.unique(videos, return_inverse=True)
    wanted, places = np.unique(rows, return_inverse=True)
    members = np.flatnonzero(np.isin(numbers, wanted))
    of_member = np.searchsorted(wanted, numbers[members])
    sums = np.zeros((len(wanted), encoder.output_shape[-1]))
    at_once = max(1, MOST_VALUES // sums.shape[1])
    for start in range(0, len(members), at_once):
        part = slice(start, start + at_once)
        np.add.at(sums, of_member[part], outputs(encoder, SegmentRows(segments, members[part])))
    return (sums / np.bincount(of_member)[:, None])[places]


def _least_temperature(model: keras.Model, machine: Machine, validation: SegmentSource) -> float:
    """At a lower one the log probabilities of single segments were lost, and with them the means over videos."""
    replace(machine, temperature=1.0).put_into(model)
    logits = model.get_layer(model_network(model).logits).output
    decisions = outputs(keras.Model(model.inputs, logits), validation)
    return float(np.ptp(decisions[:, machine.bias > NEVER], axis=1).max()) / _MOST_NATS


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
