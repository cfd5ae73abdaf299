"""First weights out of another model or file: what agrees is taken, and all the rest is told."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from test_models_mini_xception import draw_weights, write_weights

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.backbones.mini_xception import build_mini_xception
from fer_models.models.building import build_model, load_model, model_lineage
from fer_models.models.initial_weights import Transfer, begin_with, read_weights
from fer_models.models.lineage import Lineage, Origin, video_marks
from fer_models.settings import AugmentationSettings, ModelSettings

pytestmark = pytest.mark.trains

MODERN = ModelSettings(form="modern", width=4)


def build(arm: str = "gap-sum", seed: int = 0, settings: ModelSettings = MODERN, **arguments) -> keras.Model:
    return build_model(ARMS[arm], settings, seed=seed, augmentation=AugmentationSettings(), **arguments)


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    return {
        f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
        for layer in model.layers
        for variable in layer.weights
    }


def differing(one: keras.Model, other: keras.Model) -> set[str]:
    first, second = arrays_of(one), arrays_of(other)
    return {name for name in first if not np.array_equal(first[name], second[name])}


@pytest.fixture
def earlier(tmp_path: Path) -> keras.Model:
    """A model whose every weight is drawn, and its files."""
    model = build(seed=1)
    draw_weights(model)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    return model


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_all_that_agrees_is_taken(name: str, earlier: keras.Model, tmp_path: Path) -> None:
    model = build(seed=2)
    assert differing(model, earlier) == set(arrays_of(model))
    transfers = begin_with(model, read_weights(tmp_path / name))
    assert differing(model, earlier) == set()
    assert {one.outcome for one in transfers} == {"taken"}
    assert [one.weight for one in transfers] == list(arrays_of(model))


def test_what_has_no_place_is_told(earlier: keras.Model, tmp_path: Path) -> None:
    """A single stream, whose last layer has other inputs than that of two."""
    model = build("spatial-only", seed=2)
    logits = model.get_layer("logits").kernel.shape
    fresh = {name: array.copy() for name, array in arrays_of(model).items()}
    transfers = {one.weight: one for one in begin_with(model, read_weights(tmp_path / "model.keras"))}
    assert transfers["spatial_conv1/kernel"].outcome == "taken"
    assert transfers["logits/kernel"] == Transfer("logits/kernel", "other shape", tuple(logits), (16, 6))
    assert transfers["logits/bias"].outcome == "other layer"
    assert transfers["temporal_conv1/kernel"] == Transfer(
        "temporal_conv1/kernel", "not in the model", None, (3, 3, 3, 4)
    )
    np.testing.assert_array_equal(arrays_of(model)["logits/kernel"], fresh["logits/kernel"])
    lone = begin_with(build("gap-sum", seed=2), read_weights(saved(tmp_path / "lone.keras", model)))
    assert {one.weight for one in lone if one.outcome == "not in the source"} == {
        name for name in arrays_of(earlier) if name.startswith("temporal_")
    }


def saved(path: Path, model: keras.Model) -> Path:
    model.save(path)
    return path


def test_outputs_of_other_classes_are_not_taken(tmp_path: Path) -> None:
    labels = ("fear", "anger", "disgust", "happiness", "sadness", "surprise")
    source = read_weights(saved(tmp_path / "model.keras", build(seed=1, labels=labels)))
    model = build(seed=2)
    outcomes = {one.weight: one.outcome for one in begin_with(model, source)}
    assert outcomes["logits/kernel"] == outcomes["logits/bias"] == "other classes"
    assert outcomes["spatial_conv1/kernel"] == "taken"


def test_a_published_network_is_known_by_its_own_names(tmp_path: Path) -> None:
    published = build_mini_xception()
    draw_weights(published)
    source = read_weights(write_weights(tmp_path / "weights.hdf5", published))
    model = build("fer2013-spatial-only")
    taken = [one.weight for one in begin_with(model, source) if one.outcome == "taken"]
    assert "logits/kernel" not in taken
    assert len(taken) == 6 + 8 * 2 + 14 * 4
    for name in ("conv2d_3/kernel", "separable_conv2d_3/pointwise_kernel", "batch_normalization_3/gamma"):
        np.testing.assert_array_equal(arrays_of(model)[f"spatial_{name}"], arrays_of(published)[name])


def test_what_lies_outside_of_a_file_is_not_read(earlier: keras.Model, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "linked.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(tmp_path / "model.weights.h5"), "/layers")
    (tmp_path / "raw").write_bytes(np.ones((3, 3, 3, 4), np.float32).tobytes())
    with h5py.File(tmp_path / "external.weights.h5", "w") as file:
        raw = [(str(tmp_path / "raw"), 0, 432)]
        file.create_dataset("spatial_conv1/spatial_conv1/kernel:0", (3, 3, 3, 4), "float32", external=raw)
    for name in ("linked", "external"):
        assert read_weights(tmp_path / f"{name}.weights.h5").arrays == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.weights.h5", b"no weights", "is not a whole HDF5 file"),
        ("text.keras", b"no weights", "is not a model of this project"),
        ("text.pkl", b"no weights", "is no file of weights that can be read"),
        ("missing.weights.h5", None, "cannot be read"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as refused:
        read_weights(tmp_path / name)
    assert str(refused.value).count("\n") == 0


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "nan.weights.h5", "w") as file:
        file["logits/logits/kernel"] = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(UserError, match="logits/kernel holds values that are not finite"):
        read_weights(tmp_path / "nan.weights.h5")


def test_a_model_carries_its_lineage(tmp_path: Path) -> None:
    origin = Origin(name="others", sha256="ab" * 32, licence="MIT", trained_on="photos")
    lineage = Lineage(origins=(origin,), videos=video_marks(["b" * 64, "", "a" * 64, "a" * 64]))
    assert lineage.videos == ("a" * 16, "b" * 16)
    path = saved(tmp_path / "model.keras", build(lineage=lineage))
    assert model_lineage(load_model(path)) == lineage
    assert read_weights(path).lineage == lineage
    assert lineage.joined(lineage) == lineage
    assert origin.in_words() == "others (MIT, SHA-256 abababababab; trained on photos)"


def test_a_model_of_before_carries_none() -> None:
    model = build()
    model.get_layer("probabilities").lineage = None
    assert model_lineage(model) is None
