"""The server that a command starts for itself: for that command alone, and gone with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from lab import wait_for

pytestmark = pytest.mark.slow

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


@pytest.fixture
def command(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    unset = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILES_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        env=environment | {"PREFECT_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


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
