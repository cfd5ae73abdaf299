"""A data root that was moved or copied goes on where it is now, and a copy never touches what it was copied from."""

import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from fer_models.errors import StorageError
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.split import split
from flows.study import full_study
from flows.train import train
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.tracking import connection, mlflow_log
from tasks.tracking.mlflow_database import ready_database, uri_of

CORPUS = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180))


def connect(root: Path) -> mlflow.MlflowClient:
    return connection.connect(Layout.of(StudySettings(data_root=root)))


def contents(root: Path) -> dict[str, tuple[int, str]]:
    """Time of change and digest of every file below a folder."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    }


def files_naming(root: Path, place: Path) -> set[str]:
    """The files below a data root that hold the name of a folder."""
    return {path.name for path in root.rglob("*") if path.is_file() and str(place).encode() in path.read_bytes()}


def address_columns(root: Path) -> set[str]:
    with sqlite3.connect(root / "mlflow.db") as database:
        rows = database.execute("SELECT artifact_location FROM experiments").fetchall()
        rows += database.execute("SELECT artifact_uri FROM runs").fetchall()
        rows += database.execute("SELECT artifact_location FROM logged_models").fetchall()
    return {address for (address,) in rows}


@pytest.fixture(scope="module")
def made_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with an MLflow database, an experiment, a run with an artifact and nothing else."""
    root = tmp_path_factory.mktemp("made") / "a place" / "data"
    client = connect(root)
    experiment = client.create_experiment("one", (root / "mlartifacts").as_uri())
    run = client.create_run(experiment, tags={"note": '{"file": "' + str(root) + '/x"}', "other": "/mnt" + str(root)})
    client.log_text(run.info.run_id, "hello", "words.txt")
    client.log_param(run.info.run_id, "root", str(root))
    return root


@pytest.fixture
def empty_root(made_root: Path, tmp_path: Path) -> Path:
    """The same, to be moved away."""
    root = tmp_path / "a place" / "data"
    shutil.copytree(made_root, root)
    connect(root)
    return root


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_addresses_of_artifacts_follow_the_data_root(
    made_root: Path, empty_root: Path, tmp_path: Path, how: Any
) -> None:
    new = tmp_path / "elsewhere, with 100 % other signs" / "data"
    new.parent.mkdir()
    before = contents(empty_root)
    how(empty_root, new)
    client = connect(new)
    (run,) = client.search_runs([client.get_experiment_by_name("one").experiment_id])
    client.log_text(run.info.run_id, "more", "more.txt")
    assert Path(mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/words.txt")).read_text() == "hello"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"words.txt", "more.txt"}
    assert list(new.rglob("more.txt"))
    assert all(address.startswith(new.as_uri() + "/mlartifacts") for address in address_columns(new))
    assert run.data.params["root"] == str(new)
    assert run.data.tags["note"] == '{"file": "' + str(new) + '/x"}'
    assert run.data.tags["other"] == "/mnt" + str(made_root), "another folder that ends alike"
    if how is shutil.copytree:
        assert contents(empty_root) == before
    else:
        assert not empty_root.exists()


def test_a_place_of_the_users_own_stays(empty_root: Path, tmp_path: Path) -> None:
    connect(empty_root).create_experiment("theirs", "s3://bucket/theirs")
    new = Path(shutil.copytree(empty_root, tmp_path / "new"))
    client = connect(new)
    assert client.get_experiment_by_name("theirs").artifact_location == "s3://bucket/theirs"


@pytest.mark.parametrize(
    "content",
    [
        b"no database " * 400,
        pytest.param(b"", marks=pytest.mark.slow),
        pytest.param(None, marks=pytest.mark.slow),
    ],
    ids=["garbage", "empty", "half made"],
)
def test_a_broken_database_is_set_aside(tmp_path: Path, content: bytes | None, capsys: Any) -> None:
    path = tmp_path / "mlflow.db"
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    else:
        path.write_bytes(content)
    (tmp_path / "mlflow.db-journal").write_bytes(b"of the broken one")
    client = connect(tmp_path)
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]
    there = {path.name for path in tmp_path.iterdir()} - {"broken-mlflow.db-journal"}  # SQLite may have used it up
    assert there == {"broken-mlflow.db", "mlflow.db"}
    assert "mlflow.db has lost its content; it is set aside as broken-mlflow.db" in capsys.readouterr().err


def test_a_folder_in_the_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(StorageError, match=r"mlflow\.db is a folder, .* move it away"):
        ready_database(tmp_path)


