"""First weights of a model out of those of another one: each layer whose names and shapes agree is taken.

A source is a model that this project saved, or an HDF5 file of weights as Keras writes it (`.weights.h5`, and `.h5` or
`.hdf5` of Keras 2), of which arrays are read and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.backbones.mini_xception import published_name
from fer_models.models.building import carry_network, load_model, model_labels, model_lineage, model_network
from fer_models.models.lineage import Lineage
from fer_models.models.weight_files import read_finite, read_hdf5

Outcome = Literal[
    "taken", "other shape", "other layer", "other classes", "fresh head", "not in the source", "not in the model"
]

_SUFFIXES = (".keras", ".h5", ".hdf5")
_MOST_BYTES = 2**31


@dataclass(frozen=True)
class StoredWeights:
    """What a file of weights holds.

    Args:
        arrays: float32, by `<layer>/<variable>`, in files of Keras 3 and of layers in which two variables have one name
            `<layer>/<number of the variable>`.
        labels: what the outputs of a model are of; None where the file does not say.
        lineage: of a model that carries one.
    """

    arrays: Mapping[str, np.ndarray]
    labels: tuple[str, ...] | None = None
    lineage: Lineage | None = None


@dataclass(frozen=True)
class Transfer:
    """What became of one weight.

    Args:
        weight: `<layer>/<variable>`.
        outcome: why a weight of the model was not taken (`other layer`: it agrees, but not all of its layer; `fresh
            head`: it agrees, and was to begin fresh), or that one of the source has no place in the model.
        shape, stored_shape: in the model and in the source; None where it is not.
    """

    weight: str
    outcome: Outcome
    shape: tuple[int, ...] | None
    stored_shape: tuple[int, ...] | None


def read_weights(path: Path) -> StoredWeights:
    """Read a file of weights.

    Raises:
        UserError: it is no such file, cannot be read, is not whole, or holds values that are not finite.
    """
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path} is no file of weights that can be read; there are {', '.join(_SUFFIXES)}.")
    if path.suffix == ".keras":
        model = load_model(path)
        arrays = {
            f"{layer.name}/{name}": keras.ops.convert_to_numpy(variable)
            for layer in model.layers
            for name, variable in zip(_names(layer), layer.weights, strict=True)
        }
        return StoredWeights(arrays, model_labels(model), model_lineage(model))

    def read(datasets: Mapping[str, h5py.Dataset]) -> dict[str, np.ndarray]:
        found = {name: one for name, one in _named(datasets) if one.dtype.kind == "f"}
        if sum(4 * one.size for one in found.values()) > _MOST_BYTES:
            raise UserError(f"{path} holds more weights than any model of this project has.")
        return {name: read_finite(path, name, one) for name, one in found.items()}

    return StoredWeights(read_hdf5(path, read))


def _named(datasets: Mapping[str, h5py.Dataset]) -> Iterator[tuple[str, h5py.Dataset]]:
    """The arrays by layer and variable; Keras 3 keeps the name of a layer as an attribute beside its numbered ones."""
    for path, dataset in datasets.items():
        *folders, variable = path.removeprefix("model_weights/").split("/")
        if not folders or "optimizer" in folders[0] or "seed_generator" in path:
            continue
        layer = folders[0]
        if folders[-1] == "vars":
            layer = str(dataset.parent.attrs.get("name", folders[-2] if len(folders) > 1 else ""))
        yield f"{layer}/{variable.removesuffix(':0')}", dataset


def begin_with(model: keras.Model, source: StoredWeights, fresh_head: bool = False) -> list[Transfer]:
    """Give a model the weights that agree, and say what became of each, in the model's order.

    A layer is taken whole or not at all: an offset means nothing under another kernel. The last layer is left alone
    where the classes of the source are others, or in another order.

    Args:
        fresh_head: leave all layers from the head on as they are.
    """
    network = model_network(model)
    other_classes = source.labels is not None and source.labels != model_labels(model)
    order = [layer.name for layer in model.layers]  # from the inputs on
    head = order[order.index(network.head) :] if fresh_head else []
    transfers: list[Transfer] = []
    used: set[str] = set()
    for layer in model.layers:
        names = _names(layer)
        keys = [_key(source.arrays, layer.name, name, number) for number, name in enumerate(names)]
        used.update(key for key in keys if key)
        stored = [source.arrays[key] if key else None for key in keys]
        agree = [
            array is not None and array.shape == one.shape for one, array in zip(layer.weights, stored, strict=True)
        ]
        fits: Outcome = "taken" if all(agree) else "other layer"
        if layer.name in head:
            fits = "fresh head"
        elif layer.name == network.logits and other_classes:
            fits = "other classes"
        for name, variable, array in zip(names, layer.weights, stored, strict=True):
            weight, shape = f"{layer.name}/{name}", tuple(variable.shape)
            if array is None:
                transfers.append(Transfer(weight, "not in the source", shape, None))
            elif array.shape != shape:
                transfers.append(Transfer(weight, "other shape", shape, array.shape))
            else:
                transfers.append(Transfer(weight, fits, shape, shape))
                if fits == "taken":
                    variable.assign(array)
    taken = {one.weight.partition("/")[0] for one in transfers if one.outcome == "taken"}
    if network.belief and taken.issuperset(network.belief):  # which is trained already
        carry_network(model, network.model_copy(update={"belief": ()}))
    left = [(key, array.shape) for key, array in source.arrays.items() if key not in used]
    return transfers + [Transfer(key, "not in the model", None, shape) for key, shape in left]


def hold_taken(model: keras.Model, transfers: Sequence[Transfer]) -> None:
    """Let a model carry which of its layers were taken, so that its training can hold them (`training.freeze`).

    Their normalisation stays as it was trained from now on: batches here are others than there.
    """
    taken = tuple(dict.fromkeys(one.weight.partition("/")[0] for one in transfers if one.outcome == "taken"))
    carry_network(model, model_network(model).model_copy(update={"taken": taken}))
    for name in taken:
        for layer in model.get_layer(name)._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def _names(layer: keras.Layer) -> list[str]:
    """Of a layer's weights, in order; their numbers where two have one name, as in a layer of layers."""
    names = [variable.name for variable in layer.weights]
    return names if len(set(names)) == len(names) else list(map(str, range(len(names))))


def _key(arrays: Mapping[str, np.ndarray], layer: str, variable: str, number: int) -> str | None:
    """Where the source has a weight; the layers of a published network may have the names that they have there."""
    names = dict.fromkeys((layer, published_name(layer) or layer))
    keys = (f"{name}/{part}" for name in names for part in (variable, str(number)))
    return next((key for key in keys if key in arrays), None)
