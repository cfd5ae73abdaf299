"""What a trained model carries of its preparation, so that new videos are prepared as its training data was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fer_models.errors import UserError
from tasks.config.digests import model_sha256
from tasks.config.prepare_settings import NEIGHBOURS, NOBODY, PrepareSettings
from tasks.escaping import shortened

_SHA256, _CROPS = "detector_sha256", "crops"
#: A frame so many times larger than those of the training, or of a shape so many times another, is no crop like them.
_LARGER, _OTHER_SHAPE = 4.0, 1.25


class Crops(BaseModel):
    """The frames of a training on face crops; by default those that crops of earlier models may have been.

    Args:
        max_side_px: longer side of the largest.
        min_aspect, max_aspect: width over height, of the narrowest and of the widest.
    """

    max_side_px: int = 64
    min_aspect: float = 0.8
    max_aspect: float = 1.25

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]]) -> "Crops":
        """Those of frames with these widths and heights in px."""
        aspects = [width / height for width, height in sizes]
        return cls(max_side_px=max(map(max, sizes)), min_aspect=min(aspects), max_aspect=max(aspects))

    def may_hold(self, width: int, height: int) -> bool:
        """Whether a frame can be a crop like them; else it is taken for a scene in which a face has to be found."""
        fits = self.min_aspect / _OTHER_SHAPE <= width / height <= self.max_aspect * _OTHER_SHAPE
        return fits and max(width, height) <= _LARGER * self.max_side_px


def carry_prepare(settings: PrepareSettings, crops: Crops | None = None) -> dict[str, Any]:
    """What a model is given to carry: the settings, where the detector's file lies and what it holds, and the crops."""
    values = settings.model_dump(mode="json")
    if settings.detector_model:
        values["detector_model"] = str(settings.detector_model.absolute())
    if crops:
        values[_CROPS] = crops.model_dump()
    return {**values, _SHA256: model_sha256(settings)}


def carried_crops(values: dict[str, Any] | None) -> Crops:
    """The crops that a model was trained on, as far as it carries them."""
    try:
        return Crops.model_validate(_known(values).get(_CROPS, {}))
    except ValidationError as error:
        raise UserError(_of_no_version(error)) from error


def _known(values: object) -> dict[str, Any]:
    if not isinstance(values, dict | None):
        raise UserError(f"The model carries a preparation that is none ({shortened(values)}); take one nobody edited.")
    return values or {}


def _of_no_version(error: ValidationError) -> str:
    place = ".".join(map(str, error.errors()[0]["loc"]))
    return (
        f"The model carries a preparation that this version does not know, at {place[:80]!r}; ask it with the version "
        "that trained it, or take a model.keras that nobody edited."
    )


def carried_prepare(values: dict[str, Any] | None, detector_model: Path | None = None) -> PrepareSettings:
    """The settings that a model carries.

    Args:
        values: from `carry_prepare`; a model that carries none was trained with the defaults of its time, and one
            without `pair` on neighbouring frames.
        detector_model: where the detector's file lies now, if not where it lay then.

    Raises:
        UserError: the detector's file is not there, or is not the one that the faces were found with; or the values are
            of no settings.
    """
    values = {"pair": NEIGHBOURS, **_known(values)}
    wanted = str(values.pop(_SHA256, ""))
    values.pop(_CROPS, None)
    if detector_model:
        values["detector_model"] = detector_model
    try:
        settings = PrepareSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(_of_no_version(error)) from error
    if wanted and not _finds_with(wanted, settings):
        finders = settings.detector if settings.confirm == NOBODY else f"{settings.detector} and {settings.confirm}"
        raise UserError(
            f"The faces that this model was trained on were found by {finders} with a file that is not at "
            f"{str(settings.detector_model or '')!r} (SHA-256 {wanted[:12]}..); say where it is with --detector-model."
        )
    return settings


def _finds_with(sha256: str, settings: PrepareSettings) -> bool:
    """Whether the detector's files are those; raises `UserError` where they can be fetched and are not there."""
    try:
        return model_sha256(settings) == sha256
    except UserError:
        if settings.detector_model is None:
            raise
        return False
