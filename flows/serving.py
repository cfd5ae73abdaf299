"""`fer serve`: the web page behind its gate, and behind a token where others than this machine's users reach it."""

import ipaddress
import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from fer_models.errors import UserError
from tasks.inference.sources import find_model
from tasks.inference.web.app import asking_page, web_app
from tasks.inference.web.choices import Choice, choices_of, models_below, pretrained_choice
from tasks.inference.web.door import Door
from tasks.inference.web.limits import Limits
from tasks.inference.web.visits import Visits
from tasks.progress import echo
from tasks.services.gate import App, Gate, names_of
from tasks.services.ports import listen
from tasks.storage.local_copies import local_copy

#: Signs of a token that nobody guesses.
_LEAST_SIGNS = 16
#: In which requests may end when the server is asked to.
_GRACE_S = 3
_MOST_CONNECTIONS = 200


@dataclass(frozen=True)
class Address:
    """Where the page is reached, and who may.

    Args:
        host, port: that are listened at.
        name: a further name that it goes by, such as that of a server before it; empty for none.
        token: what visitors have to know; empty for one that is drawn where one is needed.
    """

    host: str
    port: int
    name: str = ""
    token: str = ""

    @property
    def is_for_others(self) -> bool:
        """Whether somebody from outside of this machine may come."""
        return bool(self.name) or not _is_loopback(self.host)


@contextmanager
def gather_choices(models: Sequence[Path], data_root: Path | None) -> Iterator[list[Choice]]:
    """The models that visitors may choose from, on this machine for the length of the block.

    Args:
        models: files that were named.
        data_root: whose studies' models are among them.

    Raises:
        UserError: a file is not there, or there is no model at all.
    """
    champions: dict[Path, str] = {}
    found = [find_model(path) for path in models]
    if data_root:
        below = models_below(data_root)
        if not below:
            raise UserError(f"There is no model below {str(data_root)!r}; `fer study` trains some.")
        from tasks.tracking.champion_run import champions_among

        champions = champions_among(below, data_root)
        found += [path for path in below if path not in found]
    with ExitStack() as copies:
        own = choices_of({path: copies.enter_context(local_copy(path)).absolute() for path in found}, champions)
        yield [*own, *_pretrained(is_needed=not own)]


def _pretrained(is_needed: bool) -> list[Choice]:
    """The network that others trained, where it is on this machine; raises `UserError` when it is not and is needed."""
    try:
        return [pretrained_choice()]
    except UserError:
        if is_needed:
            raise
        return []


def serve(choices: Sequence[Choice], limits: Limits, address: Address, detector_model: Path | None = None) -> None:
    """Serve the page until it is asked to end.

    Raises:
        UserError: the token is too short, or nobody can listen there.
    """
    if address.token and len(address.token) < _LEAST_SIGNS:
        raise UserError(f"--token has {len(address.token)} signs, and could be guessed; take {_LEAST_SIGNS} or more.")
    token = address.token or (secrets.token_urlsafe(24) if address.is_for_others else "")
    try:
        socket = listen(address.host, address.port)
    except OSError as error:
        raise UserError(
            f"Nothing can be served at {address.host}, port {address.port} ({error.strerror or error}); "
            "choose others with --host and --port."
        ) from error
    link = f"http://{_shown(address.host)}:{socket.getsockname()[1]}/" + (f"?token={token}" if token else "")
    echo(f"The page is at {link} and ends with Ctrl+C.")
    if address.is_for_others:
        echo("What is sent is not encrypted; have a server with HTTPS before it, and name it with --name.")
    config = uvicorn.Config(
        guarded(web_app(Visits(choices, limits, detector_model)), address, token),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=_MOST_CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[socket])


def guarded(app: App, address: Address, token: str) -> App:
    """The page for those alone who name it rightly and, where there is one, know the token."""
    names = names_of(address.host) | ({address.name.lower()} if address.name else set())
    return Gate(Door(app, token, asking_page()) if token else app, names)


def _shown(host: str) -> str:
    """An address as it stands in a link; of all addresses of this machine its name."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        host = platform.node() if address.is_unspecified else host
        return f"[{host}]" if ":" in host else host
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
