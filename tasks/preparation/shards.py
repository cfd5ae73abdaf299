"""A shard: one Parquet file per video, one row per frame that its segments keep, named after the video's content.

With `prepare.frames_per_segment: 1` each segment has one row, its own. With more they share frames: a segment is a
window over the rows (`fer_models.windows`), and a frame without a face has none.

Columns: segment (number of the one that begins with the frame, -1 where none does), frame, pts_s (seconds since the
first frame of the video), interval_s (seconds between the two pictures of the pair; see `tasks.video.pictures` for
videos that repeat frames), box (x, y, width, height in px), num_faces, face (uint8 RGB SxSx3, S being
`prepare.face_size_px`) and optical_flow (float16 SxSx2, dx and dy at that scale), both raw bytes in C order. Optical
flow is in px per 1/30 s, scaled to it from `interval_s`: at 30 frames/s that is px a frame, and a camera's rate does
not show in it. With `prepare.pair: neighbours` it is unscaled, in px a frame; with `first_last` unscaled too, in px
from the first frame of the segment to its last. With `none` there is no such column.
`num_faces` counts the faces of at least `min_face_px` in the last search of a whole frame: the first frame, whenever
the followed face was out of sight, and again after 250 frames at most (`tasks.video.faces`). Numbered images carry no
times; each number counts as 1/30 s.

The file's metadata holds the `VideoReport`, so that a shard alone tells what became of its video. A video without
usable segments has a shard too.

Whoever reads a shard learns at once whether it holds what its name says: the video, the settings of its folder, and as
many rows as were written.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from fer_models.errors import WrongShard
from tasks.outcomes import Outcome
from tasks.storage.expected import Expected
from tasks.storage.files import atomic_write, list_files, readable
from tasks.storage.shard_files import find_footers, read_tables, whole_shard
from tasks.storage.stored_names import path_below
from tasks.video.segments import FaceFrame, VideoReport


def _schema(side_px: int, has_optical_flow: bool) -> pa.Schema:
    schema = pa.schema(
        [
            ("segment", pa.int32()),
            ("frame", pa.int32()),
            ("pts_s", pa.float64()),
            ("interval_s", pa.float64()),
            ("box", pa.list_(pa.int32(), 4)),
            ("num_faces", pa.int16()),
            ("face", pa.binary(side_px * side_px * 3)),
            ("optical_flow", pa.binary(side_px * side_px * 2 * np.dtype(np.float16).itemsize)),
        ]
    )
    return schema if has_optical_flow else schema.remove(schema.get_field_index("optical_flow"))


_REPORT_KEY = b"fer.video"
#: What the folder of the shards of some settings is called.
_DIGEST = re.compile(r"[0-9a-f]{12}")
#: The folder of the shards, below that of the settings.
_FOLDER = "shards"
#: Rows that are held before they are written: 256 are 4 MB, whatever the length of the video.
_ROWS_PER_GROUP = 256


def shard_path(folder: Path, sha256: str) -> Path:
    """Where the shard of a video with that content lies below a folder of shards.

    Raises:
        UserError: the manifest, which digests come from, holds something that is none.
    """
    advice = "remove that manifest, and `fer prepare` makes it again"
    return path_below(folder, _file_name(sha256), "manifest.parquet", advice)


def shard_name(sha256: str) -> str:
    """What a ledger and an index call the shard of a video with that content."""
    return f"{_FOLDER}/{_file_name(sha256)}"


def list_shards(prepared: Path) -> set[str]:
    """The SHA-256 of the videos that have a shard below the folder of some settings."""
    return {path.stem for path in list_files(prepared, f"{_FOLDER}/*/*.parquet")}


def named_shard(prepared: Path, name: str) -> Path:
    """The shard that a ledger or an index names, below the folder of the settings that it was prepared with.

    Raises:
        UserError: the name is that of something else.
    """
    folder, _, file = str(name).partition("/")  # a null of a table included
    advice = "remove the file that names it, then run `fer prepare` and `fer split` again"
    named = file if folder == _FOLDER else f"../{name}"
    return path_below(prepared / _FOLDER, named, f"The ledger or an index of {prepared}", advice)


def _file_name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}.parquet"


class ShardWriter:
    """Takes the frames of a video one by one; made by `open_shard`."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[FaceFrame] = []

    def add(self, frame: FaceFrame) -> None:
        """Append a frame."""
        self._held.append(frame)
        if len(self._held) == _ROWS_PER_GROUP:
            self._flush()

    def close(self, report: VideoReport) -> None:
        """Write what is held and the report; nothing can be added afterwards."""
        self._flush()
        self._writer.add_key_value_metadata({_REPORT_KEY: report.model_dump_json(exclude_none=True)})
        self._writer.close()

    def _flush(self) -> None:
        columns = {
            "segment": [row.segment for row in self._held],
            "frame": [row.frame for row in self._held],
            "pts_s": [row.pts_s for row in self._held],
            "interval_s": [row.interval_s for row in self._held],
            "box": [list(row.box) for row in self._held],
            "num_faces": [row.num_faces for row in self._held],
            "face": [row.face.astype(np.uint8).tobytes() for row in self._held],
        }
        if "optical_flow" in self._writer.schema.names:
            flows = [row.optical_flow for row in self._held]
            columns["optical_flow"] = [None if one is None else one.astype(np.float16).tobytes() for one in flows]
        self._writer.write_table(pa.Table.from_pydict(columns, schema=self._writer.schema))
        self._held = []


