"""Settings of Keras and Prefect in the user's home: what cannot work is one sentence that names the file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fer_models.errors import UserError
from flows.environment import check_keras, prepare_environment
from tasks.config.resolving import resolve_settings
from tasks.diagnosis import hardware, services
from tasks.diagnosis.check_result import State
from tasks.services.foreign_settings import keras_fault, prefect_setting, where_prefect_looks
from tasks.services.named_server import check_server

FER = Path(sys.executable).parent / "fer"
SETTINGS = resolve_settings("sample")
PLAIN = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
DEAD = "http://127.0.0.1:1/api"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is the working folder too, with nothing set in the environment."""
    for name in [*os.environ, "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"]:
        if name.startswith(("PREFECT_", "KERAS_")):
            monkeypatch.setenv(name, "")  # what a test sets is taken back
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_keras(home: Path, settings: Any) -> Path:
    return write(home / ".keras" / "keras.json", settings if isinstance(settings, str) else json.dumps(settings))


def fer(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(FER), *words], capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PLAIN | {"image_data_format": "channels_first"}, "'channels_first', and the models here need 'channels_last'"),
        (PLAIN | {"backend": "theano"}, "'theano', which Keras 3 cannot train on"),
        (PLAIN | {"backend": "plaidml.keras.backend"}, "cannot train on"),
        (PLAIN | {"backend": None}, "cannot train on"),
        (PLAIN | {"floatx": "float16"}, "'float16'"),
        (PLAIN | {"floatx": "half"}, "'half'"),
        (PLAIN | {"epsilon": 0.1}, "1e-07"),
        (PLAIN | {"epsilon": "small"}, "1e-07"),
        ("{not JSON", "cannot be read"),
        ("", "cannot be read"),
        ("[]", "holds no settings"),
        ({}, ""),
        (PLAIN, ""),
    ],
)
def test_keras_settings(settings: Any, words: str, home: Path) -> None:
    path = write_keras(home, settings)
    fault = keras_fault()
    assert words in fault
    assert bool(fault) == bool(words)
    if not words:
        check_keras()
        return
    assert str(path) in fault
    with pytest.raises(UserError) as raised:
        check_keras()
    assert str(raised.value) == fault
    (condition,) = hardware.check_backend(SETTINGS)
    assert condition.state is State.ERROR
    assert str(path) in condition.found
    assert condition.fix


def test_a_backend_of_the_environment_is_named_as_that(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keras(home, PLAIN | {"backend": "theano"})
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert keras_fault() == ""
    monkeypatch.setenv("KERAS_BACKEND", "cntk")
    assert keras_fault().startswith("KERAS_BACKEND is 'cntk'")
    assert keras_fault().count("keras.json") == 0
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setenv("KERAS_HOME", str(home / "elsewhere"))
    write(home / "elsewhere" / "keras.json", '{"floatx": "float64"}')
    assert str(home / "elsewhere" / "keras.json") in keras_fault()


KERAS_COMMANDS = ["models", "train", "study", "predict m.keras v.mp4", "up"]
SLOW = ["prepare", "split", "evaluate", "report", "status", "explain abc", "watch --once", "retry"]


@pytest.mark.parametrize("command", [*KERAS_COMMANDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_no_command_ends_in_a_traceback(command: str, home: Path) -> None:
    path = write_keras(home, PLAIN | {"backend": "theano"})
    done = fer(*command.split())
    assert "Traceback" not in done.stderr
    if done.returncode:
        sentence = done.stderr.splitlines()[-1]
        assert str(path) in sentence or "corpus.root" in sentence or "fer prepare" in sentence or "--config" in sentence
    assert (command in SLOW) or done.returncode == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".prefect/profiles.toml", f'active = "local"\n[profiles.local]\nPREFECT_API_URL = "{DEAD}"\n'),
        ("prefect.toml", f'[api]\nurl = "{DEAD}"\n'),
        ("pyproject.toml", f'[tool.prefect.api]\nurl = "{DEAD}"\n'),
        (".env", f"OTHER=1\nexport PREFECT_API_URL='{DEAD}'\n"),
    ],
)
def test_a_server_that_a_file_names_and_that_does_not_answer(file: str, text: str, home: Path) -> None:
    path = write(home / file, text)
    prepare_environment()
    assert os.environ["PREFECT_API_URL"] == DEAD
    with pytest.raises(UserError, match=f"which {path} names.*out of that file"):
        check_server(DEAD)
    (condition,) = services.check_prefect(SETTINGS)
    assert condition.state is State.ERROR
    assert str(path) in condition.fix
    os.environ.pop("PREFECT_API_URL")
    done = fer("split", "--preset", "sample")
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_the_environment_comes_before_files_and_the_active_profile_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prefect_setting("PREFECT_API_URL") is None
    write(
        home / ".prefect" / "profiles.toml",
        'active = "a"\n[profiles.a]\nPREFECT_API_KEY = "x"\n[profiles.b]\nPREFECT_API_URL = "http://b/api"\n',
    )
    assert prefect_setting("PREFECT_API_URL") is None
    monkeypatch.setenv("PREFECT_PROFILE", "b")
    found = prefect_setting("PREFECT_API_URL")
    assert found
    assert (found.value, found.path) == ("http://b/api", home / ".prefect" / "profiles.toml")
    write(home / "prefect.toml", '[api]\nauth_string = "fer:x"\n')
    auth = prefect_setting("PREFECT_API_AUTH_STRING")
    assert auth
    assert (auth.value, auth.path) == ("fer:x", home / "prefect.toml")
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    prepare_environment()
    assert os.environ["PREFECT_API_URL"] == "http://mine/api"
    assert "PREFECT_API_AUTH_STRING" not in os.environ, "a password of a file goes with the address of that file"


INVALID = b'active = "a"\n[profiles.a]\nPREFECT_API_REQUEST_TIMEOUT = "soon"\n'


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (".prefect/profiles.toml", b"this is [ not toml"),
        pytest.param(".prefect/profiles.toml", b'active = "caf\xe9"', marks=pytest.mark.slow),
        pytest.param(".prefect/profiles.toml", INVALID, marks=pytest.mark.slow),
        pytest.param("prefect.toml", b"url = [", marks=pytest.mark.slow),
    ],
)
def test_settings_that_prefect_cannot_read(file: str, content: bytes, home: Path) -> None:
    path = home / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    (condition,) = services.check_prefect_settings(SETTINGS)
    assert condition.state is State.ERROR
    assert file in condition.fix
    done = fer("split", "--preset", "sample")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert file in done.stderr


def test_settings_that_prefect_can_read(home: Path) -> None:
    (condition,) = services.check_prefect_settings(SETTINGS)
    assert (condition.state, condition.found) == (State.OK, "no files of settings")
    write(home / ".prefect" / "profiles.toml", 'active = "gone"\n')
    assert services.check_prefect_settings(SETTINGS)[0].state is State.OK
    assert "profiles.toml" in where_prefect_looks()
