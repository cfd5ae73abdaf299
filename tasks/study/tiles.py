"""Tiles: explained segments with all that is needed to draw them again and to check where they come from.

`tiles.parquet` has a row a tile. Columns: tile_id, arm, seed, fold, checkpoint (folder of the run and model.keras),
checkpoint_sha256, prepared (name of the folder of the shards), video_id, subject, sha256 (of the video), segment,
frame, pts_s, box (x, y, width, height in px of the video), convolution (the one looked at), explained and true
(classes), p_<class> (probabilities), and as raw bytes in C order face (uint8 RGB SxSx3), optical_flow (float16
SxSx2, as in the shard; null where the segments have none), spatial_map and temporal_map (float16 SxS in 0..1; null for
a stream that the arm lacks).

Of a model that sees several frames of a segment there are also the columns frames (their numbers in the video), seen
(which of them show the face) and frames_map, where there is that stream; face is T crops then, optical_flow one or T,
and a map one or T.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fer_models.errors import BrokenFile, UserError
from fer_models.suggest import nearest
from tasks.config.digests import digest
from tasks.storage.expected import Expected
from tasks.storage.files import find_frame, list_files, read_frame, write_table
from tasks.video.boxes import Box

TILES_FILE = "tiles.parquet"
#: What every table has; those of some models have more.
_TEXTS = ("tile_id", "arm", "checkpoint", "checkpoint_sha256", "prepared", "video_id", "subject", "sha256")
_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys((*_TEXTS, "explained", "true"), pa.string()),
    **dict.fromkeys(("seed", "convolution", "segment", "frame"), pa.int64()),
    "pts_s": pa.float64(),
    "box": pa.list_(pa.int64()),
    "face": pa.binary(),
}
_EXPECTED, _ID = Expected(pa.schema(_COLUMNS)), Expected(pa.schema({"tile_id": pa.string()}))
#: Of an id; ten keep even the tiles of thousands of runs apart.
_NUM_DIGITS = 10
#: Streams whose maps have a column in every table.
_STREAMS = ("spatial", "temporal")
_MAP = "_map"


@dataclass(frozen=True)
class Origin:
    """Which model a tile explains, and what it was shown.

    Args:
        checkpoint: `<folder of the run>/model.keras`, below the study's runs.
        prepared: name of the folder of the shards.
        convolution: number of the convolution whose map is shown.
    """

    arm: str
    seed: int
    fold: str
    checkpoint: str
    checkpoint_sha256: str
    prepared: str
    convolution: int


@dataclass(frozen=True)
class Tile:
    """One explained segment.

    Args:
        sha256: of the video.
        frame, pts_s, box: of the first frame that the model saw, the box in px of the video.
        explained, true: class names; `explained` is the one whose logit the maps belong to.
        probabilities: by class, in the order of the model's outputs.
        faces: uint8 RGB (T, S, S, 3), of the frames that the model saw.
        optical_flows: float16 (T, S, S, 2), dx and dy in px; (1, S, S, 2) where it saw that of the first frame alone,
            None where there is none.
        maps: by stream float16 (S, S) in 0..1, or (T, S, S), a map a frame.
        frames: numbers in the video of the frames that the model saw (T,); the nearest in place of one without a face.
        seen: which of them show the face (T,).
    """

    origin: Origin
    video_id: str
    subject: str
    sha256: str
    segment: int
    frame: int
    pts_s: float
    box: Box
    explained: str
    true: str
    probabilities: dict[str, float]
    faces: np.ndarray
    optical_flows: np.ndarray | None
    maps: dict[str, np.ndarray]
    frames: tuple[int, ...]
    seen: tuple[bool, ...]

    @property
    def tile_id(self) -> str:
        """Hexadecimal digits that stand for this model's explanation of this segment, and for no other."""
        origin, what = self.origin, (self.video_id, self.sha256, self.segment, self.explained)
        return digest({"model": [origin.checkpoint, origin.checkpoint_sha256, origin.convolution], "what": what})[
            :_NUM_DIGITS
        ]

    @property
    def right(self) -> bool:
        """Whether the class that is explained is the true one."""
        return self.explained == self.true


#: Columns that are fields of a tile as they are.
_PLAIN = ("video_id", "subject", "sha256", "segment", "frame", "pts_s")


def write_tiles(path: Path, tiles: Sequence[Tile]) -> None:
    """Write the tiles of one run, all of the same classes."""
    write_table(path, pa.Table.from_pylist([_row(tile) for tile in tiles]))


