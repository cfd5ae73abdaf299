"""First weights of a run out of those of an earlier one, of a study, or of any file: `training.initial_weights`.

Leaves a table of what became of each weight in the run's folder.
"""

from collections import Counter
from pathlib import Path

import keras
import pandas as pd

from fer_models.errors import UserError
from fer_models.models.arms import Arm, member_name
from fer_models.models.building import needs_of
from fer_models.models.initial_weights import StoredWeights, Transfer, begin_with, hold_taken, read_weights
from fer_models.settings import TrainingSettings
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.progress import echo
from tasks.storage.locations import as_remote, local_path
from tasks.storage.spreadsheets import write_csv
from tasks.study.earlier_study import choose_model, form_of
from tasks.study.needs import shape_of
from tasks.weights.cache import get, provenance
from tasks.weights.registry import WEIGHTS

TRANSFERS_FILE = "initial_weights.csv"


def first_weights(settings: StudySettings, arm: Arm) -> str | None:
    """What an arm begins with, by name or path as in the settings: of a study's folder its model (`choose_model`).

    None when it begins fresh: without any, and where a study's folder has none for it.

    Raises:
        UserError: the folder is that of no study, or of one without trained models.
    """
    named = settings.training.initial_weights
    if named is None or not _is_folder(named):
        return named
    shape = shape_of(settings)
    if arm.is_solved or not shape.offers(needs_of(arm)):
        return None
    name = member_name(arm) if arm.num_members else arm.name
    model = choose_model(local_path(named), name, settings.model, settings.corpus.emotions, shape)
    return str(model) if model else None


def check_first_weights(settings: StudySettings) -> None:
    """Raise `UserError` when the initial weights cannot be had, or a study's folder has some that fit no arm."""
    named = settings.training.initial_weights
    if named is None:
        return
    if not _is_folder(named):
        provenance(named)
        return
    own = Layout.of(settings).study
    if not as_remote(own) and local_path(named).resolve() == own.resolve():
        raise UserError("A study cannot begin with models of its own; give the new one another name.")
    arms = [arm for arm in settings.all_arms() if not arm.is_solved]
    if arms and not any(first_weights(settings, arm) for arm in arms):
        raise UserError(
            f"No arm of this study can begin with a model of {named}, for no layer below the head agrees by name and "
            f"shape; those models were built with {form_of(local_path(named))}."
        )


def saved_models(settings: StudySettings) -> dict[Path, list[str]]:
    """The models that arms of a study begin with, and the names of those arms. Raises as `first_weights`."""
    found: dict[Path, list[str]] = {}
    for arm in settings.all_arms():
        named = None if arm.is_solved or arm.num_members else first_weights(settings, arm)
        if named and named not in WEIGHTS and local_path(named).suffix == ".keras":
            found.setdefault(local_path(named), []).append(arm.name)
    return found


def _is_folder(named: str) -> bool:
    return named not in WEIGHTS and local_path(named).is_dir()


def initial_weights(training: TrainingSettings, arm: Arm) -> StoredWeights | None:
    """What an arm's training begins with; None without any, and for an arm whose features are fixed.

    Args:
        training: as of `tasks.study.runs.own_training`.

    Raises:
        UserError: the file can't be had or read.
    """
    if training.initial_weights is None or arm.is_solved:
        return None
    return read_weights(weights_path(training.initial_weights))


def weights_path(name_or_path: str) -> Path:
    """The file of that name of the registry, which is fetched if need be, or at that path."""
    return get(name_or_path) if name_or_path in WEIGHTS else local_path(name_or_path)


def give_initial_weights(
    model: keras.Model, stored: StoredWeights, training: TrainingSettings, run_name: str, folder: Path
) -> None:
    """Give a fresh model what agrees, and leave the table of it in the run's folder.

    Raises:
        UserError: nothing agrees.
    """
    holds = training.freeze != "none"
    transfers = begin_with(model, stored, fresh_head=holds)
    if holds:
        hold_taken(model, transfers)
    counts = Counter(one.outcome for one in transfers)
    if not counts["taken"]:
        raise UserError(
            f"{run_name} cannot begin with {training.initial_weights}: none of its {len(stored.arrays)} weights fits a "
            "layer of this arm by name and shape; choose arms that it fits, or leave training.initial_weights out."
        )
    if not (folder / TRANSFERS_FILE).is_file():  # else it is the second training, of a refit
        others = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if outcome != "taken")
        told = f"{run_name} begins with {counts['taken']} weights of {training.initial_weights}"
        echo(told + (f" ({others})" if others else "") + ".")
        write_csv(folder / TRANSFERS_FILE, pd.DataFrame([_row(one) for one in transfers]))


def _row(one: Transfer) -> dict[str, str]:
    def text(shape: tuple[int, ...] | None) -> str:
        return "" if shape is None else "x".join(map(str, shape)) or "1"

    return {
        "weight": one.weight,
        "outcome": one.outcome,
        "shape": text(one.shape),
        "stored_shape": text(one.stored_shape),
    }


def count_taken(folder: Path) -> tuple[int, int] | None:
    """How many of a run's weights were taken, and how many its model has; None when it began with fresh ones."""
    path = folder / TRANSFERS_FILE
    if not path.is_file():
        return None
    outcomes = pd.read_csv(path)["outcome"]
    return int((outcomes == "taken").sum()), int((outcomes != "not in the model").sum())
