"""Names from files and stores that may have been written by anybody lead nowhere but below their folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from stored_tables import store

from fer_models.errors import UserError
from fer_models.models.building import load_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.progress import Progress
from tasks.config.settings import StudySettings
from tasks.corpus.adapters import baum1
from tasks.corpus.manifest import SCHEMA as MANIFEST
from tasks.dataset.index import load_arrays
from tasks.preparation.cleanup import find_unused
from tasks.preparation.scan import due_jobs, scan_corpus
from tasks.preparation.shards import named_shard, shard_name, shard_path
from tasks.report.inspection import picture_name
from tasks.storage.locations import as_remote, read_location
from tasks.storage.stored_names import path_below
from tasks.study.checkpoints import PROGRESS_FILE, RunCheckpoints

SHA256 = "ab" * 32
HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/etc/x",
    "//host/x",
    "a//b",
    "a/",
    "./a",
    "C:/x",
    "C:x",
    "a/c:x",
    "..\\x",
    "\\\\host\\share\\x",
    "a\x00b",
    "a\nb",
    "a\x1b[2Jb",
    "... ",
    "a/.. /x",
    None,
    7,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_leads_elsewhere_is_refused_in_one_sentence(tmp_path: Path, name: object) -> None:
    with pytest.raises(UserError, match=r"^ledger\.parquet holds the name .* which leads out of .*; remove it\.$"):
        path_below(tmp_path, name, "ledger.parquet", "remove it")


@pytest.mark.parametrize(
    "name", ["a", "a/b.parquet", ".hidden", "..a", "a..", "Ünder+one, seed 1/model.keras", "~", "*"]
)
def test_what_stays_below_is_that_path(tmp_path: Path, name: str) -> None:
    assert path_below(tmp_path, name, "x", "y") == tmp_path / name


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "within").symlink_to(root / "inner")
    (root / "out").symlink_to(tmp_path)
    (root / "file").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "alias").symlink_to(root)
    assert path_below(root, "within/x", "it", "y") == root / "within" / "x"
    assert path_below(tmp_path / "alias", "inner/x", "it", "y") == tmp_path / "alias" / "inner" / "x"
    for name in ("out/x", "file", "out"):
        with pytest.raises(UserError, match="leads out of"):
            path_below(root, name, "it", "y")


@pytest.mark.parametrize("name", [name for name in HOSTILE if isinstance(name, str)])
def test_in_a_store_too(name: str) -> None:
    with pytest.raises(UserError, match="leads out of memory://bucket/data"):
        path_below(read_location("memory://bucket/data"), name, "it", "y")


# Who uses it


@pytest.mark.parametrize("sha256", ["../../../../escaped", "/escaped", "..", "a/../../../../escaped"])
def test_a_tampered_manifest_writes_nothing_outside(tmp_path: Path, sha256: str) -> None:
    """A digest in the manifest counts as long as the file keeps its size and date."""
    videos = tmp_path / "videos"
    for number, name in enumerate(("anger/anna/a", "fear/ben/b", "fear/carl/c")):
        path = videos / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([number]))
    settings = StudySettings(
        data_root=tmp_path / "data", corpus={"adapter": "folder", "root": videos, "emotions": ["anger", "fear"]}
    )
    scan_corpus(settings)
    manifest = tmp_path / "data" / "manifest.parquet"
    pd.read_parquet(manifest).assign(sha256=[sha256, "b" * 64, "c" * 64]).to_parquet(manifest)
    with pytest.raises(UserError, match=r"manifest\.parquet holds the name .*remove that manifest"):
        due_jobs(scan_corpus(settings), settings)


def test_shards_have_one_name_for_all(tmp_path: Path) -> None:
    assert named_shard(tmp_path, shard_name(SHA256)) == shard_path(tmp_path / "shards", SHA256)
    assert shard_name(SHA256) == f"shards/ab/{SHA256}.parquet"


@pytest.mark.parametrize("shard", ["../x.parquet", "/x.parquet", "ledger.parquet", "shards/../../x.parquet", "shards"])
def test_a_tampered_index_reads_nothing_outside(tmp_path: Path, shard: str) -> None:
    index = pd.DataFrame({"shard": [shard], "row": [0], "emotion": ["anger"], "video_id": ["a"], "segment": [0]})
    index["prepared"] = tmp_path.name
    with pytest.raises(UserError, match="leads out of"):
        load_arrays(index, tmp_path, ("anger", "fear"))


@pytest.mark.parametrize("name", [None, 7, float("nan")])
def test_a_ledger_without_the_name_of_a_shard_is_told(tmp_path: Path, name: object) -> None:
    with pytest.raises(UserError, match=r"^The ledger or an index of .* leads out of .* run `fer prepare`"):
        named_shard(tmp_path, name)


def side(num: int = 2) -> SegmentArrays:
    rows = np.arange(num)
    faces, flows = np.zeros((num, 48, 48, 3), np.uint8), np.zeros((num, 48, 48, 2), np.float16)
    return pair_arrays(faces, flows, rows % 2, rows, rows.astype(str))


@pytest.mark.parametrize("name", ["../victim", "/victim", "epochs/../../victim"])
@pytest.mark.parametrize("field", ["last_checkpoint", "best_checkpoint"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_tampered_progress_deletes_and_loads_nothing_outside(
    tmp_path: Path, name: str, field: str, finished: bool
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "run"
    victim.write_text("dear")
    folder.mkdir()
    (folder / "epoch-0001.keras").write_text("a checkpoint")
    name = str(victim) if name == "/victim" else name
    names = {"last_checkpoint": "epoch-0001.keras", "best_checkpoint": "epoch-0001.keras"} | {field: name}
    progress = Progress(history=[], best_epoch=1, finished=finished, **names)
    (folder / PROGRESS_FILE).write_text(progress.model_dump_json())
    with pytest.raises(UserError, match=r"progress\.json holds the name .*victim.* to train the run anew"):
        fit(lambda: pytest.fail("it was built"), side(), side(), TrainingSettings(), RunCheckpoints(folder), seed=1)
    assert victim.read_text() == "dear"


@pytest.mark.parametrize("name", ["x.h5", "x.keras.h5", "x", "x.KERAS"])
@pytest.mark.parametrize("field", ["last_checkpoint", "best_checkpoint"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_progress_that_names_another_kind_of_file_loads_none(
    tmp_path: Path, name: str, field: str, finished: bool
) -> None:
    names = {"last_checkpoint": "epoch-0001.keras", "best_checkpoint": "epoch-0001.keras"} | {field: name}
    for stored in names.values():
        (tmp_path / stored).write_text("a checkpoint")
    progress = Progress(history=[], best_epoch=1, finished=finished, **names)
    (tmp_path / PROGRESS_FILE).write_text(progress.model_dump_json())
    with pytest.raises(UserError, match=rf"progress\.json holds '{name}', which does not end in \.keras; remove "):
        fit(lambda: pytest.fail("it was built"), side(), side(), TrainingSettings(), RunCheckpoints(tmp_path), seed=1)


def test_keys_of_a_store_that_lead_out_are_refused_and_write_nothing(tmp_path: Path) -> None:
    store = MemoryFileSystem()
    place = read_location("memory://hostile/run")
    try:
        store.pipe({"/hostile/run/a.txt": b"1", "/hostile/run/b/c.txt": b"2"})
        as_remote(place).download(tmp_path / "fine")
        assert (tmp_path / "fine" / "b" / "c.txt").read_bytes() == b"2"
        store.store["/hostile/run/../../../escaped"] = store.store["/hostile/run/a.txt"]
        for use in (as_remote(place).sizes, lambda: as_remote(place).download(tmp_path / "in" / "x")):
            with pytest.raises(UserError, match=r"memory://hostile/run holds the name .*escaped.*remove that object"):
                use()
        assert [path.name for path in tmp_path.iterdir()] == ["fine"]
    finally:
        store.rm("/hostile", recursive=True)


def test_an_asterisk_in_a_key_removes_only_itself() -> None:
    store = MemoryFileSystem()
    try:
        store.pipe({f"/stars/{name}": b"1" for name in ("a.txt", "b.txt", "*.txt", "[ab].txt")})
        place = as_remote(read_location("memory://stars"))
        place.remove([place / "*.txt", place / "[ab].txt"])
        assert sorted(store.find("/stars")) == ["/stars/a.txt", "/stars/b.txt"]
    finally:
        store.rm("/stars", recursive=True)


def test_cleaning_follows_no_link_out(tmp_path: Path) -> None:
    """A folder among the shards that is a link to somebody's own files."""
    settings = StudySettings(data_root=tmp_path / "data")
    from tasks.config.layout import Layout

    layout = Layout.of(settings)
    layout.shards.mkdir(parents=True)
    store(layout.manifest, pd.DataFrame({"sha256": [SHA256], "status": "ok"}), MANIFEST)
    own = tmp_path / "own"
    own.mkdir()
    (own / "dear.parquet").write_text("dear")
    (layout.shards / "zz").symlink_to(own)
    with pytest.raises(UserError, match=r"holds the name 'zz/dear.parquet', which leads out"):
        find_unused(layout)


@pytest.mark.parametrize(
    "video_id", ["../../x", "..", "C:\\x", "/etc/passwd", "a\x00b", "\n", "a/b", "CON\x1b[2J", "~/x"]
)
def test_pictures_of_videos_with_odd_names_stay_in_their_folder(tmp_path: Path, video_id: str) -> None:
    name = picture_name(video_id)
    assert path_below(tmp_path, name, "it", "y").parent == tmp_path
    assert name.endswith(".png")


def test_a_sheet_of_labels_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    for name in ("../../X", "/ETC/X", "C:\\X", "..", "A\x00B"):
        video = baum1._source("s", name, [], [], tmp_path)
        assert video.status == "label_missing"
        assert video.path.parent == tmp_path
        assert path_below(tmp_path, video.path.name, "it", "y")


@pytest.mark.parametrize("name", ["model.h5", "model.keras.h5", "folder", "model"])
def test_only_keras_files_are_loaded(tmp_path: Path, name: str) -> None:
    """The older formats hold code that runs when they are loaded."""
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(UserError, match=r"not a model of this project .*\.keras"):
        load_model(tmp_path / name)
