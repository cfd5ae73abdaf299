"""What JAX computes with published networks is what TensorFlow computes.

Run as a program (`python test_jax_backbones.py FOLDER`) this asks the models in the folder, takes a step of training
with each, and leaves what they said.
"""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from test_models_mini_xception import draw_weights

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.segments import pair_inputs
from fer_models.settings import ModelSettings
from fer_models.training import engine
from fer_models.training.belief import train_belief
from fer_models.training.engine import predict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.trains,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the reference is TensorFlow's"),
]

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("vgg16-spatial", "resnet50-spatial", "mobilenet-spatial", "zhang2019-dbn")
SAID_FILE = "said.npz"
SETTINGS = ModelSettings(form="modern", head_units=8, dropout=0.0, backbone_width=1 / 16, backbone_weights="imagenet")
SEGMENTS = pair_inputs(
    np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3), np.uint8),
    np.random.default_rng(1).normal(0, 0.2, (6, 48, 48, 2)).astype(np.float16),
)


def test_jax_says_what_tensorflow_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PREDICT_BATCH", len(SEGMENTS))
    expected = {}
    for name in NAMES:
        model = build_model(ARMS[name], SETTINGS)
        draw_weights(model)
        model.save(tmp_path / f"{name}.keras")
        expected[name] = predict(model, SEGMENTS)
        assert np.ptp(expected[name]) > 1e-3
        fits = train_belief(model, SEGMENTS, 1)
        assert bool(fits) == (name == "zhang2019-dbn")
        expected[f"{name} errors"] = np.array([one.error_after for one in fits])
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiling is what takes time here
    done = subprocess.run(
        [sys.executable, __file__, tmp_path], env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    said = np.load(tmp_path / SAID_FILE)
    for name, values in expected.items():
        np.testing.assert_allclose(said[name], values, atol=1e-3, err_msg=name)


def ask(folder: Path) -> None:
    said = {}
    for name in NAMES:
        model = load_model(folder / f"{name}.keras")
        said[name] = predict(model, SEGMENTS)
        said[f"{name} errors"] = np.array([one.error_after for one in train_belief(model, SEGMENTS, 1)])
        model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", jit_compile=True)
        batch = SEGMENTS.batch(np.arange(6))
        inputs = [batch[tensor.name][:, 0].astype(tensor.dtype) for tensor in model.inputs]
        assert np.isfinite(model.train_on_batch(inputs, np.arange(6)))
    np.savez(folder / SAID_FILE, **said)


if __name__ == "__main__":
    assert keras.backend.backend() == "jax"
    engine.PREDICT_BATCH = len(SEGMENTS)
    ask(Path(sys.argv[1]))
