"""`fer up`: Prefect's server, MLflow's server and workers on this machine, with the deployments registered."""

import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from fer_models.errors import UserError
from flows.deployments import HEARTBEAT_S, make_pools, register, workers_of
from tasks.progress import echo
from tasks.services.credentials import credentials, make_password, password_file
from tasks.services.databases import Databases
from tasks.services.descendants import end_marked, mark_of
from tasks.services.gpus import gpu_shares, list_gpus
from tasks.services.home import HOME
from tasks.services.ports import is_listened_on_by_this_user, listen, listening_process
from tasks.services.supervisor import (
    Addresses,
    Service,
    Supervisor,
    host_and_port,
    let_prefect_find,
    make_private,
    mlflow_answers,
    prefect_answers,
    read_addresses,
    remove_addresses,
    write_addresses,
)
from tasks.storage.files import try_lock

#: Flow runs that a worker of the pool `fer-cpu` has at once; most of them wait for others.
_CPU_RUNS = 4


def serve(
    addresses: Addresses,
    databases: Callable[[], Databases],
    parameters: dict[str, Any],
    look_every_s: float | None,
    gpu_workers: int | None,
    out: Console,
) -> None:
    """Start what is missing, register the deployments, say where all is, and stay until Ctrl-C.

    When another `fer up` of this folder runs all of it already, the deployments are registered again and that is all.

    Args:
        addresses: where the two servers are to listen.
        databases: called when one of them must be started.
        parameters: defaults of the deployments.
        look_every_s: seconds between two looks for new videos, if they are to be looked for.
        gpu_workers: workers of the pool `fer-gpu`; one a GPU by default, and one where there is none.
    """
    there = read_addresses(HOME)
    if there and prefect_answers(there.prefect) and mlflow_answers(there.mlflow):
        os.environ |= credentials(HOME) | _own_credentials()
        register(there.prefect, Path.cwd(), parameters, look_every_s, 1)
        _show(there, look_every_s, out)
        out.print(f"`fer up` runs here already (process {there.pid}); the deployments are registered again.")
        return
    with _alone(), Supervisor(HOME) as supervisor:
        password = _prepare_environment(addresses)
        _start_servers(supervisor, addresses, databases)
        make_pools(addresses.prefect, Path.cwd())
        workers = _workers(addresses.prefect, gpu_workers)
        echo(f"Starting {len(workers)} workers and registering the deployments.")
        supervisor.start(*workers)
        register(addresses.prefect, Path.cwd(), parameters, look_every_s, len(workers) - 1)
        with _found(addresses, password):
            _show(addresses, look_every_s, out)
            out.print("Ctrl-C ends all of it.")
            supervisor.watch()


@contextmanager
def _alone() -> Iterator[None]:
    """Be the one `fer up` of this folder for the block, with what an earlier one left ended."""
    make_private(HOME)
    with try_lock(HOME / "up.lock") as alone:
        if not alone:
            raise UserError("Another `fer up` of this folder is starting or ending; wait until it has.")
        if left := end_marked(mark_of(HOME)):
            echo(f"Ended {left} processes that an earlier `fer up` of this folder had left.")
        yield


def _prepare_environment(addresses: Addresses) -> str:
    """Set what all services are given; returns the `user:password` to write down for `prefect`, empty if it is set."""
    make_password(HOME)
    own = _own_credentials()
    os.environ |= addresses.environment() | _FOR_RUNS | credentials(HOME) | own
    return "" if "PREFECT_API_AUTH_STRING" in own else os.environ["PREFECT_API_AUTH_STRING"]


def _start_servers(supervisor: Supervisor, addresses: Addresses, databases: Callable[[], Databases]) -> None:
    """Start the servers that do not answer yet."""
    missing = [
        make(listening)
        for name, address, make in _servers(addresses, databases)
        if (listening := _listen_unless_there(name, address))
    ]
    if missing:
        echo(f"Starting {' and '.join(service.name for service in missing)}: half a minute or so.")
        supervisor.start(*missing)


@contextmanager
def _found(addresses: Addresses, password: str) -> Iterator[None]:
    """Let commands in this folder find the services for the block."""
    try:
        write_addresses(HOME, addresses)
        if not let_prefect_find(addresses, password):
            echo(f"prefect.toml is not changed; elsewhere use: export PREFECT_API_URL={addresses.prefect}")
        yield
    finally:
        remove_addresses(HOME)
        with suppress(OSError):  # the terminal may be gone
            echo("Ending the services.")


