"""The index: every usable segment with its shard, subject, class and subset; and the arrays behind its rows.

`row` is that of the shard; `prepared` names the folder of the shards, and so the settings that they were made with.
Training reads the files of its two subsets; that of the test subset is opened by evaluation alone and what comes after.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fer_models.errors import UserError
from fer_models.labels import label_numbers
from fer_models.segments import SegmentArrays
from fer_models.windows import Windows
from tasks.config.digests import digest
from tasks.dataset.folds import TEST, TRAIN, VALIDATION
from tasks.dataset.splits import KEY, SUBSETS
from tasks.preparation.ledger import is_usable
from tasks.preparation.shards import named_shard, read_images_of, read_rows_of
from tasks.progress import progress
from tasks.storage.expected import Expected
from tasks.storage.files import find_frame, write_table
from tasks.storage.locations import as_remote

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("subject", pa.string()),
        ("emotion", pa.string()),
        ("side", pa.string()),
        ("sha256", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int32()),
        ("segment", pa.int32()),
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("box", pa.list_(pa.int32(), 4)),
        ("prepared", pa.string()),
    ]
)
#: Columns of an index of segments of several frames: their rows of the shard, their numbers, and whether they are those
#: of the segment or the nearest to one that does not show the face.
_OF_FRAMES = pa.schema(
    [("rows", pa.list_(pa.int32())), ("frames", pa.list_(pa.int32())), ("seen", pa.list_(pa.bool_()))]
)
#: What it lacks is said more plainly by `read_subset`.
_EXPECTED = Expected(pa.unify_schemas([SCHEMA, _OF_FRAMES]), core=(), may_be_empty=True)
_OF_SHARD = ("segment", "frame", "pts_s", "box")


def build_index(
    ledger: pd.DataFrame, split: pd.DataFrame, prepared: Path, folder: Path, windows: Windows
) -> pd.DataFrame:
    """Write the segments of the split's usable videos, one file per fold and subset, so that each can be opened alone.

    Args:
        prepared: the folder above the shards.
        windows: the segments that they were prepared for.

    Returns:
        The number of subjects, videos and segments of each fold and subset.
    """
    usable = ledger[is_usable(ledger)]
    rows_of = _rows_of_shards(usable, prepared, windows)
    schema = _schema(windows)
    counts = []
    for (fold, subset), members in split[split["side"].isin(SUBSETS)].groupby(["fold", "side"]):
        videos = usable.merge(members[KEY], on=KEY).sort_values("video_id")
        parts = [_rows(video, {"side": subset, "prepared": prepared.name}, rows_of) for video in videos.itertuples()]
        table = pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])
        write_table(subset_file(folder, fold, subset), table)
        counts.append((fold, subset, videos["subject"].nunique(), len(videos), len(table)))
    return pd.DataFrame(counts, columns=["fold", "side", "subjects", "videos", "segments"])


def segments_of(videos: pd.DataFrame, prepared: Path, windows: Windows) -> pd.DataFrame:
    """The segments of all usable videos of a ledger as the index of a test subset has them, by the videos' ids.

    Args:
        prepared: the folder above the shards.
        windows: the segments that they were prepared for.
    """
    usable = videos[is_usable(videos)].sort_values("video_id")
    rows_of = _rows_of_shards(usable, prepared, windows)
    schema = _schema(windows)
    parts = [_rows(video, {"side": TEST, "prepared": prepared.name}, rows_of) for video in usable.itertuples()]
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)]).to_pandas()


def _rows_of_shards(usable: pd.DataFrame, prepared: Path, windows: Windows) -> dict[str, pa.Table]:
    """The segments of each shard of some usable videos."""
    shards = usable["shard"].unique()
    tables = read_rows_of([named_shard(prepared, shard) for shard in shards])
    num_segments = usable.groupby("shard", sort=False)["num_segments"].first()
    return {shard: _segments(rows, windows, num_segments[shard]) for shard, rows in zip(shards, tables, strict=True)}


def _schema(windows: Windows) -> pa.Schema:
    return SCHEMA if windows.num_frames == 1 else pa.unify_schemas([SCHEMA, _OF_FRAMES])


def _segments(shard: pa.Table, windows: Windows, num_segments: int) -> pa.Table:
    """The segments of a shard by their first frames, and where their frames stand in it."""
    if windows.num_frames == 1:
        return shard.select(list(_OF_SHARD)).append_column("row", pa.array(np.arange(len(shard)), pa.int32()))
    frames = shard["frame"].to_numpy()
    segments, rows, seen = windows.covered(frames, num_segments)
    first = shard.take(rows[:, 0])
    return pa.table(
        {
            "segment": segments,
            "frame": segments * windows.stride,
            "pts_s": first["pts_s"],
            "box": first["box"],
            "row": rows[:, 0],
            "rows": rows.tolist(),
            "frames": frames[rows].tolist(),
            "seen": seen.tolist(),
        }
    )


def _rows(video: Any, more: Mapping[str, str], rows_of: Mapping[str, pa.Table]) -> pa.Table:
    rows = rows_of[video.shard]
    values = {name: getattr(video, name) for name in ("video_id", "subject", "emotion", "sha256", "shard")}
    columns = {name: pa.array([value] * len(rows), pa.string()) for name, value in {**values, **more}.items()}
    found = pa.table({**columns, **{name: rows[name] for name in rows.column_names}})
    return found.select([*SCHEMA.names, *(name for name in _OF_FRAMES.names if name in rows.column_names)])


def fold_folder(folder: Path, fold: int) -> Path:
    """The index of a fold, below `Layout.index`."""
    return folder / f"fold-{fold}"


def subset_file(folder: Path, fold: int, subset: str) -> Path:
    """The index of one subset of a fold, below `Layout.index`."""
    return fold_folder(folder, fold) / f"{subset}.parquet"


def read_subset(folder: Path, fold: int, subset: str, emotions: Sequence[str]) -> pd.DataFrame:
    """The segments of one subset of a fold.

    Raises:
        UserError: there is no index, it lacks values, or it is of other classes or of another subset.
    """
    path = subset_file(folder, fold, subset)
    index = find_frame(path, _EXPECTED)
    if index is None:
        raise UserError(f"There is no index at {str(path)!r}; run `fer prepare` and `fer split` first.")
    of_frames = _OF_FRAMES.names if index.columns.isin(_OF_FRAMES.names).any() else []
    lacking = [name for name in (*SCHEMA.names, *of_frames) if name not in index or index[name].isna().any()]
    if lacking or (of_frames and index[of_frames].map(len).stack().nunique() > 1):
        lacking = lacking or of_frames
        raise UserError(f"{path} lacks values of {', '.join(lacking)}; run `fer split` again, which makes a new one.")
    found = set(index["emotion"])
    if not found <= set(emotions) or (subset != TEST and found != set(emotions)):
        classes = ", ".join(sorted(found)) or "none"
        raise UserError(f"The index was made for other classes ({classes}, in {path}); run `fer split` again.")
    if set(index["side"]) - {subset}:
        raise UserError(f"{path} holds another subset than its name says; run `fer split` again.")
    return index


def read_seen(folder: Path, fold: int, emotions: Sequence[str]) -> pd.DataFrame:
    """The segments of a fold that training may see: those of the training and the validation subset."""
    return pd.concat([read_subset(folder, fold, subset, emotions) for subset in (TRAIN, VALIDATION)], ignore_index=True)


def load_arrays(index: pd.DataFrame, prepared: Path, emotions: tuple[str, ...]) -> SegmentArrays:
    """The images and labels of the index's rows, in its order.

    Args:
        index: as from `read_subset`, or a part of it.

    Raises:
        UserError: the index does not fit its shards, or one of them is not what its name says.
    """
    check_prepared(index, prepared)
    positions = pd.Series(np.arange(len(index))).groupby(index["shard"].to_numpy()).indices
    shards = [named_shard(prepared, shard) for shard in positions]
    rows, frames, seen = windows_of(index)
    used = [np.unique(rows[at]) for at in positions.values()]
    starts = np.cumsum([0, *map(len, used)])
    places = np.empty(rows.shape, np.int64)
    show = progress("Fetching shards", len(positions)) if as_remote(prepared) else nullcontext(lambda note: None)
    faces: np.ndarray | None = None
    optical_flows: np.ndarray | None = None
    with show as advance:
        for number, (at, images) in enumerate(zip(positions.values(), read_images_of(shards), strict=True)):
            check_rows(shards[number], index.iloc[at], rows[at], frames[at], seen[at], images.numbers)
            if faces is None:
                faces = np.empty((starts[-1], *images.faces.shape[1:]), images.faces.dtype)
                if (flows := images.optical_flows) is not None:
                    optical_flows = np.empty((starts[-1], *flows.shape[1:]), flows.dtype)
            places[at] = starts[number] + np.searchsorted(used[number], rows[at])
            faces[starts[number] : starts[number + 1]] = images.faces[used[number]]
            if optical_flows is not None and images.optical_flows is not None:
                optical_flows[starts[number] : starts[number + 1]] = images.optical_flows[used[number]]
            advance("")
    assert faces is not None
    return SegmentArrays(faces, optical_flows, places, seen, *identities(index, emotions))


def check_prepared(index: pd.DataFrame, prepared: Path) -> None:
    """Raise `UserError` when an index was made of shards in another folder, or of none."""
    if index.empty:
        raise UserError("The index holds no segment; run `fer split` again.")
    if (index["prepared"] != prepared.name).any():
        raise UserError(
            f"The index was made of {index['prepared'].iloc[0]}, prepared with other settings than {prepared.name}; "
            "run `fer split` again."
        )


def identities(index: pd.DataFrame, emotions: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, videos and names of the index's rows, each (n,), as of `SegmentSource`."""
    names = (index["video_id"] + "#" + index["segment"].astype(str)).to_numpy()
    return label_numbers(index["emotion"], emotions), index["video_id"].to_numpy(), names


