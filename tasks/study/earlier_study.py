"""A study's folder as the source of first weights: which of its models an arm of another study begins with.

That of the same arm, where the study trained it and it fits, else that of its best arm that fits. An arm is as good as
the mean validation UAR of its runs, over seeds and folds; of its runs the one with the highest is taken. Test scores
have no say, though the report's best arm is the one with the highest: they would let people choose a model who are not
among those whom it says that it saw, so that nobody could find them among the test people of the other study.

Of the runs of one arm, seed and fold the one that was trained last counts. What is solved for gives no weights, and
neither do ensembles, whose members do.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from fer_models.errors import UserError
from fer_models.models.arms import ARMS, get_arm
from fer_models.models.building import build_model
from fer_models.models.initial_weights import begin_with, read_weights
from fer_models.models.lineage import Origin
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings
from tasks.storage.files import is_whole
from tasks.study.checkpoints import MODEL_FILE, SETTINGS_FILE, read_progress
from tasks.study.run_names import RunName, read_run_name

_RUNS = "runs"


@dataclass(frozen=True)
class EarlierRun:
    """A trained run of the other study.

    Args:
        validation_uar: at the epoch that became the model.
    """

    name: RunName
    model: Path
    validation_uar: float


def earlier_runs(study: Path) -> tuple[EarlierRun, ...]:
    """The trained runs of a study whose models have weights to give: of each arm, seed and fold the last one.

    Raises:
        UserError: the folder is no study's, or the study has no such run.
    """
    if not (study / _RUNS).is_dir():
        raise UserError(
            f"{study} is a folder, and not that of a study; training.initial_weights takes one such as "
            "<data_root>/studies/<name>, a model.keras or a file of weights."
        )
    models = sorted(study.glob(f"{_RUNS}/*/{MODEL_FILE}"))
    found = _read_runs(tuple(models), tuple(path.stat().st_mtime_ns for path in models))
    if not found:
        raise UserError(f"The study {study} has no trained model to begin with; run `fer study` for it first.")
    return found


@functools.lru_cache(maxsize=8)
def _read_runs(models: tuple[Path, ...], trained_ns: tuple[int, ...]) -> tuple[EarlierRun, ...]:
    """Those of saved models that were written at these times; every arm of a study asks for the same."""
    last: dict[RunName, EarlierRun] = {}
    for _, model in sorted(zip(trained_ns, models, strict=True)):
        name = read_run_name(model.parent.name)
        arm = ARMS.get(_plain(name.arm)) if name else None
        progress = read_progress(model.parent) if arm and not arm.is_solved and is_whole(model) else None
        if name and progress:
            last[name] = EarlierRun(name, model, progress.history[progress.best_epoch - 1].val_uar)
    return tuple(last.values())


def in_order(runs: Sequence[EarlierRun], arm: str) -> list[EarlierRun]:
    """The best run of each arm, in the order in which an arm of another study would begin with them."""
    of_arms = {name: [run for run in runs if run.name.arm == name] for name in (run.name.arm for run in runs)}

    def preference(name: str) -> tuple[bool, bool, float]:
        return name == arm, _plain(name) == _plain(arm), fmean(run.validation_uar for run in of_arms[name])

    ordered = sorted(of_arms, key=preference, reverse=True)
    return [max(of_arms[name], key=lambda run: run.validation_uar) for name in ordered]


def choose_model(
    study: Path, arm: str, settings: ModelSettings, labels: tuple[str, ...], shape: SegmentShape
) -> Path | None:
    """The saved model that an arm of another study begins with; None when none fits.

    One fits when a layer below the head agrees by its name and its weights' shapes.

    Args:
        settings, labels, shape: what the arm's models are built with there.

    Raises:
        UserError: as `earlier_runs`.
    """
    return _choose_model(earlier_runs(study), arm, settings, labels, shape)


@functools.lru_cache(maxsize=256)
def _choose_model(
    runs: tuple[EarlierRun, ...], arm: str, settings: ModelSettings, labels: tuple[str, ...], shape: SegmentShape
) -> Path | None:
    model = build_model(get_arm(arm), settings, labels, shape=shape)
    for run in in_order(runs, arm):
        transfers = begin_with(model, read_weights(run.model), fresh_head=True)
        if any(one.outcome == "taken" for one in transfers):
            return run.model
    return None


def origin_of(model: Path, known: Origin) -> Origin:
    """What is known of a saved model, with the study that it is of when it lies in that study's folder."""
    recorded = _recorded(model)
    if model.parent.parent.name != _RUNS or not recorded:
        return known
    study = model.parents[2].name
    told = f"the training and validation people of the study {study} ({recorded['corpus']['adapter']})"
    return known.model_copy(update={"name": f"{study}/{model.parent.name}", "trained_on": told})


def form_of(study: Path) -> str:
    """How the models of a study are built, as settings; raises as `earlier_runs`."""
    found = [recorded["model"] for run in earlier_runs(study) if (recorded := _recorded(run.model))]
    return ", ".join(f"model.{name}={found[0][name]}" for name in ("form", "width")) if found else "other settings"


def _recorded(model: Path) -> dict[str, Any]:
    """The settings of the study that stand beside a saved model; empty where there are none."""
    try:
        recorded: dict[str, Any] = json.loads((model.parent / SETTINGS_FILE).read_text(encoding="utf-8"))
        {"form", "width"} & recorded["model"].keys(), recorded["corpus"]["adapter"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):  # edited by somebody
        return {}
    return recorded


def _plain(arm: str) -> str:
    """The name of an arm without its treatment, which changes no layer."""
    return arm.partition("+")[0]
