"""Published networks: the same functions and parameters as Keras's, their files of weights, where their maps look."""

import itertools
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from test_models_mini_xception import draw_weights

from fer_models.errors import UserError
from fer_models.models.backbones.keras_files import read_layers
from fer_models.models.backbones.laying import NETWORKS
from fer_models.models.backbones.published import LayerMaker
from fer_models.models.building import seeded_initializers

OF_KERAS: dict[str, Callable[..., keras.Model]] = {
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
    "resnet50": keras.applications.ResNet50,
    "mobilenet-v3-small": keras.applications.MobileNetV3Small,
}
#: Parameters without head, as published.
PARAMETERS = {"vgg16": 14_714_688, "vgg19": 20_024_384, "resnet50": 23_587_712, "mobilenet-v3-small": 939_120}
SMALL = 1 / 16


def build(name: str, share: float = 1.0, side: int = 64, initializers=seeded_initializers("corrected", 0)):
    picture = keras.Input((side, side, 3))
    return keras.Model(picture, NETWORKS[name].features(picture, LayerMaker("", "float32", initializers), share))


def of_keras(name: str) -> keras.Model:
    return OF_KERAS[name](include_top=False, weights=None, input_shape=(64, 64, 3))


def weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if layer.weights]


def write_notop(path: Path, model: keras.Model, names: Callable[[str], str] = str, folders: str = "{0}/{0}") -> Path:
    """A file with the weights of a model as Keras publishes them; every layer stands in it, those without weights too.

    Args:
        names: what the file calls a layer.
        folders: where the file has its arrays; in the oldest files right in the group of the layer.
    """
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [names(layer.name).encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(names(layer.name))
            inner = folders.format(names(layer.name)).partition("/")[2]
            stored = [f"{inner}/{one.name}:0".lstrip("/") for one in layer.weights]
            group.attrs["weight_names"] = [one.encode() for one in stored]
            for one, variable in zip(stored, layer.weights, strict=True):
                group[one] = keras.ops.convert_to_numpy(variable)
    return path


@pytest.mark.slow
def test_they_are_keras_networks_at_the_published_size() -> None:
    """The same weights, in the same order, give the same maps."""
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    for name, number in PARAMETERS.items():
        ours, theirs = build(name, initializers=lambda _: keras.initializers.Zeros()), of_keras(name)
        assert ours.count_params() == theirs.count_params() == number
        assert [layer.name for layer in weighted(ours)] == [layer.name for layer in weighted(theirs)]
        draw_weights(theirs)
        ours.set_weights(theirs.get_weights())
        expected = keras.ops.convert_to_numpy(theirs(pictures))
        own_scaling = name == "mobilenet-v3-small"  # which Keras has within the network
        found = keras.ops.convert_to_numpy(ours(pictures / 127.5 - 1.0 if own_scaling else pictures))
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=name)


def vgg_parameters(*filters: int) -> int:
    """Of 3x3 convolutions with offsets, one after another."""
    return sum((9 * before + 1) * after for before, after in itertools.pairwise(filters))


def resnet50_parameters(width: int) -> int:
    """Of convolutions with offsets, each with four arrays of normalisation."""

    def normalised(before: int, side: int, after: int) -> int:
        return (before * side**2 + 1) * after + 4 * after

    number, before = normalised(3, 7, width), width
    for blocks, inside in zip((3, 4, 6, 3), (width, 2 * width, 4 * width, 8 * width), strict=True):
        number += normalised(before, 1, 4 * inside)
        for _ in range(blocks):
            number += normalised(before, 1, inside) + normalised(inside, 3, inside) + normalised(inside, 1, 4 * inside)
            before = 4 * inside
    return number


def test_parameters_of_a_small_width_by_hand() -> None:
    assert vgg_parameters(3, 4, 4, 8, 8, 16, 16, 16, *[32] * 6) == 57_828
    assert build("vgg16", SMALL).count_params() == 57_828
    assert vgg_parameters(3, 4, 4, 8, 8, *[16] * 4, *[32] * 8) == 78_644
    assert build("vgg19", SMALL).count_params() == 78_644
    assert resnet50_parameters(64) == PARAMETERS["resnet50"]
    assert build("resnet50", SMALL).count_params() == resnet50_parameters(4) == 100_472
    assert build("mobilenet-v3-small", 0.75).count_params() == 583_160, "as published"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", [144, 131], ids=["even sides", "odd sides"])
