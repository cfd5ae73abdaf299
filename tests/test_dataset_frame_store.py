"""The arrays that training reads: the same segments as in the shards, made once, and made again when they are lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_dataset_index import EMOTIONS, WINDOWS, make_ledger, make_split, prepared  # noqa: F401

from fer_models.errors import BrokenFile, UserError
from fer_models.segments import SegmentShape
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.dataset import frame_store
from tasks.dataset.frame_store import open_store, stored_arrays, unused_stores
from tasks.dataset.index import build_index, fold_folder, indexed_shards, load_arrays, subset_file
from tasks.preparation.cleanup import remove
from tasks.progress import collected
from tasks.storage.row_files import RowFile, RowWriter

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
def own(prepared: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A copy of the prepared folder without arrays."""
    own = tmp_path / prepared.name
    own.mkdir()
    (own / "shards").symlink_to(prepared / "shards")
    build_index(make_ledger(), make_split(), own, tmp_path / "index", WINDOWS)
    return own


def shards_of(own: Path) -> set[str]:
    return indexed_shards(fold_folder(own.parent / "index", 0))


def rows_of(own: Path, subset: str) -> pd.DataFrame:
    return pd.read_parquet(subset_file(own.parent / "index", 0, subset))


@pytest.mark.parametrize("subset", ["train", "test"])
def test_stored_segments_are_those_of_the_shards(own: Path, subset: str) -> None:
    rows = rows_of(own, subset).iloc[::-1].reset_index(drop=True)
    stored = stored_arrays(rows, open_store(own, shards_of(own)), own, EMOTIONS)
    loaded = load_arrays(rows, own, EMOTIONS)
    assert len(stored) == len(loaded) >= 2
    assert stored.shape == loaded.shape == SegmentShape()
    wanted = np.array([1, 0, 1])
    for name, values in loaded.batch(wanted).items():
        found = stored.batch(wanted)[name]
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype
    for name in ("labels", "videos", "names", "seen"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(loaded, name))


def test_a_store_is_made_once_for_all_subsets(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_store(own, shards_of(own))
    assert len(first.shards) == 3, "those of training, validation and test"
    monkeypatch.setattr(frame_store, "read_images_of", lambda _: pytest.fail("it was made again"))
    assert open_store(own, shards_of(own)).shards == first.shards
    assert sorted(path.suffix for path in (own / "arrays").iterdir()) == ["", ".lock"]


def test_arrays_that_lost_their_content_are_made_again(own: Path) -> None:
    before = open_store(own, shards_of(own))
    for name in ("faces.npy", "numbers.npy", "shards.parquet"):
        path = before.faces.path.parent / name
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises((BrokenFile, ValueError)):
            frame_store._read(path.parent)
        with collected() as lines:
            after = open_store(own, shards_of(own))
        assert "has lost its content; it is set aside" in " ".join(lines)
        np.testing.assert_array_equal(after.faces[np.arange(6)], images(own))
        for aside in (own / "arrays").glob("broken-*"):
            remove([item for item in unused(own) if str(aside) in item.description], layout_of(own))
            assert not aside.exists()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("shards.parquet", lambda path: pd.DataFrame({"a": [1]}).to_parquet(path)),
        ("shards.parquet", lambda path: pd.DataFrame({"shard": [1], "first": ["a"]}).to_parquet(path)),
        ("shards.parquet", a_folder),
        ("faces.npy", a_pipe),
        ("faces.npy", lambda path: np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)),
        ("faces.npy", lambda path: np.save(path, np.zeros(6))),
        ("finite.npy", lambda path: np.save(path, np.zeros((6, 2)))),
        ("numbers.npy", lambda path: np.save(path, np.array(3))),
    ],
)
def test_arrays_of_others_are_made_again(own: Path, name: str, spoil: Callable[[Path], None]) -> None:
    """Somebody put something else in their place; nothing of it is run, and no pipe is waited for."""
    spoil(open_store(own, shards_of(own)).faces.path.parent / name)
    np.testing.assert_array_equal(open_store(own, shards_of(own)).faces[np.arange(6)], images(own))


