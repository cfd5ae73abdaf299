"""Processes that `fer up` started, directly or not, and how they are ended, also when nobody is left who knows of them.

All of them carry a mark in their environment, which children inherit: worker, flow run, and what a flow run started.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

#: The mark: an environment variable with the folder whose `fer up` a process belongs to.
MARK = "FER_UP_IN"
#: Services are asked to end, and made to after this.
GRACE_S = 15.0
#: Stands in the command of a worker's child that runs a flow.
_FLOW_RUN = "prefect.engine"
_WORKER = ("worker", "start")
_LOOK_S = 0.5
_ROUNDS = 5


def mark_of(home: Path) -> str:
    """The value of the mark for the services of a folder."""
    return str(home.resolve())


def marked(mark: str) -> list[psutil.Process]:
    """The processes of this user that carry a mark, this one left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # another user's, or it ended meanwhile
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def end_marked(mark: str) -> int:
    """End all processes that carry a mark: workers with their flow runs first, then the rest; returns how many."""
    processes = marked(mark)
    workers = [process for process in processes if all(word in _command(process) for word in _WORKER)]
    for worker in workers:
        end_flow_runs(worker)
    _end(workers)
    _end(others := [process for process in processes if process not in workers])
    for _ in range(_ROUNDS):  # what was started meanwhile
        if not (left := marked(mark)):
            break
        _end(left, 0.0)
    return len(workers) + len(others)


def end_flow_runs(worker: psutil.Process) -> None:
    """Let the flow runs of a worker tell the server that they end, so that they go on when there is a worker again.

    The worker stands still meanwhile: it would take them up at once, and an ending one lets them tell nothing.
    """
    with suppress(psutil.NoSuchProcess):
        flow_runs = [child for child in worker.children() if _FLOW_RUN in _command(child)]
        if not flow_runs:
            return
        worker.suspend()
        for flow_run in flow_runs:
            with suppress(psutil.NoSuchProcess):
                flow_run.terminate()
        psutil.wait_procs(flow_runs, timeout=GRACE_S)
        worker.resume()


def end_with_parent(parent: int) -> None:
    """Have this process end, asked first, soon after its parent has died; returns at once."""

    def watch() -> None:
        wait_for_end_of(parent)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def wait_for_end_of(parent: int) -> None:
    """Return once the parent of this process has died: an orphan gets another parent at once."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)


def _end(processes: Sequence[psutil.Process], grace_s: float = GRACE_S) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate() if grace_s else process.kill()
    _, left = psutil.wait_procs(processes, timeout=grace_s)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_S)


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []
