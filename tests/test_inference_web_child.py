"""The process that looks into a video: what it may do to the server, and what it may do at all."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fer_models.errors import Refused, UserError
from tasks.inference.web import child as child_module
from tasks.inference.web.child import Child
from tasks.inference.web.limits import Limits
from tasks.inference.web.worker import Worker

UNKNOWN = "Something went wrong with this video; whoever runs this server sees what in its terminal."
DIED = "Looking into this video was ended by something in it that could not be read; try another file."
NO_MEMORY = "Looking into this video was ended by more memory than it may take here; try another file."


@pytest.fixture(autouse=True)
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_MODULE", "stub_worker")
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", f"{here}:{here.parent}")


def asked(way: str, folder: Path, seconds: float = 60.0) -> list[Any]:
    """What a process that behaves so tells; it has ended after a fault."""
    told: list[Any] = []

    async def ask() -> None:
        child = await Child.start([way], None, Limits(), folder)
        try:
            await child.ask("answer", {}, seconds, lambda *step: told.append(step))
            assert child.is_alive
        except BaseException:
            assert not child.is_alive
            raise
        finally:
            await child.end()

    asyncio.run(ask())
    return told


def test_steps_are_told(tmp_path: Path) -> None:
    assert asked("steps", tmp_path) == [("Reading", 0.5), ("7", None)]


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("gibberish", UNKNOWN),
        ("list", UNKNOWN),
        ("flood", UNKNOWN),
        ("failed", UNKNOWN),
        ("crash", DIED),
        ("exit", DIED),
        ("killed", NO_MEMORY),
        ("refused", "It is no video."),
    ],
)
def test_whatever_it_does_costs_one_request(tmp_path: Path, way: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(way, tmp_path)
    assert str(refused.value) == sentence


def test_it_is_ended_when_it_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"took longer than 0\.2 s"):
        asked("silent", tmp_path, seconds=0.2)


def test_it_finds_no_password_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING", "FER_SERVE_TOKEN")
    for name in secrets:
        monkeypatch.setenv(name, "hidden")
    asked("steps", tmp_path)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert "hidden" not in environment.values()
    assert environment["TMPDIR"] == str(tmp_path)


def in_worker(code: str) -> str:
    """What code prints that runs as the process does, in one of its own."""
    begin = "from tasks.inference.web.worker import *\n"
    root = Path(__file__).resolve().parent.parent
    ended = subprocess.run([sys.executable, "-c", begin + code], cwd=root, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_it_gets_no_more_memory_and_writes_no_larger_file(tmp_path: Path) -> None:
    code = f"""
limit_resources(300 * 10**6, 1000)
few = bytearray(100 * 10**6)
try:
    bytearray(400 * 10**6)
except MemoryError:
    print("no memory")
try:
    with open({str(tmp_path / "large")!r}, "wb") as file:
        file.write(bytes(2000))
except OSError as error:
    print("no room")
"""
    assert in_worker(code).split("\n") == ["no memory", "no room"]
    assert (tmp_path / "large").stat().st_size <= 1000


def test_it_reaches_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
import socket
leave_network()
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 5)
    print("reached")
except OSError:
    print("cut off")
"""
        if in_worker("import ctypes; print(ctypes.CDLL(None).unshare(0x50000000))") != "0":
            pytest.skip("this system lets no process leave the network")
        assert in_worker(code) == "cut off"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Refused("It is too long."), {"refused": "It is too long."}),
        (
            MemoryError(),
            {"refused": "This video needs more memory than it may take here; try a smaller or shorter one."},
        ),
        (UserError("There is no model."), {"failed": "There is no model."}),
        (ZeroDivisionError("by 0"), {"failed": "ZeroDivisionError: by 0"}),
    ],
)
def test_faults_are_told_apart(error: Exception, message: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    worker = Worker(sent.append)

    def fail(order: Any) -> None:
        raise error

    monkeypatch.setattr(worker, "_begin", fail)
    worker.obey({"order": "begin"})
    assert sent == [message]
