"""Tiles: explained segments with all that is needed to draw them again and to check where they come from.

`tiles.parquet` has a row a tile. Columns: tile_id, arm, seed, fold, checkpoint (folder of the run and model.keras),
checkpoint_sha256, prepared (name of the folder of the shards), video_id, subject, sha256 (of the video), segment,
frame, pts_s, box (x, y, width, height in px of the video), convolution (the one looked at), explained and true
(classes), p_<class> (probabilities), and as raw bytes in C order face (uint8 RGB SxSx3), optical_flow (float16
SxSx2, as in the shard), spatial_map and temporal_map (float16 SxS in 0..1; null for a stream that the arm lacks).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fer_models.errors import UserError
from fer_models.suggest import nearest
from tasks.config.digests import digest
from tasks.storage.files import find_frame, list_files, read_frame, write_table
from tasks.video.boxes import Box

TILES_FILE = "tiles.parquet"
#: Of an id; ten keep even the tiles of thousands of runs apart.
_NUM_DIGITS = 10
_STREAMS = ("spatial", "temporal")


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
        box: in px of the video.
        explained, true: class names; `explained` is the one whose logit the maps belong to.
        probabilities: by class, in the order of the model's outputs.
        face: uint8 RGB (S, S, 3).
        optical_flow: float16 (S, S, 2), dx and dy in px.
        maps: by stream float16 (S, S) in 0..1.
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
    face: np.ndarray
    optical_flow: np.ndarray
    maps: dict[str, np.ndarray]

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


def write_tiles(path: Path, tiles: Sequence[Tile]) -> None:
    """Write the tiles of one run, all of the same classes."""
    write_table(path, pa.Table.from_pylist([_row(tile) for tile in tiles]))


def read_tiles(path: Path) -> list[Tile]:
    """The tiles of one run."""
    return [_tile(row) for row in read_frame(path).to_dict("records")]


def find_tile(runs: Path, wanted: str) -> Tile:
    """The tile with that id, or with an id that begins so, among all runs below a folder.

    Raises:
        UserError: no run has tiles, none or several fit; the message names the nearest or those that fit.
    """
    # the newest first: where the test subset changed, an older evaluation may hold the same tile
    files = sorted(list_files(runs, f"*/*/{TILES_FILE}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    where: dict[str, Path] = {}
    for path in files:
        tiles = find_frame(path, columns=["tile_id"])
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
    for tile in read_tiles(where[fitting[0]]):
        if tile.tile_id == fitting[0]:
            return tile
    raise UserError(
        f"{where[fitting[0]]} was changed: tile {fitting[0]} is not what its id says. Remove its folder, and "
        "`fer evaluate` explains the run anew."
    )


def _row(tile: Tile) -> dict[str, Any]:
    flat = {name: value for name, value in vars(tile).items() if name not in ("origin", "probabilities", "maps")}
    maps = {f"{stream}_map": tile.maps[stream].tobytes() if stream in tile.maps else None for stream in _STREAMS}
    probabilities = {f"p_{emotion}": probability for emotion, probability in tile.probabilities.items()}
    images = {"face": tile.face.tobytes(), "optical_flow": tile.optical_flow.tobytes()}
    return {"tile_id": tile.tile_id, **vars(tile.origin), **flat, **probabilities, **images, **maps}


def _tile(row: dict[str, Any]) -> Tile:
    def image(name: str, dtype: type, *channels: int) -> np.ndarray:
        return np.frombuffer(row[name], dtype).reshape(side, side, *channels)

    side = math.isqrt(len(row["face"]) // 3)

    plain = ("video_id", "subject", "sha256", "segment", "frame", "pts_s", "explained", "true")
    return Tile(
        origin=Origin(**{name: row[name] for name in Origin.__dataclass_fields__} | {"fold": str(row["fold"])}),
        **{name: row[name] for name in plain},
        box=Box(*row["box"].tolist()),
        probabilities={name[2:]: value for name, value in row.items() if name.startswith("p_")},
        face=image("face", np.uint8, 3),
        optical_flow=image("optical_flow", np.float16, 2),
        maps={stream: image(f"{stream}_map", np.float16) for stream in _STREAMS if row[f"{stream}_map"] is not None},
    )
