"""The index: every usable segment with its shard, person, class and side; and the arrays behind its rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fer_models.errors import UseError
from fer_models.segments import SegmentArrays
from tasks.files import write_table
from tasks.outcomes import Outcome
from tasks.settings import digest
from tasks.shards import FACE_SHAPE, OPTICAL_FLOW_SHAPE, read_images, read_rows
from tasks.splits import KEY

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
    ]
)


def build_index(ledger: pd.DataFrame, split: pd.DataFrame, prepared: Path, path: Path) -> pd.DataFrame:
    """Write the index of all segments of the split's usable videos. `prepared` is the folder above the shards."""
    usable = ledger[(ledger["outcome"] == Outcome.OK) & (ledger["num_covered"] > 0)]
    videos = usable.merge(split[[*KEY, "side"]], on=KEY).sort_values("video_id")
    parts = []
    for video in videos.itertuples():
        rows = read_rows(prepared / str(video.shard)).select(["segment", "frame", "pts_s", "box"])
        columns = {name: getattr(video, name) for name in ("video_id", "subject", "emotion", "side", "sha256", "shard")}
        repeated = {name: pa.array([value] * len(rows), pa.string()) for name, value in columns.items()}
        repeated["row"] = pa.array(np.arange(len(rows)), pa.int32())
        parts.append(pa.table({**repeated, **{name: rows[name] for name in rows.column_names}}).select(SCHEMA.names))
    table = pa.concat_tables([part.cast(SCHEMA) for part in parts] or [SCHEMA.empty_table()])
    write_table(path, table)
    return table.to_pandas()


def read_index(path: Path, emotions: Sequence[str]) -> pd.DataFrame:
    """The index as a data frame; raises `UseError` when there is none, or one of other classes."""
    if not path.is_file():
        raise UseError(f"There is no index at {str(path)!r}; run `fer prepare` and `fer split` first.")
    index = pq.read_table(path).to_pandas()
    if set(index["emotion"]) != set(emotions):
        found = ", ".join(sorted(set(index["emotion"])))
        raise UseError(f"The index was made for other classes ({found}); run `fer split` with these settings.")
    return index


def load_arrays(index: pd.DataFrame, prepared: Path, emotions: tuple[str, ...]) -> SegmentArrays:
    """The images and labels of the index's rows, in its order."""
    faces = np.empty((len(index), *FACE_SHAPE), np.uint8)
    optical_flows = np.empty((len(index), *OPTICAL_FLOW_SHAPE), np.float16)
    position = np.arange(len(index))
    rows = index["row"].to_numpy()
    for shard, group in pd.Series(position).groupby(index["shard"].to_numpy()):
        at = group.to_numpy()
        shard_faces, shard_flows = read_images(prepared / str(shard))
        faces[at], optical_flows[at] = shard_faces[rows[at]], shard_flows[rows[at]]
    number = {emotion: i for i, emotion in enumerate(emotions)}
    labels = index["emotion"].map(number).to_numpy(np.int64)
    names = (index["video_id"] + "#" + index["segment"].astype(str)).to_numpy()
    return SegmentArrays(faces, optical_flows, labels, index["video_id"].to_numpy(), names)


def index_digest(index: pd.DataFrame) -> str:
    """Changes when a segment, its label or its content does."""
    columns = ["video_id", "subject", "emotion", "side", "sha256", "segment"]
    ordered = index[columns].sort_values(["video_id", "segment"])
    return digest(ordered.to_csv(index=False))
