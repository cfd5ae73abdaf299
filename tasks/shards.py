"""A shard: one Parquet file a video, one row a segment, named after the video's content.

Columns: segment, frame, pts_s, box (x, y, width, height in px), num_faces, face (uint8 RGB 48x48x3) and optical_flow
(float16 48x48x2, dx and dy in px a frame at the stored scale), both as raw bytes in C order. The file's metadata holds
the `VideoReport`, so that a shard alone tells what became of its video. A video without usable segments has a shard
too, with no rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from fer_models.geometry import FACE_SIZE_PX
from tasks.files import write_table
from tasks.outcomes import Outcome

#: Raised when the meaning of a column changes; part of the preparation digest.
SCHEMA_VERSION = 1

FACE_SHAPE = (FACE_SIZE_PX, FACE_SIZE_PX, 3)
OPTICAL_FLOW_SHAPE = (FACE_SIZE_PX, FACE_SIZE_PX, 2)

SCHEMA = pa.schema(
    [
        ("segment", pa.int32()),
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("box", pa.list_(pa.int32(), 4)),
        ("num_faces", pa.int16()),
        ("face", pa.binary(int(np.prod(FACE_SHAPE)))),
        ("optical_flow", pa.binary(2 * int(np.prod(OPTICAL_FLOW_SHAPE)))),
    ]
)
_REPORT_KEY = b"fer.video"


class VideoReport(BaseModel):
    """What preparing one video came to."""

    sha256: str = ""
    prepare_digest: str = ""
    schema_version: int = SCHEMA_VERSION
    outcome: Outcome
    message: str = ""
    num_frames: int = 0
    num_segments: int = 0
    num_covered: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Segment:
    """One row of a shard before it is written."""

    segment: int
    frame: int
    pts_s: float
    box: tuple[int, int, int, int]
    num_faces: int
    face: np.ndarray
    optical_flow: np.ndarray


def shard_path(folder: Path, sha256: str) -> Path:
    """Where the shard of a video with that content lies below a folder of shards."""
    return folder / sha256[:2] / f"{sha256}.parquet"


def write_shard(path: Path, segments: Sequence[Segment], report: VideoReport) -> None:
    """Write a shard, whole or not at all."""
    columns = {
        "segment": [row.segment for row in segments],
        "frame": [row.frame for row in segments],
        "pts_s": [row.pts_s for row in segments],
        "box": [list(row.box) for row in segments],
        "num_faces": [row.num_faces for row in segments],
        "face": [row.face.astype(np.uint8).tobytes() for row in segments],
        "optical_flow": [row.optical_flow.astype(np.float16).tobytes() for row in segments],
    }
    schema = SCHEMA.with_metadata({_REPORT_KEY: report.model_dump_json().encode()})
    write_table(path, pa.Table.from_pydict(columns, schema=schema))


def read_report(path: Path) -> VideoReport:
    """The report in a shard's metadata."""
    return VideoReport.model_validate_json((pq.read_schema(path).metadata or {})[_REPORT_KEY])


def read_rows(path: Path) -> pa.Table:
    """What identifies a shard's segments, without the pixels."""
    return pq.read_table(path, columns=["segment", "frame", "pts_s", "box", "num_faces"])


def read_images(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Faces, uint8 (n, 48, 48, 3), and optical flows, float16 (n, 48, 48, 2), of a shard."""
    table = pq.read_table(path, columns=["face", "optical_flow"])
    faces = _stack(table["face"], np.uint8, FACE_SHAPE)
    return faces, _stack(table["optical_flow"], np.float16, OPTICAL_FLOW_SHAPE)


def _stack(column: pa.ChunkedArray, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    parts: list[np.ndarray] = [np.frombuffer(chunk.buffers()[1], dtype) for chunk in column.chunks if len(chunk)]
    flat = np.concatenate(parts) if parts else np.empty(0, dtype)
    return flat.reshape(-1, *shape)