@contextmanager
def open_shard(path: Path, side_px: int, has_optical_flow: bool = True) -> Iterator[ShardWriter]:
    """Write a shard, whole or not at all: it gets its name when the block ends, `close` having been called.

    Whoever promises that it is there calls `tasks.storage.files.sync_names` before, once for many.
    """
    with (
        atomic_write(path, name_lasts=False) as temporary,
        temporary.open("wb") as file,
        pq.ParquetWriter(file, _schema(side_px, has_optical_flow), compression="zstd") as writer,
    ):
        yield ShardWriter(writer)


def find_reports(paths: Sequence[Path]) -> Iterator[VideoReport | None]:
    """The reports of many shards, in order; None for those that do not hold what their names say, or were set aside."""
    for path, footer in zip(paths, find_footers(paths), strict=True):
        try:
            yield _checked_report(path, footer.metadata, footer.num_rows) if footer else None
        except WrongShard:
            yield None


def _checked_report(path: Path, metadata: Mapping[bytes, bytes] | None, num_rows: int) -> VideoReport:
    """The report of a shard that was opened, held against the shard's name, which is all that its readers know."""
    report = None
    with suppress(ValidationError):  # of metadata that is no report, or not there
        report = VideoReport.model_validate_json((metadata or {}).get(_REPORT_KEY, b""))
    folder = path.parents[2].name
    if report is None:
        found = "it is no shard"
    elif report.sha256 != path.stem:
        found = f"it holds the video with the SHA-256 {report.sha256[:12] or 'of nothing'}.."
    elif _DIGEST.fullmatch(folder) and report.prepare_digest not in ("", folder):
        found = f"it was made with the settings {report.prepare_digest}"
    elif report.outcome is Outcome.OK and num_rows != report.num_rows:
        found = f"it has {num_rows} rows where {report.num_rows} were written"
    else:
        return report
    raise _wrong(path, found)


def _wrong(path: Path, found: str) -> WrongShard:
    return WrongShard(f"{path} is not what its name says: {found}; `fer retry --video {path.stem}` makes it again.")


def _checked_tables(paths: Sequence[Path], columns: list[str]) -> Iterator[pa.Table]:
    """Columns of many shards, in order; raises `WrongShard` at the first that does not hold what its name says."""
    fields = [field for field in _schema(1, has_optical_flow=False) if field.name in columns]
    expected = Expected(pa.schema(fields), may_be_empty=True)
    for path, table in zip(paths, read_tables(paths, columns), strict=True):
        _checked_report(path, table.schema.metadata, len(table))
        if fault := expected.fault_of(table):
            raise _wrong(path, f"it {fault}")
        yield table


@contextmanager
def _checked_file(path: Path) -> Iterator[pq.ParquetFile]:
    """A shard to be read part by part, checked in the same way."""
    with whole_shard(path), pq.ParquetFile(readable(path)) as file:
        _checked_report(path, file.metadata.metadata, file.metadata.num_rows)
        yield file


def read_rows(path: Path) -> pa.Table:
    """What identifies a shard's frames, without the pixels."""
    return next(read_rows_of([path]))


def read_rows_of(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """The same of many shards, in order."""
    return _checked_tables(paths, columns=["segment", "frame", "pts_s", "interval_s", "box", "num_faces"])


class Images(NamedTuple):
    """The frames of a shard.

    Args:
        numbers: int (n, 2), of the segment that begins with each, and its own in the video.
        faces: uint8 (n, S, S, 3).
        optical_flows: float16 (n, S, S, 2); None where none is stored.
    """

    numbers: np.ndarray
    faces: np.ndarray
    optical_flows: np.ndarray | None


_OF_IMAGES = ["segment", "frame", "face", "optical_flow"]


def read_images_of(paths: Sequence[Path]) -> Iterator[Images]:
    """The frames of many shards, in order."""
    return map(_images, _checked_tables(paths, columns=_OF_IMAGES))


def _images(table: pa.Table) -> Images:
    has_optical_flow = "optical_flow" in table.column_names
    return Images(
        np.stack([table["segment"].to_numpy(), table["frame"].to_numpy()], axis=1),
        _stack(table["face"], np.uint8, 3),
        _stack(table["optical_flow"], np.float16, 2) if has_optical_flow else None,
    )


def read_all_faces(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """All faces, uint8 (n, S, S, 3), of each of many shards, in order."""
    for table in _checked_tables(paths, columns=["face"]):
        yield _stack(table["face"], np.uint8, 3)


def read_faces(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The first frames of a shard, 256 at most: faces uint8 (n, S, S, 3), boxes int (n, 4) and optical flows float16
    (n, S, S, 2), None where none is stored.
    """
    with _checked_file(path) as file:
        columns = ["box", *_OF_IMAGES]
        table = pa.Table.from_batches([next(file.iter_batches(_ROWS_PER_GROUP, columns=columns))])
    _, faces, optical_flows = _images(table)
    return faces, np.array(table["box"].to_pylist()), optical_flows


def read_image_batches(path: Path) -> Iterator[Images]:
    """The same of one shard, a few frames at a time, for long videos."""
    with _checked_file(path) as file:
        for batch in file.iter_batches(_ROWS_PER_GROUP, columns=_OF_IMAGES):
            yield _images(pa.Table.from_batches([batch]))


def _stack(column: pa.ChunkedArray, dtype: type, channels: int) -> np.ndarray:
    """A column of square pictures as one array (n, S, S, channels)."""
    parts: list[np.ndarray] = [np.frombuffer(chunk.buffers()[1], dtype) for chunk in column.chunks if len(chunk)]
    side = math.isqrt(column.type.byte_width // (channels * np.dtype(dtype).itemsize))
    return (np.concatenate(parts) if parts else np.empty(0, dtype)).reshape(-1, side, side, channels)
