"""A Prefect server for one command: as protected as those of `fer up`, and gone with its process, however that ends."""

import atexit
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, NoReturn

import httpx

from fer_models.errors import UserError
from flows.shortage import FULL_WORDS
from tasks.progress import echo
from tasks.services.foreign_settings import where_prefect_looks
from tasks.services.ports import listen
from tasks.services.prefect_database import ELSEWHERE, named_database, prefect_database_fault, prefect_home
from tasks.services.proxies import http_fault
from tasks.storage.addresses import hide_secrets

_HOST = "127.0.0.1"
#: With a new database on a busy machine it takes minutes.
_START_S = 300.0
#: Seconds between two words to whoever waits for it.
_SAY_EVERY_S = 30.0
_LOOK_S = 0.5
#: One that others run may be started again, as `fer up` does.
_GONE_S = 120.0
_ASK_S = 5.0
_ANSWER_S = 10.0
#: Beginnings of lines in the log of a server that end it, or only say where to read more.
_SAYS_NOTHING = (
    "(Background on this error",
    "ERROR: Application startup failed",
    "[SQL:",
    "For further information visit",
)


@dataclass
class _Own:
    """The server of this process. Its socket is its own: should it end, calls fail at once instead of waiting."""

    port: int
    password: str
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        return f"http://{_HOST}:{self.port}"


_own: list[_Own] = []  # one at most


def is_own_server(api_url: str) -> bool:
    """Whether the server of an address was started by this process."""
    return any(api_url == f"{own.address}/api" for own in _own)


def check_own_server() -> None:
    """Raise `UserError` when a server of this command could not be started or asked; it takes no time."""
    if fault := http_fault() or prefect_database_fault():
        raise UserError(fault)


def start_own_server() -> None:
    """See to it that a server runs which lives as long as this process, and let Prefect find it.

    Call it before Prefect is imported. One that runs already is used; one that ended is started again as it was.

    Raises:
        UserError: it ended, or did not answer in time; the message has its last words.
    """
    if not _own:
        check_own_server()
        echo("Starting Prefect for this command: 20 seconds or so, up to a minute the first time.")
        port = 0
        password = os.environ.get("PREFECT_API_AUTH_STRING") or f"fer:{secrets.token_urlsafe(24)}"
        atexit.register(end_own_server)
    elif _comes_up(_own[0]):
        return
    else:
        echo(f"Prefect's server for this command ended (exit code {_own[0].process.wait()}); it is started again.")
        port, password = _own[0].port, _own[0].password  # Prefect has read its address already
    with _listen(port) as listening, tempfile.TemporaryFile() as log:
        own = _Own(listening.getsockname()[1], password, _open(listening, password, log))
        listening.close()
        _own[:] = [own]  # also when it does not come up: the next call starts it again
        if not _comes_up(own):
            log.seek(0)
            raise UserError(_why_not_started(_last_words(log.read().decode(errors="replace"))))
    os.environ |= {"PREFECT_API_URL": f"{own.address}/api", "PREFECT_API_AUTH_STRING": password}


def _why_not_started(words: str) -> str:
    """A sentence about the last words of a server, and what to do."""
    named = named_database()
    where, elsewhere = (named.named_by, named.take_back) if named else (prefect_home() / "prefect.db", ELSEWHERE)
    if any(one in words for one in FULL_WORDS):
        return f"Prefect's server could not be started, for the disk of {where} is full; make room, or {elsewhere}."
    if "database is locked" in words:
        return f"Prefect's server could not be started, for another program holds {where}; end that, or {elsewhere}."
    return f"Prefect's server could not be started: {words}. Prefect's settings are in {where_prefect_looks()}."


def _listen(port: int) -> socket.socket:
    try:
        return listen(_HOST, port)
    except OSError as error:
        raise UserError(
            f"Prefect's server for this command ended, and its port {port} is taken now ({error.strerror}); start the "
            "command again."
        ) from error


@contextmanager
def watch_server(api_url: str, gone: Callable[[str], NoReturn]) -> Iterator[None]:
    """Call a function, from a thread, should the server that a flow runs with be gone during the block.

    Prefect would ask again and again for it, minutes for each video.

    Args:
        api_url: address of its API, of this process's own server or another.
        gone: called with what happened; it must end the process.
    """
    over = threading.Event()

    def watch() -> None:
        last = time.monotonic()
        own = is_own_server(api_url)
        while not over.wait(_LOOK_S if own else _ASK_S):
            if own:
                if (code := _own[0].process.poll()) is not None and not over.is_set():
                    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                    gone(f"Prefect's server for this command ended ({how})")
            elif _is_there(api_url):
                last = time.monotonic()
            elif (silent := time.monotonic() - last) > _GONE_S and not over.is_set():
                gone(f"Prefect's server at {hide_secrets(api_url)} has not answered for {silent:.0f} s")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _is_there(api_url: str) -> bool:
    """Whether something takes connections there; a server that is busy answers late, or with an error."""
    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=_ANSWER_S)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError):
        return False
    except httpx.HTTPError:
        pass
    return True


def end_own_server() -> None:
    """End the server that was started for this process."""
    while _own:
        own = _own.pop()
        own.process.kill()


def _last_words(log: str) -> str:
    """The last line that says why a server ended, of at most 300 characters."""
    lines = [" ".join(line.split()) for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_SAYS_NOTHING)]
    return telling[-1][:300].rstrip(".") if telling else "it ended without a word"


def _open(listening: socket.socket, password: str, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    words = ["flows.servers", "prefect", "--host", _HOST, "--listening", str(listening.fileno())]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *words, "--parent", str(os.getpid())],
        env=os.environ
        | {
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{_HOST}:{listening.getsockname()[1]}",
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


def _comes_up(own: _Own) -> bool:
    """Whether a server answers, now or soon; one that does not has ended then.

    That it runs is not enough: of one that was killed the threads may still be ending.
    """
    start = time.monotonic()
    said = 0
    while own.process.poll() is None:
        if _answers(own.address):
            return True
        if (waited := time.monotonic() - start) > _START_S:
            own.process.kill()
            own.process.wait()
        elif waited > (said + 1) * _SAY_EVERY_S:
            said += 1
            echo(f"Prefect is still starting, {waited:.0f} s so far.")
        time.sleep(0.1)
    return False


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health", timeout=1.0).is_success
    except httpx.HTTPError:
        return False
