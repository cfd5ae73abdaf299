"""`fer doctor`: what it finds on a sound machine, and each thing that it must notice."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tasks.config.presets import PRESETS
from tasks.config.settings import StudySettings
from tasks.diagnosis import diagnose, hardware, services, software, storage
from tasks.diagnosis.check_result import State
from tasks.services.ports import is_listening, listening_process
from tasks.storage.addresses import hide_password_in, hide_secrets

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = (
    "PREFECT_API_URL",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> StudySettings:
    return PRESETS["sample"]().model_copy(update={"data_root": tmp_path / "data"})


class Answers(http.server.BaseHTTPRequestHandler):
    """Healthy for everybody; anything else for those with the password."""

    def do_GET(self) -> None:
        """Answer as both servers do."""
        open_to_all = self.path.endswith("/health")
        allowed = open_to_all or self.headers["Authorization"] == "Basic ZmVyOnM6M2NyM3Q="  # fer:s:3cr3t
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(b"true" if open_to_all else b"{}")

    def log_message(self, *_: object) -> None:
        """Keep the test's output free of requests."""


@pytest.fixture
def server() -> Iterator[int]:
    """Port of a server with a password."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=[0.01])  # s to a shutdown
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def fer(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*filter(None, [environment.pop("PYTHONPATH", "")]), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
        cwd=cwd,
        env=os.environ | environment | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_sound_machine_has_no_error(tmp_path: Path) -> None:
    result = fer("doctor", "--preset", "sample", "--data-root", str(tmp_path / "data"), cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "A study can run here: 0 errors" in result.stdout
    assert "mixed_bfloat16" in result.stdout
    assert "oneDNN" not in result.stderr
    assert list(tmp_path.iterdir()) == [], "looking leaves no trace"


def test_an_error_exits_with_one_and_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_ask_keras", lambda **_: ("tensorflow", ["cpu:0"], False))  # which takes seconds
    (tmp_path / "data").write_text("a file")
    result = CliRunner().invoke(app, ["doctor", "--preset", "sample", "--data-root", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "not a folder" in result.stdout
    assert "--data-root" in result.stdout
    assert "1 error," in result.stdout


def test_a_broken_backend_is_a_row(settings: StudySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    (result,) = hardware.check_backend(settings)
    assert result.state is State.ERROR
    assert "abacus" in result.found
    assert "KERAS_BACKEND" in result.fix


def test_more_workers_than_cores_are_noticed(settings: StudySettings) -> None:
    execution = settings.execution.model_copy(update={"workers": 4096})
    (result,) = hardware.check_cores(settings.model_copy(update={"execution": execution}))
    assert result.state is State.WARNING
    assert "execution.workers=" in result.fix


def install(folder: Path, name: str, version: str, *lines: str) -> None:
    """A distribution's metadata, as an installer leaves it."""
    home = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    home.mkdir()
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "\n".join(lines))


def test_packages_out_of_range_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: StudySettings
) -> None:
    needs = ["fastapi<0.151", "keras>=3.12,<4", "absent-package>=2", "prefect-dask>=9; extra == 'dask'"]
    needs.append("elsewhere; sys_platform == 'plan9'")
    install(tmp_path, "fer-pipeline", "0.1.0", *(f"Requires-Dist: {need}" for need in needs))
    install(tmp_path, "fastapi", "0.160.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {result.name: result for result in software.check_packages(settings)}
    assert set(found) == {"fastapi", "absent-package"}
    assert {result.state for result in found.values()} == {State.ERROR}
    assert found["fastapi"].found == "0.160.0, needs <0.151"
    assert "fastapi<0.151" in found["fastapi"].fix
    assert "not installed" in found["absent-package"].found


def test_an_extra_counts_with_what_its_packages_need_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: StudySettings
) -> None:
    extras = [f"Provides-Extra: {name}" for name in ("gpu", "s3", "dev")]
    needs = ["Requires-Dist: jax[cuda12]; extra == 'gpu'", "Requires-Dist: s3fs; extra == 's3'"]
    install(tmp_path, "fer-pipeline", "0.1.0", *extras, *needs)
    install(tmp_path, "s3fs", "2026.1.0")
    install(tmp_path, "jax", "0.9.0", "Provides-Extra: cuda12", "Requires-Dist: no-such-plugin; extra == 'cuda12'")
    monkeypatch.syspath_prepend(str(tmp_path))
    (result,) = software.check_extras(settings)
    assert (result.state, result.found) == (State.NOTE, "installed: s3; not installed: gpu")
    install(tmp_path, "no-such-plugin", "1.0")
    assert software.check_extras(settings)[0].state is State.OK


