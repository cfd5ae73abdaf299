"""Environment of a process that runs flows; call `prepare_environment` before Prefect, MLflow or Keras is imported."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import fer_models
import flows
import tasks
from fer_models.errors import UserError

#: In a terminal the project's own progress says what happens; Prefect's log lines stay in its database.
_QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",  # else whole events, when a server is gone
    "GIT_PYTHON_REFRESH": "quiet",
}
#: Threads of Prefect that warn, at the end of a process, of what they still send.
_PREFECT_WORKERS = ("EventsWorker", "APILogWorker")
#: Child processes are started with it: what outlives one that left at once tidies up, and need not say so.
_QUIET_CHILDREN = "ignore:resource_tracker:UserWarning"
_DEFAULTS = {
    # the server inside a process that calls a flow itself, as tests and benchmarks do: a new database takes over 20 s
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6",  # a server that goes away is waited for two minutes, as Prefect's is
    "RAY_USAGE_STATS_ENABLED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def prepare_environment(quiet: bool = False) -> None:
    """Set what the user has not set: no telemetry, patience with Prefect's server, JAX on a GPU, and with `quiet` no
    log lines.
    """
    _check_shadowing()
    _check_home()
    from tasks.cores import thread_environment  # only now is it known to be ours
    from tasks.services.gpus import gpu_environment
    from tasks.services.proxies import spare_loopback
    from tasks.video import opencv

    spare_loopback()
    _find_services()
    os.environ["MPLBACKEND"] = "agg"  # no window is ever opened, whatever else the environment says
    defaults = _DEFAULTS | thread_environment() | gpu_environment() | opencv.ENVIRONMENT | (_QUIET if quiet else {})
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if quiet:
        for name in ("tensorflow", *_PREFECT_WORKERS):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=r"mlflow\..*")
        sys.warnoptions.append(_QUIET_CHILDREN)


def _find_services() -> None:
    """Use the services that `fer up` runs in this folder, or the server that a file names, unless the user chose one.

    A password goes with the address that it is for, and to no other.
    """
    from tasks.services.home import HOME, RECORD

    if (HOME / RECORD).is_file():
        from tasks.services.credentials import credentials
        from tasks.services.supervisor import read_addresses

        if addresses := read_addresses(HOME):
            for name, value in addresses.environment().items():
                os.environ.setdefault(name, value)
            for name, value in credentials(HOME).items():
                server = "PREFECT_API_URL" if name.startswith("PREFECT") else "MLFLOW_TRACKING_URI"
                if os.environ[server] == addresses.environment()[server]:
                    os.environ.setdefault(name, value)
    if not os.environ.get("PREFECT_API_URL"):
        from tasks.services.foreign_settings import prefect_setting

        for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
            if setting := prefect_setting(name):
                os.environ.setdefault(name, setting.value)


def check_keras(least_gb: float = 3.0) -> None:
    """Raise `UserError` when Keras's settings, or too few addresses for it, are such that models cannot be built.

    Args:
        least_gb: addresses that the process needs; with fewer, libraries die in ways that nothing can tell of.
    """
    from tasks.memory import address_limit_bytes
    from tasks.services.foreign_settings import keras_fault

    if fault := keras_fault():
        raise UserError(fault)
    limit = address_limit_bytes()
    if limit is not None and limit < least_gb * 1e9:
        raise UserError(
            f"ulimit -v allows this process {limit / 1e9:.1f} GB of addresses, and Keras needs {least_gb:g} GB or more "
            "(most of them are never used); allow more: ulimit -v unlimited."
        )


def import_prefect() -> None:
    """Import Prefect; raises `UserError` when its settings cannot be read."""
    from tasks.services.foreign_settings import where_prefect_looks

    try:
        import prefect  # noqa: F401
    except (ValueError, OSError) as error:
        why = " ".join(str(error).split())[:300]
        raise UserError(f"Prefect cannot read its settings: {why}. They are in {where_prefect_looks()}.") from error


@contextmanager
def silent_imports() -> Iterator[None]:
    """Keep what TensorFlow's C++ code says when it is loaded off the terminal; Python's own errors still show."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_shadowing() -> None:
    """The packages have common names; say so when one of them comes from elsewhere."""
    homes = {package.__name__: _home(package) for package in (flows, tasks, fer_models)}
    if len(set(homes.values())) > 1:
        where = ", ".join(f"{name} from {home}" for name, home in homes.items())
        raise UserError(f"Another package hides one of this project's: {where}; rename or move the other one.")


def _check_home() -> None:
    """A user whom the system does not know, as in some containers, has no home unless one is named."""
    try:
        Path.home()
    except RuntimeError as error:
        raise UserError(
            "This user has no home folder, in which Prefect and Keras keep their settings; name one: export HOME=$PWD."
        ) from error


def _home(package: ModuleType) -> Path:
    """The folder that a package, or a module in its place, lies in."""
    file = Path(package.__file__ or next(iter(package.__path__)) + "/__init__.py")
    return file.parents[1] if file.name == "__init__.py" else file.parent
