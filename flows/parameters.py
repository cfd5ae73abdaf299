"""What all flows share: their parameters, and names for their runs."""

from collections.abc import Callable
from typing import Any, Literal

from prefect.runtime import flow_run

from fer_models.errors import FerError
from tasks.config.presets import FORMER_PRESETS, PRESETS
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings

AS_CONFIGURED = "as configured"
#: A preset, or the word for none of them, as forms offer them; former names for what was set up with them.
Preset = Literal[(AS_CONFIGURED, *PRESETS, *FORMER_PRESETS)]  # type: ignore[valid-type]
#: Where training runs: in the flow's own process, or each run as a run of the deployment `fer-train/gpu`.
TrainOn = Literal["here", "workers"]
Overrides = dict[str, Any]
NO_OVERRIDES: Overrides = {}


def settings_of(preset: Preset, config: str, overrides: Overrides) -> StudySettings:
    """The settings that a flow's parameters mean; raises `UserError` when they mean none."""
    return resolve_settings(None if preset == AS_CONFIGURED else preset, config or None, overrides)


def run_name(verb: str) -> Callable[[], str]:
    """Names flow runs, such as `prepare my-study`, or `train gap-sum, seed 1 (my-study)`."""

    def name() -> str:
        given: dict[str, Any] = flow_run.parameters
        try:
            study = settings_of(
                given.get("preset", AS_CONFIGURED), given.get("config", ""), given.get("overrides", NO_OVERRIDES)
            ).name
        except FerError:  # the run itself says what is wrong with them
            return verb
        only = given.get("run") or (f"fold {given['fold']}" if given.get("fold") else "")
        return f"{verb} {only} ({study})" if only else f"{verb} {study}"

    return name
