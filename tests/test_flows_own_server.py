"""The server that a command starts for itself: for that command alone, and gone with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from lab import ROOT, wait_for

pytestmark = pytest.mark.slow

#: Runs a flow of a name that `start_flow` knows whenever it is told to, and says how that went and where the server is.
RUNS = """
import os, sys
from flows.environment import prepare_environment
prepare_environment(quiet=True)
from flows.cli import running
running._FLOWS["split"] = ("own_flow", "triple")
for line in sys.stdin:
    print(running.start_flow("split", {"number": int(line)}), os.environ["PREFECT_API_URL"], flush=True)
"""
FLOW = """
import time
from prefect import flow, task

@flow
def triple(number):
    if not number:
        print("running", flush=True)
        time.sleep(600)
    return task(lambda: 3 * number)()
"""

#: Starts a server, says where it is and by which password it can be used, and waits.
COMMAND = """
import os
from flows.environment import prepare_environment
prepare_environment(quiet=True)
from flows.own_server import start_own_server
start_own_server()
print(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"], flush=True)
input()
"""


@contextmanager
def run(code: str, folder: Path, stderr: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A command with a Prefect home of its own that finds no server."""
    unset = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILES_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment | {"PREFECT_HOME": str(folder), "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def command(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with run(COMMAND, tmp_path) as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None])
def test_it_lets_in_its_command_alone_and_ends_with_it(
    number: signal.Signals | None, command: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert command.stdout
    url, password = command.stdout.readline().split()
    user, _, password = password.partition(":")
    assert httpx.post(f"{url}/flows/filter", json={}, auth=(user, password)).json() == []
    for auth in (None, (user, "wrong")):
        assert httpx.post(f"{url}/flows/filter", json={}, auth=auth).status_code == httpx.codes.UNAUTHORIZED
    for foreign in ({"Host": "evil.test"}, {"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.get(f"{url}/health", headers=foreign).status_code == httpx.codes.FORBIDDEN
    assert not (tmp_path / "prefect.db").stat().st_mode & 0o077

    (server,) = psutil.Process(command.pid).children()
    assert password not in " ".join(server.cmdline())
    if number:
        command.send_signal(number)
    else:
        command.communicate("\n")
    command.wait()
    wait_for("the end of the server", lambda: not server.is_running(), 60)


def test_a_server_that_ended_is_started_again_for_the_next_flow(tmp_path: Path) -> None:
    """As in `fer watch`, whose process runs one flow after another."""
    (tmp_path / "own_flow.py").write_text(FLOW)
    with run(RUNS, tmp_path) as process:
        assert process.stdin
        assert process.stdout

        def ask(number: int) -> tuple[str, str, psutil.Process]:
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            result, url = process.stdout.readline().split()
            alive = [child for child in psutil.Process(process.pid).children() if "flows.servers" in child.cmdline()]
            return result, url, alive[0]

        first, again = ask(1), ask(2)
        assert first[1:] == again[1:], "one server for both"
        first[2].kill()
        wait_for("the end of the server", lambda: first[2].status() == psutil.STATUS_ZOMBIE, 60)
        third = ask(3)
    assert (first[0], again[0], third[0]) == ("3", "6", "9")
    assert third[1] == first[1], "to Prefect it is the same one"
    assert third[2] != first[2]


def test_a_server_that_ends_during_a_flow_ends_the_command_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "own_flow.py").write_text(FLOW)
    with run(RUNS, tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("0\n")
        process.stdin.flush()
        assert process.stdout.readline() == "running\n"
        (server,) = (child for child in psutil.Process(process.pid).children() if "flows.servers" in child.cmdline())
        server.kill()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[1:] == [
        "fer: Prefect's server for this command ended (killed by SIGKILL); the same command continues from here."
    ]
