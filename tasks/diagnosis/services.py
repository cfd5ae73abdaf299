"""The servers that the environment names, their databases, and the ports that servers started here would take."""

import asyncio
import os
import sqlite3
import subprocess
import sys

import httpx

from tasks.config.settings import StudySettings
from tasks.diagnosis.check_result import CheckResult, State
from tasks.services.databases import silence
from tasks.services.foreign_settings import prefect_files, prefect_setting, where_prefect_looks
from tasks.services.ports import is_listening, listening_process
from tasks.services.prefect_database import named_database, prefect_database_fault, prefect_home
from tasks.services.proxies import added_exceptions, http_fault, proxy_variables
from tasks.storage.addresses import hide_password_in, hide_secrets
from tasks.storage.locations import as_remote

_TIMEOUT_S = 5.0
PREFECT_PORT, MLFLOW_PORT = 4200, 5000


def check_prefect(_: StudySettings) -> list[CheckResult]:
    """The server of `PREFECT_API_URL`: that it answers, and lets this process in."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return [CheckResult("Prefect", State.OK, "no PREFECT_API_URL: each command that needs it starts its own")]
    user, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")[::2]
    return [
        _server(
            "Prefect",
            url,
            (f"{url.rstrip('/')}/health", f"{url.rstrip('/')}/admin/version"),
            httpx.BasicAuth(user, password) if user else None,
            unreachable=f"start `prefect server start`, or {_without_prefect(url)} to do without one",
            refused="set PREFECT_API_AUTH_STRING=user:password as the server has it",
        )
    ]


def _without_prefect(url: str) -> str:
    """How to take back that there is a server."""
    setting = prefect_setting("PREFECT_API_URL")
    in_file = setting and setting.value == url
    return f"take PREFECT_API_URL (api.url) out of {setting.path}" if setting and in_file else "unset PREFECT_API_URL"


def check_prefect_settings(_: StudySettings) -> list[CheckResult]:
    """The files of settings that Prefect reads when it is imported; a child imports it."""
    question = "import prefect.settings; prefect.settings.get_current_settings()"
    child = subprocess.run([sys.executable, "-P", "-c", question], capture_output=True, text=True, check=False)
    if child.returncode:
        why = " ".join(" ".join(child.stderr.strip().splitlines()[-3:]).split())
        fix = f"correct it in {where_prefect_looks()}"
        return [CheckResult("Prefect's settings", State.ERROR, f"cannot be read: {why}", fix)]
    return [CheckResult("Prefect's settings", State.OK, ", ".join(map(str, prefect_files())) or "no files of settings")]


def check_mlflow(settings: StudySettings) -> list[CheckResult]:
    """The server or database of `MLFLOW_TRACKING_URI`: that it answers, and lets this process in."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri and as_remote(settings.data_root):
        fix = "set MLFLOW_TRACKING_URI to the address of an MLflow server"
        return [CheckResult("MLflow", State.ERROR, f"{settings.data_root} cannot hold MLflow's database", fix)]
    if not uri:
        return [
            CheckResult("MLflow", State.OK, f"no MLFLOW_TRACKING_URI: records go to {settings.data_root}/mlflow.db")
        ]
    if not uri.startswith(("http://", "https://")):
        return [_database("MLflow", uri, "set MLFLOW_TRACKING_URI to a server or to a database that answers")]
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    base = uri.rstrip("/")
    return [
        _server(
            "MLflow",
            uri,
            (f"{base}/health", f"{base}/api/2.0/mlflow/experiments/search?max_results=1"),
            httpx.BasicAuth(user, password) if user else None,
            unreachable="start `mlflow server`, or unset MLFLOW_TRACKING_URI to do without one",
            refused="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; MLflow also refuses host names that "
            "its --allowed-hosts does not list",
        )
    ]


def check_prefect_database(_: StudySettings) -> list[CheckResult]:
    """The database of the server that a command starts for itself."""
    if os.environ.get("PREFECT_API_URL"):
        return []
    name = "Prefect's database"
    if fault := prefect_database_fault():
        return [CheckResult(name, State.ERROR, *fault.removesuffix(".").split("; ", 1))]
    if named := named_database():
        return [_database(name, named.url, f"correct it, or {named.take_back} to use a SQLite file")]
    return [CheckResult(name, State.OK, f"SQLite {sqlite3.sqlite_version}, a file in {prefect_home()}")]


