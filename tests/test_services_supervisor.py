"""Services as real processes: ready, restarted, given up, ended with all that they started."""

import dataclasses
import os
import pty
import signal
import stat
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from fer_models.errors import UserError
from flows.up import _alone
from tasks.services import supervisor as module
from tasks.services.credentials import credentials, make_password, password_file
from tasks.services.descendants import end_marked, mark_of, marked
from tasks.services.home import HOME
from tasks.services.ports import is_listened_on_by_this_user, listen
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


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The signals are the test runner's again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
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
    with Supervisor(tmp_path) as supervisor:
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

    with Supervisor(tmp_path) as supervisor:
        supervisor.start(service(tmp_path, PARENT))
        killer = threading.Thread(target=kill_the_first_and_stop)
        killer.start()
        supervisor.watch()
        killer.join()
    assert "a service ended (exit code -9); it is started again" in capsys.readouterr().err
    assert all(map(is_gone, pids(tmp_path))), "the child of the one that was killed too, which was nobody's any more"


def test_what_ends_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.01)
    code = "import os, pathlib; (pathlib.Path(os.environ['FOLDER']) / 'ready').touch(); print('no room'); exit(3)"
    (tmp_path / "ready").touch()
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(service(tmp_path, code))
        with pytest.raises(UserError, match=r"a service ends again and again, last with exit code 3; .*no room"):
            supervisor.watch()


