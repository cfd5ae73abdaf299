"""Flows run by a command in its own process, and what such a process prints and how it ends."""

import importlib
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

from flows.cli.answers import out
from flows.cli.options import Chosen
from flows.environment import check_keras, import_prefect, prepare_environment, silent_imports

#: Addresses that Keras, Prefect and MLflow in one process need.
_LEAST_GB = 5.0
_FLOWS = {
    "prepare": ("flows.prepare", "prepare"),
    "split": ("flows.split", "split"),
    "train": ("flows.train", "train"),
    "evaluate": ("flows.evaluate", "evaluate"),
    "study": ("flows.study", "full_study"),
}


def run_flow(name: str, chosen: Chosen, **more: Any) -> Any:
    """Check settings and corpus, then run a flow in this process.

    With no server to tell of it, a preparation that has nothing to do ends here, without waiting for Prefect.

    Args:
        more: parameters that this flow alone has.
    """
    prepare_environment(quiet=not chosen.debug)
    check_keras(_LEAST_GB)
    settings = chosen.settings()
    signal.signal(signal.SIGINT, stop)
    if name in ("prepare", "study") and not os.environ.get("PREFECT_API_URL"):
        from flows.own_server import check_own_server
        from tasks.preparation.batches import Attempts
        from tasks.preparation.scan import conclude, scan_corpus

        check_own_server()
        scan = scan_corpus(settings, more.get("videos"))
        if name == "prepare" and scan.plan.due.empty:
            return conclude(scan, settings, Attempts()).counts
    from flows.shortage import shortages_named
    from tasks.services.prefect_database import prefect_home

    with shortages_named(Path(str(settings.data_root)), prefect_home()):
        return start_flow(name, chosen.parameters(), **more)


def start_flow(name: str, parameters: dict[str, Any], **more: Any) -> Any:
    """Run a flow in this process, with the server that was named or one that lives as long as the process.

    Args:
        parameters: those that every flow has, see `Chosen.parameters`.
        more: parameters that this flow alone has.
    """
    from flows.own_server import is_own_server, start_own_server, watch_server
    from tasks.services.named_server import check_server

    server = os.environ.get("PREFECT_API_URL")
    if server and not is_own_server(server):
        check_server(server)
    else:
        start_own_server()

    module, function = _FLOWS[name]
    with silent_imports():
        import_prefect()
        run = getattr(importlib.import_module(module), function)
    if name == "prepare":
        more["allow_failures"] = True  # the ledger and the last line tell of failed videos
    _remember_start()
    with watch_server(os.environ["PREFECT_API_URL"], _leave_without_server):
        return run(**parameters, **more)


def _remember_start() -> None:
    """Take note of how long it took from the start of the process to the work."""
    import psutil

    from tasks.storage.measured import Measured, remember

    remember("start", "flow", "", Measured(start_s=max(0.0, time.time() - psutil.Process().create_time())))


def stop(*_: object) -> NoReturn:
    """Ctrl-C: leave at once. Files are whole or not there, so there is nothing to wait for."""
    from flows.own_server import end_own_server

    end_own_server()
    _leave("fer: stopped; the same command continues from here.", 130)


def _leave_without_server(what: str) -> NoReturn:
    """Prefect can do nothing without its server."""
    _leave(f"fer: {what}; the same command continues from here.", 1)


def _leave(sentence: str, code: int) -> NoReturn:
    from tasks.progress import last_words

    for child in multiprocessing.active_children():
        child.kill()
    last_words(sentence)
    os._exit(code)


def show_results(report: Path, chosen: Chosen) -> None:
    """Print the comparison table of an evaluated study and where its report lies."""
    from flows.status import print_results

    print_results(chosen.settings(), report, out)
