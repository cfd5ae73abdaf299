"""A lab for tests: `fer up` in a folder of its own, as a user would run it, and questions to its servers."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import yaml

from tasks.services.home import HOME

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent
#: For what takes seconds on a quiet machine.
PATIENCE_S = 600.0
_Found = TypeVar("_Found")


def wait_for(what: str, ask: Callable[[], _Found | None], patience_s: float = PATIENCE_S) -> _Found:
    """Ask again and again until there is an answer that counts as true."""
    deadline = time.monotonic() + patience_s
    while not (found := ask()):
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}"
        time.sleep(0.5)
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Lab:
    """`fer up` in a folder, on ports of its own."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        *options: str,
        watched: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Args as `fer up` takes them.

        Args:
            watched: name the study to it, so that new videos are looked for.
            environment: set for all commands of the lab, on top of what the tests run with.
        """
        self.folder = folder
        self.ports = free_port(), free_port()
        self.log = folder / "up.log"
        (folder / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        unset = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_URI", "PREFECT_LOGGING_LEVEL")
        self.environment = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment |= {"PREFECT_HOME": str(folder / "prefect-home"), "PYTHONPATH": str(ROOT)}
        self.environment |= environment or {}
        ports = ["--prefect-port", str(self.ports[0]), "--mlflow-port", str(self.ports[1])]
        named = ["--config", "study.yaml"] if watched else []
        self.command = [str(BIN / "fer"), "up", *named, *ports, *options]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Lab":
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for("fer up", lambda: self.process.poll() is not None or "Ctrl-C ends" in self.said)
        assert self.process.poll() is None, self.said
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process
        started = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(120)
        finally:
            self.process.kill()
        left = [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert not left, "Ctrl-C ends all that was started"
        assert not (self.folder / "prefect.toml").exists()

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment, in the lab's folder."""
        command = [str(BIN / words[0]), *words[1:]]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def prefect(self, path: str, method: str = "POST", **body: Any) -> Any:
        """What Prefect's API answers."""
        return self._answer(method, f"http://127.0.0.1:{self.ports[0]}/api/{path}", body)

    def mlflow(self, path: str, **body: Any) -> Any:
        """What MLflow's API answers to a POST."""
        return self._answer("POST", f"http://127.0.0.1:{self.ports[1]}/api/2.0/mlflow/{path}", body)

    def deployment(self, name: str) -> str:
        (found,) = self.prefect("deployments/filter", deployments={"name": {"any_": [name]}})
        return str(found["id"])

    def flow_runs(self, deployment: str) -> list[dict[str, Any]]:
        """The runs of a deployment, newest first."""
        wanted = {"id": {"any_": [self.deployment(deployment)]}}
        return list(self.prefect("flow_runs/filter", deployments=wanted, sort="EXPECTED_START_TIME_DESC"))

    def unfinished(self, deployment: str) -> list[dict[str, Any]]:
        """The runs that are under way or will be."""
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return [run for run in self.flow_runs(deployment) if run["state_type"] not in final]

    def pause(self, deployment: str, paused: bool = True) -> None:
        self.prefect(f"deployments/{self.deployment(deployment)}", "PATCH", paused=paused)

    def process_of(self, words: str) -> psutil.Process:
        """The innermost process below `fer up` whose command has these words."""
        assert self.process
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if words in " ".join(process.cmdline())][-1]

    @property
    def password(self) -> tuple[str, str]:
        """User and password of both servers."""
        user, _, password = (self.folder / HOME / "password").read_text(encoding="utf-8").strip().partition(":")
        return user, password

    def _answer(self, method: str, url: str, body: dict[str, Any]) -> Any:
        """A server that is busy (503), or away for a moment, is asked again."""

        def ask() -> httpx.Response | None:
            try:
                response = httpx.request(method, url, json=body, timeout=60.0, auth=self.password)
            except httpx.TransportError:
                return None
            return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

        response = wait_for(url, lambda: [found] if (found := ask()) is not None else None)[0].raise_for_status()
        return response.json() if response.content else None
