"""The mini-Xception of FER2013: its structure, its weights out of an HDF5 file, and what it makes of real faces."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import keras
import numpy as np
import pytest

from fer_models.errors import UserError
from fer_models.models.backbones.mini_xception import (
    CLASSES,
    LAST_MAP,
    build_mini_xception,
    features,
    load_weights,
    probabilities,
)
from fer_models.models.inputs import GreyFaces
from tasks.weights.cache import find

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("FER_TEST_DATA", ROOT.parent / "shared" / "data")) / "ck48dev"


def draw_weights(model: keras.Model, seed: int = 3) -> None:
    """Random weights, moving statistics too, that keep the signal at about its size."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            fan_in = np.prod(variable.shape[:2] if variable.name == "depthwise_kernel" else variable.shape[:-1])
            if variable.name in ("gamma", "moving_variance"):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
            else:
                variable.assign(rng.normal(0, fan_in**-0.5, variable.shape))


def write_weights(path: Path, model: keras.Model) -> Path:
    """A file with the weights of a model, laid out as Keras 2 did."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = '{"class_name": "Lambda", "config": "never read"}'
        for layer in model.layers:
            group = file.create_group(f"model_weights/{layer.name}/{layer.name}_1")
            for variable in layer.weights:
                group[f"{variable.name}:0"] = keras.ops.convert_to_numpy(variable)
        file["optimizer_weights/Variable_1:0"] = np.zeros(3)
    return path


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    model = build_mini_xception()
    draw_weights(model)
    return model


@pytest.fixture
def stored(trained: keras.Model, tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights.hdf5", trained)


def grey_faces(num: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (num, 64, 64, 1)).astype(np.float32)


def test_shapes_and_the_exact_number_of_parameters(trained: keras.Model) -> None:
    assert trained.count_params() == 58_423
    assert sum(int(np.prod(weight.shape)) for weight in trained.trainable_weights) == 56_951
    found = trained.predict(grey_faces(), verbose=0)
    assert found["features"].shape == (3, 4, 4, 128)
    assert found["probabilities"].shape == (3, len(CLASSES))
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, rtol=1e-5)
    assert {values.dtype for values in found.values()} == {np.dtype("float32")}
    assert trained.get_layer(LAST_MAP).output is trained.output["features"]


def test_weights_of_a_file_give_the_same_outputs(trained: keras.Model, stored: Path) -> None:
    loaded = build_mini_xception(stored)
    expected, found = (model.predict(grey_faces(), verbose=0) for model in (trained, loaded))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def with_faces(prefix: str, precision: str = "float32") -> keras.Model:
    """A model of uint8 RGB faces with layers of its own after those of the network."""
    face = keras.Input((48, 48, 3), dtype="uint8", name="face")
    x = features(GreyFaces(64, name="grey_faces")(face), prefix, precision, lambda name: keras.initializers.HeNormal(1))
    x = keras.layers.GlobalAveragePooling2D(dtype=precision, name="gap")(x)
    return keras.Model(face, keras.layers.Dense(6, dtype="float32", name="logits")(x))


def test_it_stands_among_the_layers_of_another_model(trained: keras.Model, stored: Path, tmp_path: Path) -> None:
    model = with_faces("face_")
    logits = model.get_layer("logits").get_weights()
    load_weights(model, stored, "face_")
    faces = np.random.default_rng(5).integers(0, 256, (2, 48, 48, 3), np.uint8)
    maps = keras.Model(model.inputs, model.get_layer(f"face_{LAST_MAP}").output)
    expected = trained.predict(keras.ops.convert_to_numpy(GreyFaces(64)(faces)), verbose=0)["features"]
    np.testing.assert_allclose(maps.predict(faces, verbose=0), expected, rtol=1e-4, atol=1e-4)
    for before, after in zip(logits, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(again.predict(faces, verbose=0), model.predict(faces, verbose=0))


def test_a_model_without_the_network_is_a_mistake_of_the_caller(stored: Path) -> None:
    with pytest.raises(ValueError, match="no layers"):
        load_weights(with_faces("face_"), stored, "other_")


def test_half_precision_and_a_head_of_its_own() -> None:
    model = with_faces("", "mixed_bfloat16")
    assert model.predict(np.zeros((1, 48, 48, 3), np.uint8), verbose=0).dtype == np.float32
    assert model.get_layer(LAST_MAP).output.dtype == "bfloat16"
    grey = keras.Input((64, 64, 1))
    assert keras.Model(grey, probabilities(features(grey))).count_params() == 58_423


def test_fresh_weights_follow_from_the_initializers() -> None:
    first, second = with_faces("").get_weights(), with_faces("").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first[:-2], second[:-2], strict=True))


def replace_dataset(file: h5py.File, name: str, values: np.ndarray | None) -> None:
    del file[name]
    if values is not None:
        file[name] = values


KERNEL = "model_weights/separable_conv2d_3/separable_conv2d_3_1/pointwise_kernel:0"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (None, "it has no separable_conv2d_3/pointwise_kernel"),
        (np.zeros((1, 1, 16, 31), np.float32), r"is float32 \(1, 1, 16, 31\), not float32 \(1, 1, 16, 32\)"),
        (np.zeros((1, 1, 16, 32), np.int64), "is int64"),
        (np.full((1, 1, 16, 32), np.nan, np.float32), "not finite"),
        (np.full((1, 1, 16, 32), 1e300), "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_other_arrays_than_the_networks_are_refused(stored: Path, values: np.ndarray | None, sentence: str) -> None:
    with h5py.File(stored, "a") as file:
        replace_dataset(file, KERNEL, values)
    model = build_mini_xception()
    before = model.get_weights()
    with pytest.raises(UserError, match=sentence):
        load_weights(model, stored)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)), "all or none"


def link_out(path: Path, elsewhere: Path) -> None:
    with h5py.File(path, "a") as file:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink(str(elsewhere), KERNEL)


def read_raw_bytes_of(path: Path, elsewhere: Path) -> None:
    with h5py.File(path, "a") as file:
        del file[KERNEL]
        size = h5py.h5f.UNLIMITED
        file.create_dataset(KERNEL, (1, 1, 16, 32), np.float32, external=[(str(elsewhere), 0, size)])


def show_another_file(path: Path, elsewhere: Path) -> None:
    layout = h5py.VirtualLayout((1, 1, 16, 32), np.float32)
    layout[...] = h5py.VirtualSource(str(elsewhere), KERNEL, (1, 1, 16, 32), np.float32)
    with h5py.File(path, "a") as file:
        del file[KERNEL]
        file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize("change", [link_out, read_raw_bytes_of, show_another_file])
def test_arrays_of_other_files_are_not_read(
    stored: Path, trained: keras.Model, tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    change(stored, write_weights(tmp_path / "elsewhere.hdf5", trained))
    with pytest.raises(UserError, match="it has no separable_conv2d_3/pointwise_kernel"):
        build_mini_xception(stored)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_one_sentence(stored: Path, share: float) -> None:
    content = stored.read_bytes()
    stored.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="is not a whole HDF5 file"):
        build_mini_xception(stored)


def test_something_else_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read .*No such file"):
        build_mini_xception(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("weights")
    with pytest.raises(UserError, match="is not a whole HDF5 file"):
        build_mini_xception(tmp_path / "text.hdf5")
    h5py.File(tmp_path / "empty.hdf5", "w").close()
    with pytest.raises(UserError, match="it has no conv2d_1/kernel"):
        build_mini_xception(tmp_path / "empty.hdf5")


@pytest.mark.slow
def test_jax_computes_the_same(trained: keras.Model, stored: Path, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from fer_models.models.backbones.mini_xception import build_mini_xception\n"
        "found = build_mini_xception(Path(sys.argv[1])).predict(np.load(sys.argv[2]), verbose=0)\n"
        "np.savez(sys.argv[3], **found)\n"
    )
    np.save(tmp_path / "faces.npy", grey_faces())
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiling is what takes time here
    arguments = [str(stored), str(tmp_path / "faces.npy"), str(tmp_path / "found.npz")]
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True, timeout=120)
    expected = trained.predict(grey_faces(), verbose=0)
    with np.load(tmp_path / "found.npz") as found:
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


def test_the_real_weights_know_most_real_faces() -> None:
    """As measured with the file's own network: 0.70 of the clips of six classes, by the mean of their frames."""
    weights = find("fer2013-mini-xception")
    if weights is None or not DATA.is_dir():
        pytest.skip("the real weights or faces are not here")
    with (DATA / "folds.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 60
    folders = {"happiness": "happy", "sadness": "sadness"}
    clips: dict[tuple[str, str], list[np.ndarray]] = {}
    for emotion in CLASSES[:6]:
        for path in sorted((DATA / "CK+48" / folders.get(emotion, emotion)).glob("*.png")):
            clips.setdefault((emotion, path.name[:8]), []).append(cv2.imread(str(path)))
    pictures = np.stack([picture for frames in clips.values() for picture in frames])
    grey = keras.ops.convert_to_numpy(GreyFaces(64)(pictures))
    found = build_mini_xception(weights).predict(grey, batch_size=256, verbose=0)["probabilities"]
    means = found[:, :6].reshape(len(clips), 3, 6).mean(axis=1)
    truth = np.array([CLASSES.index(emotion) for emotion, _ in clips])
    assert len(clips) == 168
    assert np.mean(means.argmax(axis=1) == truth) > 0.68
