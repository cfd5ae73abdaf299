"""What is trained and explained on JAX is what TensorFlow trains and explains.

Run as a program (`python test_jax.py FOLDER`) this trains and explains, and leaves what came out in the folder.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from test_training_treatments import validation_losses

from fer_models.explanation.gradcam import GradCam, gradcam
from fer_models.explanation.randomisation import check_randomisation
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.models.network import model_inputs
from fer_models.segments import FrameInputs, SegmentShape, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the reference is TensorFlow's"),
]

ROOT = Path(__file__).resolve().parent.parent
LOSSES_FILE, MODEL_FILE, MAPS_FILE = "losses.json", "model.keras", "maps.npz"
#: An arm whose model goes from frame to frame, the one whose missing frames are the hardest for a backend.
RECURRENT = "convlstm-spatial"


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what came out on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiling is what takes time here
    done = subprocess.run(
        [sys.executable, __file__, folder], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_jax_trains_as_tensorflow_does(on_jax: Path, tmp_path: Path) -> None:
    on_tensorflow = validation_losses(tmp_path)
    for name, losses in json.loads((on_jax / LOSSES_FILE).read_text()).items():
        assert losses == pytest.approx(on_tensorflow[name], rel=1e-3), name


@pytest.mark.slow
def test_jax_builds_trains_and_explains_as_tensorflow_does(on_jax: Path) -> None:
    """A model trained one step on JAX gives the same maps on TensorFlow."""
    computed = np.load(on_jax / MAPS_FILE)
    model = keras.saving.load_model(on_jax / MODEL_FILE, compile=False)
    segments = pair_inputs(computed["faces"], computed["optical_flows"])
    maps = gradcam(model, segments, np.arange(6), np.arange(6))
    for stream, found in maps.items():
        assert np.ptp(found) > 0.5
        np.testing.assert_allclose(computed[stream], found, atol=1e-3)


@pytest.mark.slow
def test_a_recurrent_model_of_jax_passes_over_missing_frames_as_on_tensorflow(on_jax: Path) -> None:
    expected = np.load(on_jax / f"{RECURRENT}.npy")
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(probabilities_of_frames(load_model(on_jax / f"{RECURRENT}.keras")), expected, atol=1e-4)


def probabilities_of_frames(model: keras.Model) -> np.ndarray:
    """What a model says of three segments of two frames each: the first is missing, the last, and none."""
    faces = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3), np.uint8)
    seen = np.array([[False, True], [True, False], [True, True]])
    segments = FrameInputs(faces, None, np.arange(6).reshape(3, 2), seen)
    return np.asarray(model.predict_on_batch(model_inputs(model, segments.batch(np.arange(3)))))


def train_a_step_over_frames(folder: Path) -> None:
    settings = ModelSettings(form="modern", width=2, dropout=0.0)
    model = build_model(ARMS[RECURRENT], settings, shape=SegmentShape(num_frames=2))
    faces = np.random.default_rng(1).integers(0, 256, (3, 2, 48, 48, 3), np.uint8)
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", jit_compile=True)
    assert np.isfinite(model.train_on_batch([faces, np.ones((3, 2), bool)], np.arange(3)))
    model.save(folder / f"{RECURRENT}.keras")
    np.save(folder / f"{RECURRENT}.npy", probabilities_of_frames(model))


def train_a_step_and_explain(folder: Path) -> None:
    augmentation = AugmentationSettings(rotation_deg=5, brightness=0.1)
    model = build_model(ARMS["gap-sum"], ModelSettings(width=2, head_units=8, dropout=0.0), augmentation=augmentation)
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (6, 48, 48, 3), np.uint8)
    optical_flows = rng.normal(0, 0.2, (6, 48, 48, 2)).astype(np.float32)
    before = [np.asarray(weight).copy() for weight in model.trainable_weights]
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", jit_compile=True)
    loss = model.train_on_batch([faces, optical_flows], np.arange(6))
    assert np.isfinite(loss), loss
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert old.ndim == 1 or np.abs(np.asarray(weight) - old).max() > 0
    before = [np.asarray(weight).copy() for weight in model.weights]
    explained = pair_inputs(faces, optical_flows), np.arange(6), np.arange(6)
    maps = gradcam(model, *explained)
    check = check_randomisation(GradCam(model, 6), *explained, seed=1, num_draws=1)
    assert all(np.ptp(values) > 0 and np.abs(values).max() < 1 for values in check.means.values()), check
    assert all(np.array_equal(np.asarray(weight), old) for weight, old in zip(model.weights, before, strict=True))
    model.save(folder / MODEL_FILE)
    np.savez(folder / MAPS_FILE, faces=faces, optical_flows=optical_flows, **maps)


if __name__ == "__main__":
    assert keras.backend.backend() == "jax"
    into = Path(sys.argv[1])
    train_a_step_and_explain(into)
    train_a_step_over_frames(into)
    (into / LOSSES_FILE).write_text(json.dumps(validation_losses(into / "runs")), encoding="utf-8")