def _own_credentials() -> dict[str, str]:
    """Credentials that the user has chosen for the servers, by the variables that servers and clients know them by."""
    prefect = [os.environ.get(name) for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")]
    chosen = {"PREFECT_API_AUTH_STRING": next(filter(None, prefect), "")}
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        chosen[name] = os.environ.get(name, "")
    return {name: value for name, value in chosen.items() if value}


_LEASES = "prefect.server.concurrency.lease_storage.filesystem"
#: What runs on workers are given: signs of life, patience with a server that is away, the project's lines in the logs.
_FOR_RUNS = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "fer",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def _servers(
    addresses: Addresses, databases: Callable[[], Databases]
) -> Sequence[tuple[str, str, Callable[[socket.socket], Service]]]:
    """Name and address of each server, and what makes its service with a socket to listen on."""

    def command(server: str, url: str, listening: socket.socket) -> list[str]:
        host, _ = host_and_port(url)
        words = ["flows.servers", server, "--host", host, "--listening", str(listening.fileno())]
        return [sys.executable, "-P", "-m", *words]

    def prefect(listening: socket.socket) -> Service:
        return Service(
            "Prefect server",
            command("prefect", addresses.prefect, listening),
            lambda: {
                **databases().prefect,
                "PREFECT_SERVER_API_AUTH_STRING": os.environ["PREFECT_API_AUTH_STRING"],
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": addresses.prefect.removesuffix("/api"),
                "PREFECT_UI_API_URL": "/api",  # under whichever name the page was opened
                # leases in memory, as is the default, are gone after a restart, and with them the runs that hold them
                "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
            },
            lambda: prefect_answers(addresses.prefect),
            listening,
            private=True,
        )

    def mlflow(listening: socket.socket) -> Service:
        return Service(
            "MLflow server",
            command("mlflow", addresses.mlflow, listening),
            lambda: {
                **databases().mlflow,
                "MLFLOW_ARTIFACTS_DESTINATION": str((HOME / "mlartifacts").absolute()),
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # none is used here
            },
            lambda: mlflow_answers(addresses.mlflow),
            listening,
            private=True,
        )

    return ("Prefect server", addresses.prefect, prefect), ("MLflow server", addresses.mlflow, mlflow)


def _listen_unless_there(name: str, address: str) -> socket.socket | None:
    """A socket at the address of a server; None when this user runs such a server there already."""
    host, port = host_and_port(address)
    try:
        return listen(host, port)
    except OSError as error:
        other = listening_process(port) or (f"{error.strerror}, or another program" if error.strerror else "a program")
    answers = prefect_answers(address) or mlflow_answers(address)
    if answers and is_listened_on_by_this_user(port):
        echo(f"{name} answers at {address} already. It is not protected by `fer up`: give it a password of its own.")
        return None
    raise UserError(
        f"{name} cannot listen at {address}: {other} does. End that program, or choose another port "
        "with --prefect-port or --mlflow-port."
    )


def _workers(api_url: str, num_gpu: int | None) -> list[Service]:
    gpus = list_gpus()
    none_seen = {"CUDA_VISIBLE_DEVICES": ""} if gpus else {}
    workers = [_worker(api_url, "fer-cpu", "", _CPU_RUNS, none_seen)]
    for number, seen in enumerate(gpu_shares(gpus, num_gpu or len(gpus) or 1)):
        workers.append(_worker(api_url, "fer-gpu", f"-{number}", 1, seen))
    return workers


def _worker(api_url: str, pool: str, suffix: str, num_runs: int, environment: dict[str, str]) -> Service:
    name = f"{platform.node()}-{os.getpid()}-{pool}{suffix}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    return Service(
        f"worker {pool}{suffix}",
        [*command, "--name", name, "--limit", str(num_runs)],
        lambda: environment,
        lambda: name in workers_of(api_url, pool),
    )


def _show(addresses: Addresses, look_every_s: float | None, out: Console) -> None:
    looks = (
        f"New videos are looked for every {look_every_s:g} s."
        if look_every_s
        else ("New videos are not looked for: name a study, e.g. fer up --config study.yaml.")
    )
    for line in (
        f"Prefect: {addresses.prefect.removesuffix('/api')}",
        f"MLflow:  {addresses.mlflow}",
        f"In a browser both ask for the user and password in {password_file(HOME)}, unless you have set your own.",
        f"Logs:    {HOME / 'logs'}",
        looks,
        "In another terminal: prefect deployment run fer/full-study --param preset=sample --watch",
    ):
        out.print(escape(line), soft_wrap=True, highlight=False)