def indexed_shards(folder: Path) -> set[str]:
    """Names of the shards in the index of a fold, below `Layout.index`, whatever the subset."""
    tables = [find_frame(folder / f"{subset}.parquet", _EXPECTED, ["shard"]) for subset in (TRAIN, VALIDATION, TEST)]
    return {shard for table in tables if table is not None for shard in table["shard"].unique()}


def count_frames(index: pd.DataFrame) -> int:
    """How many frames the arrays of an index hold, where segments share some."""
    rows, _, _ = windows_of(index)
    shards = pd.factorize(index["shard"])[0][:, None]
    return len(np.unique(shards * (rows.max(initial=0) + 1) + rows))


def windows_of(index: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the shard of each segment, the frames that stand there, int (n, T), and which it sees, bool (n, T)."""
    if "rows" not in index:
        rows, frames = (index[name].to_numpy()[:, None] for name in ("row", "frame"))
        return rows, frames, np.ones(rows.shape, bool)
    rows, frames, seen = (np.stack(index[name].to_list()) for name in _OF_FRAMES.names)
    return rows, frames, seen


def check_rows(
    shard: Path, index: pd.DataFrame, rows: np.ndarray, frames: np.ndarray, seen: np.ndarray, numbers: np.ndarray
) -> None:
    """Raise `UserError` when the index means other segments than those that stand in its rows of a shard.

    Args:
        index: its rows of the shard.
        rows: int (n, T), where they stand in the shard.
        frames: int (n, T), their numbers.
        seen: bool (n, T), whether they are those of the segment.
        numbers: int (m, 2), of the segments that begin with the shard's frames, and of these.
    """
    others = index.loc[index["sha256"] != shard.stem, "sha256"]
    outside = rows[(rows < 0) | (rows >= len(numbers))]
    if len(others):
        found = f"names it as that of the video {others.iloc[0][:12]}.."
    elif len(outside):
        found = f"names row {outside[0]} of its {len(numbers)} rows"
    elif (differ := other_segments(index["segment"].to_numpy(), frames, seen, numbers[rows])).any():
        found = f"means other segments, number {index['segment'][differ].iloc[0]} for one"
    else:
        return
    raise UserError(f"The index does not fit {shard}: it {found}; run `fer split` again, which makes a new one.")


def other_segments(segments: np.ndarray, frames: np.ndarray, seen: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which segments are not those of the shard, bool (n,).

    Args:
        segments: int (n,), their numbers; `frames` and `seen` as of `check_rows`.
        numbers: int (n, T, 2), what stands in their rows of the shard.
    """
    begins = seen[:, 0] & (numbers[:, 0, 0] != segments)
    different: np.ndarray = begins | (numbers[..., 1] != frames).any(axis=1)
    return different


def index_digest(index: pd.DataFrame) -> str:
    """Changes when a segment, its label or its content does."""
    columns = ["video_id", "subject", "emotion", "side", "sha256", "segment"]
    ordered = index[columns].sort_values(["video_id", "segment"])
    return digest(ordered.to_csv(index=False))
