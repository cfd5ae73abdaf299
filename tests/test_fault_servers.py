"""Servers that are foreign or end, databases that others hold, full disks: one sentence, and then quiet.

Each command is a process of its own, as a user would run it.
"""

import contextlib
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.services.named_server import check_server
from tasks.tracking import connection

ROOT = Path(__file__).resolve().parent.parent
STARTING = "Starting Prefect for this command"


@contextlib.contextmanager
def answering(**answers: tuple[int, str, str]) -> Iterator[str]:
    """A server on a free port that answers by the last part of a path: status, type of content, content."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            last = self.path.partition("?")[0].rpartition("/")[2].replace("-", "_")
            status, kind, content = answers.get(last, answers["else_"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    for verb in ("GET", "POST", "PATCH"):
        setattr(Handler, f"do_{verb}", Handler.answer)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


HTML, JSON = (200, "text/html", "<html>Welcome</html>"), (200, "application/json", '{"ok": true}')
TRUE, REFUSED = (200, "application/json", "true"), (401, "application/json", "{}")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"else_": HTML}, "is no Prefect server; name another one, or unset PREFECT_API_URL"),
        ({"else_": JSON}, "is no Prefect server"),
        ({"else_": (404, "text/plain", "nothing here")}, "No Prefect server answers at PREFECT_API_URL"),
        ({"health": TRUE, "else_": (200, "application/json", "[]")}, "is no Prefect server"),
        ({"health": TRUE, "else_": REFUSED}, "right password; give it: export PREFECT_API_AUTH_STRING=user:password"),
        ({"health": TRUE, "version": (200, "application/json", '"2.20.1"'), "else_": JSON}, "is Prefect 2.20.1, and"),
    ],
)
def test_a_server_that_is_not_prefects(
    answers: dict[str, tuple[int, str, str]], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(tmp_path / "profiles.toml"))
    with answering(**answers) as address, pytest.raises(UserError) as told:
        check_server(f"{address}/api")
    assert words in str(told.value)
    assert address in str(told.value)


def test_prefect_of_this_version_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    here = (200, "application/json", json.dumps(version("prefect")))
    with answering(health=TRUE, version=here, else_=JSON) as address:
        check_server(f"{address}/api")


@pytest.mark.parametrize("kind", [HTML, JSON, (404, "text/plain", "nothing"), REFUSED])
def test_a_server_that_is_not_mlflows(
    kind: tuple[int, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout.of(resolve_settings("sample", overrides={"data_root": tmp_path / "data"}))
    with answering(else_=kind) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(UserError, match=rf"MLFLOW_TRACKING_URI = '{address}'"):
            connection.connect(layout)


@pytest.mark.parametrize("address", ["http://me:hush@127.0.0.1:9", "http://[bad", "https://"])
def test_an_mlflow_server_that_is_not_there(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """MLflow itself would ask again for four minutes."""
    layout = Layout.of(resolve_settings("sample", overrides={"data_root": tmp_path / "data"}))
    monkeypatch.setattr(connection, "_PATIENCE_S", 1.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    with pytest.raises(UserError, match=r"No MLflow server answers at .* or unset MLFLOW_TRACKING_URI") as told:
        connection.connect(layout)
    assert "hush" not in str(told.value) + capsys.readouterr().err


FLOW = """
import os, signal, sqlite3, time
from prefect import flow, task

@flow
def triple(number):
    return task(lambda: 3 * number)()
"""
#: Runs a small flow with a server of its own; `between` is done after it, as the process goes on to its end.
RUNS = """
import os, sys
from flows.environment import prepare_environment
prepare_environment(quiet=True)
from flows.cli import running
from flows.cli.endings import end_with
running._FLOWS["split"] = ("own_flow", "triple")
try:
    print(running.start_flow("split", {{"number": 3}}), flush=True)
except Exception as error:
    end_with(error)
from flows import own_server
{between}
"""
DIES_AT_THE_END = "own_server._own[0].process.kill(); own_server._own[0].process.wait()"


def run(folder: Path, command: list[str], timeout_s: float = 600, **more: str) -> subprocess.CompletedProcess[str]:
    unset = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILES_PATH", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("between", ["", DIES_AT_THE_END])
def test_a_server_that_is_gone_after_a_success_is_not_mentioned(between: str, tmp_path: Path) -> None:
    """Prefect's threads still hold events for it."""
    (tmp_path / "own_flow.py").write_text(FLOW)
    done = run(tmp_path, ["-c", RUNS.format(between=between)])
    assert (done.returncode, done.stdout) == (0, "9\n")
    assert [line for line in done.stderr.splitlines() if not line.startswith((STARTING, "Prefect is still"))] == []


@pytest.mark.slow
@pytest.mark.faults
def test_prefects_database_that_another_program_holds(tmp_path: Path) -> None:
    (tmp_path / "own_flow.py").write_text(FLOW)
    assert run(tmp_path, ["-c", RUNS.format(between="")]).returncode == 0
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        done = run(tmp_path, ["-c", RUNS.format(between="")])
    said = [line for line in done.stderr.splitlines() if not line.startswith((STARTING, "Prefect is still"))]
    assert done.returncode == 1
    (sentence,) = said
    assert f"another program holds {tmp_path}/prefect/prefect.db; end that, or export PREFECT_HOME=" in sentence


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of a few megabytes in memory, where this user may make one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this user may mount no disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


FER = ["-c", "from flows.cli import main; main()"]


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has tmpfs")
def test_a_disk_that_is_full_in_training_is_one_sentence_and_training_goes_on_afterwards(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180)))
    with small_disk(tmp_path / "disk", "40m") as disk:
        settings = [f"data_root={disk}/data", f"corpus.root={tmp_path}/corpus", "corpus.draw_sample=false"]
        settings += ["corpus.emotions=[anger, happiness, sadness]", "model.width=4", "model.head_units=16"]
        settings += ["training.epochs=2", "arms=[gap-sum]"]
        options = ["--preset", "sample", *(word for one in settings for word in ("--set", one))]
        for command in ("prepare", "split"):
            done = run(tmp_path, [*FER, command, *options])
            assert done.returncode == 0, done.stderr
        filler = disk / "filler"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler.write_bytes(bytes(free - 100_000))
        full = run(tmp_path, [*FER, "train", *options])
        lines = [line for line in full.stderr.splitlines() if line.startswith("fer: ")]
        assert full.returncode == 1, full.stderr
        assert "Traceback" not in full.stderr
        assert full.stderr.splitlines()[-1:] == lines, full.stderr
        assert f"The disk of {disk}" in lines[0]
        assert "is full; make room" in lines[0]
        filler.unlink()
        again = run(tmp_path, [*FER, "train", *options])
        assert again.returncode == 0, again.stderr
        assert "Trained 1 of 1 runs" in again.stderr


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has tmpfs")
def test_a_full_disk_of_prefects_home_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "own_flow.py").write_text(FLOW)
    with small_disk(tmp_path / "disk", "200k") as disk:
        done = run(tmp_path, ["-c", RUNS.format(between="")], PREFECT_HOME=str(disk))
    said = [line for line in done.stderr.splitlines() if not line.startswith((STARTING, "Prefect is still"))]
    assert done.returncode == 1
    (sentence,) = said
    assert f"the disk of {disk}/prefect.db is full; make room, or export PREFECT_HOME=" in sentence
