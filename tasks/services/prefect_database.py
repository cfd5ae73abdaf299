"""The database of the server that a command starts for itself, looked at before that server is started."""

import os
import re
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tasks.services.databases import silence
from tasks.services.foreign_settings import prefect_setting
from tasks.storage.addresses import hide_secrets

_URL_NAMES = ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")
#: Prefect's server writes with `ON CONFLICT` and `RETURNING`.
_LEAST_SQLITE = (3, 35, 0)
_MIGRATIONS = Path("server/database/_migrations/versions/sqlite")
#: What to do about a database that cannot be used.
ELSEWHERE = "export PREFECT_HOME=$PWD/fer-data/prefect"


@dataclass(frozen=True)
class NamedDatabase:
    """A database that the user chose, and the words in which it can be taken back."""

    url: str
    named_by: str
    take_back: str


def named_database() -> NamedDatabase | None:
    """The database that the environment or a file of settings names for Prefect's server."""
    for name in _URL_NAMES:
        if url := os.environ.get(name):
            return NamedDatabase(url, name, f"unset {name}")
    for name in _URL_NAMES:
        if setting := prefect_setting(name):
            return NamedDatabase(setting.value, str(setting.path), f"take the database out of {setting.path}")
    return None


def prefect_home() -> Path:
    """The folder in which Prefect keeps its records, which may not be there."""
    setting = prefect_setting("PREFECT_HOME")
    named = os.environ.get("PREFECT_HOME") or (setting.value if setting else "")
    return Path(named).expanduser() if named else Path.home() / ".prefect"


def prefect_database_fault() -> str:
    """What keeps a server from its database, with what to do; empty if nothing. Prefect itself is not imported."""
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        needed = ".".join(map(str, _LEAST_SQLITE))
        return f"SQLite here is {sqlite3.sqlite_version}, and Prefect needs {needed}; use a Python with a newer one."
    if (named := named_database()) is None:
        return _folder_fault(prefect_home()) or _file_fault(prefect_home() / "prefect.db")
    if quiet := silence(named.url):
        shown = hide_secrets(named.url)
        return (
            f"The database {shown} of Prefect, which {named.named_by} names: {quiet}; mend that, or {named.take_back}."
        )
    return ""


def _folder_fault(folder: Path) -> str:
    """Writes a file without a name into the folder, or into the one that it would be made in."""
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"Prefect cannot keep its records in {folder}: {there}: {why}; use a folder of yours: {ELSEWHERE}."
    return ""


def _file_fault(path: Path) -> str:
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            return f"{file}, Prefect's records, may not be written to; use a folder of yours: {ELSEWHERE}."
    if not path.exists():
        return ""
    try:
        revision = _revision(path)
    except sqlite3.OperationalError:  # empty, or used by another process just now
        return ""
    except sqlite3.DatabaseError as error:
        return f"{path}, Prefect's records, is damaged ({error}); use another folder: {ELSEWHERE}."
    known = _known_revisions()
    if revision and known and revision not in known:
        return (
            f"{path}, Prefect's records, is of another version than Prefect {version('prefect')} here (its revision "
            f"{revision} is unknown); use another folder: {ELSEWHERE}."
        )
    return ""


def _revision(path: Path) -> str:
    """The revision of the tables, as Alembic wrote it down."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as database:
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _known_revisions() -> set[str]:
    """Those that the Prefect which is installed can bring up to date; none if its files are not where they were."""
    spec = find_spec("prefect")
    if spec is None or spec.origin is None:
        return set()
    files = (Path(spec.origin).parent / _MIGRATIONS).glob("*.py")
    found = (re.search(r"^revision\b.*=\s*[\"'](\w+)[\"']", file.read_text(encoding="utf-8"), re.M) for file in files)
    return {match[1] for match in found if match}
