"""Weights that others trained and that arms of a study begin with."""

from collections.abc import Sequence
from pathlib import Path

from fer_models.errors import UserError
from fer_models.models.arms import Arm
from fer_models.models.building import weights_of
from fer_models.models.lineage import Origin
from fer_models.settings import TrainingSettings
from tasks.progress import echo
from tasks.storage.locations import local_path
from tasks.study.earlier_study import origin_of
from tasks.weights.cache import find, get, provenance
from tasks.weights.registry import WEIGHTS, get_record


def absent_weights(arm: Arm) -> list[str]:
    """Names of those that an arm begins with and that are not on this machine."""
    return [name for name in weights_of(arm) if find(name) is None]


def fetch_weights(arms: Sequence[Arm]) -> None:
    """Fetch what is not on this machine; says which arms are left out because that was not possible."""
    for name in dict.fromkeys(name for arm in arms for name in absent_weights(arm)):
        try:
            get(name)
        except UserError as error:
            titles = ", ".join(arm.name for arm in arms if name in weights_of(arm))
            echo(f"Left out: {titles}, for want of the weights {name}. {error}")


def weight_files(arm: Arm) -> dict[str, Path]:
    """The files of what an arm begins with, by name; raises `UserError` when one can't be had."""
    return {name: get(name) for name in weights_of(arm)}


def origins_of(training: TrainingSettings, arm: Arm) -> tuple[Origin, ...]:
    """Where the first weights of an arm come from, as far as they are not fresh; raises `UserError` as `provenance`.

    Args:
        training: as of `tasks.study.runs.own_training`.
    """
    origins = [provenance(name) for name in weights_of(arm)]
    if (named := training.initial_weights) is not None and not arm.is_solved:
        known = provenance(named)
        origins.append(known if named in WEIGHTS else origin_of(local_path(named), known))
    return tuple(origins)


def weights_part(arm: Arm) -> list[str]:
    """What a run's name says of them: the SHA-256 of each."""
    return [get_record(name).sha256 for name in weights_of(arm)]
