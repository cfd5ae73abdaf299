"""Settings of the preparation of videos."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from fer_models.settings import PositiveInt, Settings
from tasks.config.path_types import LocalPath
from tasks.config.registries import DETECTORS, WITH_EYES, WITH_MODEL_FILE, one_of

#: No second detector confirms the faces.
NOBODY = "none"
#: The two frames of a pair are neighbours in the file, as in the published study, whatever the time between them.
NEIGHBOURS = "neighbours"
#: They are the first and the last frame of the segment: onset and apex, where the corpus is cut so.
FIRST_LAST = "first_last"


def _read_pair(value: Any) -> Any:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    if not is_time and value not in (NEIGHBOURS, FIRST_LAST):
        raise ValueError(
            f"it should be a time in seconds, above 0 and at most 1 such as 0.0333, or {NEIGHBOURS}, or {FIRST_LAST}"
        )
    return value


class PrepareSettings(Settings):
    """What determines the content of a shard; its digest names the folder of the shards."""

    segment_length: int = Field(
        16, ge=2, description="frames in a segment; a pair of them is used: the first and a later one"
    )
    segment_stride: PositiveInt = Field(16, description="frames from one segment's start to the next")
    pair: Annotated[float | Literal["neighbours", "first_last"], BeforeValidator(_read_pair)] = Field(
        1 / 30,
        description="seconds between the two frames of a pair: the second is the frame nearest to that time with "
        "another picture, and motion is scaled to 1/30 s. `neighbours`: the next frame of the file; px per frame. "
        "`first_last`: the segment's last frame; px from the first to it",
    )
    face: Literal["first", "last"] = Field(
        "first", description="the frame of the pair whose face is stored, with the motion that begins or ends there"
    )
    face_size_px: int = Field(
        48, ge=48, le=224, description="side of the stored face crops and of their optical flow, in px"
    )
    min_face_px: int = Field(48, ge=24, description="smaller faces are not used")
    precropped: bool = Field(False, description="frames are face crops already, and each is used whole")
    detector: Annotated[str, AfterValidator(one_of(DETECTORS, "detector"))] = Field(
        "haar", description=f"what finds the faces: {', '.join(DETECTORS)}"
    )
    confirm: Annotated[str, AfterValidator(one_of({NOBODY: "", **DETECTORS}, "detector"))] = Field(
        NOBODY,
        description="another detector that confirms faces, when they are found and every 12 frames; what it does not "
        f"see is not used: {NOBODY}, {', '.join(DETECTORS)}",
    )
    detector_model: LocalPath | None = Field(
        None,
        validate_default=True,
        description="`yunet`: its ONNX file; `blazeface`: a folder with its two TFLite files, by default those that "
        "`fer weights get` fetches. Only their content matters, not where they lie",
    )
    flow_method: Literal["farneback", "dis"] = "farneback"
    align: Literal["none", "eyes"] = Field(
        "none",
        description="`eyes`: both crops of a pair are turned alike so that the eyes are level; needs a detector that "
        f"says where they are: {', '.join(WITH_EYES)}",
    )
    scene_cuts: Literal["ignore", "split"] = Field(
        "ignore",
        description="`split`: at a hard cut the face is searched anew, and no pair is taken from both sides of it",
    )

    @field_validator("detector_model")
    @classmethod
    def _given_where_needed(cls, model: Path | None, others: ValidationInfo) -> Path | None:
        for detector in (others.data.get("detector"), others.data.get("confirm")):
            if detector in WITH_MODEL_FILE and model is None:
                raise ValueError(f"detector {detector} needs its ONNX file")
        return model

    @field_validator("confirm")
    @classmethod
    def _is_another(cls, detector: str, others: ValidationInfo) -> str:
        if detector == others.data.get("detector"):
            raise ValueError(f"{detector} finds the faces already; a second opinion is that of another detector")
        return detector

    @field_validator("align")
    @classmethod
    def _where_eyes_are_known(cls, align: str, others: ValidationInfo) -> str:
        detector = others.data.get("detector")
        if align == "eyes" and others.data.get("precropped"):
            raise ValueError("precropped frames are used as they are, and no eyes are looked for; take none")
        if align == "eyes" and detector not in (None, *WITH_EYES):
            raise ValueError(f"detector {detector} does not say where the eyes are; {' and '.join(WITH_EYES)} do")
        return align

    @property
    def pair_s(self) -> float | None:
        """The wanted time between the two frames of a pair; None where frames are counted and motion is not scaled."""
        return None if isinstance(self.pair, str) else self.pair

    def anywhere(self) -> "PrepareSettings":
        """The same for processes that work in another folder: with the absolute path of the model file."""
        return self.model_copy(update={"detector_model": self.detector_model and self.detector_model.absolute()})
