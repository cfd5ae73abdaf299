"""Digests: twelve digits that name what settings produce, and the version numbers that are part of them.

The values of the versions name folders of shards that exist: raise one only when the same settings give other shards.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fer_models.errors import UserError
from fer_models.models.arms import former_name
from fer_models.settings import ModelSettings, Settings, TrainingSettings
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.registries import WITH_MODEL_FILE, WITH_WEIGHTS
from tasks.config.settings import StudySettings
from tasks.storage.locations import local_path
from tasks.weights.cache import cache_folder, find, provenance
from tasks.weights.given import given_content, is_path
from tasks.weights.registry import get_record

#: Raised when the meaning of a shard's column changes; part of the preparation digest.
SCHEMA_VERSION = 2
#: Raised when the same settings give other shards than before; part of the preparation digest.
CODE_VERSION = 4


def digest(*parts: BaseModel | dict[str, Any] | str) -> str:
    """Twelve hexadecimal digits that change when any of the parts does."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


#: Settings that change no result.
_WITHOUT_EFFECT = ("block_mb",)
#: Settings that came after version 0.1, by the group that they are in.
_LATER: dict[str, tuple[str, ...]] = {
    "PrepareSettings": (
        "frames_per_segment",
        "min_covered_share",
        "face",
        "face_size_px",
        "confirm",
        "align",
        "scene_cuts",
    ),
    "ModelSettings": (
        "views",
        "head_motion",
        "optical_flow_quantile",
        "backbone_width",
        "backbone_weights",
        "unfreeze_from",
        "video_classifier",
    ),
    "TrainingSettings": (
        "steps",
        "optimizer",
        "weight_decay",
        "ema",
        "choose",
        "refit",
        "initial_weights",
        "pretrained",
        "pretrained_warmup",
        "pretrained_rate",
        "freeze",
        "label_smoothing",
        "mixup",
        "cutmix",
        "engine",
        "data_parallel",
    ),
    "AugmentationSettings": ("gamma", "erasing"),
    "StudySettings": ("ensemble", "training_of_family"),
}


def _values(settings: Settings) -> dict[str, Any]:
    """The values of a group, without those that came later and have their default, which changes nothing."""
    return _without_defaults(settings, settings.model_dump(mode="json"))


def _without_defaults(settings: Settings, values: dict[str, Any]) -> dict[str, Any]:
    for name in _LATER.get(type(settings).__name__, ()):
        if values[name] == type(settings).model_fields[name].default:
            del values[name]
    return {name: value for name, value in values.items() if name not in _WITHOUT_EFFECT}


def prepare_part(settings: PrepareSettings) -> dict[str, Any]:
    """Preparation settings as digests spell them. Digests name what exists, so their spelling never changes:

    what settings were called in version 0.1 they are called here still, and what came later with a default that changes
    nothing is left out while it has that default.
    """
    return _values(settings)


def model_part(settings: ModelSettings) -> dict[str, Any]:
    """Model settings in the same spelling; of published weights that the user has the content counts.

    Raises:
        UserError: they are not there.
    """
    values = _values(settings) | {"form": "study" if settings.form == "published" else settings.form}
    if is_path(settings.backbone_weights):
        values["backbone_weights"] = given_content(settings.backbone_weights)
    return values


def training_part(settings: TrainingSettings) -> dict[str, Any]:
    """Training settings in the same spelling; of initial weights the content counts, wherever they lie.

    Of a study's folder its runs count, whose names hold all that decides their models.

    Raises:
        UserError: there are no such weights.
    """
    values = _values(settings)
    if settings.initial_weights is not None:
        folder = local_path(settings.initial_weights)
        models = sorted(path.parent.name for path in folder.glob("runs/*/model.keras"))
        values["initial_weights"] = models if folder.is_dir() else provenance(settings.initial_weights).sha256
    values["augmentation"] = settings.augmentation and _values(settings.augmentation)
    values["imbalance"] = values.pop("treatment")
    return values


def study_part(settings: StudySettings) -> dict[str, Any]:
    """All settings that can change a result, in the same spelling."""
    decisive = settings.result_settings()
    parts = {
        "model": model_part(settings.model),
        "training": training_part(settings.training),
        "prepare": {name: value for name, value in prepare_part(settings.prepare).items() if name != "detector_model"},
        "corpus": {"subsets": ["s"], **decisive["corpus"]},
        "arms": [former_name(arm) for arm in settings.arms],
    }
    return _without_defaults(settings, decisive) | parts


def prepare_digest(settings: PrepareSettings) -> str:
    """Names the folder of the shards that these settings give, wherever the detector's model lies.

    Raises:
        UserError: the detector needs a model file that is not there.
    """
    versions = {"schema": SCHEMA_VERSION, "code": CODE_VERSION, "detector_model": model_sha256(settings)}
    return digest(prepare_part(settings) | {"detector_model": None}, versions)


def model_files(detector: str, settings: PrepareSettings) -> tuple[Path, ...]:
    """The files that a detector of the settings needs, in the order in which it takes them.

    Raises:
        UserError: one is not there.
    """
    given = settings.detector_model
    if detector in WITH_MODEL_FILE:
        if given is None or not given.is_file():
            raise UserError(
                f"There is no model of the detector {detector} at {str(given or '')!r}; set prepare.detector_model "
                "to its ONNX file, or prepare.detector to haar."
            )
        return (given,)
    if WITH_MODEL_FILE.intersection((settings.detector, settings.confirm)):
        given = None  # it is the other detector's
    return tuple(_weights_file(name, detector, given) for name in WITH_WEIGHTS.get(detector, ()))


def _weights_file(name: str, detector: str, folder: Path | None) -> Path:
    """A file of published weights: in a folder of the user's under either of its names, else where they are cached."""
    if folder is None:
        path, place = find(name), f"in {cache_folder()}; `fer weights get {name}` fetches them"
    else:
        record = get_record(name)
        there = [folder / file for file in (record.file_name, record.published_name) if (folder / file).is_file()]
        path = there[0] if there else None
        place = f"in {str(folder)!r} as {record.published_name}; without prepare.detector_model those count that "
        place += "`fer weights get` fetches"
    if path is None:
        raise UserError(f"The weights {name} of the detector {detector} are not {place}.")
    return path


def model_sha256(settings: PrepareSettings) -> str:
    """Names the content of the files that the detectors need; empty without any. Raises as `model_files`."""
    files = [path for name in (settings.detector, settings.confirm) for path in model_files(name, settings)]
    return "+".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
