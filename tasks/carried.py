"""The preparation settings that a trained model carries, so that new videos are prepared as its training data was."""

from pathlib import Path
from typing import Any

from fer_models.errors import UseError
from tasks.detectors import model_sha256
from tasks.settings import NEIGHBOURS, PrepareSettings

_SHA256 = "detector_sha256"


def carry_prepare(settings: PrepareSettings) -> dict[str, Any]:
    """What a model is given to carry: the settings, and where the detector's file lies and what it holds."""
    values = settings.model_dump(mode="json")
    if settings.detector_model:
        values["detector_model"] = str(settings.detector_model.absolute())
    return {**values, _SHA256: model_sha256(settings)}


def carried_prepare(values: dict[str, Any] | None, detector_model: Path | None = None) -> PrepareSettings:
    """The settings that a model carries.

    Args:
        values: from `carry_prepare`; a model that carries none was trained with the defaults of its time, and one
            without `pair` on neighbouring frames.
        detector_model: where the detector's file lies now, if not where it lay then.

    Raises:
        UseError: the detector's file is not there, or is not the one that the faces were found with.
    """
    values = {"pair": NEIGHBOURS, **(values or {})}
    wanted = values.pop(_SHA256, "")
    if detector_model:
        values["detector_model"] = detector_model
    settings = PrepareSettings.model_validate(values)
    path = settings.detector_model
    if wanted and not (path and path.is_file() and model_sha256(settings) == wanted):
        raise UseError(
            f"The faces that this model was trained on were found by {settings.detector} with a file that is not at "
            f"{str(path)!r} (SHA-256 {wanted[:12]}..); say where it is with --detector-model."
        )
    return settings
