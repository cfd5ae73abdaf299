"""Services as real processes: ready, restarted, given up, ended with all that they started."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fer_models.errors import UseError
from tasks import services
from tasks.services import (
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


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The signals are the test runner's again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def service(folder: Path, code: str, name: str = "a service") -> Service:
    """Python code that is ready when there is a file `ready`; its folder is the environment variable FOLDER."""
    return Service(name, [sys.executable, "-c", code], lambda: {"FOLDER": str(folder)}, (folder / "ready").is_file)


def wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


#: Starts a child, writes both ids and waits for ever.
PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
folder = pathlib.Path(os.environ["FOLDER"])
(folder / f"{os.getpid()}-{child.pid}").touch()
(folder / "ready").touch()
time.sleep(600)
"""


def pids(folder: Path) -> list[int]:
    return [int(pid) for path in folder.glob("[0-9]*-[0-9]*") for pid in path.name.split("-")]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_all_that_was_started_ends(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(service(tmp_path, PARENT))
        started = pids(tmp_path)
        assert len(started) == 2
        assert not any(map(is_gone, started))
    wait(lambda: all(map(is_gone, started)))
    assert (tmp_path / "logs" / "a-service.log").is_file()


def test_what_ends_is_started_again_until_it_is_asked_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill_the_first_and_stop() -> None:
        first = pids(tmp_path)[0]
        os.kill(first, signal.SIGKILL)
        wait(lambda: len(pids(tmp_path)) == 4)
        os.kill(os.getpid(), signal.SIGINT)

    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(service(tmp_path, PARENT))
        killer = threading.Thread(target=kill_the_first_and_stop)
        killer.start()
        supervisor.watch()
        killer.join()
    assert "a service ended (exit code -9); it is started again" in capsys.readouterr().err
    for pid in pids(tmp_path):
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)  # the child of the one that was killed, which was nobody's any more


def test_what_ends_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_LOOK_S", 0.01)
    code = "import os, pathlib; (pathlib.Path(os.environ['FOLDER']) / 'ready').touch(); print('no room'); exit(3)"
    (tmp_path / "ready").touch()
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(service(tmp_path, code))
        with pytest.raises(UseError, match=r"a service ends again and again, last with exit code 3; .*no room"):
            supervisor.watch()


def test_what_ends_before_it_is_ready_is_said_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = service(tmp_path, "print('the first line'); print('the disk is full'); exit(4)", "Prefect server")
    with (
        Supervisor(tmp_path / "logs") as supervisor,
        pytest.raises(UseError, match=r"Prefect server ended with exit code 4; .*Prefect-server.log ends with: .*full"),
    ):
        supervisor.start(broken)


def test_addresses_are_found_while_their_process_lives(tmp_path: Path) -> None:
    assert read_addresses(tmp_path) is None
    here = Addresses.of("127.0.0.1", 4200, 5000)
    write_addresses(tmp_path, here)
    assert read_addresses(tmp_path) == here
    assert here.environment() == {
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }
    nobody = max(psutil.pids()) + 100_000
    write_addresses(tmp_path, here.model_copy(update={"pid": nobody}))
    assert read_addresses(tmp_path) is None
    remove_addresses(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nobody_answers_at_a_free_port() -> None:
    free = "http://127.0.0.1:1/api"
    assert not prefect_answers(free)
    assert not mlflow_answers(free)
    assert host_and_port(free) == ("127.0.0.1", 1)
