"""The mini-Xception of FER2013 (Arriaga et al. 2017, after Chollet 2017): expressions of single grey faces.

Its layers have the names of the file that the weights come from (`WEIGHTS`, in `tasks.weights.registry`),
after a prefix. They may stand in a model of their own (`build_mini_xception`) or among the layers of another one, that
begins with `fer_models.models.inputs.GreyFaces`; `load_weights` fills them in either.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

from fer_models.errors import UserError
from fer_models.models.network import FeatureMap
from fer_models.models.weight_files import read_finite, read_hdf5

#: Name of the file of its weights.
WEIGHTS = "fer2013-mini-xception"
SIDE_PX = 64
#: What its probabilities are of, in the project's words.
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
#: The last feature map, (batch, 4, 4, 128): what `features` returns.
LAST_MAP = "add_4"
#: The feature map before, (batch, 8, 8, 64).
MAP_BEFORE = "add_3"
#: Filters of the four residual blocks, each of which halves the side.
_FILTERS = (16, 32, 64, 128)
#: The layers of the network's own head: a convolution that makes a map a class, and its mean.
HEAD, LOGITS = "conv2d_7", "global_average_pooling2d_1"
#: By feature map, px of the network's own input: the centre of its first cell's receptive field, the distance of such
#: centres. Where pooling begins outside of a map of odd side, the centre stays.
_FIELDS = {"activation_2": (2, 1), "add_1": (3, 2), "add_2": (5, 4), "add_3": (5, 8), "add_4": (13, 16)}
_WEIGHTED = (
    *(f"conv2d_{number}" for number in range(1, 8)),
    *(f"separable_conv2d_{number}" for number in range(1, 9)),
    *(f"batch_normalization_{number}" for number in range(1, 15)),
)

Initializers = Callable[[str], keras.Initializer]


class _Layers:
    """Makes the layers: all named, of one precision, with weights from one kind of initializers."""

    def __init__(self, prefix: str, precision: str, initializers: Initializers | None) -> None:
        self._prefix, self._precision, self._initializers = prefix, precision, initializers

    def _common(self, name: str, *roles: str) -> dict[str, Any]:
        name = self._prefix + name
        common: dict[str, Any] = {"dtype": self._precision, "name": name}
        if self._initializers:
            common |= {role: self._initializers(f"{name}/{role}" if len(roles) > 1 else name) for role in roles}
        return common

    def convolution(self, name: str, x: Any, filters: int, side: int, **more: Any) -> Any:
        common = self._common(name, "kernel_initializer")
        return layers.Conv2D(filters, side, **{"use_bias": False, **common, **more})(x)

    def separable(self, number: int, x: Any, filters: int) -> Any:
        common = self._common(f"separable_conv2d_{number}", "depthwise_initializer", "pointwise_initializer")
        return layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, **common)(x)

    def normalised(self, number: int, x: Any) -> Any:
        return layers.BatchNormalization(**self._common(f"batch_normalization_{number}"))(x)

    def relu(self, number: int, x: Any) -> Any:
        return layers.ReLU(**self._common(f"activation_{number}"))(x)

    def halved(self, number: int, x: Any) -> Any:
        return layers.MaxPooling2D(3, 2, padding="same", **self._common(f"max_pooling2d_{number}"))(x)

    def every_other(self, number: int, x: Any) -> Any:
        """Every second cell each way, for the 1x1 convolution that steps so in the published network.

        TensorFlow 2.21 with oneDNN writes beyond its memory when it computes the gradient of such a step.
        """
        return layers.AveragePooling2D(1, 2, **self._common(f"every_other_{number}"))(x)

    def sum(self, number: int, both: list[Any]) -> Any:
        return layers.Add(**self._common(f"add_{number}"))(both)


def features(grey: Any, prefix: str = "", precision: str = "float32", initializers: Initializers | None = None) -> Any:
    """Lay the network up to its last feature map over grey faces.

    Args:
        grey: float32 (batch, 64, 64, 1) in -1..1.
        prefix: before the name of each layer.
        precision: Keras's name of the layers' data type policy.
        initializers: makes the initializer of a layer's fresh weights from the layer's name; Keras's own without.

    Returns:
        The output of `add_4`, (batch, 4, 4, 128), with no activation after it.
    """
    make = _Layers(prefix, precision, initializers)
    x = grey
    for number in (1, 2):
        x = make.convolution(f"conv2d_{number}", x, 8, 3)  # (batch, 62, 62, 8), then (batch, 60, 60, 8)
        x = make.relu(number, make.normalised(number, x))
    for block, filters in enumerate(_FILTERS, start=1):  # sides 30, 15, 8, 4
        past = make.convolution(f"conv2d_{block + 2}", make.every_other(block, x), filters, 1)
        past = make.normalised(3 * block, past)
        x = make.normalised(3 * block + 1, make.separable(2 * block - 1, x, filters))
        x = make.relu(block + 2, x)
        x = make.normalised(3 * block + 2, make.separable(2 * block, x, filters))
        x = make.sum(block, [make.halved(block, x), past])
    return x


def frozen_normalisation(model: keras.Model, prefix: str) -> None:
    """Let the network's normalisation stay as it was trained, in training too: batches here are others than there."""
    for layer in model.layers:
        if layer.name in layer_names(prefix) and isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def layer_names(prefix: str) -> tuple[str, ...]:
    """The layers of `features` that have weights."""
    return tuple(prefix + name for name in _WEIGHTED if name != HEAD)


