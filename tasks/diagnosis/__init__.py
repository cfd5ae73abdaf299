"""Whether this machine can run a study: checks of one shape, `(StudySettings) -> list[CheckResult]`.

A check never raises for what it looks at and changes nothing. A new one is a function in the file of its topic and
one line here.
"""

from collections.abc import Callable, Sequence

from tasks.config.settings import StudySettings
from tasks.diagnosis import hardware, services, software, storage
from tasks.diagnosis.check_result import CheckResult, State
from tasks.progress import progress

Check = Callable[[StudySettings], list[CheckResult]]

CHECKS: tuple[Check, ...] = (
    software.check_python,
    software.check_packages,
    software.check_extras,
    software.check_doubles,
    software.check_shadows,
    software.check_preparation,
    software.check_codecs,
    hardware.check_cores,
    hardware.check_memory,
    hardware.check_backend,
    storage.check_data_root,
    storage.check_leftovers,
    storage.check_weights,
    services.check_proxies,
    services.check_prefect_settings,
    services.check_prefect,
    services.check_prefect_database,
    services.check_mlflow,
    services.check_ports,
)


def diagnose(settings: StudySettings, checks: Sequence[Check] = CHECKS) -> list[CheckResult]:
    """What all checks find, in their order, with progress on standard error."""
    found = []
    with progress("Looking at this machine", len(checks)) as advance:
        for check in checks:
            found += check(settings)
            advance("")
    return found


def num_in(found: Sequence[CheckResult], state: State) -> int:
    """How many results are in a state."""
    return sum(result.state is state for result in found)
