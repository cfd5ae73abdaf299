"""Trains the sigmoid layers of a deep belief network one after another, without labels.

Each layer is a restricted Boltzmann machine over what the layer before it gives (Hinton, Osindero and Teh 2006, *A fast
learning algorithm for deep belief nets*), trained by contrastive divergence of one step (Hinton 2002) as his guide of
2010 says. Nothing is drawn but from the seed, and all is computed by NumPy: every backend gets the same weights.
"""

from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import expit

from fer_models.models.building import model_network
from fer_models.segments import SegmentInputs, SegmentRows
from fer_models.training.engine import outputs

#: Numbers that a machine learns from at most, rows times features.
MOST_VALUES = 50_000_000
#: Rows of a step, and steps at least: a pass over little data has few.
_BATCH, _PASSES, _LEAST_STEPS = 64, 10, 200
_DECAY = 2e-4
#: Momentum of the first steps and of the rest; how many are first ones.
_MOMENTUM = (0.5, 0.9)
_FIRST_STEPS = 100
#: A feature that varies less than this share of what features vary on average is not made louder than that.
_LEAST_SPREAD = 0.1


@dataclass(frozen=True)
class LayerFit:
    """How the training of one layer went.

    Args:
        num_rows: segments that it learnt from.
        num_visible, num_hidden: its inputs and units.
        error_before, error_after: the mean squared difference between an input and what the layer makes of it and back,
            in units of an input's variance for the first layer; before, that is the spread of the inputs.
    """

    layer: str
    num_rows: int
    num_visible: int
    num_hidden: int
    error_before: float
    error_after: float


@dataclass
class _Machine:
    """A restricted Boltzmann machine with binary hidden units.

    Args:
        kernel: float32 (visible, hidden).
        visible_bias, hidden_bias: float32 (visible,), (hidden,).
        is_gaussian: visible units are real numbers of variance 1, else probabilities.
    """

    kernel: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray
    is_gaussian: bool

    @staticmethod
    def over(values: np.ndarray, num_hidden: int, is_gaussian: bool, rng: np.random.Generator) -> "_Machine":
        """A fresh one, which makes of every input the mean of the inputs, float32 (n, visible)."""
        mean = values.mean(axis=0)
        share = np.clip(mean, 1e-3, 1 - 1e-3)
        kernel = rng.normal(0, 0.01, (values.shape[1], num_hidden)).astype(np.float32)
        visible_bias = mean if is_gaussian else np.log(share / (1 - share))
        return _Machine(kernel, visible_bias, np.zeros(num_hidden, np.float32), is_gaussian)

    def hidden(self, visible: np.ndarray) -> np.ndarray:
        """How probable it is that each hidden unit is on, (n, hidden)."""
        return np.asarray(expit(visible @ self.kernel + self.hidden_bias), np.float32)

    def visible(self, hidden: np.ndarray) -> np.ndarray:
        """What hidden units make of the visible ones, without noise, (n, visible)."""
        values = hidden @ self.kernel.T + self.visible_bias
        return values if self.is_gaussian else np.asarray(expit(values), np.float32)

    def error(self, values: np.ndarray) -> float:
        """The mean squared difference between inputs and what becomes of them."""
        parts = np.array_split(values, max(1, len(values) // 1024))
        squares = [float(((part - self.visible(self.hidden(part))) ** 2).sum(dtype=np.float64)) for part in parts]
        return sum(squares) / values.size

    def train(self, values: np.ndarray, rng: np.random.Generator) -> None:
        """Take the steps of the training on inputs, float32 (n, visible)."""
        rate = 1e-3 if self.is_gaussian else 0.05
        weights = (self.kernel, self.visible_bias, self.hidden_bias)
        speeds = [np.zeros_like(one) for one in weights]
        per_pass = -(-len(values) // _BATCH)
        for step in range(max(_LEAST_STEPS, _PASSES * per_pass)):
            if step % per_pass == 0:
                order = rng.permutation(len(values))
            batch = values[order[step % per_pass * _BATCH :][:_BATCH]]
            momentum = _MOMENTUM[step >= _FIRST_STEPS]
            for speed, weight, slope in zip(speeds, weights, self._slopes(batch, rng), strict=True):
                speed *= momentum
                speed += rate * slope
                weight += speed

    def _slopes(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Contrastive divergence: what the data has and one step of the machine's own dreams has not."""
        seen = self.hidden(batch)
        drawn = (rng.random(seen.shape, np.float32) < seen).astype(np.float32)
        dreamt = self.visible(drawn)
        believed = self.hidden(dreamt)
        kernel = (batch.T @ seen - dreamt.T @ believed) / len(batch) - _DECAY * self.kernel
        return kernel, (batch - dreamt).mean(axis=0), (seen - believed).mean(axis=0)


def train_belief(model: keras.Model, segments: SegmentInputs, seed: int) -> tuple[LayerFit, ...]:
    """Give a model's belief network its first weights, if it has one, and say how each layer went.

    The first layer sees features that are real numbers. They get mean 0 and variance 1, which its weights then do by
    themselves, and visible units that are such numbers (Gaussian ones): scaled to 0..1 instead, features of ReLU, of
    which few are far from 0, would differ too little for units that are probabilities.

    Args:
        segments: the training segments; their labels are not looked at.
        seed: of the draws.
    """
    names = model_network(model).belief
    if not names:
        return ()
    found = [model.get_layer(name) for name in names]
    values = _features(model, found[0], segments, seed)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.maximum(scale, max(_LEAST_SPREAD * float(scale.mean()), 1e-6))
    values = (values - mean) / scale
    fits = []
    for number, layer in enumerate(found):
        rng = np.random.default_rng([seed, number])
        machine = _Machine.over(values, layer.units, number == 0, rng)
        before = machine.error(values)
        machine.train(values, rng)
        after = machine.error(values)
        fits.append(LayerFit(layer.name, len(values), values.shape[1], layer.units, before, after))
        kernel, bias = machine.kernel, machine.hidden_bias
        if number == 0:
            kernel = kernel / scale[:, np.newaxis]
            bias = bias - mean @ kernel
        layer.set_weights([kernel, bias])
        values = machine.hidden(values)
    return tuple(fits)


def _features(model: keras.Model, layer: keras.Layer, segments: SegmentInputs, seed: int) -> np.ndarray:
    """What enters a layer for the segments, or for some of them where they are many: float32 (n, features)."""
    rows = np.arange(len(segments))
    if len(rows) > (most := max(1, MOST_VALUES // int(layer.input.shape[-1]))):
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return outputs(keras.Model(model.inputs, layer.input), SegmentRows(segments, rows))
