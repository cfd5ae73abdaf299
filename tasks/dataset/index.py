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
from fer_models.segments import SegmentArrays, pair_arrays
from tasks.config.digests import digest
from tasks.dataset.folds import TEST, TRAIN, VALIDATION
from tasks.dataset.splits import KEY, SUBSETS
from tasks.preparation.ledger import is_usable
from tasks.preparation.shards import named_shard, read_images_of, read_rows_of
from tasks.progress import progress
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
_OF_SHARD = ("segment", "frame", "pts_s", "box")


def build_index(ledger: pd.DataFrame, split: pd.DataFrame, prepared: Path, folder: Path) -> pd.DataFrame:
    """Write the segments of the split's usable videos, one file per fold and subset, so that each can be opened alone.

    Args:
        prepared: the folder above the shards.

    Returns:
        The number of subjects, videos and segments of each fold and subset.
    """
    usable = ledger[is_usable(ledger)]
    shards = usable["shard"].unique()
    tables = read_rows_of([named_shard(prepared, shard) for shard in shards])
    rows_of = {shard: rows.select(list(_OF_SHARD)) for shard, rows in zip(shards, tables, strict=True)}
    counts = []
    for (fold, subset), members in split[split["side"].isin(SUBSETS)].groupby(["fold", "side"]):
        videos = usable.merge(members[KEY], on=KEY).sort_values("video_id")
        parts = [_rows(video, {"side": subset, "prepared": prepared.name}, rows_of) for video in videos.itertuples()]
        table = pa.concat_tables([SCHEMA.empty_table(), *parts])
        write_table(subset_file(folder, fold, subset), table)
        counts.append((fold, subset, videos["subject"].nunique(), len(videos), len(table)))
    return pd.DataFrame(counts, columns=["fold", "side", "subjects", "videos", "segments"])


def _rows(video: Any, more: Mapping[str, str], rows_of: Mapping[str, pa.Table]) -> pa.Table:
    rows = rows_of[video.shard]
    values = {name: getattr(video, name) for name in ("video_id", "subject", "emotion", "sha256", "shard")}
    columns = {name: pa.array([value] * len(rows), pa.string()) for name, value in {**values, **more}.items()}
    columns["row"] = pa.array(np.arange(len(rows)), pa.int32())
    return pa.table({**columns, **{name: rows[name] for name in _OF_SHARD}}).select(SCHEMA.names).cast(SCHEMA)


def subset_file(folder: Path, fold: int, subset: str) -> Path:
    """The index of one subset of a fold, below `Layout.index`."""
    return folder / f"fold-{fold}" / f"{subset}.parquet"


def read_subset(folder: Path, fold: int, subset: str, emotions: Sequence[str]) -> pd.DataFrame:
    """The segments of one subset of a fold.

    Raises:
        UserError: there is no index, it lacks values, or it is of other classes or of another subset.
    """
    path = subset_file(folder, fold, subset)
    index = find_frame(path)
    if index is None:
        raise UserError(f"There is no index at {str(path)!r}; run `fer prepare` and `fer split` first.")
    if lacking := [name for name in SCHEMA.names if name not in index or index[name].isna().any()]:
        raise UserError(f"{path} lacks values of {', '.join(lacking)}; run `fer split` again, which makes a new one.")
    found = set(index["emotion"])
    if not found <= set(emotions) or (subset != TEST and found != set(emotions)):
        raise UserError(f"The index was made for other classes ({', '.join(sorted(found))}); run `fer split` again.")
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
    if (index["prepared"] != prepared.name).any():
        raise UserError(
            f"The index was made of {index['prepared'].iloc[0]}, prepared with other settings than {prepared.name}; "
            "run `fer split` again."
        )
    positions = pd.Series(np.arange(len(index))).groupby(index["shard"].to_numpy()).indices
    shards = [named_shard(prepared, shard) for shard in positions]
    rows, numbers = index["row"].to_numpy(), index[["segment", "frame"]].to_numpy()
    show = progress("Fetching shards", len(positions)) if as_remote(prepared) else nullcontext(lambda note: None)
    faces: np.ndarray | None = None
    optical_flows: np.ndarray | None = None
    with show as advance:
        of_shards = zip(shards, positions.values(), read_images_of(shards), strict=True)
        for shard, at, (shard_numbers, shard_faces, shard_flows) in of_shards:
            _check_rows(shard, index.iloc[at], rows[at], numbers[at], shard_numbers)
            if faces is None or optical_flows is None:
                faces = np.empty((len(index), *shard_faces.shape[1:]), shard_faces.dtype)
                optical_flows = np.empty((len(index), *shard_flows.shape[1:]), shard_flows.dtype)
            faces[at], optical_flows[at] = shard_faces[rows[at]], shard_flows[rows[at]]
            advance("")
    if faces is None or optical_flows is None:
        raise UserError("The index holds no segment; run `fer split` again.")
    labels = label_numbers(index["emotion"], emotions)
    names = (index["video_id"] + "#" + index["segment"].astype(str)).to_numpy()
    return pair_arrays(faces, optical_flows, labels, index["video_id"].to_numpy(), names)


def _check_rows(
    shard: Path, index: pd.DataFrame, rows: np.ndarray, numbers: np.ndarray, shard_numbers: np.ndarray
) -> None:
    """Raise `UserError` when the index means other segments than those that stand in its rows of a shard.

    Args:
        index: its rows of the shard.
        rows: int (n,), where they stand in the shard.
        numbers: of their segments and frames, int (n, 2); `shard_numbers` those of the shard, int (m, 2).
    """
    others = index.loc[index["sha256"] != shard.stem, "sha256"]
    outside = rows[(rows < 0) | (rows >= len(shard_numbers))]
    if len(others):
        found = f"names it as that of the video {others.iloc[0][:12]}.."
    elif len(outside):
        found = f"names row {outside[0]} of its {len(shard_numbers)} rows"
    elif (differ := (shard_numbers[rows] != numbers).any(axis=1)).any():
        found = f"means other segments, number {numbers[differ][0, 0]} for one"
    else:
        return
    raise UserError(f"The index does not fit {shard}: it {found}; run `fer split` again, which makes a new one.")


def index_digest(index: pd.DataFrame) -> str:
    """Changes when a segment, its label or its content does."""
    columns = ["video_id", "subject", "emotion", "side", "sha256", "segment"]
    ordered = index[columns].sort_values(["video_id", "segment"])
    return digest(ordered.to_csv(index=False))
