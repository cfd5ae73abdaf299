"""Services on this machine: Prefect's server, MLflow's server and workers, each a process with a log file.

A service that ends by itself is started again; all end with the process that started them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.parse import urlsplit

import httpx
import psutil
from pydantic import BaseModel

from fer_models.errors import UseError
from tasks.files import write_json
from tasks.progress import say

#: Where services keep their records and logs, below the folder that they run in.
HOME = Path("fer-data/services")
#: Written there while they run.
_RECORD = "services.json"
#: A server with a new database takes up to half a minute here, on a busy machine several times that.
_START_S = 300.0
#: Services are asked to end, and made to after this.
_GRACE_S = 15.0
_LOOK_S = 0.5
#: Stands in the command of a worker's child that runs a flow.
_FLOW_RUN = "prefect.engine"
#: A service that ends so often within so many seconds is given up.
_MOST_RESTARTS = 5
_RESTARTS_WITHIN_S = 120.0


class Addresses(BaseModel):
    """Where the services are, and the process that runs them."""

    prefect: str
    mlflow: str
    pid: int

    @classmethod
    def of(cls, host: str, prefect_port: int, mlflow_port: int) -> "Addresses":
        """Services of this process at these ports."""
        return cls(prefect=f"http://{host}:{prefect_port}/api", mlflow=f"http://{host}:{mlflow_port}", pid=os.getpid())

    def environment(self) -> dict[str, str]:
        """The environment variables by which Prefect and MLflow find them."""
        return {"PREFECT_API_URL": self.prefect, "MLFLOW_TRACKING_URI": self.mlflow}


def read_addresses(home: Path) -> Addresses | None:
    """The services that run in a folder; None when there are none, or when their process is gone."""
    path = home / _RECORD
    if not path.is_file():
        return None
    addresses = Addresses.model_validate_json(path.read_text(encoding="utf-8"))
    return addresses if psutil.pid_exists(addresses.pid) else None


def write_addresses(home: Path, addresses: Addresses) -> None:
    """Let `read_addresses` find the services of this folder."""
    write_json(home / _RECORD, addresses)


def remove_addresses(home: Path) -> None:
    """Forget the services of this folder."""
    (home / _RECORD).unlink(missing_ok=True)


def prefect_answers(api_url: str) -> bool:
    """Whether a healthy Prefect server answers at the address of its API."""
    return _get(f"{api_url.rstrip('/')}/health") == "true"


def mlflow_answers(url: str) -> bool:
    """Whether an MLflow server answers at an address."""
    return _get(f"{url.rstrip('/')}/health") == "OK"


def host_and_port(url: str) -> tuple[str, int]:
    """Where the server of an address listens."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


@dataclass(frozen=True)
class Service:
    """A program to run.

    Args:
        environment: gives what is set on top of this process's environment when the program is started.
        is_ready: whether it does its work; asked again and again while it starts.
    """

    name: str
    command: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    is_ready: Callable[[], bool]


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: Path
    starts: list[float] = field(default_factory=list)


class Supervisor:
    """Starts services, starts those again that end, and ends all of them, in the reverse order, at the end."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[_Running] = []
        self._stopping = False

    def __enter__(self) -> "Supervisor":
        self._logs.mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)  # a handler: what is ignored would be ignored by the services too
        return self

    def __exit__(self, *_: object) -> None:
        for running in reversed(self._running):
            _end(running.process)

    def start(self, *services: Service) -> None:
        """Start services side by side and wait until all are ready.

        Raises:
            UseError: one ended, or was not ready in time; the message has the end of its log.
        """
        new = [_Running(service, self._open(service), self._log(service), [time.monotonic()]) for service in services]
        self._running += new
        for running in new:
            self._wait(running)

    def _wait(self, running: _Running) -> None:
        name = running.service.name
        while not running.service.is_ready():
            if self._stopping:
                raise KeyboardInterrupt
            if (code := running.process.poll()) is not None:
                raise UseError(f"{name} ended with exit code {code}; {_tail(running.log)}")
            if time.monotonic() - running.starts[0] > _START_S:
                raise UseError(f"{name} was not ready after {_START_S:g} s; {_tail(running.log)}")
            time.sleep(_LOOK_S)

    def watch(self) -> None:
        """Keep the services running until a signal asks to stop.

        Raises:
            UseError: one of them ends again and again.
        """
        while not self._stopping:
            for running in self._running:
                if not self._stopping and running.process.poll() is not None:
                    self._start_again(running)
            time.sleep(_LOOK_S)

    def _start_again(self, running: _Running) -> None:
        name, code = running.service.name, running.process.returncode
        now = time.monotonic()
        running.starts = [start for start in running.starts if now - start < _RESTARTS_WITHIN_S] + [now]
        if len(running.starts) > _MOST_RESTARTS:
            raise UseError(f"{name} ends again and again, last with exit code {code}; {_tail(running.log)}")
        say(f"{name} ended (exit code {code}); it is started again. Its log: {running.log}")
        running.process = self._open(running.service)

    def _open(self, service: Service) -> subprocess.Popen[bytes]:
        with self._log(service).open("ab") as log:
            return _open(service, log)

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name.replace(' ', '-')}.log"

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def _open(service: Service, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(service.command),
        env=os.environ | dict(service.environment()),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in the terminal is for the supervisor
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a service and all that it started."""
    try:
        service = psutil.Process(process.pid)
        started = service.children(recursive=True)
        _end_flow_runs(service)
    except psutil.NoSuchProcess:
        started = []
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in started:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _end_flow_runs(worker: psutil.Process) -> None:
    """Let the flow runs of a worker tell the server that they end, so that they go on when there is a worker again.

    The worker stands still meanwhile: it would take them up at once, and an ending one lets them tell nothing.
    """
    flow_runs = [child for child in worker.children() if _FLOW_RUN in child.cmdline()]
    if not flow_runs:
        return
    worker.suspend()
    for flow_run in flow_runs:
        flow_run.terminate()
    psutil.wait_procs(flow_runs, timeout=_GRACE_S)
    worker.resume()


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"its log {log} ends with: {' / '.join(lines[-3:])}"


def _get(url: str) -> str:
    try:
        return httpx.get(url, timeout=5.0).raise_for_status().text.strip()
    except (httpx.HTTPError, httpx.InvalidURL):
        return ""