def test_a_wrong_python_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: StudySettings) -> None:
    install(tmp_path, "fer-pipeline", "0.1.0", "Requires-Python: >=3.99")
    monkeypatch.syspath_prepend(str(tmp_path))
    (result,) = software.check_python(settings)
    assert result.state is State.ERROR
    assert ">=3.99" in result.found


def test_a_detector_without_its_model_is_an_error(settings: StudySettings, tmp_path: Path) -> None:
    prepare = settings.prepare.model_copy(update={"detector": "yunet", "detector_model": tmp_path / "absent.onnx"})
    (result,) = software.check_preparation(settings.model_copy(update={"prepare": prepare}))
    assert result.state is State.ERROR
    assert "absent.onnx" in result.found


def test_a_face_that_is_too_small_for_the_settings_is_told(settings: StudySettings) -> None:
    prepare = settings.prepare.model_copy(update={"min_face_px": 230})
    (result,) = software.check_preparation(settings.model_copy(update={"prepare": prepare}))
    assert result.state is State.ERROR
    assert "min_face_px" in result.fix


@pytest.mark.parametrize("stray", ["tasks.py", "tasks/__init__.py"])
def test_a_package_in_the_place_of_ours_is_one_sentence(stray: str, tmp_path: Path) -> None:
    hiding, here = tmp_path / "hiding", tmp_path / "here"
    here.mkdir()
    (hiding / stray).parent.mkdir(parents=True)
    (hiding / stray).write_text("")
    result = fer("doctor", cwd=here, PYTHONPATH=str(hiding))
    assert result.returncode == 1
    assert f"tasks from {hiding}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_namesake_that_would_hide_ours_elsewhere_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: StudySettings
) -> None:
    (tmp_path / "tasks.py").write_text("")
    (tmp_path / "flows").mkdir()  # no package
    monkeypatch.chdir(tmp_path)
    (result,) = software.check_shadows(settings)
    assert result.state is State.WARNING
    assert str(tmp_path / "tasks.py") in result.found
    assert str(tmp_path / "flows") not in result.found


