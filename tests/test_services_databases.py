"""Where the servers keep their records: addresses that cannot work end in one sentence that keeps the password."""

import sys
from pathlib import Path

import pytest
from lab import free_port

from fer_models.errors import UserError
from tasks.services.databases import Databases


def refusal(url: str) -> str:
    with pytest.raises(UserError) as error:
        Databases.on_postgres(url)
    said = str(error.value)
    assert "\n" not in said
    assert "hush" not in said
    assert error.value.__cause__ is None
    return said


def test_a_file_each(tmp_path: Path) -> None:
    databases = Databases.in_folder(tmp_path)
    assert databases.prefect == {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/prefect.db"}
    assert databases.mlflow == {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db"}


def test_nobody_answers() -> None:
    said = refusal(f"postgresql://fer:hush@127.0.0.1:{free_port()}")
    assert said == "The PostgreSQL server at 127.0.0.1 cannot be used: it does not answer."


@pytest.mark.parametrize(
    "url",
    [
        "mysql://fer:hush@host",
        "postgresql://",
        "host:5432",
        "postgresql://fer:hush@host:port",
        "postgresql://fer:hu/hush@host",
        "postgresql://fer:hu#hush@host",
        "postgresql://fer:hu[hush@host",
    ],
)
def test_no_address(url: str) -> None:
    assert "postgresql://user:password@host:5432" in refusal(url)


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(UserError, match=r"pip install 'fer-pipeline\[postgres\]'"):
        Databases.on_postgres("postgresql://fer:hush@host")