def check_proxies(_: StudySettings) -> list[CheckResult]:
    """Proxies and certificates of the environment, through which no request to this machine itself should go."""
    if fault := http_fault():
        return [CheckResult("proxies", State.ERROR, *fault.removesuffix(".").split("; ", 1))]
    if not (names := " and ".join(proxy_variables())):
        return [CheckResult("proxies", State.OK, "none in the environment")]
    if missing := ",".join(added_exceptions()):
        found = f"{names}, without an exception for this machine: fer makes one, other programs may not"
        return [CheckResult("proxies", State.WARNING, found, f'export no_proxy="${{no_proxy:+$no_proxy,}}{missing}"')]
    return [CheckResult("proxies", State.OK, f"{names}, not for this machine itself")]


def check_ports(_: StudySettings) -> list[CheckResult]:
    """The ports that `prefect server start` and `mlflow server` take."""
    return [
        _port(PREFECT_PORT, "Prefect", "/api/health", "PREFECT_API_URL", "/api", "prefect server start --port 4201"),
        _port(MLFLOW_PORT, "MLflow", "/health", "MLFLOW_TRACKING_URI", "", "mlflow server --port 5001"),
    ]


def _port(port: int, server: str, health: str, variable: str, path: str, elsewhere: str) -> CheckResult:
    name = f"port {port}"
    if not is_listening(port):
        return CheckResult(name, State.OK, f"free for {server}")
    if _is_healthy(f"http://127.0.0.1:{port}{health}"):
        fix = "" if os.environ.get(variable) else f"to use it: export {variable}=http://127.0.0.1:{port}{path}"
        return CheckResult(name, State.NOTE if fix else State.OK, f"a {server} server answers", fix)
    owner = listening_process(port) or "another program"
    return CheckResult(name, State.WARNING, f"taken by {owner}, not by {server}", f"end it, or use {elsewhere}")


def _is_healthy(url: str) -> bool:
    """Prefect answers `true`, MLflow `OK`."""
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_S)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and answer.text.strip() in ("true", "OK")


def _server(
    name: str, url: str, paths: tuple[str, str], auth: httpx.Auth | None, unreachable: str, refused: str
) -> CheckResult:
    """Ask for health, which needs no password, then for something that does."""
    shown = hide_secrets(url)
    try:
        health, inside = (httpx.get(path, timeout=_TIMEOUT_S, auth=auth) for path in paths)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = hide_password_in(str(error) or type(error).__name__, url)
        return CheckResult(name, State.ERROR, f"{shown} does not answer: {why}", unreachable)
    if not health.is_success:
        return CheckResult(
            name, State.ERROR, f"{shown} answers {health.status_code}: not a healthy server", unreachable
        )
    if inside.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return CheckResult(name, State.ERROR, f"{shown} answers, but refuses these credentials", refused)
    return CheckResult(name, State.OK, f"{shown} answers")


def _database(name: str, url: str, fix: str) -> CheckResult:
    """Connect as the server would, and ask for the version."""
    from sqlalchemy.exc import SQLAlchemyError

    shown = hide_secrets(url)
    try:
        if quiet := silence(url):
            return CheckResult(name, State.ERROR, f"{shown}: {quiet}", fix)
        return CheckResult(name, State.OK, f"{shown}: {' '.join(_version(url).split()[:2])}")
    except ModuleNotFoundError as error:
        how = "pip install 'fer-pipeline[postgres]', and let the address begin with postgresql+psycopg2://"
        return CheckResult(name, State.ERROR, f"{shown}: {error}", how)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[-1]
        return CheckResult(name, State.ERROR, f"{shown}: {hide_password_in(why, url)}", fix)


def _version(url: str) -> str:
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.ext.asyncio import create_async_engine

    place = make_url(url)
    is_sqlite = place.get_backend_name() == "sqlite"
    question = text("select 'SQLite ' || sqlite_version()" if is_sqlite else "select version()")

    async def ask_async() -> str:
        engine = create_async_engine(place)
        try:
            async with asyncio.timeout(_TIMEOUT_S), engine.connect() as connection:
                return str((await connection.execute(question)).scalar_one())
        finally:
            await engine.dispose()

    if place.get_dialect().is_async:
        return asyncio.run(ask_async())
    limit = {} if is_sqlite else {"connect_timeout": int(_TIMEOUT_S)}
    engine = create_engine(place, connect_args=limit)
    try:
        with engine.connect() as connection:
            return str(connection.execute(question).scalar_one())
    finally:
        engine.dispose()