def read_tiles(path: Path) -> list[Tile]:
    """The tiles of one run.

    Raises:
        BrokenFile: it is no table of tiles.
        LookupError, ValueError, TypeError: somebody changed what is in it.
    """
    return [_tile(row) for row in read_frame(path, _EXPECTED).to_dict("records")]


def find_tile(runs: Path, wanted: str) -> Tile:
    """The tile with that id, or with an id that begins so, among all runs below a folder.

    Raises:
        UserError: no run has tiles, none or several fit; the message names the nearest or those that fit.
    """
    # the newest first: where the test subset changed, an older evaluation may hold the same tile
    files = sorted(list_files(runs, f"*/*/{TILES_FILE}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    where: dict[str, Path] = {}
    for path in files:
        tiles = find_frame(path, _ID, ["tile_id"])
        for tile_id in [] if tiles is None else tiles["tile_id"]:
            where.setdefault(tile_id, path)
    if not where:
        raise UserError(f"No run below {str(runs)!r} has Grad-CAM tiles; run `fer evaluate` first.")
    fitting = sorted(tile_id for tile_id in where if wanted and tile_id.startswith(wanted.lower()))
    if len(fitting) > 1:
        more = f" and {len(fitting) - 5} more" if len(fitting) > 5 else ""
        raise UserError(
            f"{len(fitting)} tiles begin with {wanted!r}: {', '.join(fitting[:5])}{more}; name one of them."
        )
    if not fitting:
        raise UserError(
            f"There is no tile {wanted!r}{nearest(wanted.lower(), where)}; "
            "ids of tiles stand below the pictures of a run's gradcam.jpg."
        )
    with suppress(BrokenFile, LookupError, ValueError, TypeError):  # of bytes that are no picture, for example
        for tile in read_tiles(where[fitting[0]]):
            if tile.tile_id == fitting[0]:
                return tile
    raise UserError(
        f"{where[fitting[0]]} was changed: tile {fitting[0]} is not what its id says. Remove its folder, and "
        "`fer evaluate` explains the run anew."
    )


def _row(tile: Tile) -> dict[str, Any]:
    plain = {name: vars(tile)[name] for name in (*_PLAIN, "box", "explained", "true")}
    flow = None if tile.optical_flows is None else tile.optical_flows.tobytes()
    images = {"face": tile.faces.tobytes(), "optical_flow": flow}
    probabilities = {f"p_{emotion}": probability for emotion, probability in tile.probabilities.items()}
    streams = dict.fromkeys((*_STREAMS, *tile.maps))
    maps = {f"{stream}{_MAP}": tile.maps[stream].tobytes() if stream in tile.maps else None for stream in streams}
    of_frames = {"frames": list(tile.frames), "seen": list(tile.seen)} if len(tile.frames) > 1 else {}
    return {"tile_id": tile.tile_id, **vars(tile.origin), **plain, **images, **probabilities, **maps, **of_frames}


def _tile(row: dict[str, Any]) -> Tile:
    frames = tuple(map(int, row.get("frames", (row["frame"],))))
    side = math.isqrt(len(row["face"]) // (3 * len(frames)))

    def is_there(name: str) -> bool:
        return isinstance(row[name], bytes)

    def images(name: str, dtype: type, *channels: int) -> np.ndarray:
        return np.frombuffer(row[name], dtype).reshape(-1, side, side, *channels)

    probabilities = {name[2:]: value for name, value in row.items() if name.startswith("p_")}
    if unknown := {row["explained"], row["true"]} - probabilities.keys():
        raise LookupError(f"classes without a probability: {sorted(map(str, unknown))}")
    maps = {name.removesuffix(_MAP): images(name, np.float16) for name in row if name.endswith(_MAP) and is_there(name)}
    return Tile(
        origin=Origin(**{name: row[name] for name in Origin.__dataclass_fields__} | {"fold": str(row["fold"])}),
        **{name: row[name] for name in (*_PLAIN, "explained", "true")},
        box=Box(*row["box"].tolist()),
        probabilities=probabilities,
        faces=images("face", np.uint8, 3),
        optical_flows=images("optical_flow", np.float16, 2) if is_there("optical_flow") else None,
        maps={stream: one[0] if len(one) == 1 else one for stream, one in maps.items()},
        frames=frames,
        seen=tuple(map(bool, row.get("seen", (True,)))),
    )
