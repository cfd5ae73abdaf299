"""The frames behind an index as arrays on this machine's disk: written once, read by all runs, seeds and processes.

A store has the frames of all shards that an index names, whatever the subset, and nothing of labels and subsets: what a
subset has of it is said by the rows of its own index. It lies beside the shards, or, where those are in an object
store, in the user's cache; `fer clean` removes what no index needs any more.

Files: `faces.npy`, uint8 (m, S, S, 3), `optical_flows.npy`, float16 (m, S, S, 2), unless the shards have none,
`numbers.npy`, int32 (m, 2), of the segment that begins with a frame and of the frame itself, `finite.npy`, bool (m,),
whether its optical flow is finite, and `shards.parquet`: of each shard where its frames begin.
"""

import functools
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fer_models.errors import BrokenFile, UserError
from fer_models.segments import SegmentArrays
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.dataset.index import check_prepared, check_rows, identities, indexed_shards, other_segments, windows_of
from tasks.preparation.cleanup import Unused
from tasks.preparation.shards import named_shard, read_images_of
from tasks.progress import progress
from tasks.storage.caches import user_cache
from tasks.storage.expected import Expected
from tasks.storage.files import list_files, list_sizes, read_frame, set_aside
from tasks.storage.folders import make_once
from tasks.storage.locations import as_remote
from tasks.storage.row_files import RowFile, RowWriter

_NEW_INDEX = "run `fer split` again, which makes a new one"
#: Raised when the files of a store change.
_FORMAT = 1
_FACES, _FLOWS, _NUMBERS, _FINITE, _SHARDS = (
    "faces.npy",
    "optical_flows.npy",
    "numbers.npy",
    "finite.npy",
    "shards.parquet",
)
_EXPECTED = Expected(pa.schema({"shard": pa.string(), "first": pa.int64()}))


@dataclass(frozen=True)
class FrameStore:
    """The frames of some shards; arrays as in the files.

    Args:
        shards: which of the frames are those of a shard, by its name.
    """

    faces: RowFile
    optical_flows: RowFile | None
    numbers: np.ndarray
    is_finite: np.ndarray
    shards: Mapping[str, slice]


def open_store(prepared: Path, shards: Collection[str]) -> FrameStore:
    """The store of the shards of these names below `prepared`; made first when it is not there, or not whole.

    Raises:
        UserError: there is no shard, or one is not what its name says.
    """
    folder = _store_folder(prepared, shards)
    make = functools.partial(_write, prepared=prepared, shards=sorted(shards))
    make_once(folder, make)
    try:
        return _read(folder)
    except (BrokenFile, FileNotFoundError):
        set_aside(folder)
        make_once(folder, make)
        return _read(folder)


def stored_arrays(index: pd.DataFrame, store: FrameStore, prepared: Path, emotions: tuple[str, ...]) -> SegmentArrays:
    """The segments of an index's rows, in its order, over the frames of a store; as `load_arrays`, with no frame read.

    Raises as `load_arrays`.
    """
    check_prepared(index, prepared)
    rows, frames, seen = windows_of(index)
    shards = index["shard"].map(store.shards)
    if shards.isna().any():
        raise UserError(f"The index names {index['shard'][shards.isna()].iloc[0]!r} beside its shards; {_NEW_INDEX}.")
    first, end = (np.array([getattr(one, name) for one in shards])[:, None] for name in ("start", "stop"))
    places = first + rows
    fits = ((rows >= 0) & (places < end)).all(axis=1) & (index["sha256"] == _videos_of(index["shard"])).to_numpy()
    numbers = store.numbers[np.where(fits[:, None], places, 0)]
    fits &= ~other_segments(index["segment"].to_numpy(), frames, seen, numbers)
    if not fits.all():
        shard = index["shard"][~fits].iloc[0]
        at = np.flatnonzero(index["shard"] == shard)
        own = store.numbers[store.shards[shard]]
        check_rows(named_shard(prepared, shard), index.iloc[at], rows[at], frames[at], seen[at], own)
    identity = identities(index, emotions)
    return SegmentArrays(store.faces, store.optical_flows, places, seen, *identity, is_finite=store.is_finite)


