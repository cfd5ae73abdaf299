"""Where Prefect's and MLflow's servers keep their records: a SQLite file each, or a database each on PostgreSQL."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from fer_models.errors import UserError
from tasks.services.ports import is_listening

_TIMEOUT_S = 5.0
#: Names of the two databases; both servers want one of their own.
NAMES = ("prefect", "mlflow")


@dataclass(frozen=True)
class Databases:
    """Connections of the two servers, in their own environment variables, so that no password stands in a command."""

    prefect: Mapping[str, str]
    mlflow: Mapping[str, str]

    @classmethod
    def in_folder(cls, folder: Path) -> "Databases":
        """A SQLite file each."""
        root = folder.absolute()
        return cls.at(f"sqlite+aiosqlite:///{root / 'prefect.db'}", f"sqlite:///{root / 'mlflow.db'}")

    @classmethod
    def on_postgres(cls, url: str) -> "Databases":
        """The databases `prefect` and `mlflow` of a PostgreSQL server, made when they are not there.

        Args:
            url: such as `postgresql://user:password@host:5432`; a database in it is only used to connect to.

        Raises:
            UserError: no such server, user or permission, or the package for PostgreSQL is missing. No message has the
                password in it.
        """
        parts, host = _split(url)
        _create_missing(urlunsplit(parts._replace(scheme="postgresql", path=parts.path or "/postgres")), host)
        of = {name: urlunsplit(parts._replace(scheme="", path=f"/{name}")) for name in NAMES}
        prefect = of["prefect"].replace("sslmode=", "ssl=")  # asyncpg's word for it
        return cls.at(f"postgresql+asyncpg:{prefect}", f"postgresql+psycopg2:{of['mlflow']}")

    @classmethod
    def at(cls, prefect: str, mlflow: str) -> "Databases":
        """These addresses, in the words of SQLAlchemy."""
        return cls({"PREFECT_API_DATABASE_CONNECTION_URL": prefect}, {"MLFLOW_BACKEND_STORE_URI": mlflow})


def silence(url: str) -> str:
    """Why nothing can be asked at the address of a database, in plainer words than a driver's; empty if it can."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        place = make_url(url)
    except ArgumentError:
        return "that is not the address of a database"
    if place.get_backend_name() == "sqlite":
        folder = Path(place.database or ".").absolute().parent
        return "" if folder.is_dir() else f"there is no folder {folder}"
    if place.host and not is_listening(place.port or 5432, place.host, _TIMEOUT_S):
        return f"nothing listens on {place.host}:{place.port or 5432}"
    return ""


def _split(url: str) -> tuple[SplitResult, str]:
    """An address, and the host in it."""
    with suppress(ValueError):  # whose message may hold the password
        parts = urlsplit(url)
        if parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.port != 0:
            return parts, parts.hostname
    raise UserError(
        "--postgres takes an address such as postgresql://user:password@host:5432, with special characters of the "
        "password in their codes: %40 for @, %2F for /, %23 for #, %25 for %."
    )


def _create_missing(url: str, host: str) -> None:
    try:
        import psycopg2
    except ModuleNotFoundError as error:
        raise UserError("PostgreSQL needs one more package: pip install 'fer-pipeline[postgres]'.") from error
    try:
        connection = psycopg2.connect(url, connect_timeout=10)
    except psycopg2.Error as error:
        reason = " ".join(str(error).split()).partition("FATAL: ")[2] or "it does not answer"
        raise UserError(f"The PostgreSQL server at {host} cannot be used: {reason}.") from None
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for name in NAMES:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{name}"')
    except psycopg2.Error as error:
        raise UserError(
            f"The databases {' and '.join(NAMES)} are not there and cannot be made: {' '.join(str(error).split())}."
        ) from None
    finally:
        connection.close()
