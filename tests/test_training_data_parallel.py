"""A training that is spread over several devices is the one that a single device takes, and goes on after a kill.

Run as a program (`python test_training_data_parallel.py ORDER FOLDER`) this trains on JAX, on a CPU split in four.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from test_training_engines import TRAINING, assert_alike, segments, train

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.settings import ModelSettings, TrainingSettings
from fer_models.training import compiled
from fer_models.training.engine import Engine, predict
from fer_models.training.fitting import fit
from fer_models.training.progress import Epoch
from tasks.config.digests import training_part
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints, read_progress

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parent.parent
DEVICES = 4
SMALL = ModelSettings(form="modern", width=2, dropout=0.1, views="mirror")
SPREAD = TRAINING.model_copy(update={"batch_size": 8, "data_parallel": True, "engine": "blocks"})


def on_four_devices(order: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES} --xla_backend_optimization_level=0"
    command = [sys.executable, __file__, order, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX is looked at from there")
def test_four_devices_train_as_one_does_and_go_on_after_a_kill(tmp_path: Path) -> None:
    killed = on_four_devices("killed", tmp_path / "killed")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = read_progress(tmp_path / "killed")
    assert left
    assert len(left.history) == 1
    done = on_four_devices("compared", tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"all-reduce": True, "devices": DEVICES}


def train_in(folder: Path, kills: bool = False) -> None:
    """Two epochs in a folder, killed after the first or not."""

    def tell(epoch: Epoch) -> None:
        if kills:
            os.kill(os.getpid(), signal.SIGKILL)

    keras.utils.set_random_seed(3)
    build = partial(build_model, ARMS["temporal-only"], SMALL, augmentation=SPREAD.augmentation, seed=3)
    data = segments(24), segments(9, seed=1)
    fit(build, *data, SPREAD, RunCheckpoints(folder), 4, tell)


def compare(folder: Path) -> dict[str, Any]:
    one = train("blocks", "temporal-only", batch_size=8)
    assert_alike(train("blocks", "temporal-only", batch_size=8, data_parallel=True), one)
    on_jax = importlib.import_module("fer_models.training.on_jax")
    plain = on_jax.Program.__init__
    on_jax.Program.__init__ = partialmethod(plain, loops=True)  # as on accelerators
    assert_alike(train("resident", "temporal-only", batch_size=8, data_parallel=True), one)
    on_jax.Program.__init__ = plain

    train_in(folder / "whole")
    train_in(folder / "killed")
    whole, resumed = (load_model(folder / name / MODEL_FILE).get_weights() for name in ("whole", "killed"))
    for first, second in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(first, second)

    data = segments(24)
    model = build_model(ARMS["temporal-only"], SMALL, seed=3)
    engine = Engine(model, data.labels, SPREAD)
    np.testing.assert_allclose(engine.predict(data), predict(model, data), atol=1e-5)
    engine.train_epoch(data, 4, [])
    refuse_batches_that_do_not_divide(model, data.labels)
    return {"all-reduce": sums_up(engine, data), "devices": len(model.weights[0].value.sharding.device_set)}


def sums_up(engine: Engine, data: Any) -> bool:
    """Whether devices add up what each has found of a step: so each looked at its own rows alone."""
    program, steps = engine._program, engine._steps(data.labels, 4, [])
    block = next(iter(engine._blocks.of_steps(data, steps, len(steps))))
    own = {name: column[0] for name, column in block.plan.items()}
    text = program._step.lower(program._state(*program._variables), block.frames, own).compile().as_text()
    return "all-reduce" in text


def refuse_batches_that_do_not_divide(model: keras.Model, labels: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"4 devices cannot share 6 segments .* set training.batch_size to 4 or 8"):
        Engine(model, labels, SPREAD.model_copy(update={"batch_size": 6}))
    with pytest.raises(UserError, match=r"4 devices cannot share 3 segments .* set training.batch_size to 4, "):
        Engine(model, labels[:3], SPREAD)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is TensorFlow's")
def test_tensorflow_says_that_it_trains_on_one_device() -> None:
    model = build_model(ARMS["gap-sum"], ModelSettings(form="modern", width=2))
    with pytest.raises(UserError, match=r"is for JAX, and Keras computes on tensorflow here.*KERAS_BACKEND=jax"):
        Engine(model, segments(8).labels, SPREAD)


def test_steps_one_by_one_are_not_spread() -> None:
    with pytest.raises(ValueError, match=r"set training.engine to auto too"):
        TrainingSettings(engine="steps", data_parallel=True)


def test_a_run_that_is_spread_has_a_name_of_its_own() -> None:
    """It gives the same but for rounding; a run that is not spread keeps the name that it had before there was this."""
    assert training_part(TrainingSettings(data_parallel=True)) != training_part(TrainingSettings())
    assert "data_parallel" not in training_part(TrainingSettings())


def test_any_number_of_devices_is_told_which_batches_it_can_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr("jax.local_device_count", lambda: 3)
    assert compiled.spread_devices(9) == 3
    with pytest.raises(UserError, match=r"set training\.batch_size to 255 or 258"):
        compiled.spread_devices(256)


if __name__ == "__main__":
    order, into = sys.argv[1], Path(sys.argv[2])
    if order == "killed":
        train_in(into, kills=True)
    print(json.dumps(compare(into)))
