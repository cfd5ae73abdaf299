"""Records in PostgreSQL: two thousand videos of which no task run is lost, and a password that nobody sees."""

import asyncio
import re
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pandas as pd
import psutil
import psycopg2
import pytest
from conftest import FPS, draw_moving_face
from lab import Lab, wait_for
from postgres import PASSWORD, USER, find_binaries, postgres_server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import write_video
from tasks.services.databases import Databases

pytestmark = pytest.mark.services

NUM_VIDEOS = 2000
SUBJECTS = ("anna", "ben", "carl", "dora", "emil", "fred", "gina", "hans")
EMOTIONS = ("anger", "fear")
CONFIG = {
    "name": "crowd",
    "data_root": "data",
    "corpus": {"adapter": "folder", "root": "videos", "emotions": list(EMOTIONS)},
    "prepare": {"min_face_px": 24},
    "model": {"width": 4, "head_units": 8},
    "training": {"epochs": 1, "batch_size": 64, "precision": "float32"},
    "arms": ["spatial-only"],
}
STUDY = ("prefect", "deployment", "run", "fer/full-study", "--param", "config=study.yaml", "--watch")
COMPLETED = "SELECT name FROM task_run WHERE name LIKE 'prepare %' AND state_type = 'COMPLETED'"
OTHERS = "SELECT name FROM task_run WHERE state_type <> 'COMPLETED'"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    binaries = find_binaries()
    if not binaries:
        pytest.skip("PostgreSQL is not installed: neither PATH nor /usr/lib/postgresql has initdb")
    with postgres_server(binaries) as url:
        yield url


def order(url: str, statement: str) -> None:
    connection = psycopg2.connect(f"{url}/postgres")
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def ask(url: str, database: str, query: str) -> list[tuple]:
    connection = psycopg2.connect(f"{url}/{database}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def write_crowd(root: Path) -> None:
    """A clip for each subject and emotion, many times over: every file ends in a box of its own, which players skip."""
    for subject, name in enumerate(SUBJECTS):
        for number, emotion in enumerate(EMOTIONS):
            folder = root / emotion / name
            folder.mkdir(parents=True)
            frames = draw_moving_face(1.0, 20, size=(128, 96), scale_px=30.0, subject=subject, start=0.4 + 0.1 * number)
            write_video(folder / "0000.mp4", frames, FPS)
            clip = (folder / "0000.mp4").read_bytes()
            for copy in range(1, NUM_VIDEOS // len(SUBJECTS) // len(EMOTIONS)):
                (folder / f"{copy:04d}.mp4").write_bytes(clip + struct.pack(">I4sQ", 16, b"free", copy))


def command_lines() -> set[str]:
    return {" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])}


def test_two_thousand_videos(tmp_path: Path, server: str) -> None:
    write_crowd(tmp_path / "videos")
    environment = {"FER_POSTGRES": server}
    with Lab(tmp_path, CONFIG, watched=False, environment=environment) as lab, ThreadPoolExecutor(1) as thread:
        study = thread.submit(lab.run, *STUDY)
        seen = command_lines()
        while not study.done():
            seen |= command_lines()
            time.sleep(0.5)
        assert study.result().returncode == 0, study.result().stdout + study.result().stderr

        ledger = pd.read_parquet(tmp_path / Layout.of(resolve_settings(None, tmp_path / "study.yaml")).ledger)
        assert len(ledger) == NUM_VIDEOS
        assert ledger["sha256"].is_unique
        assert set(ledger["outcome"]) == {"ok"}
        assert set(ledger["attempts"]) == {1}
        # the server takes records in behind the run
        wait_for("a record of every task", lambda: completed_videos(server) >= NUM_VIDEOS)
        assert completed_videos(server) == NUM_VIDEOS
        assert ask(server, "prefect", OTHERS) == []
        trained = {name for (name,) in ask(server, "mlflow", "SELECT name FROM runs WHERE status = 'FINISHED'")}
        assert "spatial-only, seed 1" in trained
    assert any("flows.servers prefect" in line for line in seen)
    assert any("flows.servers mlflow" in line for line in seen)
    for secret in map(str.encode, (PASSWORD, quote(PASSWORD, safe=""))):
        assert [line for line in seen if secret in line.encode()] == []
        assert [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def completed_videos(server: str) -> int:
    """Videos of the completed task runs of which Prefect's database has a record."""
    return sum(num_videos(name) for (name,) in ask(server, "prefect", COMPLETED))


def num_videos(task_run_name: str) -> int:
    """How many videos a task had, by its name, such as `prepare anger/anna/0000.mp4 and 31 more`."""
    more = re.search(r" and (\d+) more$", task_run_name)
    return 1 + int(more[1]) if more else 1


def test_missing_databases_are_made_once(server: str) -> None:
    for _ in range(2):
        databases = Databases.on_postgres(server)
        made = ask(server, "postgres", "SELECT datname FROM pg_database WHERE datname IN ('prefect', 'mlflow')")
        assert sorted(made) == [("mlflow",), ("prefect",)]
    assert databases.prefect["PREFECT_API_DATABASE_CONNECTION_URL"].startswith("postgresql+asyncpg://fer:")


def test_a_mode_of_tls_is_told_to_both_servers_in_their_words(server: str) -> None:
    databases = Databases.on_postgres(f"{server}?sslmode=prefer")
    url = databases.prefect["PREFECT_API_DATABASE_CONNECTION_URL"]
    assert url.endswith("/prefect?ssl=prefer")
    assert databases.mlflow["MLFLOW_BACKEND_STORE_URI"].endswith("/mlflow?sslmode=prefer")

    async def answer() -> int:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT 1"))).scalar_one()
        await engine.dispose()
        return int(found)

    assert asyncio.run(answer()) == 1


def refusal(url: str) -> str:
    with pytest.raises(UserError) as error:
        Databases.on_postgres(url)
    said = str(error.value)
    assert "\n" not in said
    assert "hush" not in said
    return said


def test_a_wrong_password(server: str) -> None:
    place = urlsplit(server)
    said = refusal(f"postgresql://{USER}:hush@127.0.0.1:{place.port}")
    assert said == ('The PostgreSQL server at 127.0.0.1 cannot be used: password authentication failed for user "fer".')


def test_somebody_who_may_not_make_databases(server: str) -> None:
    for statement in ("DROP DATABASE IF EXISTS mlflow WITH (FORCE)", "CREATE ROLE guest LOGIN PASSWORD 'hush'"):
        order(server, statement)
    said = refusal(f"postgresql://guest:hush@127.0.0.1:{urlsplit(server).port}")
    assert said.startswith("The databases prefect and mlflow are not there and cannot be made: permission denied")