def test_maps_look_where_they_say(name: str, side: int) -> None:
    """One bright row at a time, kernels of ones: the rows that light a cell are its receptive field.

    Those of the last maps are cut by the edges of any picture of a size that can be computed here.
    """
    network = NETWORKS[name]
    picture = keras.Input((side, 33, 3))
    last = network.features(picture, LayerMaker("", "float32", lambda _: keras.initializers.Ones()), SMALL)
    told = list(network.fields(side).items())[:3]
    body = keras.Model(picture, last)
    maps = keras.Model(picture, [body.get_layer(layer).output for layer, _ in told])
    rows = np.zeros((side, side, 33, 3), np.float32)
    rows[np.arange(side), np.arange(side)] = 1e-6
    for (_, (first_px, step_px)), cells in zip(told, maps.predict(rows, verbose=0), strict=True):
        lit = cells[:, :, 1].max(axis=-1) > 0  # (bright row, cell)
        first, last_row = lit.argmax(axis=0), side - 1 - lit[::-1].argmax(axis=0)
        inner = (first > 0) & (last_row < side - 1)
        assert inner.sum() >= 2
        centres = first_px + step_px * np.arange(len(inner))
        np.testing.assert_array_equal(centres[inner], ((first + last_row) / 2)[inner])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_least_side_has_a_last_map_of_four_cells(name: str) -> None:
    least = NETWORKS[name].least_px
    assert [build(name, SMALL, side).output_shape[1:3] for side in (least, least - 1)] == [(2, 2), (1, 1)]


# Files


@pytest.fixture(scope="module")
def small() -> keras.Model:
    model = build("vgg16", SMALL)
    draw_weights(model)
    return model


def wanted_of(model: keras.Model) -> dict[str, list[tuple[int, ...]]]:
    return {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in weighted(model)}


@pytest.mark.parametrize("folders", ["{0}/{0}", "{0}"], ids=["kernel:0 two folders deep", "right in the layer"])
@pytest.mark.parametrize("names", [str, "former/{}".format], ids=["its names", "former names"])
def test_layers_are_found_by_name_or_by_order(small: keras.Model, tmp_path: Path, names, folders: str) -> None:
    stored = read_layers(write_notop(tmp_path / "notop.h5", small, names, folders), "VGG16", wanted_of(small))
    assert list(stored) == [layer.name for layer in weighted(small)]
    for layer in weighted(small):
        for one, other in zip(stored[layer.name], layer.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_layers_of_a_head_are_left_alone(small: keras.Model, tmp_path: Path) -> None:
    head = keras.layers.Dense(5, name="predictions")(keras.layers.Flatten()(small.output))
    path = write_notop(tmp_path / "whole.h5", keras.Model(small.inputs, head))
    assert "predictions" not in read_layers(path, "VGG16", wanted_of(small))


def test_other_files_are_one_sentence_each(small: keras.Model, tmp_path: Path) -> None:
    wanted = wanted_of(small)
    wider = write_notop(tmp_path / "wider.h5", build("vgg16", 2 * SMALL))
    with pytest.raises(
        UserError, match=r"its block1_conv1 has arrays of 3x3x3x8 and 8, not of 3x3x3x4 and 4;.*width 1"
    ):
        read_layers(wider, "VGG16", wanted)
    with pytest.raises(UserError, match=r"does not hold the weights of VGG16 .*it has no block5_conv2"):
        read_layers(write_notop(tmp_path / "short.h5", first_layers(small, "block5_conv1")), "VGG16", wanted)
    small.save_weights(tmp_path / "keras3.weights.h5")
    with pytest.raises(UserError, match=r"as Keras publishes them .*it has no block1_conv1"):
        read_layers(tmp_path / "keras3.weights.h5", "VGG16", wanted)
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(UserError, match="not a whole HDF5 file"):
        read_layers(tmp_path / "text.h5", "VGG16", wanted)


def first_layers(model: keras.Model, last: str) -> keras.Model:
    return keras.Model(model.inputs, model.get_layer(last).output)


def test_a_damaged_or_borrowed_array_is_refused(small: keras.Model, tmp_path: Path) -> None:
    kernel = "block3_conv2/block3_conv2/kernel:0"
    damaged = write_notop(tmp_path / "damaged.h5", small)
    with h5py.File(damaged, "a") as file:
        file[kernel][0, 0, 0, 0] = np.nan
    with pytest.raises(UserError, match="its block3_conv2 holds values that are not finite"):
        read_layers(damaged, "VGG16", wanted_of(small))
    borrowed = write_notop(tmp_path / "borrowed.h5", small)
    with h5py.File(borrowed, "a") as file:
        del file[kernel]
        file[kernel] = h5py.ExternalLink(str(damaged), kernel)
    with pytest.raises(UserError, match=r"its block3_conv2 has arrays of 16, not of 3x3x16x16 and 16"):
        read_layers(borrowed, "VGG16", wanted_of(small))
