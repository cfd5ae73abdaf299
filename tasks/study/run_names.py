"""What the folders of a study's runs are called: the arm, the fold where there are several, the seed, and a digest."""

import re
from typing import NamedTuple

from fer_models.models.arms import former_name, present_name

_NAME = re.compile(r"(?P<arm>.+?)-(?:fold(?P<fold>\d+)-)?seed(?P<seed>-?\d+)-[0-9a-f]{12}")


class RunName(NamedTuple):
    """What the name of a run's folder tells; `fold` is None in a study of one fold."""

    arm: str
    seed: int
    fold: int | None


def run_folder_name(arm: str, seed: int, fold: int | None, digits: str) -> str:
    """The name of the folder of a run that is no ensemble's; arms have their first names there, so that runs last."""
    part = "" if fold is None else f"fold{fold}-"
    return f"{former_name(arm)}-{part}seed{seed}-{digits}"


def read_run_name(folder: str) -> RunName | None:
    """What a folder's name tells; None for one of an ensemble, or of something else."""
    match = _NAME.fullmatch(folder)
    if not match:
        return None
    fold = match["fold"]
    return RunName(present_name(match["arm"]), int(match["seed"]), None if fold is None else int(fold))
