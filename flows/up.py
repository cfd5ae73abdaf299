"""`fer up`: Prefect's server, MLflow's server and workers on this machine, with the deployments registered."""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from fer_models.errors import UseError
from flows.deployments import HEARTBEAT_S, register, workers_of
from tasks.databases import Databases
from tasks.files import write_text
from tasks.gpus import list_gpus
from tasks.ports import is_listening, listening_process
from tasks.progress import say
from tasks.services import (
    HOME,
    Addresses,
    Service,
    Supervisor,
    host_and_port,
    mlflow_answers,
    prefect_answers,
    read_addresses,
    remove_addresses,
    write_addresses,
)

#: Makes `prefect` commands in this folder find the server.
_PREFECT_TOML = Path("prefect.toml")
_TOML_HEAD = "# Written by `fer up`, which removes it when it ends."
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

    When another `fer up` of this folder runs all of it already, the deployments are registered anew and that is all.

    Args:
        addresses: where the two servers are to listen.
        databases: called when one of them must be started.
        parameters: defaults of the deployments.
        look_every_s: seconds between two looks for new videos, if they are to be looked for.
        gpu_workers: workers of the pool `fer-gpu`; one a GPU by default, and one where there is none.
    """
    there = read_addresses(HOME)
    if there and prefect_answers(there.prefect) and mlflow_answers(there.mlflow):
        register(there.prefect, Path.cwd(), parameters, look_every_s, 1)
        _show(there, look_every_s, out)
        out.print(f"All of it is run by `fer up` already (process {there.pid}); the deployments are registered anew.")
        return
    os.environ |= addresses.environment() | _FOR_RUNS
    with Supervisor(HOME / "logs") as supervisor:
        missing = [service for service, address in _servers(addresses, databases) if _is_missing(service, address)]
        if missing:
            names = " and ".join(service.name for service in missing)
            say(f"Starting {names}: half a minute or so.")
            supervisor.start(*missing)
        workers = _workers(addresses.prefect, gpu_workers)
        say(f"Starting {len(workers)} workers and registering the deployments.")
        supervisor.start(*workers)
        register(addresses.prefect, Path.cwd(), parameters, look_every_s, len(workers) - 1)
        try:
            write_addresses(HOME, addresses)
            _let_prefect_find(addresses)
            _show(addresses, look_every_s, out)
            out.print("Ctrl-C ends all of it.")
            supervisor.watch()
        finally:
            remove_addresses(HOME)
            if _is_ours(_PREFECT_TOML):
                _PREFECT_TOML.unlink()
            say("Ending the services.")


_LEASES = "prefect.server.concurrency.lease_storage.filesystem"
#: What runs on workers are given: signs of life, patience with a server that is away, the project's lines in the logs.
_FOR_RUNS = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "fer",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def _servers(addresses: Addresses, databases: Callable[[], Databases]) -> Sequence[tuple[Service, str]]:
    def command(module: str, url: str, *words: str) -> list[str]:
        host, port = host_and_port(url)
        return [sys.executable, "-m", module, "server", *words, "--host", host, "--port", str(port)]

    artifacts = (HOME / "mlartifacts").absolute()
    prefect = Service(
        "Prefect server",
        command("prefect", addresses.prefect, "start"),
        # leases in memory, as is the default, are gone after a restart, and with them the runs that hold them
        lambda: {**databases().prefect, "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES},
        lambda: prefect_answers(addresses.prefect),
    )
    mlflow = Service(
        "MLflow server",
        [*command("mlflow", addresses.mlflow), "--workers", "1", "--artifacts-destination", str(artifacts)],
        lambda: {**databases().mlflow, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # none is used here
        lambda: mlflow_answers(addresses.mlflow),
    )
    return (prefect, addresses.prefect), (mlflow, addresses.mlflow)


def _is_missing(service: Service, address: str) -> bool:
    if service.is_ready():
        say(f"{service.name} answers at {address} already.")
        return False
    host, port = host_and_port(address)
    if is_listening(port, host):
        other = listening_process(port) or "another program"
        raise UseError(
            f"{service.name} cannot listen at {address}: {other} does. End that, or choose another port with "
            "--prefect-port or --mlflow-port."
        )
    return True


def _workers(api_url: str, num_gpu: int | None) -> list[Service]:
    gpus = list_gpus()
    none_seen = {"CUDA_VISIBLE_DEVICES": ""} if gpus else {}
    workers = [_worker(api_url, "fer-cpu", "", _CPU_RUNS, none_seen)]
    for number in range(num_gpu or len(gpus) or 1):
        seen = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
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


def _let_prefect_find(addresses: Addresses) -> None:
    if _PREFECT_TOML.exists() and not _is_ours(_PREFECT_TOML):
        say(f"{_PREFECT_TOML} is not changed; elsewhere use: export PREFECT_API_URL={addresses.prefect}")
        return
    write_text(_PREFECT_TOML, f'{_TOML_HEAD}\n[api]\nurl = "{addresses.prefect}"\n')


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8").startswith(_TOML_HEAD)


def _show(addresses: Addresses, look_every_s: float | None, out: Console) -> None:
    looks = (
        f"New videos are looked for every {look_every_s:g} s."
        if look_every_s
        else ("New videos are not looked for: name a study, e.g. fer up --config study.yaml.")
    )
    for line in (
        f"Prefect: {addresses.prefect.removesuffix('/api')}",
        f"MLflow:  {addresses.mlflow}",
        f"Logs:    {HOME / 'logs'}",
        looks,
        "In another terminal: prefect deployment run fer/full-study --param preset=sample --watch",
    ):
        out.print(escape(line), soft_wrap=True, highlight=False)
