"""Weights that others trained and that arms of a study begin with."""

from collections.abc import Sequence
from pathlib import Path

from fer_models.errors import UserError
from fer_models.models.arms import Arm
from fer_models.models.building import weights_of
from fer_models.models.lineage import Origin
from fer_models.settings import ModelSettings, TrainingSettings
from tasks.progress import echo
from tasks.storage.locations import local_path
from tasks.study.earlier_study import origin_of
from tasks.weights.cache import find, get, provenance
from tasks.weights.given import given_file
from tasks.weights.registry import WEIGHTS, get_record


def absent_weights(arm: Arm, settings: ModelSettings) -> list[str]:
    """Names of those that an arm begins with and that are not on this machine."""
    return [name for name in weights_of(arm, settings) if not (_given(name, settings) or find(name))]


def fetch_weights(arms: Sequence[Arm], settings: ModelSettings) -> None:
    """Fetch what is not on this machine; says which arms are left out because that was not possible.

    Raises:
        UserError: the settings name a file that is not there.
    """
    for name in dict.fromkeys(name for arm in arms for name in absent_weights(arm, settings)):
        try:
            get(name)
        except UserError as error:
            titles = ", ".join(arm.name for arm in arms if name in weights_of(arm, settings))
            echo(f"Left out: {titles}, for want of the weights {name}. {error}")


def weight_files(arm: Arm, settings: ModelSettings) -> dict[str, Path]:
    """The files of what an arm begins with, by name; raises `UserError` when one can't be had."""
    return {name: _given(name, settings) or get(name) for name in weights_of(arm, settings)}


def origins_of(training: TrainingSettings, settings: ModelSettings, arm: Arm) -> tuple[Origin, ...]:
    """Where the first weights of an arm come from, as far as they are not fresh; raises `UserError` as `provenance`.

    Args:
        training: as of `tasks.study.runs.own_training`.
    """
    origins = [provenance(_given(name, settings) or name) for name in weights_of(arm, settings)]
    if (named := training.initial_weights) is not None and not arm.is_solved:
        known = provenance(named)
        origins.append(known if named in WEIGHTS else origin_of(local_path(named), known))
    return tuple(origins)


def weights_part(arm: Arm, settings: ModelSettings) -> list[str]:
    """What a run's name says of them: what the content of each is known by."""
    files = {name: _given(name, settings) for name in weights_of(arm, settings)}
    return [provenance(file).sha256 if file else get_record(name).checksum for name, file in files.items()]


def _given(name: str, settings: ModelSettings) -> Path | None:
    """The user's file of some weights; raises `UserError` as `given_file`."""
    return given_file(get_record(name), settings.backbone_weights)