def test_what_ends_before_it_is_ready_is_said_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = service(tmp_path, "print('the first line'); print('the disk is full'); exit(4)", "Prefect server")
    with (
        Supervisor(tmp_path) as supervisor,
        pytest.raises(
            UserError, match=r"Prefect server ended with exit code 4; .*Prefect-server.log ends with: .*full"
        ),
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


def test_another_process_with_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    here = Addresses.of("127.0.0.1", 4200, 5000)
    assert here.started
    write_addresses(tmp_path, here.model_copy(update={"started": here.started - 60}))
    assert read_addresses(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_record_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text(text)
    assert read_addresses(tmp_path) is None


#: A `fer up` with one service, in the folder of its first argument.
UP = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests run under nohup too
from pathlib import Path
from tests_services import PARENT, service
from tasks.services.supervisor import Addresses, Supervisor, write_addresses
home = Path(sys.argv[1])
with Supervisor(home) as supervisor:
    supervisor.start(service(home, PARENT))
    write_addresses(home, Addresses.of("127.0.0.1", 4200, 5000))
    (home / "watching").touch()
    supervisor.watch()
""".replace("tests_services", Path(__file__).stem)


@contextmanager
def up(home: Path) -> Iterator[psutil.Process]:
    """A process with a service and a child of that, which is in a session of its own."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    process = psutil.Popen([sys.executable, "-c", UP, str(home)], env=os.environ | {"PYTHONPATH": path})
    try:
        wait((home / "watching").is_file)
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()


def keepers(supervisor: psutil.Process) -> list[psutil.Process]:
    alive = [child for child in supervisor.children() if not is_gone(child.pid)]
    return [child for child in alive if "tasks.services.keeper" in child.cmdline()]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_all_ends_whatever_ends_the_supervisor(number: signal.Signals, tmp_path: Path) -> None:
    with up(tmp_path) as supervisor:
        started = supervisor.children(recursive=True)
        assert {process.pid for process in started} >= set(pids(tmp_path))
        supervisor.send_signal(number)
        supervisor.wait(60)
        wait(lambda: all(is_gone(process.pid) for process in started))
    assert marked(mark_of(tmp_path)) == []
    assert number is not signal.SIGKILL or not (tmp_path / "services.json").exists()


@pytest.mark.slow
def test_what_outlived_supervisor_and_keeper_is_found_and_ended(tmp_path: Path) -> None:
    with up(tmp_path) as supervisor:
        (keeper,) = keepers(supervisor)
        supervisor.suspend()  # it would start another one
        keeper.kill()
        supervisor.kill()
        supervisor.wait(60)
        left = pids(tmp_path)
        assert not any(map(is_gone, left))
        assert {process.pid for process in marked(mark_of(tmp_path))} == set(left)
        assert marked(mark_of(tmp_path / "another")) == []
        assert end_marked(mark_of(tmp_path)) == 2
    assert all(map(is_gone, left))


@pytest.mark.slow
def test_a_keeper_that_ends_is_started_again(tmp_path: Path) -> None:
    with up(tmp_path) as supervisor:
        (first,) = keepers(supervisor)
        first.kill()
        wait(lambda: any(keeper.pid != first.pid for keeper in keepers(supervisor)))
        supervisor.terminate()
        supervisor.wait(60)


def test_a_closed_terminal_ends_it(tmp_path: Path) -> None:
    """As a terminal does: the process leads its session, and whoever holds the other end lets go."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    pid, terminal = pty.fork()
    if not pid:
        os.execve(sys.executable, [sys.executable, "-c", UP, str(tmp_path)], os.environ | {"PYTHONPATH": path})
    wait((tmp_path / "watching").is_file)
    started = psutil.Process(pid).children(recursive=True)
    assert len(started) == 3
    os.close(terminal)
    os.waitpid(pid, 0)
    assert all(is_gone(process.pid) for process in started)


def test_a_process_ends_with_its_parent() -> None:
    child = (
        "import sys, time\nfrom tasks.services.descendants import end_with_parent\n"
        "end_with_parent(int(sys.argv[1]))\ntime.sleep(600)"
    )
    start = f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())]).pid"
    parent = f"import os, subprocess, sys; print({start}, flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pid = int(process.stdout.readline())
    assert not is_gone(pid)
    process.kill()
    process.wait()
    wait(lambda: is_gone(pid))


def test_what_servers_write_is_for_nobody_else(tmp_path: Path) -> None:
    home = tmp_path / "services"
    home.mkdir()
    (home / "prefect.db").touch(0o644)
    code = "import os, pathlib; [(pathlib.Path(os.environ['FOLDER']) / n).touch() for n in ('mlflow.db', 'ready')]"
    code += "; (pathlib.Path(os.environ['FOLDER']) / 'leases').mkdir(); import time; time.sleep(600)"
    with Supervisor(home) as supervisor:
        supervisor.start(dataclasses.replace(service(home, code), private=True))
        for path in (home, *home.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_files_that_come_and_go_meanwhile_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the journal of a database does while another `fer up` of the folder starts."""
    (tmp_path / "mlflow.db").touch(0o644)
    there = Path.iterdir
    gone = tmp_path / "a.db-journal"
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([gone, *there(folder)]))
    make_private(tmp_path)
    assert stat.S_IMODE((tmp_path / "mlflow.db").stat().st_mode) == 0o600


def test_nobody_else_gets_a_service_s_socket_while_it_is_started_again(tmp_path: Path) -> None:
    code = "import os, socket, sys; socket.socket(fileno=int(sys.argv[1])); open(os.environ['FOLDER'] + '/ready', 'w')"
    with listen("127.0.0.1", 0) as listening, Supervisor(tmp_path) as supervisor:
        port = listening.getsockname()[1]
        listens = dataclasses.replace(service(tmp_path, f"{code}; import time; time.sleep(600)"), listening=listening)
        words = [*listens.command, str(listening.fileno())]
        supervisor.start(dataclasses.replace(listens, command=words))
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", port)
        assert is_listened_on_by_this_user(port)


def test_prefect_finds_the_server_by_a_file_of_ours_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, file = Addresses.of("127.0.0.1", 4200, 5000), tmp_path / "prefect.toml"
    assert let_prefect_find(here, "fer:secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tomllib.loads(file.read_text())["api"] == {"url": here.prefect, "auth_string": "fer:secret"}
    assert let_prefect_find(here, "")
    assert tomllib.loads(file.read_text())["api"] == {"url": here.prefect}
    remove_addresses(tmp_path)
    assert not file.exists()
    file.write_text("# mine\n")
    assert not let_prefect_find(here, "fer:secret")
    remove_addresses(tmp_path)
    assert file.read_text() == "# mine\n"


def test_a_password_is_made_once_and_anew_when_others_could_read_it(tmp_path: Path) -> None:
    assert credentials(tmp_path) == {}
    make_password(tmp_path)
    first = credentials(tmp_path)
    assert first["PREFECT_API_AUTH_STRING"] == f"fer:{first['MLFLOW_TRACKING_PASSWORD']}"
    assert len(first["MLFLOW_TRACKING_PASSWORD"]) >= 32
    assert stat.S_IMODE(password_file(tmp_path).stat().st_mode) == 0o600
    make_password(tmp_path)
    assert credentials(tmp_path) == first
    password_file(tmp_path).chmod(0o640)
    make_password(tmp_path)
    second = credentials(tmp_path)
    assert second != first
    for text in ("", "fer:short", "no colon" * 9):
        password_file(tmp_path).write_text(text)
        make_password(tmp_path)
        assert credentials(tmp_path) not in ({}, first, second)


def test_two_fer_up_do_not_start_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with _alone(), pytest.raises(UserError, match="Another `fer up` of this folder is starting or ending"), _alone():
        raise AssertionError
    with _alone():
        assert stat.S_IMODE(HOME.stat().st_mode) == 0o700


def test_nobody_answers_at_a_free_port() -> None:
    free = "http://127.0.0.1:1/api"
    assert not prefect_answers(free)
    assert not mlflow_answers(free)
    assert host_and_port(free) == ("127.0.0.1", 1)
