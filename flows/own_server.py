"""A Prefect server for one command: as protected as those of `fer up`, and gone with its process, however that ends."""

import atexit
import os
import secrets
import subprocess
import sys
import tempfile
import time

import httpx

from fer_models.errors import UseError
from tasks.services.foreign_settings import where_prefect_looks
from tasks.services.ports import listen

_HOST = "127.0.0.1"
#: With a new database on a busy machine it takes minutes.
_START_S = 300.0
_servers: list[subprocess.Popen[bytes]] = []


def start_own_server() -> None:
    """Start a server that lives as long as this process, and let Prefect find it; call it before Prefect is imported.

    Raises:
        UseError: it ended, or did not answer in time; the message has its last words.
    """
    password = os.environ.get("PREFECT_API_AUTH_STRING") or f"fer:{secrets.token_urlsafe(24)}"
    with listen(_HOST, 0) as listening, tempfile.TemporaryFile() as log:
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        words = ["flows.servers", "prefect", "--host", _HOST, "--listening", str(listening.fileno())]
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", *words, "--parent", str(os.getpid())],
            env=os.environ
            | {
                "PREFECT_SERVER_API_AUTH_STRING": password,
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
                "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",  # no services that only a server for many needs
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            umask=0o077,
        )
        _servers.append(server)
        atexit.register(end_own_server)
        deadline = time.monotonic() + _START_S
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()[-3:]
                raise UseError(
                    f"Prefect's server could not be started: {' '.join(' '.join(said).split())[-300:]}. Prefect's "
                    f"settings are in {where_prefect_looks()}."
                )
    os.environ |= {"PREFECT_API_URL": f"{address}/api", "PREFECT_API_AUTH_STRING": password}


def end_own_server() -> None:
    """End the server that was started for this process."""
    while _servers:
        _servers.pop().kill()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health", timeout=1.0).is_success
    except httpx.HTTPError:
        return False
