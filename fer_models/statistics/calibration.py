"""Whether a model that says 80 % is right in 80 % of cases, and the one number that corrects it.

After Guo et al. 2017, On calibration of modern neural networks.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from fer_models.statistics.metrics import SMALLEST

#: Temperatures that are searched; a subset on which every item is right has no finite best one.
_LOWEST, _HIGHEST = 0.02, 50.0


@dataclass(frozen=True)
class ReliabilityBins:
    """Items by the probability of their predicted class, in b bins of equal width from 0 to 1.

    `confidence` and `accuracy` are means, float (b,), NaN in empty bins; `count` is int (b,).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected calibration error: the mean over the items of |accuracy - confidence| of their bin, in 0..1."""
        return float(np.nansum(np.abs(self.accuracy - self.confidence) * self.count) / self.count.sum())


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray, num_bins: int = 15) -> ReliabilityBins:
    """The bins of a reliability diagram; a bin holds its upper edge and not its lower one.

    Args:
        labels: int (n,), n > 0.
        probabilities: float (n, classes).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    position = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], confidence, side="left")
    count = np.bincount(position, minlength=num_bins)
    items = np.where(count, count, np.nan)
    return ReliabilityBins(
        confidence=np.bincount(position, confidence, num_bins) / items,
        accuracy=np.bincount(position, right, num_bins) / items,
        count=count,
    )


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, num_bins: int = 15) -> float:
    """Expected calibration error, in 0..1; arguments as in `reliability_bins`."""
    return reliability_bins(labels, probabilities, num_bins).expected_error


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the lowest mean cross entropy in a validation subset; above 1 the model was too certain.

    Args:
        labels: int (n,), n > 0.
        probabilities: float (n, classes), softmax outputs.
    """

    def loss(log_temperature: float) -> float:
        scaled = _log_probabilities(probabilities, np.exp(log_temperature))
        return -float(np.take_along_axis(scaled, labels[:, None], axis=1).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of logits / temperature, float64 (n, classes); the winning class stays the same."""
    return np.exp(_log_probabilities(probabilities, temperature))


def _log_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities at a temperature; a softmax forgets only a constant, so their logarithms serve as logits."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
