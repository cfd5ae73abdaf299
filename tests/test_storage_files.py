"""Whole files or none, also when a block fails or the process is killed."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from fer_models.errors import StorageError
from tasks.storage.files import (
    atomic_write,
    finished_files,
    remove_temporary_files,
    try_lock,
    write_json,
    write_table,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_block_that_ends_well_gives_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def write_half(path: Path, fault: BaseException) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise fault


@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault):
        write_half(tmp_path / "a.txt", fault())
    assert names(tmp_path) == []


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="full"):
        write_half(tmp_path / "a.txt", OSError("full"))
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as first, atomic_write(tmp_path / "a.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"
    assert names(tmp_path) == ["a.txt"]


def test_text_json_and_tables_come_back(tmp_path: Path) -> None:
    class Pair(BaseModel):
        number: int
        word: str

    write_text(tmp_path / "a.txt", "façade\n")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "façade\n"
    write_json(tmp_path / "a.json", Pair(number=3, word="é"))
    assert Pair.model_validate_json((tmp_path / "a.json").read_bytes()) == Pair(number=3, word="é")
    table = pa.table({"x": [1, 2, 3], "y": ["a", None, "c"]})
    write_table(tmp_path / "a.parquet", table)
    assert pq.read_table(tmp_path / "a.parquet").equals(table)
    assert names(tmp_path) == ["a.json", "a.parquet", "a.txt"]


KILLED_WRITER = """
import sys, time
from pathlib import Path
import pyarrow as pa
from tasks.storage import files

def write_half(table, path, **options):
    with open(path, "wb") as file:
        file.write(b"PAR1 and no end")
        file.flush()
        print("halfway", flush=True)
        time.sleep(60)

files.pq.write_table = write_half
files.write_table(Path(sys.argv[1]), pa.table({"x": [1]}))
"""


def test_a_writer_that_is_killed_leaves_no_final_file(tmp_path: Path) -> None:
    path = tmp_path / "ab" / "abc.parquet"
    with subprocess.Popen([sys.executable, "-c", KILLED_WRITER, str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"halfway\n"
        finally:
            process.kill()  # SIGKILL: no handler runs
    assert not path.exists()
    (leftover,) = names(tmp_path)
    assert leftover.endswith("-abc.parquet")
    write_text(tmp_path / "ab" / "other.parquet", "whole")
    assert remove_temporary_files(tmp_path) == 1
    assert names(tmp_path) == ["other.parquet"]
    assert remove_temporary_files(tmp_path) == 0


def test_finished_files_are_neither_being_written_nor_set_aside(tmp_path: Path) -> None:
    for name in ("b.json", "a.png", "broken-a.json", ".part-1234-b.json", ".b.json", "folder/c.json"):
        write_text(tmp_path / name, "{}")
    assert [path.name for path in finished_files(tmp_path)] == ["a.png", "b.json"]


def test_leftovers_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert remove_temporary_files(tmp_path / "nowhere") == 0


def test_one_process_at_a_time_holds_a_lock_and_it_ends_with_the_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.lock"
    code = f"""
import pathlib, sys
from tasks.storage.files import try_lock
with try_lock(pathlib.Path({str(path)!r})) as alone:
    print(alone, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"True\n"
        with try_lock(path) as alone:
            assert not alone
        other.kill()
    with try_lock(path) as alone, try_lock(path) as again:
        assert (alone, again) == (True, False)


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be locked \(.*\); is its folder writable"), try_lock(tmp_path):
        pass
