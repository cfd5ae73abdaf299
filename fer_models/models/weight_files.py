"""Arrays out of HDF5 files of weights that come from outside: numbers alone, never a file's description of a model.

Only what lies in the file itself is read. Links, and arrays that the file takes from elsewhere, are not followed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from fer_models.errors import UserError

_Read = TypeVar("_Read")


def read_hdf5(path: Path, read: Callable[[Mapping[str, h5py.Dataset]], _Read]) -> _Read:
    """What `read` makes of the arrays of a file, by their path in it.

    Raises:
        UserError: the file cannot be read or is not whole.
    """
    try:
        with path.open("rb") as content, h5py.File(content, "r") as file:  # so that HDF5 opens and locks nothing itself
            return read(_datasets(file))
    except UserError:
        raise
    except Exception as error:  # h5py raises of many kinds for a broken file
        if isinstance(error, OSError) and error.errno:
            raise UserError(f"{path} cannot be read ({error.strerror}).") from error
        raise UserError(f"{path} is not a whole HDF5 file of weights.") from error


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not (item.external or item.is_virtual):
            found[name] = item

    file.visititems(keep)  # which follows no links
    return found


def read_finite(path: Path, name: str, stored: h5py.Dataset) -> np.ndarray:
    """The values of an array as float32; raises `UserError` when one is not finite."""
    values = stored[()].astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{path} is damaged: its {name} holds values that are not finite.")
    return values
