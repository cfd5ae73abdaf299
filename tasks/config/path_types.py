"""Types of settings that are paths."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, SerializationInfo, ValidatorFunctionWrapHandler, WrapValidator

from fer_models.errors import UserError
from tasks.storage.locations import as_remote, is_location, local_path, read_location


def _from_home(path: Path) -> Path:
    try:
        return local_path(path)
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from error


#: A path of this machine, `~` for the home folder.
LocalPath = Annotated[Path, AfterValidator(_from_home)]


def _read_location(value: Any, as_path: ValidatorFunctionWrapHandler) -> Path:
    if not (isinstance(value, str) or is_location(value)):
        return as_path(value)
    try:
        place = read_location(str(value))
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return place if as_remote(place) else as_path(place)


def _write_location(place: Path, info: SerializationInfo) -> Any:
    return str(place) if info.mode == "json" else place


#: A local path, or a URL of an object store (`tasks.storage.locations`); a string in JSON and YAML.
DataPath = Annotated[Path, WrapValidator(_read_location), PlainSerializer(_write_location)]
