"""Grad-CAM tiles on the page of a report: pictures with their words beside them, which can be searched and copied."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_models.errors import BrokenFile
from tasks.drawing.lettering import shorten
from tasks.report.embedding import embedded_photograph
from tasks.report.plots.explanations import tile_rows, words_of_tiles
from tasks.study.tiles import TILES_FILE, Tile, read_tiles

#: Of a face on the page; faces are stored with 48 px, and browsers smooth what they enlarge.
_SIDE_PX = 96


@dataclass(frozen=True)
class ShownTile:
    """One tile.

    Args:
        where: the video and its frame.
        said: the class that the model chose and its probability.
        true: the true class where that is another one, else empty.
        rows: words, often none, and the address of a picture, from top to bottom.
    """

    tile_id: str
    where: str
    said: str
    true: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownTiles:
    """The tiles of a run, and in words what is to be seen on them."""

    words: str
    tiles: Sequence[ShownTile]


def shown_tiles(evaluation: Path) -> ShownTiles | None:
    """The tiles in the folder of an evaluation; None where they are not there any more."""
    tiles: list[Tile] = []
    with suppress(BrokenFile, FileNotFoundError, LookupError, ValueError, TypeError):  # also bytes that are no picture
        tiles = read_tiles(evaluation / TILES_FILE)
    return ShownTiles(words_of_tiles(tiles), [_shown(tile) for tile in tiles]) if tiles else None


def _shown(tile: Tile) -> ShownTile:
    return ShownTile(
        tile_id=tile.tile_id,
        where=f"{shorten(tile.video_id, 60)}, frame {tile.frame}",
        said=f"{shorten(tile.explained, 40)} {tile.probabilities[tile.explained]:.2f}",
        true="" if tile.right else shorten(tile.true, 40),
        rows=[
            (", ".join(words), embedded_photograph(np.hstack(pictures)))
            for words, pictures in tile_rows(tile, _SIDE_PX)
        ],
    )
