"""The MLflow database of a data root: whole, and at home wherever the data root lies.

MLflow keeps absolute addresses of artifacts. When the database is opened they become those of the folder that it lies
in, so that a moved data root goes on where it is, and a copy of one is its own.
"""

import functools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fer_models.errors import StorageError
from tasks.progress import echo
from tasks.storage.files import BROKEN, atomic_write, set_aside, write_text

DATABASE_FILE = "mlflow.db"
ARTIFACTS_FOLDER = "mlartifacts"
#: What SQLite keeps beside a database while it is written; of a broken one it would spoil the next.
_COMPANIONS = ("-journal", "-wal", "-shm")
#: What SQLite says of files without a database, or without a table that MLflow makes; all else is a fault of the place.
_BROKEN_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
#: How long a database that another program writes to is waited for, without a word and with one.
PATIENCE_S = (2.0, 60.0)
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
#: MLflow's own first experiment, as long as it is empty, where the database was made without being told of a place.
_ELSEWHERE = (
    "experiment_id = 0 AND artifact_location LIKE '%/mlruns/0' "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = 0)"
)


def ready_database(root: Path) -> str:
    """The URI of the MLflow database of a local data root: made if need be, and made again when it is broken.

    All that it holds is logged from files that the data root has beside it, so a broken one is set aside.

    Raises:
        StorageError: its place does not let SQLite read or write it; nothing is set aside then.
    """
    path = root.absolute() / DATABASE_FILE
    if path.is_dir():
        raise StorageError(f"{path} is a folder, and MLflow's database belongs there; move it away and run again.")
    try:
        if path.is_file() and not _is_sound(path, path.stat().st_ino):
            set_aside(path)
        if not path.is_file():
            _set_companions_aside(path)
            _create(path)
        _bring_home(root)
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"MLflow's database {path} cannot be used ({error}); check its disk and the permissions of the file and "
            "its folder, end programs that use it, then run the command again. The file is left as it is."
        ) from error
    return uri_of(root)


def uri_of(root: Path) -> str:
    """The URI of the MLflow database of a local data root, as MLflow wants it."""
    return f"sqlite:///{root.absolute() / DATABASE_FILE}"


def artifacts_of(root: Path) -> str:
    """The URI of the folder of all artifacts of a local data root."""
    return (root.absolute() / ARTIFACTS_FOLDER).as_uri()


@functools.lru_cache
def _is_sound(path: Path, inode: int) -> bool:
    """Whether SQLite reads a database without a fault and MLflow made it to its end; looked at once a process."""
    try:
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()
            return found == ("ok",) and bool(database.execute("SELECT 1 FROM alembic_version").fetchone())
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds to it
        if code not in (*_BROKEN_CODES, *_BUSY_CODES):
            raise
        return code in _BUSY_CODES


def _set_companions_aside(path: Path) -> None:
    """Let what belongs to a database that was set aside go with it: its journal may hold what makes it whole."""
    for companion in _COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(path.with_name(BROKEN + path.name + companion))


def _create(path: Path) -> None:
    """Make the tables, which takes MLflow many steps, under another name first."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with suppress(FileExistsError), atomic_write(path) as temporary:
        store = SqlAlchemyStore(f"sqlite:///{temporary}", artifacts_of(path.parent))
        store.engine.dispose()
        if path.exists():  # another process was faster, and may have written to its own already
            raise FileExistsError(path)


def _bring_home(root: Path) -> None:
    """Make all addresses below the folder where a data root lay before those of the present one, if it was moved."""
    path = root.absolute() / DATABASE_FILE
    home = path.parent.as_uri()
    _wait_for(path)
    with closing(sqlite3.connect(path, timeout=60.0)) as database, database:  # one transaction: all of it or nothing
        before = [former for former in _former_homes(database) if former != home]
        for former in before:
            for old, new in ((former, home), (_path_of(former), str(path.parent))):
                _replace(database, old, new)
        if database.execute(f"SELECT 1 FROM experiments WHERE {_ELSEWHERE}").fetchone():
            artifacts = f"{artifacts_of(path.parent)}/0"
            database.execute(f"UPDATE experiments SET artifact_location = ? WHERE {_ELSEWHERE}", [artifacts])
    for former in before:
        for description in (path.parent / ARTIFACTS_FOLDER).glob("models/*/artifacts/MLmodel"):
            text = description.read_text(encoding="utf-8")
            if f" {former}/" in text:
                write_text(description, text.replace(f" {former}/", f" {home}/"))


def _wait_for(path: Path) -> None:
    """Wait until nobody else writes to a database, and say so; raises `sqlite3.OperationalError` after a minute."""
    for timeout_s in PATIENCE_S:
        try:
            with closing(sqlite3.connect(path, timeout=timeout_s)) as database, database:
                database.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if timeout_s == PATIENCE_S[-1] or error.sqlite_errorcode & 0xFF not in _BUSY_CODES:
                raise
            echo(f"Another program writes to {path}; waiting for it, a minute at most.")


def _former_homes(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    fits = (re.fullmatch(rf"(file://.*)/{ARTIFACTS_FOLDER}(?:/0)?", location or "") for (location,) in found)
    return sorted({fit[1] for fit in fits if fit})


def _path_of(uri: str) -> str:
    return url2pathname(urlsplit(uri).path)


def _replace(database: sqlite3.Connection, old: str, new: str) -> None:
    """Replace a folder's name wherever a text is it, begins with it, or holds it as the beginning of a JSON string."""
    for table, column in _text_columns(database):
        database.execute(
            f'UPDATE "{table}" SET "{column}" = :new || substr("{column}", length(:old) + 1) '
            f'WHERE "{column}" = :old OR substr("{column}", 1, length(:old) + 1) = :old || \'/\'',
            {"old": old, "new": new},
        )
        database.execute(
            f"UPDATE \"{table}\" SET \"{column}\" = replace(\"{column}\", '\"' || :old || '/', '\"' || :new || '/') "
            f"WHERE instr(\"{column}\", '\"' || :old || '/')",
            {"old": old, "new": new},
        )


def _text_columns(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind.startswith(("VARCHAR", "TEXT")):
                yield table, column
