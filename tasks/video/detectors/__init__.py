"""Face detectors: one file each, and one shape, `tasks.video.detectors.detector.Detector`.

A detector comes from a function `load(model: Path | None) -> Detector`. A new one is a new file and one line here.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fer_models.errors import UseError
from tasks.config.settings import PrepareSettings
from tasks.video.detectors import haar, yunet
from tasks.video.detectors.detector import Detector

DETECTORS: dict[str, Callable[[Path | None], Detector]] = {"haar": haar.load, "yunet": yunet.load}


def load_detector(settings: PrepareSettings) -> Detector:
    """The detector that the settings name, ready for this thread.

    Raises:
        UseError: its model file is not there, or is none of its models.
    """
    return DETECTORS[settings.detector](model_file(settings))


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
