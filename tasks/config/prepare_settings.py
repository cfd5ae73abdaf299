"""Settings of the preparation of videos."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from fer_models.settings import PositiveInt, Settings
from fer_models.windows import Windows
from tasks.config.path_types import LocalPath
from tasks.config.registries import DETECTORS, WITH_EYES, WITH_MODEL_FILE, one_of

#: No second detector confirms the faces.
NOBODY = "none"
#: The two frames of a pair are neighbours in the file, as in the published study, whatever the time between them.
NEIGHBOURS = "neighbours"
#: There are no pairs: no motion is computed, and none is stored.
NO_MOTION = "none"
#: They are the first and the last frame of the segment: onset and apex, where the corpus is cut so.
FIRST_LAST = "first_last"


def _read_pair(value: Any) -> Any:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    if not is_time and value not in (NEIGHBOURS, FIRST_LAST, NO_MOTION):
        raise ValueError(
            "it should be a time in seconds, above 0 and at most 1 such as 0.0333, or "
            f"{NEIGHBOURS}, {FIRST_LAST} or {NO_MOTION}"
        )
    return value


class PrepareSettings(Settings):
    """What determines the content of a shard; its digest names the folder of the shards."""

    segment_length: PositiveInt = Field(16, description="frames from the first of a segment to its last")
    segment_stride: PositiveInt = Field(16, description="frames from one segment's start to the next")
    frames_per_segment: PositiveInt = Field(
        1,
        description="frames of a segment that are kept, evenly spaced from its first on, each with the motion to a "
        "later one: 1 for models of single frames, more for those of sequences. Segments that overlap share them",
    )
    min_covered_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of the kept frames of a segment that must show the face; the others repeat the nearest",
    )
    pair: Annotated[float | Literal["neighbours", "first_last", "none"], BeforeValidator(_read_pair)] = Field(
        1 / 30,
        validate_default=True,
        description="seconds between the two frames of a pair: the second is the frame nearest to that time with "
        "another picture, and motion is scaled to 1/30 s. `neighbours`: the next frame of the file; px per frame. "
        "`first_last`: the segment's last frame; px from the first to it. `none`: no motion is computed or stored",
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
    flow_method: Literal["farneback", "dis"] = Field(
        "farneback", description="how optical flow is computed: Farneback 2003, or DIS (Kroeger et al. 2016)"
    )
    align: Literal["none", "eyes"] = Field(
        "none",
        description="`eyes`: both crops of a pair are turned alike so that the eyes are level; needs a detector that "
        f"says where they are: {', '.join(WITH_EYES)}",
    )
    scene_cuts: Literal["ignore", "split"] = Field(
        "ignore",
        description="`split`: at a hard cut the face is searched anew, and no pair is taken from both sides of it",
    )

    @field_validator("frames_per_segment")
    @classmethod
    def _within_the_segment(cls, frames: int, others: ValidationInfo) -> int:
        if frames > (length := others.data.get("segment_length", frames)):
            raise ValueError(f"a segment has {length} frames (prepare.segment_length), so it can be {length} at most")
        return frames

    @field_validator("pair")
    @classmethod
    def _fits_the_segment(cls, pair: float | str, others: ValidationInfo) -> float | str:
        if pair == FIRST_LAST and others.data.get("frames_per_segment", 1) > 1:
            raise ValueError(f"{FIRST_LAST} is for segments of one kept frame; take a time or {NEIGHBOURS}")
        if pair != NO_MOTION and others.data.get("segment_length") == 1:
            raise ValueError(
                f"a segment of one frame (prepare.segment_length) has no motion: take {NO_MOTION}, or 2 frames or more"
            )
        return pair

    @field_validator("face")
    @classmethod
    def _is_of_a_pair(cls, face: str, others: ValidationInfo) -> str:
        if face == "last" and (others.data.get("frames_per_segment", 1) > 1 or others.data.get("pair") == NO_MOTION):
            raise ValueError("the last frame of a pair can be stored where a segment has one pair; take first")
        return face

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
    def windows(self) -> Windows:
        """Which frames of a video its segments are made of."""
        return Windows(self.segment_length, self.segment_stride, self.frames_per_segment, self.min_covered_share)

    @property
    def has_optical_flow(self) -> bool:
        """Whether motion is computed and stored."""
        return self.pair != NO_MOTION

    @property
    def pair_s(self) -> float | None:
        """The wanted time between the two frames of a pair; None where frames are counted and motion is not scaled."""
        return None if isinstance(self.pair, str) else self.pair

    def anywhere(self) -> "PrepareSettings":
        """The same for processes that work in another folder: with the absolute path of the model file."""
        return self.model_copy(update={"detector_model": self.detector_model and self.detector_model.absolute()})