def _videos_of(shards: pd.Series) -> pd.Series:
    """The SHA-256 of the video of each shard."""
    return shards.map({shard: PurePosixPath(shard).stem for shard in shards.unique()})


def unused_stores(layout: Layout) -> list[Unused]:
    """The stores of a study's prepared shards that no study's index needs any more."""
    indexes = list_files(layout.root, "studies/*/index/*/*/train.parquet")
    needed = {_store_folder(layout.prepared, indexed_shards(path.parent)) for path in indexes}
    found = [path for path in sorted(_stores(layout.prepared).glob("*")) if path.is_dir() and path not in needed]
    return [
        Unused(
            layout.prepared,
            f"{path}: arrays for training that no index needs",
            (path, path.with_name(f"{path.name}.lock")),
            0,
            sum(list_sizes(path, "*").values()),
        )
        for path in found
    ]


def _stores(prepared: Path) -> Path:
    if as_remote(prepared):
        advice = "name a folder for arrays in XDG_CACHE_HOME"
        return user_cache(advice) / "arrays" / digest(str(prepared))
    return prepared / "arrays"


def _store_folder(prepared: Path, shards: Collection[str]) -> Path:
    return _stores(prepared) / digest({"format": _FORMAT, "shards": sorted(shards)})


def _write(folder: Path, prepared: Path, shards: list[str]) -> None:
    if not shards:
        raise UserError("The index holds no segment; run `fer split` again.")
    firsts: list[int] = [0]
    numbers: list[np.ndarray] = []
    finite: list[np.ndarray] = []
    images_of = read_images_of([named_shard(prepared, shard) for shard in shards])
    with ExitStack() as stack, progress("Writing arrays", len(shards)) as advance:
        writers: dict[str, RowWriter] = {}
        for images in images_of:
            columns = {_FACES: images.faces, _FLOWS: images.optical_flows}
            for name, rows in ((name, rows) for name, rows in columns.items() if rows is not None):
                if name not in writers and not numbers:
                    writers[name] = stack.enter_context(RowWriter(folder / name, rows.shape[1:], rows.dtype.type))
                writers[name].add(rows)
            numbers.append(images.numbers.astype(np.int32))
            flows = images.optical_flows
            no_flows = np.ones(len(images.numbers), bool)
            finite.append(no_flows if flows is None else np.isfinite(flows).all(axis=(1, 2, 3)))
            firsts.append(firsts[-1] + len(images.numbers))
            advance("")
    np.save(folder / _NUMBERS, np.concatenate(numbers))
    np.save(folder / _FINITE, np.concatenate(finite))
    pq.write_table(pa.table({"shard": shards, "first": firsts[:-1]}), folder / _SHARDS, write_page_checksum=True)


def _read(folder: Path) -> FrameStore:
    """Raises `BrokenFile` or `FileNotFoundError` when something of a store is missing."""
    if lacking := [name for name in (_FACES, _NUMBERS, _FINITE, _SHARDS) if not (folder / name).is_file()]:
        raise BrokenFile(folder, f"has no file {lacking[0]}")
    faces = RowFile.find(folder / _FACES)
    flows = RowFile.find(folder / _FLOWS) if (folder / _FLOWS).exists() else None
    columns = [RowFile.find(folder / name) for name in (_NUMBERS, _FINITE)]
    numbers, is_finite = (column[np.arange(len(column))] for column in columns)
    table = read_frame(folder / _SHARDS, _EXPECTED)
    firsts = table["first"].tolist()
    slices = map(slice, firsts, [*firsts[1:], len(numbers)])
    if len({len(faces), len(numbers), len(is_finite), len(flows or faces)}) > 1:
        raise BrokenFile(folder, "has lost some of its content")
    if (faces.dtype, len(faces.shape), numbers.ndim, is_finite.dtype, is_finite.ndim) != (np.uint8, 4, 2, np.bool_, 1):
        raise BrokenFile(folder, "holds other arrays than these")
    return FrameStore(faces, flows, numbers, is_finite, dict(zip(table["shard"], slices, strict=True)))
