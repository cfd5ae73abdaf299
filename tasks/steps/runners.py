"""Where tasks run: threads of this process, or the workers of a Dask or Ray cluster.

A task on a cluster costs its worker some tenths of a second, whatever it does (`benchmarks/task_runners.py`): Prefect
makes its settings, a client and a TLS context each time. It reports to a Prefect server, which the workers must reach.
Videos are decoded in child processes everywhere.
"""

import importlib
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from prefect import Task
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from fer_models.errors import UserError
from tasks.config.settings import ExecutionSettings
from tasks.cores import whole_cores
from tasks.preparation.batches import WorkerCapacity

Item = TypeVar("Item")

#: What a task costs a worker of a cluster beside its work.
CLUSTER_TASK_S = 0.3
#: A scheduler must answer within this time ...
_ANSWER_S = 20.0
#: ... and a cluster have a worker: long enough for one that died to be replaced.
_WORKER_S = 60.0
#: When nothing has ended for so long, a look is taken whether there still are workers.
_LOOK_S = 15.0


@dataclass(frozen=True)
class Runner:
    """Runs tasks, a few at once.

    `workers` is how many videos the process of a task may prepare at once; None leaves it to `videos_at_once`.
    `check` raises `UserError` when no worker is left.
    """

    task_runner: TaskRunner[Any]
    capacity: WorkerCapacity
    workers: int | None
    check: Callable[[], object] = lambda: None

    @property
    def num_under_way(self) -> int:
        """Tasks under way at once: more than workers, so that none waits; few, so that a run that must stop does."""
        return 2 * self.capacity.num_workers

    def run(self, task: Task[..., Any], calls: Iterator[tuple[Item, dict[str, Any]]]) -> Iterator[tuple[Item, Any]]:
        """Run a task with each call's parameters and yield each call's item with the result, as they end.

        The result of a task that failed, or was lost with its worker, is the exception.

        Raises:
            UserError: no worker is left.
        """
        ended: SimpleQueue[tuple[Item, Any]] = SimpleQueue()
        num_running = 0
        while True:
            for item, parameters in islice(calls, self.num_under_way - num_running):
                future = self.task_runner.submit(task, parameters=parameters)
                future.add_done_callback(lambda future, item=item: ended.put((item, future)))
                num_running += 1
            if not num_running:
                return
            item, future = self._next(ended)
            num_running -= 1
            yield item, self._result(future)

    def _next(self, ended: SimpleQueue[tuple[Item, Any]]) -> tuple[Item, Any]:
        while True:
            try:
                return ended.get(timeout=_LOOK_S)
            except Empty:
                self.check()

    def _result(self, future: Any) -> Any:
        try:
            return future.result(raise_on_failure=False)
        except Exception as error:  # each library has its own ones for a worker that is lost
            self.check()
            return error


def open_runner(execution: ExecutionSettings) -> AbstractContextManager[Runner]:
    """The runner that the settings ask for, for as long as the block; a cluster is started where they name none.

    Raises:
        UserError: a package is missing, nobody answers at the address, or the cluster has no workers.
    """
    return {"threads": _threads, "dask": _dask, "ray": _ray}[execution.task_runner](execution)


def videos_at_once() -> int:
    """How many videos a Dask worker may prepare at once: one a thread, for its tasks together."""
    return int(sys.modules["distributed"].get_worker().state.nthreads)


@contextmanager
def _threads(execution: ExecutionSettings) -> Iterator[Runner]:
    workers = execution.workers or whole_cores()
    with ThreadPoolTaskRunner(max_workers=2 * workers) as task_runner:
        yield Runner(task_runner, WorkerCapacity(workers, 0.0, execution.videos_per_task), workers)


