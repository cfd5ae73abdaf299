"""Optimizers that decay what they should, and averages of weights that survive."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.segments import pair_arrays
from fer_models.settings import ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.training.engine import Engine
from fer_models.training.fitting import fit
from fer_models.training.optimizers import KernelAdamW, make_optimizer
from tasks.study.checkpoints import RunCheckpoints

pytestmark = pytest.mark.trains

RNG = np.random.default_rng(0)
NAMES = np.array([f"video{row}#0" for row in range(12)])
ROWS = pair_arrays(
    RNG.integers(0, 256, (12, 48, 48, 3), np.uint8),
    RNG.normal(0, 0.2, (12, 48, 48, 2)).astype(np.float16),
    np.arange(12) % 6,
    np.arange(12),
    NAMES,
)
ADAMW = TrainingSettings(
    epochs=3,
    batch_size=6,
    optimizer="adamw",
    learning_rate=1e-2,
    weight_decay=0.1,
    ema=0.5,
    augmentation=None,
    schedule=ConstantSchedule(),
    choose="last",
)


def build() -> keras.Model:
    return build_model(ARMS["temporal-only"], ModelSettings(width=2, head_units=4, dropout=0.2), seed=3)


def test_adamw_decays_kernels_alone() -> None:
    variables = [keras.Variable(np.ones(2), name=name) for name in ("kernel", "bias", "gamma", "beta")]
    optimizer = make_optimizer(ADAMW)
    optimizer.apply([np.zeros(2, np.float32)] * 4, variables)
    assert [float(variable[0]) for variable in variables] == pytest.approx([1 - 1e-2 * 0.1, 1, 1, 1])


def test_a_saved_adamw_decays_what_it_did() -> None:
    saved = keras.saving.serialize_keras_object(make_optimizer(ADAMW))
    optimizer = keras.saving.deserialize_keras_object(saved, safe_mode=True)
    assert isinstance(optimizer, KernelAdamW)
    bias = keras.Variable(np.ones(2), name="bias")
    optimizer.apply([np.zeros(2, np.float32)], [bias])
    assert float(bias[0]) == 1


def test_the_model_holds_the_average_of_the_weights_that_training_went_through() -> None:
    one_step = ADAMW.model_copy(update={"steps": 3})  # an epoch is a step
    plain = Engine(build(), ROWS.labels, one_step.model_copy(update={"ema": None}))
    averaged = Engine(build(), ROWS.labels, one_step)
    expected = None
    for number in range(3):
        for engine in (plain, averaged):
            engine.train_epoch(ROWS, 1, [None] * number)  # the schedule does not look at them
        weights = [keras.ops.convert_to_numpy(weight).copy() for weight in plain.model.trainable_variables]
        pairs = zip(expected or weights, weights, strict=True)
        expected = [0.5 * old + 0.5 * new for old, new in pairs]
        for found, wanted in zip(averaged.model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(keras.ops.convert_to_numpy(found), wanted, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected[0], weights[0], atol=1e-4), "else the average would not be one"


class Interrupted(Exception):
    """What stops a run in this test."""


@pytest.mark.slow
def test_averages_survive_a_resumption_exactly(tmp_path: Path) -> None:
    def stop(epoch) -> None:
        if epoch.epoch == 2:
            raise Interrupted

    whole = fit(build, ROWS, ROWS, ADAMW, RunCheckpoints(tmp_path / "whole"), 1)
    with pytest.raises(Interrupted):
        fit(build, ROWS, ROWS, ADAMW, RunCheckpoints(tmp_path / "resumed"), 1, stop)
    resumed = fit(build, ROWS, ROWS, ADAMW, RunCheckpoints(tmp_path / "resumed"), 1)
    without_seconds = [
        [epoch.model_dump(exclude={"seconds"}) for epoch in progress.history] for progress in (whole, resumed)
    ]
    assert without_seconds[0] == without_seconds[1]
    models = [load_model(tmp_path / name / "model.keras").get_weights() for name in ("whole", "resumed")]
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)