def test_a_data_root_in_a_file_is_an_error(settings: StudySettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (result,) = storage.check_data_root(settings.model_copy(update={"data_root": tmp_path / "file" / "deeper"}))
    assert result.state is State.ERROR
    assert "--data-root" in result.fix


def test_a_full_disk_is_an_error(settings: StudySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_LEAST_FREE_GB", 1e9)
    monkeypatch.setattr(storage, "_LITTLE_FREE_GB", 1e9)
    assert storage.check_data_root(settings)[0].state is State.ERROR


def test_only_old_temporary_files_are_told(settings: StudySettings) -> None:
    folder = settings.data_root / "prepared"
    folder.mkdir(parents=True)
    young, old = folder / ".part-1-a.parquet", folder / ".part-2-b.parquet"
    for path in (young, old, folder / "whole.parquet"):
        path.write_bytes(b"x" * 1000)
    assert storage.check_leftovers(settings)[0].state is State.OK
    os.utime(old, (time.time() - 7200,) * 2)
    (result,) = storage.check_leftovers(settings)
    assert result.state is State.WARNING
    assert result.found.startswith("1 old one")
    subprocess.run(result.fix.partition(": ")[2], shell=True, check=True)
    assert sorted(folder.iterdir()) == [young, folder / "whole.parquet"]


@pytest.mark.parametrize(
    ("variables", "state", "words"),
    [
        ({}, State.ERROR, "refuses these credentials"),
        ({"AUTH": "fer:wrong"}, State.ERROR, "refuses these credentials"),
        ({"AUTH": "fer:s:3cr3t"}, State.OK, "answers"),
    ],
)
def test_servers_with_a_password(
    variables: dict[str, str],
    state: State,
    words: str,
    server: int,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server}")
    if auth := variables.get("AUTH"):
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", auth)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth.partition(":")[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth.partition(":")[2])
    for check in (services.check_prefect, services.check_mlflow):
        (result,) = check(settings)
        assert (result.state, bool(result.fix)) == (state, state is State.ERROR)
        assert words in result.found


def test_without_a_named_server_each_command_starts_its_own(settings: StudySettings) -> None:
    (result,) = services.check_prefect(settings)
    assert result.found == "no PREFECT_API_URL: each command that needs it starts its own"


def test_servers_that_are_not_there(free_port: int, settings: StudySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://u:hush@127.0.0.1:{free_port}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://u:hush@127.0.0.1:{free_port}")
    for check in (services.check_prefect, services.check_mlflow):
        (result,) = check(settings)
        assert result.state is State.ERROR
        assert "does not answer" in result.found
        assert "hush" not in result.found + result.fix
        assert "u:***@127.0.0.1" in result.found


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql+psycopg2"])
def test_a_database_that_is_not_there(
    scheme: str, free_port: int, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{scheme}://fer:hush@127.0.0.1:{free_port}/fer"
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    for check in (services.check_prefect_database, services.check_mlflow):
        (result,) = check(settings)
        assert result.state is State.ERROR
        assert f"nothing listens on 127.0.0.1:{free_port}" in result.found
        assert "hush" not in result.found + result.fix


@pytest.mark.parametrize(
    ("address", "state", "words"),
    [
        ("sqlite+aiosqlite:///{folder}/prefect.db", State.OK, "prefect.db: SQLite 3."),
        ("sqlite:///{folder}/mlflow.db", State.OK, "mlflow.db: SQLite 3."),
        ("sqlite:///{folder}/absent/mlflow.db", State.ERROR, "there is no folder"),
        ("no database", State.ERROR, "not the address of a database"),
        ("oracle://u:hush@127.0.0.1:1/x", State.ERROR, "oracle://u:***@"),
    ],
)
def test_databases(
    address: str,
    state: State,
    words: str,
    tmp_path: Path,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", address.format(folder=tmp_path))
    (result,) = services.check_prefect_database(settings)
    assert (result.state, bool(result.fix)) == (state, state is State.ERROR)
    assert words in result.found


def test_ports_free_ours_and_taken(
    server: int, free_port: int, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = silent.getsockname()[1]
        silent.settimeout(0.1)
        monkeypatch.setattr(services, "_TIMEOUT_S", 0.2)
        monkeypatch.setattr(services, "PREFECT_PORT", server)
        monkeypatch.setattr(services, "MLFLOW_PORT", taken)
        ours, foreign = services.check_ports(settings)
        assert ours.state is State.NOTE
        assert f"PREFECT_API_URL=http://127.0.0.1:{server}/api" in ours.fix
        assert foreign.state is State.WARNING
        assert f"process {os.getpid()}" in foreign.found
    monkeypatch.setattr(services, "PREFECT_PORT", free_port)
    assert services.check_ports(settings)[0].state is State.OK


def test_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert is_listening(port)
        assert str(listening_process(port)).endswith(f"(process {os.getpid()})")
    assert not is_listening(port)
    assert listening_process(port) is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql+asyncpg://u:p%40ss:w@host/db", "postgresql+asyncpg://u:***@host/db"),
        ("http://u:a@b@host:1/x", "http://u:***@host:1/x"),
        ("http://host:4200/api", "http://host:4200/api"),
        ("postgresql:///db?user=u&password=hush&sslmode=x", "postgresql:///db?user=u&password=***&sslmode=x"),
        ("sqlite:////a/mlflow.db", "sqlite:////a/mlflow.db"),
        ("s3://bucket/folder", "s3://bucket/folder"),
    ],
)
def test_passwords_are_hidden(address: str, shown: str) -> None:
    assert hide_secrets(address) == shown
    assert hide_password_in(f"cannot open {address!r}", address).count("p%40ss") == 0


def test_a_message_keeps_no_unquoted_password() -> None:
    said = hide_password_in("user u, password p@ss", "postgresql://u:p%40ss@host/db")
    assert said == "user u, password ***"


def test_progress_is_told_and_rows_keep_their_order(settings: StudySettings, capfd: pytest.CaptureFixture[str]) -> None:
    found = diagnose(settings, (services.check_prefect, services.check_mlflow))
    assert [result.name for result in found] == ["Prefect", "MLflow"]
    assert "Looking at this machine: 2 of 2" in capfd.readouterr().err


def test_missing_weights_are_named_with_the_command(
    tmp_path: Path, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "weights"))
    (condition,) = storage.check_weights(settings)
    assert condition.state is State.WARNING
    assert condition.fix == "fer weights get fer2013-mini-xception blazeface-full-range blazeface-short-range"
    monkeypatch.setattr(storage, "find", lambda name: Path(name))
    (condition,) = storage.check_weights(settings)
    assert condition.state is State.OK
    assert not (tmp_path / "weights").exists()


def test_a_folder_of_weights_that_cannot_be_named_is_a_row(
    settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_WEIGHTS", "~nobody-of-this-name/weights")
    (condition,) = storage.check_weights(settings)
    assert condition.state is State.WARNING
    assert "FER_WEIGHTS" in condition.fix
