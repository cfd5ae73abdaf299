"""Files of weights as Keras publishes them with `keras.applications`: HDF5, laid out as Keras 2 did (`.._notop.h5`).

The file says in which order layers and their arrays come. Layers are found by their names; where a version of Keras
called them otherwise, by their order, as Keras itself does.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from fer_models.errors import UserError
from fer_models.models.weight_files import read_finite, read_hdf5

#: Where whole models have what files of weights have at the top.
_IN_MODELS = "model_weights/"


def read_layers(
    path: Path, title: str, wanted: Mapping[str, Sequence[tuple[int, ...]]]
) -> Mapping[str, list[np.ndarray]]:
    """The arrays of some layers, float32, all finite, in the order of their shapes.

    Layers that come after the last wanted one, such as those of a head, are left alone.

    Args:
        title: of the network, for messages.
        wanted: the shapes of the arrays of each layer, from the input of the network on.

    Raises:
        UserError: the file cannot be read, is not whole, or holds other weights.
    """

    def read(datasets: Mapping[str, h5py.Dataset]) -> dict[str, list[np.ndarray]]:
        stored = dict(_layers(datasets))
        if not wanted.keys() <= stored.keys():
            stored = dict(zip(wanted, stored.values(), strict=False))
        return {name: _read_layer(path, title, name, shapes, stored.get(name)) for name, shapes in wanted.items()}

    return read_hdf5(path, read)


def _layers(datasets: Mapping[str, h5py.Dataset]) -> Iterator[tuple[str, list[h5py.Dataset]]]:
    """The layers that have arrays, in the file's order. Only groups that lie in the file are looked at."""
    if not datasets:
        return
    file = next(iter(datasets.values())).file
    top = _IN_MODELS if any(name.startswith(_IN_MODELS) for name in datasets) else ""
    for layer in _texts(file[top or "/"], "layer_names"):
        folder = f"{top}{layer}/"
        if any(name.startswith(folder) for name in datasets):
            found = [datasets.get(folder + weight) for weight in _texts(file[folder], "weight_names")]
            if found:
                yield layer, [one for one in found if one is not None]


def _texts(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names that Keras keeps beside a group."""
    return [one.decode() if isinstance(one, bytes) else str(one) for one in group.attrs.get(attribute, ())]


def _read_layer(
    path: Path, title: str, layer: str, shapes: Sequence[tuple[int, ...]], stored: Sequence[h5py.Dataset] | None
) -> list[np.ndarray]:
    what = f"{path} does not hold the weights of {title}"
    if stored is None:
        raise UserError(f"{what} as Keras publishes them (.._notop.h5): it has no {layer}.")
    found = [tuple(one.shape) for one in stored]
    if found != list(shapes) or any(one.dtype.kind != "f" for one in stored):
        raise UserError(
            f"{what}: its {layer} has arrays of {_in_words(found)}, not of {_in_words(shapes)}; published weights fit "
            "model.backbone_width 1."
        )
    return [read_finite(path, layer, one) for one in stored]


def _in_words(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes) or "nothing"
