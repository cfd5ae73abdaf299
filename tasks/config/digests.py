"""Digests: twelve digits that name what settings produce, and the version numbers that are part of them.

The values of the versions name folders of shards that exist: raise one only when the same settings give other shards.
"""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel

from fer_models.errors import UseError
from tasks.config.settings import PrepareSettings

#: Raised when the meaning of a shard's column changes; part of the preparation digest.
SCHEMA_VERSION = 2
#: Raised when the same settings give other shards than before; part of the preparation digest.
CODE_VERSION = 4


def digest(*parts: BaseModel | dict[str, object] | str) -> str:
    """Twelve hexadecimal digits that change when any of the parts does."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def prepare_digest(settings: PrepareSettings) -> str:
    """Names the folder of the shards that these settings give, wherever the detector's model lies.

    Raises:
        UseError: the detector needs a model file that is not there.
    """
    versions = {"schema": SCHEMA_VERSION, "code": CODE_VERSION, "detector_model": model_sha256(settings)}
    return digest(settings.model_copy(update={"detector_model": None}), versions)


def model_file(settings: PrepareSettings) -> Path | None:
    """The file that the detector needs, `None` for one that needs none.

    Raises:
        UseError: it is not there.
    """
    if settings.detector == "haar":
        return None
    path = settings.detector_model
    if path is None or not path.is_file():
        raise UseError(
            f"There is no model of the detector {settings.detector} at {str(path or '')!r}; set prepare.detector_model "
            "to its ONNX file, or prepare.detector to haar."
        )
    return path


def model_sha256(settings: PrepareSettings) -> str:
    """Names the content of the file that the detector needs; empty for one that needs none. Raises as `model_file`."""
    path = model_file(settings)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
