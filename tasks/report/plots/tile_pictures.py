"""The pictures of a tile: what the model saw, and where it looked.

Of a model that sees several frames of a segment they are strips, a picture a frame, but for what it has one of: the
optical flow of the first frame, and the maps of streams that do not tell frames apart.
"""

import cv2
import numpy as np

from tasks.drawing.heat import draw_heat
from tasks.drawing.segment_pictures import draw_optical_flow, shown_frames
from tasks.study.tiles import Tile

_OUTLINE = (213, 94, 0)


def draw_strips(tile: Tile, side_px: int) -> dict[str, list[np.ndarray]]:
    """Of a tile of several frames the pictures of `shown_frames`, uint8 RGB (side_px, side_px, 3) each.

    They are `faces`, `optical flow` where the model saw that of all frames, and by stream the maps that tell frames
    apart. A face that only stands in for one that was not found has an outline.
    """
    shown = shown_frames(len(tile.frames))
    faces = [_enlarged(tile.faces[number], side_px) for number in shown]
    for number, face in zip(shown, faces, strict=True):
        if not tile.seen[number]:
            width = max(2, side_px // 24)
            cv2.rectangle(face, (0, 0), (side_px - 1, side_px - 1), _OUTLINE, width)
    strips = {"faces": faces}
    if tile.optical_flows is not None and len(tile.optical_flows) > 1:
        flows = [draw_optical_flow(tile.optical_flows[number]) for number in shown]
        strips["optical flow"] = [_enlarged(flow, side_px) for flow in flows]
    for stream, heat in tile.maps.items():
        if heat.ndim == 3:
            strips[stream] = [draw_heat(tile.faces[n], heat[n], side_px) for n in shown]
    return strips


def draw_maps(tile: Tile, side_px: int) -> dict[str, np.ndarray]:
    """The maps of the streams that do not tell frames apart, by stream, uint8 RGB (side_px, side_px, 3).

    They lie over the first face, which such a stream sees; that of a stream that sees all faces over the mean of them.
    """
    mean = tile.faces.mean(axis=0).round().astype(np.uint8)
    return {
        stream: draw_heat(mean if _lies_over_mean(tile, stream) else tile.faces[0], heat, side_px)
        for stream, heat in tile.maps.items()
        if heat.ndim == 2
    }


def _lies_over_mean(tile: Tile, stream: str) -> bool:
    return stream == "frames" and tile.maps[stream].ndim == 2


def stream_words(tile: Tile, stream: str, empty: str) -> str:
    """What a map is of; `empty` is said of one that has nothing to show."""
    over = ", mean face" if _lies_over_mean(tile, stream) else ""
    return f"{stream} stream{over}" + ("" if tile.maps[stream].any() else f": {empty}")


def draw_first_flow(tile: Tile, side_px: int) -> np.ndarray | None:
    """The optical flow that a tile has one of, uint8 RGB (side_px, side_px, 3)."""
    if tile.optical_flows is None or len(tile.optical_flows) > 1:
        return None
    return _enlarged(draw_optical_flow(tile.optical_flows[0]), side_px)


def _enlarged(picture: np.ndarray, side_px: int) -> np.ndarray:
    return cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
