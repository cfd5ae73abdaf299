"""What keeps Prefect from working here is found before it is started, by commands and by `fer doctor` alike."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from fer_models.errors import UserError
from flows.environment import prepare_environment
from flows.own_server import check_own_server
from tasks.config.resolving import resolve_settings
from tasks.diagnosis import services
from tasks.diagnosis.check_result import State
from tasks.services import prefect_database, proxies
from tasks.services.prefect_database import prefect_database_fault, prefect_home
from tasks.services.proxies import http_fault, spare_loopback

FER = Path(sys.executable).parent / "fer"
SETTINGS = resolve_settings("sample")
NOBODY = 65534


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is the working folder too, with nothing set in the environment."""
    names = ["no_proxy", "NO_PROXY", "http_proxy", "ALL_PROXY", "SSL_CERT_FILE", "PREFECT_HOME", "PREFECT_API_URL"]
    for name in (*names, *os.environ):
        if name in names or name.startswith("PREFECT_") or name.lower().endswith("_proxy"):
            monkeypatch.setenv(name, "")  # what a test sets is taken back
            monkeypatch.delenv(name)
    monkeypatch.setattr(proxies, "_added", [])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def database(home: Path, revision: str) -> Path:
    """Prefect's database as a version with this revision leaves it."""
    path = home / ".prefect" / "prefect.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return path


def told(check: Callable[..., list[services.CheckResult]], *words: str) -> None:
    """Both `fer doctor` and a command that needs a server of its own say these words."""
    (result,) = check(SETTINGS)
    assert result.state is State.ERROR
    assert result.fix
    with pytest.raises(UserError) as raised:
        check_own_server()
    for word in words:
        assert word in f"{result.found}; {result.fix}"
        assert word in str(raised.value)


def test_a_proxy_never_stands_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org, 127.0.0.1")
    prepare_environment()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost,::1"
    for host in ("localhost", "127.0.0.1", "[::1]"):
        with httpx.Client() as client:
            assert client._transport_for_url(httpx.URL(f"http://{host}:1")) is client._transport
    (result,) = services.check_proxies(SETTINGS)
    assert result.state is State.WARNING
    assert result.fix == 'export no_proxy="${no_proxy:+$no_proxy,}localhost,::1"'
    prepare_environment()
    assert os.environ["no_proxy"].count("localhost") == 1
    assert services.check_proxies(SETTINGS)[0].state is State.WARNING, "asked twice, told twice"


@pytest.mark.parametrize("excepted", ["*", "localhost,127.0.0.1,::1"])
def test_exceptions_that_suffice_stay_as_they_are(excepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", excepted)
    spare_loopback()
    assert os.environ["no_proxy"] == excepted
    assert "NO_PROXY" not in os.environ
    assert services.check_proxies(SETTINGS)[0].state is State.OK


def test_without_a_proxy_nothing_is_set() -> None:
    spare_loopback()
    assert "no_proxy" not in os.environ
    assert services.check_proxies(SETTINGS)[0].found == "none in the environment"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALL_PROXY", "socks5://u:hush@127.0.0.1:9", "pip install socksio, or unset ALL_PROXY"),
        ("http_proxy", "http://u:hush@127.0.0.1:port", "http_proxy is not the address of a proxy"),
        ("http_proxy", "gopher://u:hush@127.0.0.1:9", "http_proxy is not the address of a proxy"),
        ("SSL_CERT_FILE", "/gone/hush.pem", "'/gone/hush.pem', which cannot be read"),
        ("SSL_CERT_FILE", __file__, "correct it, or unset SSL_CERT_FILE"),
    ],
)
def test_what_keeps_all_requests_from_being_made(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    fault = http_fault()
    assert words in fault
    assert "u:hush" not in fault
    told(services.check_proxies, name)


def test_a_database_of_another_version(home: Path) -> None:
    path = database(home, "abcdef123456")
    told(services.check_prefect_database, str(path), "abcdef123456", "export PREFECT_HOME=")


def test_a_database_of_this_version_or_an_older_one_is_fine(home: Path) -> None:
    known = prefect_database._known_revisions()
    assert len(known) > 50
    database(home, min(known))
    assert prefect_database_fault() == ""
    assert str(home) in services.check_prefect_database(SETTINGS)[0].found


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_database(content: bytes, home: Path) -> None:
    (home / ".prefect").mkdir()
    (home / ".prefect" / "prefect.db").write_bytes(content)
    told(services.check_prefect_database, "is damaged", "export PREFECT_HOME=")


def test_an_empty_database_and_none_at_all_are_fine(home: Path) -> None:
    assert prefect_database_fault() == ""
    (home / ".prefect").mkdir()
    (home / ".prefect" / "prefect.db").touch()
    assert prefect_database_fault() == ""


def test_a_home_that_is_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    told(services.check_prefect_database, str(home / "file" / ".prefect"), "export PREFECT_HOME=$PWD")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("part", ["folder", "file", "log"])
def test_what_belongs_to_somebody_else(part: str, home: Path) -> None:
    """As after one command with sudo. In a process of its own: what a user may write is the process's."""
    path = database(home, min(prefect_database._known_revisions()))
    (home / ".prefect" / "prefect.db-wal").touch()
    owned = {"folder": path.parent, "file": path, "log": home / ".prefect" / "prefect.db-wal"}[part]
    for place in (home, path.parent, *path.parent.iterdir()):
        place.chmod(0o755 if place.is_dir() else 0o600)
        if place != owned:
            os.chown(place, NOBODY, NOBODY)
    question = (
        "import os, sys; from tasks.services.prefect_database import prefect_database_fault as ask; "
        "ask(); os.chdir('/'); os.setgid(65534); os.setuid(65534); print(ask())"
    )
    for parent in (home, *home.parents):
        if parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    asked = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert str(owned) in asked.stdout
    assert "export PREFECT_HOME=" in asked.stdout


@pytest.mark.parametrize("url", ["postgresql+asyncpg://u:hush@127.0.0.1:1/x", "sqlite+aiosqlite:////gone/x.db", "x"])
@pytest.mark.parametrize("file", ["", "prefect.toml", ".env"])
def test_a_database_that_does_not_answer(url: str, file: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    if file == "":
        monkeypatch.setenv(name, url)
    else:
        text = f'[server.database]\nconnection_url = "{url}"\n' if file == "prefect.toml" else f"{name}={url}\n"
        (home / file).write_text(text)
    told(services.check_prefect_database, file or f"unset {name}")
    assert "hush" not in prefect_database_fault()


def test_prefects_home_may_stand_in_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefect_home() == home / ".prefect"
    (home / "prefect.toml").write_text(f'home = "{home}/elsewhere"\n')
    assert prefect_home() == home / "elsewhere"
    monkeypatch.setenv("PREFECT_HOME", str(home / "there"))
    assert prefect_home() == home / "there"


def test_a_command_says_so_before_it_starts_anything(home: Path) -> None:
    path = database(home, "abcdef123456")
    done = subprocess.run([str(FER), "split", "--preset", "sample"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert str(path) in done.stderr


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    with pytest.raises(UserError, match=r"no home folder.*export HOME="):
        prepare_environment()
