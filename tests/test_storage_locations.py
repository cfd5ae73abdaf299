"""Places that users name, and files in an object store; fsspec's own store in memory stands for one here."""

import pickle
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from fer_models.errors import UserError
from flows.cli.options import Chosen
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings, settings_as_yaml
from tasks.config.settings import StudySettings
from tasks.diagnosis.check_result import State
from tasks.diagnosis.services import check_mlflow
from tasks.storage.files import (
    list_files,
    list_sizes,
    read_frame,
    remove_files,
    write_table,
    write_text,
)
from tasks.storage.local_copies import local_copy, synced_folder
from tasks.storage.locations import as_remote, read_location
from tasks.storage.shard_files import find_footers, read_tables
from tasks.tracking import connection


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Path:
    """A place of this test alone, in memory."""
    return read_location(f"memory://bucket/{request.node.name}")


@pytest.mark.parametrize("text", ["fer-data", "../up", "a:b", "2024"])
def test_what_is_no_url_is_a_path(text: str) -> None:
    assert read_location(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "s4://bucket/x",
            "Nothing can be read or kept at s4://; take a file or folder here, or a URL such as s3://bucket/prefix.",
        ),
        ("https://host/x", "Nothing can be read or kept at https://; take"),
        ("s3:/bucket/x", "'s3:/bucket/x' is no URL; write two slashes, s3://bucket/x."),
        ("s3://", "'s3://' names no bucket; write s3://bucket/prefix."),
    ],
)
def test_a_wrong_url_is_told(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        read_location(text)
    assert str(error.value).startswith(sentence)
    with pytest.raises(UserError, match=r"^data_root: .*[^.] \(it is "):
        resolve_settings(overrides={"data_root": text})


def test_a_missing_package_is_told() -> None:
    code = (
        "import sys\nsys.modules['s3fs'] = None\nfrom tasks.storage.locations import read_location\n"
        "try:\n    read_location('s3://bucket/x')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "UserError A package for s3:// is not installed: pip install 'fer-pipeline[s3]'.\n"


def test_settings_hold_a_url_as_they_hold_a_folder() -> None:
    local, remote = (StudySettings(data_root=root) for root in ("some/where", "s3://bucket/some/where/"))
    assert type(local.data_root) is type(Path())
    assert local.model_dump(mode="json")["data_root"] == "some/where"
    assert digest(local) == digest(StudySettings.model_validate(local.model_dump()))
    assert "data_root: s3://bucket/some/where\n" in settings_as_yaml(remote)
    for again in (
        pickle.loads(pickle.dumps(remote)),
        StudySettings.model_validate(remote.model_dump()),
        StudySettings.model_validate_json(remote.model_dump_json()),
    ):
        assert again == remote
    assert Chosen(data_root="s3://bucket/some/where").settings().data_root == remote.data_root
    assert str(Layout.of(remote).report) == "s3://bucket/some/where/studies/study/report"
    with pytest.raises(UserError, match="data_root"):
        resolve_settings(overrides={"data_root": 2024})


def test_mlflow_needs_a_server_beside_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    layout = Layout.of(StudySettings(data_root="s3://bucket/x"))
    with pytest.raises(UserError, match="set MLFLOW_TRACKING_URI to the address of an MLflow server"):
        connection.tracking_uri(layout)
    assert [found.state for found in check_mlflow(StudySettings(data_root="s3://bucket/x"))] == [State.ERROR]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert connection.tracking_uri(layout) == "http://somewhere:5000"


def test_tables_of_a_store_come_back_in_order(store: Path) -> None:
    paths = [store / f"{number % 7}" / f"{number}.parquet" for number in range(70)]
    for number, path in enumerate(paths):
        write_table(path, pa.table({"x": [number], "y": ["a"]}))
    assert [table["x"][0].as_py() for table in read_tables(paths, ["x"])] == list(range(70))
    assert [footer.num_columns for footer in find_footers(paths)] == [2] * 70
    pd.testing.assert_frame_equal(read_frame(paths[3]), pd.DataFrame({"x": [3], "y": ["a"]}))
    assert sorted(list_files(store, "*/*.parquet")) == sorted(paths)
    assert list_files(store, "*.parquet") == list_files(store, "a/*/*.parquet") == []
    assert list_files(store / "1", "*.parquet") == [
        store / "1" / f"{number}.parquet" for number in (1, 15, 22, 29, 36, 43, 50, 57, 64, 8)
    ]
    remove_files([store / "1", store / "2" / "2.parquet", store / "nowhere"])
    assert len(list_sizes(store, "*/*.parquet")) == 59


def test_a_footer_larger_than_what_is_fetched_first(store: Path) -> None:
    wide = pa.table({f"column {number}": [number] for number in range(2000)})
    write_table(store / "wide.parquet", wide)
    (footer,) = find_footers([store / "wide.parquet"])
    assert footer.num_columns == 2000


def test_a_working_folder_saves_what_changed_and_its_promises_last(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(store / "old" / "kept.txt", "kept")
    write_text(store / "gone.txt", "gone")
    uploaded: list[list[str]] = []
    upload = type(store).upload

    def record(place, files):  # type: ignore[no-untyped-def]
        uploaded.append(sorted(path.name for path in files))
        upload(place, files)

    monkeypatch.setattr(type(store), "upload", record)
    with synced_folder(store, last=("progress.json", "model.keras")) as working:
        assert (working.path / "old" / "kept.txt").read_text() == "kept"
        (working.path / "gone.txt").unlink()
        for name in ("model.keras", "progress.json", "epoch", ".hidden"):
            (working.path / name).write_text(name)
        working.save()
        assert [names for names in uploaded if names] == [["epoch"], ["progress.json"], ["model.keras"]]
        uploaded.clear()
        working.save()
        assert [names for names in uploaded if names] == []
        (working.path / "late").write_text("late")
    names = [str(path.relative_to(store)) for path in as_remote(store).sizes()]
    assert names == ["epoch", "late", "model.keras", "old/kept.txt", "progress.json"]


def test_a_working_folder_that_is_left_by_an_exception_keeps_what_was_saved(store: Path) -> None:
    def break_off() -> None:
        with synced_folder(store) as working:
            (working.path / "a").write_text("1")
            working.save()
            (working.path / "a").write_text("22")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        break_off()
    assert (store / "a").read_text() == "1"


def test_local_folders_are_worked_in_as_they_are(tmp_path: Path) -> None:
    with synced_folder(tmp_path / "new", last=("a",)) as working, local_copy(tmp_path / "new") as copy:
        assert working.path == copy == tmp_path / "new"
        (copy / "a").write_text("1")
        working.save()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


def test_copies_are_there_for_a_while(store: Path) -> None:
    write_text(store / "a" / "b.txt", "b")
    with local_copy(store / "a" / "b.txt") as file, local_copy(store / "a") as folder:
        assert file.read_text() == (folder / "b.txt").read_text() == "b"
    assert not file.exists()
