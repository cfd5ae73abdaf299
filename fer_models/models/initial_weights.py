"""First weights of a model out of those of another one: each layer whose names and shapes agree is taken.

A source is a model that this project saved, or an HDF5 file of weights as Keras writes it (`.weights.h5`, and `.h5` or
`.hdf5` of Keras 2), of which arrays are read and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.backbones.mini_xception import published_name
from fer_models.models.building import load_model, model_labels, model_lineage, model_network
from fer_models.models.lineage import Lineage
from fer_models.models.weight_files import read_finite, read_hdf5

Outcome = Literal["taken", "other shape", "other layer", "other classes", "not in the source", "not in the model"]

_SUFFIXES = (".keras", ".h5", ".hdf5")
_MOST_BYTES = 2**31


@dataclass(frozen=True)
class StoredWeights:
    """What a file of weights holds.

    Args:
        arrays: float32, by `<layer>/<variable>`, in files of Keras 3 `<layer>/<number of the variable>`.
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
        outcome: why a weight of the model was not taken (`other layer`: it agrees, but not all of its layer), or that
            one of the source has no place in the model.
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
            f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
            for layer in model.layers
            for variable in layer.weights
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


def begin_with(model: keras.Model, source: StoredWeights) -> list[Transfer]:
    """Give a model the weights that agree, and say what became of each, in the model's order.

    A layer is taken whole or not at all: an offset means nothing under another kernel. The last layer is left alone
    where the classes of the source are others, or in another order.
    """
    last = model_network(model).logits
    other_classes = source.labels is not None and source.labels != model_labels(model)
    transfers: list[Transfer] = []
    used: set[str] = set()
    for layer in model.layers:
        keys = [_key(source.arrays, layer.name, one.name, number) for number, one in enumerate(layer.weights)]
        used.update(key for key in keys if key)
        stored = [source.arrays[key] if key else None for key in keys]
        agree = [
            array is not None and array.shape == one.shape for one, array in zip(layer.weights, stored, strict=True)
        ]
        fits: Outcome = (
            "other classes" if layer.name == last and other_classes else "taken" if all(agree) else "other layer"
        )
        for variable, array in zip(layer.weights, stored, strict=True):
            name, shape = f"{layer.name}/{variable.name}", tuple(variable.shape)
            if array is None:
                transfers.append(Transfer(name, "not in the source", shape, None))
            elif array.shape != shape:
                transfers.append(Transfer(name, "other shape", shape, array.shape))
            else:
                transfers.append(Transfer(name, fits, shape, shape))
                if fits == "taken":
                    variable.assign(array)
    left = [(key, array.shape) for key, array in source.arrays.items() if key not in used]
    return transfers + [Transfer(key, "not in the model", None, shape) for key, shape in left]


def _key(arrays: Mapping[str, np.ndarray], layer: str, variable: str, number: int) -> str | None:
    """Where the source has a weight; the layers of a published network may have the names that they have there."""
    names = dict.fromkeys((layer, published_name(layer) or layer))
    keys = (f"{name}/{part}" for name in names for part in (variable, str(number)))
    return next((key for key in keys if key in arrays), None)
