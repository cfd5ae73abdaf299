"""What all flows share: the types of their parameters, and names for their runs."""

from collections.abc import Callable
from typing import Any, Literal

from prefect.runtime import flow_run

from fer_models.errors import FerError
from tasks.configuration import resolve_settings

#: The keys of `tasks.presets.PRESETS`, spelled out so that forms can offer them.
Preset = Literal["sample", "study", "corrected"]
#: Where training runs: in the flow's own process, or each run as a run of the deployment `fer-train/gpu`.
Place = Literal["here", "workers"]

#: The global concurrency limit that training runs of deployments share: as many slots as there are devices.
LIMIT = "fer-gpu"


def run_name(verb: str) -> Callable[[], str]:
    """Names flow runs, such as `prepare my-study`, or `train gap-sum, seed 1 (my-study)`."""

    def name() -> str:
        parameters: dict[str, Any] = flow_run.parameters
        try:
            study = resolve_settings(
                parameters.get("preset"), parameters.get("config"), parameters.get("overrides")
            ).name
        except FerError:  # the run itself says what is wrong with them
            return verb
        only = parameters.get("run")
        return f"{verb} {only} ({study})" if only else f"{verb} {study}"

    return name