def test_a_journal_of_a_database_that_is_gone_does_not_spoil_the_next(tmp_path: Path) -> None:
    """As when a process was killed between the two renamings."""
    (tmp_path / "mlflow.db-journal").write_bytes(b"of a broken one")
    connect(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken-mlflow.db-journal", "mlflow.db"]
    assert (tmp_path / "broken-mlflow.db-journal").read_bytes() == b"of a broken one"


def test_a_database_that_cannot_be_read_now_stays_as_it_is(empty_root: Path) -> None:
    path = empty_root / "mlflow.db"
    path = path.rename(path.with_name("kept"))  # another file, which nobody has looked at in this process
    shutil.copyfile(path, empty_root / "mlflow.db")
    (empty_root / "mlflow.db-journal").mkdir()  # SQLite cannot read it: an I/O error
    before = contents(empty_root)
    with pytest.raises(StorageError, match=r"mlflow\.db cannot be used \(disk I/O error\); check its disk"):
        connect(empty_root)
    assert contents(empty_root) == before


@pytest.mark.parametrize("code", ["CANTOPEN", "IOERR_READ", "FULL", "READONLY_ROLLBACK", "PERM", "NOMEM", "AUTH"])
def test_faults_of_its_place_do_not_make_a_database_broken(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("no way in")
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{code}")
        raise error

    (tmp_path / "mlflow.db").write_bytes(b"all records")
    (tmp_path / "mlflow.db-journal").write_bytes(b"what makes them whole")
    before = contents(tmp_path)
    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(StorageError, match="no way in"):
        ready_database(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_study_goes_on_where_its_data_root_is(tmp_path: Path) -> None:
    """The corpus lies beside the data root and goes with it."""
    old, copy, moved = (tmp_path / name / "data" for name in ("old", "copy", "moved"))
    write_corpus(old.parent / "corpus", CORPUS)

    def arguments(root: Path, **more: Any) -> dict[str, Any]:
        overrides = {
            "name": "tiny",
            "data_root": str(root),
            "corpus.root": str(root.parent / "corpus"),
            "corpus.draw_sample": False,
            "corpus.emotions": ["anger", "happiness", "sadness"],
            "model.width": 4,
            "model.head_units": 16,
            "training.epochs": 2,
            "arms": ["gap-sum", "temporal-only"],
        }
        return {"preset": "sample", "overrides": overrides | more}

    full_study(**arguments(old))
    layout = Layout.of(resolve_settings(**arguments(old)))
    study_run = mlflow_log.open_study(resolve_settings(**arguments(old)))
    assert files_naming(old, old) == {"mlflow.db", "MLmodel"}, "where addresses are mended"
    before = contents(old)

    shutil.copytree(old.parent, copy.parent)
    evaluate(**arguments(copy))
    assert contents(old) == before
    assert mlflow_log.open_study(resolve_settings(**arguments(copy))) == study_run, "it knows its run again"
    more = arguments(copy, **{"training.epochs": 3})
    for flow in (prepare, split, train):
        flow(**more) if flow is not prepare else flow(**more, allow_failures=True)
    report = evaluate(**more)
    assert report == copy / "studies" / "tiny" / "report" / "index.html"
    assert contents(old) == before
    assert files_naming(copy, old) == set()

    shutil.move(old.parent, moved.parent)
    evaluate(**arguments(moved))
    full_study(**arguments(moved))
    assert not old.parent.exists()
    assert files_naming(moved, old) == set()
    new_layout = Layout.of(resolve_settings(**arguments(moved)))
    assert {path.name for path in new_layout.runs.iterdir()} == {
        name.split("/")[3] for name in before if name.startswith("studies/tiny/runs/")
    }
    assert new_layout.shards.relative_to(moved) == layout.shards.relative_to(old)
    now = contents(moved)
    shards = [name for name in before if "/shards/" in name]
    assert {name: now[name] for name in shards} == {name: before[name] for name in shards}, "nothing is decoded again"
    mlflow.set_tracking_uri(uri_of(moved))
    client = mlflow.MlflowClient()
    assert mlflow_log.open_study(resolve_settings(**arguments(moved))).run_id == study_run.run_id
    runs = mlflow.search_runs(experiment_names=["tiny"])
    assert len(runs) == 3, "nothing was logged anew"
    for run_id in runs["run_id"]:
        assert client.get_run(run_id).info.artifact_uri.startswith(moved.as_uri())
        for file in client.list_artifacts(run_id, "figures"):
            assert Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file.path)).stat().st_size
    models = mlflow.search_logged_models(experiment_ids=[study_run.experiment_id], output_format="list")
    assert mlflow.keras.load_model(models[0].model_uri).output_shape == (None, 3)
    assert pd.read_parquet(new_layout.manifest)["uri"].str.startswith(str(moved.parent)).all()