@contextmanager
def _dask(execution: ExecutionSettings) -> Iterator[Runner]:
    prefect_dask, dask, deploy = _import("dask", "prefect_dask", "dask", "distributed.deploy.utils")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost ends in a report, or in a sentence
    address = execution.task_runner_address
    where: dict[str, Any] = {"address": address, "client_kwargs": {"timeout": _ANSWER_S}}
    if not address:
        processes, threads = deploy.nprocesses_nthreads(execution.workers or whole_cores())
        where = {"n_workers": processes, "threads_per_worker": threads, "dashboard_address": None}
        where = {"cluster_kwargs": where | {"silence_logs": logging.CRITICAL}}
    may_start_children = dask.config.set({"distributed.worker.daemon": False})
    with _server_for_workers(address), may_start_children, prefect_dask.DaskTaskRunner(**where) as task_runner:
        try:
            client = task_runner.client
        except (OSError, ValueError) as error:
            raise _no_answer("Dask scheduler", address, error) from error

        def check() -> int:
            return _count_workers(lambda: sum(client.nthreads().values()), address)

        workers = execution.workers if address else None
        yield Runner(task_runner, WorkerCapacity(check(), CLUSTER_TASK_S, execution.videos_per_task), workers, check)


@contextmanager
def _ray(execution: ExecutionSettings) -> Iterator[Runner]:
    prefect_ray, ray = _import("ray", "prefect_ray", "ray")
    address = execution.task_runner_address
    where: dict[str, Any] = {"address": address}
    if not address:
        where = {"address": "local", "num_cpus": execution.workers or whole_cores(), "include_dashboard": False}
    elif (url := _split(address)).port:
        try:
            socket.create_connection((url.hostname or "", url.port), _ANSWER_S).close()
        except OSError as error:  # Ray would try for minutes
            raise _no_answer("Ray cluster", address, error) from error
    where |= {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with _server_for_workers(address), prefect_ray.RayTaskRunner(init_kwargs=where) as task_runner:

            def check() -> int:
                return _count_workers(lambda: int(ray.cluster_resources().get("CPU", 0)), address)

            yield Runner(task_runner, WorkerCapacity(check(), CLUSTER_TASK_S, execution.videos_per_task), 1, check)
    except ConnectionError as error:
        raise _no_answer("Ray cluster", address, error) from error


def _import(extra: str, *modules: str) -> list[Any]:
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError as error:
        raise UserError(
            f"execution.task_runner {extra} needs packages that are not installed ({error}); "
            f"run pip install 'fer-pipeline[{extra}]'."
        ) from error


@contextmanager
def _server_for_workers(address: str | None) -> Iterator[None]:
    """Have the workers report to the Prefect server of this process, be it one that lives only as long as this run."""
    if address and not _is_here(address) and _is_here(PREFECT_API_URL.value() or "http://localhost"):
        raise UserError(
            f"The workers at {address} need a Prefect server that they can reach; start one with "
            "`prefect server start --host 0.0.0.0` and set PREFECT_API_URL to its address."
        )
    with get_client(sync_client=True) as client, temporary_settings({PREFECT_API_URL: str(client.api_url)}):
        yield


def _is_here(address: str) -> bool:
    """Whether an address is one that only this machine can reach."""
    return _split(address).hostname in ("localhost", "127.0.0.1", "::1")


def _count_workers(count: Callable[[], int], address: str | None) -> int:
    """How many tasks the workers of a cluster can run at once, as soon as it has one."""
    deadline = time.monotonic() + _WORKER_S
    reason = "it has none"
    while time.monotonic() < deadline:
        try:
            if found := count():
                return found
        except Exception as error:  # each library has its own ones for a scheduler that is gone
            reason = f"{type(error).__name__}: {error}"
        time.sleep(0.5)
    raise UserError(
        f"The cluster {f'at {address}' if address else 'of this run'} has no workers ({reason}). "
        "What is prepared stays; start workers and run the same command again."
    )


def _no_answer(kind: str, address: str | None, error: Exception) -> UserError:
    return UserError(
        f"No {kind} answers at execution.task_runner_address = {address} ({error}); start it or correct the address, "
        "or leave the address out to have a cluster started for the run."
    )


def _split(address: str) -> SplitResult:
    return urlsplit(address if "//" in address else f"//{address}")