def published_name(layer: str) -> str | None:
    """The name in the published file of a layer of this network; None for a layer of another."""
    return max((name for name in _WEIGHTED if layer == name or layer.endswith(f"_{name}")), key=len, default=None)


def feature_maps(prefix: str, face_px: int) -> tuple[FeatureMap, ...]:
    """The maps that Grad-CAM can look at, from the input on, for faces that are stored at a side of so many px."""
    scale = face_px / SIDE_PX
    return tuple(
        FeatureMap(layer=prefix + name, first_px=(first + 0.5) * scale - 0.5, step_px=step * scale)
        for name, (first, step) in _FIELDS.items()
    )


def logits(last_map: Any, prefix: str = "", initializers: Initializers | None = None) -> Any:
    """Lay the network's own head over what `features` returns: float32 (batch, 7), in the order of `CLASSES`."""
    make = _Layers(prefix, "float32", initializers)
    x = make.convolution(HEAD, last_map, len(CLASSES), 3, padding="same", use_bias=True)  # (batch, 4, 4, 7)
    return layers.GlobalAveragePooling2D(dtype="float32", name=prefix + LOGITS)(x)


def probabilities(last_map: Any, prefix: str = "", initializers: Initializers | None = None) -> Any:
    """The same, as probabilities."""
    return layers.Softmax(dtype="float32", name=f"{prefix}predictions")(logits(last_map, prefix, initializers))


def build_mini_xception(weights: Path | None = None) -> keras.Model:
    """The whole network.

    Takes grey faces, float32 (batch, 64, 64, 1), x / 127.5 - 1. Gives a dictionary of float32 arrays: `features`
    (batch, 4, 4, 128) and `probabilities` (batch, 7) in the order of `CLASSES`.

    Args:
        weights: a file of them; fresh ones without.

    Raises:
        UserError: see `load_weights`.
    """
    grey = keras.Input((SIDE_PX, SIDE_PX, 1), name="grey")
    last_map = features(grey)
    model = keras.Model(grey, {"features": last_map, "probabilities": probabilities(last_map)}, name="mini_xception")
    if weights:
        load_weights(model, weights)
    return model


def load_weights(model: keras.Model, path: Path, prefix: str = "") -> None:
    """Set the layers of this network in a model, all or none, to the weights of an HDF5 file as Keras 2 wrote it.

    Args:
        model: has the layers of `features` under the prefix, and those of `probabilities` or not.

    Raises:
        UserError: the file cannot be read, is not whole, or holds other weights than those of this network.
    """
    ours = {layer.name: layer for layer in model.layers if layer.name.removeprefix(prefix) in _WEIGHTED}
    found = {name: layer for name in _WEIGHTED if (layer := ours.get(prefix + name))}
    if missing := set(_WEIGHTED) - set(found) - {HEAD}:
        raise ValueError(f"the model has no layers {sorted(missing)} after {prefix!r}")
    wanted = {
        f"{name}/{variable.name}": tuple(variable.shape) for name, layer in found.items() for variable in layer.weights
    }
    arrays = _read(path, wanted)
    for name, layer in found.items():
        layer.set_weights([arrays[f"{name}/{variable.name}"] for variable in layer.weights])


def _read(path: Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Arrays of a file by `<layer>/<variable>`, float32 of the wanted shapes, all finite."""

    def read(datasets: Mapping[str, h5py.Dataset]) -> dict[str, np.ndarray]:
        stored = dict(_named(datasets))
        return {name: _read_one(path, name, shape, stored.get(name)) for name, shape in wanted.items()}

    return read_hdf5(path, read)


def _named(datasets: Mapping[str, h5py.Dataset]) -> Iterator[tuple[str, h5py.Dataset]]:
    """The arrays by `<layer>/<variable>`."""
    for name, item in datasets.items():
        top, *within = name.split("/")
        if top == "model_weights" and len(within) > 1:
            yield f"{within[0]}/{within[-1].removesuffix(':0')}", item


def _read_one(path: Path, name: str, shape: tuple[int, ...], stored: h5py.Dataset | None) -> np.ndarray:
    what = f"{path} does not hold the mini-Xception of FER2013"
    if stored is None:
        raise UserError(f"{what}: it has no {name}.")
    if stored.shape != shape or stored.dtype.kind != "f":
        raise UserError(f"{what}: its {name} is {stored.dtype} {stored.shape}, not float32 {shape}.")
    return read_finite(path, name, stored)
