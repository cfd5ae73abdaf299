"""Services on this machine: Prefect's server, MLflow's server and workers, each a process with a log file.

A service that ends by itself is started again; all end with the process that started them, whatever ends that.
"""

import os
import signal
import socket
import subprocess
import sys
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
from pydantic import BaseModel, ValidationError

from fer_models.errors import UserError
from tasks.progress import echo
from tasks.services.descendants import GRACE_S, MARK, end_flow_runs, end_marked, mark_of
from tasks.services.home import RECORD
from tasks.storage.files import write_json, write_text

_LOGS = "logs"
#: Makes `prefect` commands in a folder find the server.
_PREFECT_TOML = Path("prefect.toml")
_TOML_HEAD = "# Written by `fer up`, which removes it when it ends."
#: A server with a new database takes up to half a minute here, on a busy machine several times that.
_START_S = 300.0
_LOOK_S = 0.5
#: What others of the machine may do with what a service writes: nothing.
_PRIVATE = 0o077
#: A service that ends so often within so many seconds is given up.
_MOST_RESTARTS = 5
_RESTARTS_WITHIN_S = 120.0
#: When a process began is known no better than this.
_CLOCK_S = 2.0


class Addresses(BaseModel):
    """Where the services are, and the process that runs them."""

    prefect: str
    mlflow: str
    pid: int
    started: float | None = None

    @classmethod
    def of(cls, host: str, prefect_port: int, mlflow_port: int) -> "Addresses":
        """Services of this process at these ports."""
        own = psutil.Process()
        prefect, mlflow = f"http://{host}:{prefect_port}/api", f"http://{host}:{mlflow_port}"
        return cls(prefect=prefect, mlflow=mlflow, pid=own.pid, started=own.create_time())

    def environment(self) -> dict[str, str]:
        """The environment variables by which Prefect and MLflow find them."""
        return {"PREFECT_API_URL": self.prefect, "MLFLOW_TRACKING_URI": self.mlflow}

    def is_alive(self) -> bool:
        """Whether the process that runs them is there: not only another one with its number."""
        with suppress(psutil.NoSuchProcess):
            began = psutil.Process(self.pid).create_time()
            return self.started is None or abs(began - self.started) < _CLOCK_S
        return False


def read_addresses(home: Path) -> Addresses | None:
    """The services that run in a folder; None when there are none, or when their process is gone."""
    try:
        addresses = Addresses.model_validate_json((home / RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return addresses if addresses.is_alive() else None


def write_addresses(home: Path, addresses: Addresses) -> None:
    """Let `read_addresses` find the services of this folder."""
    write_json(home / RECORD, addresses)


def remove_addresses(home: Path) -> None:
    """Forget the services of this folder, and let `prefect` commands forget them."""
    (home / RECORD).unlink(missing_ok=True)
    if _is_ours(_PREFECT_TOML):
        _PREFECT_TOML.unlink()


def let_prefect_find(addresses: Addresses, password: str) -> bool:
    """Have `prefect` commands in this folder use the server; False when they have settings of the user here.

    Args:
        password: `user:password` of the server; empty when commands get it from their environment.
    """
    if _PREFECT_TOML.exists() and not _is_ours(_PREFECT_TOML):
        return False
    auth = f'auth_string = "{password}"\n' if password else ""
    write_text(_PREFECT_TOML, f'{_TOML_HEAD}\n[api]\nurl = "{addresses.prefect}"\n{auth}', private=True)
    return True


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace").startswith(_TOML_HEAD)


def make_private(home: Path) -> None:
    """Make the folder of the services, and see to it that nobody else can look into it."""
    logs = home / _LOGS
    logs.mkdir(parents=True, exist_ok=True)
    for path in (home, logs, *home.iterdir(), *logs.iterdir()):
        with suppress(FileNotFoundError):  # journals and temporary files of a `fer up` that runs come and go
            path.chmod(0o700 if path.is_dir() else 0o600)


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
        listening: the socket that it is given. It is open all the time, so that nobody else takes the place of a
            program that is started again.
        private: what it writes is for nobody else to read.
    """

    name: str
    command: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    is_ready: Callable[[], bool]
    listening: socket.socket | None = None
    private: bool = False


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: Path
    starts: list[float] = field(default_factory=list)


class Supervisor:
    """Starts services, starts those again that end, and ends all of them, in the reverse order, at the end.

    Args:
        home: folder of the services, where their logs are. Another process, the keeper, ends them if this one cannot.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._logs = home / _LOGS
        self._mark = mark_of(home)
        self._running: list[_Running] = []
        self._stopping = False

    def __enter__(self) -> "Supervisor":
        make_private(self._home)
        for number in (signal.SIGINT, signal.SIGTERM, *_closed_terminal()):
            signal.signal(number, self._stop)  # a handler: what is ignored would be ignored by the services too
        words = ["-P", "-m", "tasks.services.keeper", str(os.getpid()), str(self._home)]
        self.start(Service("keeper", [sys.executable, *words], dict, lambda: True))
        return self

    def __exit__(self, *_: object) -> None:
        for running in reversed(self._running):
            _end(running.process)
        end_marked(self._mark)

    def start(self, *services: Service) -> None:
        """Start services side by side and wait until all are ready.

        Raises:
            UserError: one ended, or was not ready in time; the message has the end of its log.
        """
        for service in services:
            self._running.append(_Running(service, self._open(service), self._log(service), [time.monotonic()]))
        for running in self._running[-len(services) :]:
            self._wait(running)

    def _wait(self, running: _Running) -> None:
        name = running.service.name
        while True:
            if self._stopping:
                raise KeyboardInterrupt
            if (code := running.process.poll()) is not None:
                raise UserError(f"{name} ended with exit code {code}; {_tail(running.log)}")
            if running.service.is_ready():
                return
            if time.monotonic() - running.starts[0] > _START_S:
                raise UserError(f"{name} was not ready after {_START_S:g} s; {_tail(running.log)}")
            time.sleep(_LOOK_S)

    def watch(self) -> None:
        """Keep the services running until a signal asks to stop.

        Raises:
            UserError: one of them ends again and again.
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
            raise UserError(f"{name} ends again and again, last with exit code {code}; {_tail(running.log)}")
        echo(f"{name} ended (exit code {code}); it is started again. Its log: {running.log}")
        running.process = self._open(running.service)

    def _open(self, service: Service) -> subprocess.Popen[bytes]:
        with open(self._log(service), "ab", opener=_open_private) as log:
            return _open(service, self._mark, log)

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name.replace(' ', '-')}.log"

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def _closed_terminal() -> list[signal.Signals]:
    """The signal of a terminal that is closed, unless this process was started to outlive it, as by `nohup`."""
    number = getattr(signal, "SIGHUP", None)
    return [number] if number and signal.getsignal(number) is not signal.SIG_IGN else []


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _open(service: Service, mark: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(service.command),
        env=os.environ | dict(service.environment()) | {MARK: mark},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in the terminal is for the supervisor
        pass_fds=[service.listening.fileno()] if service.listening else [],
        umask=_PRIVATE if service.private else -1,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a service and all that it started."""
    try:
        service = psutil.Process(process.pid)
        started = service.children(recursive=True)
        end_flow_runs(service)
    except psutil.NoSuchProcess:
        started = []
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in started:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"its log {log} ends with: {' / '.join(lines[-3:])}"


def _get(url: str) -> str:
    try:
        return httpx.get(url, timeout=5.0).raise_for_status().text.strip()
    except (httpx.HTTPError, httpx.InvalidURL):
        return ""
