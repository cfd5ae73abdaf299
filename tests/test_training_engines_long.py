"""Over a whole training, engines are equal in distribution: means over seeds, with a margin that faults do not keep.

After many steps rounding makes other weights of the same draws, so that no tolerance holds for a single run. The loss
of the validation segments at the end is compared seed by seed, and the mean of the differences has to lie, with its
interval of 99 %, within a third of what seeds differ by. So that this says something, the same test is asked about
single steps with a fault that a broken engine might have, and has to refuse each.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import AugmentationSettings, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training.engine import Engine

pytestmark = [pytest.mark.trains, pytest.mark.slow]

SEEDS = range(8)
TRAINING = TrainingSettings(
    epochs=6,
    batch_size=12,
    learning_rate=5e-3,
    block_mb=1,
    schedule=CosineSchedule(),
    treatment="class_weights",
    augmentation=AugmentationSettings(rotation_deg=10, brightness=0.2, erasing=0.5),
)
#: What an engine could get wrong, as settings that do it to single steps.
FAULTS: dict[str, dict[str, Any]] = {
    "nothing is augmented": {"augmentation": None},
    "classes weigh the same": {"treatment": "none"},
}


def segments(num: int, seed: int) -> SegmentArrays:
    """Noise with a faint light square whose place tells the class, half of them of the first class."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(num) < 0.5, 0, rng.integers(0, 6, num))
    faces = rng.integers(0, 200, (num, 48, 48, 3), np.uint8)
    for row, label in enumerate(labels):
        faces[row, 8 * label : 8 * label + 8, 16:32] += 30
    flows = np.zeros((num, 48, 48, 2), np.float16)
    return pair_arrays(faces, flows, labels, np.arange(num), np.arange(num).astype(str))


TRAIN, VALIDATION = segments(96, 0), segments(96, 1)


def fresh(seed: int, settings: TrainingSettings) -> keras.Model:
    how = ModelSettings(form="modern", width=4, dropout=0.1)
    return build_model(ARMS["spatial-only"], how, augmentation=settings.augmentation, seed=seed)


@dataclass
class Trainer:
    """Trains a model with seed after seed, in the graphs of the first."""

    settings: TrainingSettings

    def __post_init__(self) -> None:
        self.model = fresh(0, self.settings)
        self.engine = Engine(self.model, TRAIN.labels, self.settings)
        self.optimizer = [keras.ops.convert_to_numpy(one) for one in self.model.optimizer.variables]

    def loss(self, seed: int) -> float:
        """Of the validation segments, after all epochs."""
        for own, new in zip(self.model.variables, fresh(seed, self.settings).variables, strict=False):
            own.assign(keras.ops.convert_to_numpy(new))
        for own, first in zip(self.model.optimizer.variables, self.optimizer, strict=True):
            own.assign(first)
        for number in range(self.settings.epochs):
            self.engine.train_epoch(TRAIN, seed, [None] * number)  # type: ignore[list-item]
        return score(VALIDATION.labels, self.engine.predict(VALIDATION), list("012345")).loss


def losses(engine: str, **more: Any) -> np.ndarray:
    trainer = Trainer(TRAINING.model_copy(update={"engine": engine, **more}))
    return np.array([trainer.loss(seed) for seed in SEEDS])


@pytest.fixture(scope="module")
def by_steps() -> np.ndarray:
    return losses("steps")


def are_equal(found: np.ndarray, reference: np.ndarray) -> bool:
    """Whether the interval of the mean difference lies within a third of the standard deviation over seeds."""
    differences = found - reference
    half = stats.t.ppf(0.995, len(SEEDS) - 1) * differences.std(ddof=1) / len(SEEDS) ** 0.5
    return bool(abs(differences.mean()) + half < reference.std(ddof=1) / 3)


@pytest.mark.parametrize("engine", ["blocks", "resident"])
def test_engines_end_alike_over_seeds(engine: str, by_steps: np.ndarray) -> None:
    assert by_steps.std(ddof=1) > 0.01, "else seeds would be no measure"
    assert are_equal(losses(engine), by_steps)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_would_be_seen(fault: str, by_steps: np.ndarray) -> None:
    assert not are_equal(losses("steps", **FAULTS[fault]), by_steps)