def images(own: Path) -> np.ndarray:
    rows = pd.concat([rows_of(own, subset) for subset in ("train", "validation", "test")]).sort_values("shard")
    return load_arrays(rows.reset_index(drop=True), own, EMOTIONS).faces


def layout_of(own: Path) -> Layout:
    settings = resolve_settings("sample", overrides={"data_root": own.parent})
    layout = Layout.of(settings)
    return Layout(layout.root, own, layout.study, layout.split)


def unused(own: Path) -> list:
    return unused_stores(layout_of(own))


def test_what_no_index_needs_is_found_and_removed(own: Path) -> None:
    build_index(make_ledger(), make_split(), own, own.parent / "studies/one/index/split", WINDOWS)
    kept = open_store(own, shards_of(own)).faces.path.parent
    other = open_store(own, sorted(shards_of(own))[:1]).faces.path.parent
    (found,) = unused(own)
    assert found.paths[0] == other
    assert found.size_bytes == sum(path.stat().st_size for path in other.iterdir())
    remove([found], layout_of(own))
    assert unused(own) == []
    assert kept.is_dir()
    assert not other.exists()


def test_an_index_that_does_not_fit_is_refused(own: Path) -> None:
    store, rows = open_store(own, shards_of(own)), rows_of(own, "test")
    spoilt = {
        "names row 99": rows.assign(row=[0, 99, 2]),
        "means other segments": rows.assign(segment=[0, 5, 6]),
        "as that of the video": rows.assign(sha256="4" * 64),
        "beside its shards": rows.assign(shard="shards/99/99.parquet"),
        "prepared with other settings": rows.assign(prepared="other"),
        "holds no segment": rows.head(0),
    }
    for words, index in spoilt.items():
        with pytest.raises(UserError, match=words):
            stored_arrays(index, store, own, EMOTIONS)
    with pytest.raises(UserError, match="holds no segment"):
        open_store(own, [])


def test_rows_are_read_as_those_of_an_array(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3, 2)).astype(np.float16)
    with RowWriter(tmp_path / "rows.npy", (3, 2), np.float16) as writer:
        for part in (values[:7], values[7:7], values[7:]):
            writer.add(part)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy", mmap_mode="r"), values)
    file = RowFile.find(tmp_path / "rows.npy")
    assert (file.shape, file.dtype, len(file), file.nbytes) == (values.shape, values.dtype, 50, values.nbytes)
    rng = np.random.default_rng(1)
    for rows in (np.arange(50), np.arange(0), rng.integers(0, 50, 80), rng.integers(0, 50, (4, 5)), np.int64(3)):
        np.testing.assert_array_equal(file[rows], values[rows])
    for rows in ([50], [-1]):
        with pytest.raises(IndexError):
            file[np.array(rows)]


KILLED = """
import sys, time
from pathlib import Path
from tasks.dataset import frame_store
frame_store.read_images_of = lambda paths: (print("writing", flush=True), time.sleep(600))
frame_store.open_store(Path(sys.argv[1]), sys.argv[2:])
"""


def test_who_dies_while_writing_leaves_the_work_to_the_next(own: Path) -> None:
    """And the next one waits as long as it lives."""
    shards = sorted(shards_of(own))
    writing = subprocess.Popen([sys.executable, "-c", KILLED, own, *shards], stdout=subprocess.PIPE)
    assert writing.stdout is not None
    writing.stdout.readline()
    assert list((own / "arrays").glob(".part-*"))
    waiting = multiprocessing.get_context("spawn").Process(target=open_store, args=(own, shards))
    waiting.start()
    waiting.join(1.0)
    assert waiting.exitcode is None
    os.kill(writing.pid, signal.SIGKILL)
    writing.wait()
    began = time.monotonic()
    waiting.join(60)
    assert waiting.exitcode == 0, time.monotonic() - began
    assert not list((own / "arrays").glob(".part-*"))
    assert len(open_store(own, shards).faces) == 6
