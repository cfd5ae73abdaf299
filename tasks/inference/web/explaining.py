"""Where a model looked at a moment of a visitor's video, as pictures in `moment.json`; runs in a process of its own."""

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel

from fer_models.errors import Refused
from tasks.drawing.heat import draw_heat
from tasks.drawing.segment_pictures import draw_optical_flow, shown_frames
from tasks.inference.moments import Explainer, Looked, find_segment
from tasks.inference.predictor import Predictor
from tasks.storage.files import write_json

_SIDE_PX = 224
_NO_MAPS = "This model cannot say where it looks: it has no maps of features."
_TITLES = {"spatial": "Face", "temporal": "Motion, coloured by its direction", "frames": "Frames"}


class Tile(BaseModel):
    """Pictures of one stream, as addresses that hold them.

    Args:
        seen: what the model saw, of each frame that is shown.
        looked: the same under the map of where it looked; as many, or one for all of them.
        note: what is to be known of the map; empty when nothing.
    """

    title: str
    seen: list[str]
    looked: list[str]
    note: str = ""


class MomentShown(BaseModel):
    """A segment that was looked into.

    Args:
        start_s, end_s: of the segment.
        predicted: the class that it is explained for, the likeliest in this segment.
        confidence: its probability, 0..1.
    """

    start_s: float
    end_s: float
    predicted: str
    confidence: float
    tiles: list[Tile]


def explain(predictor: Predictor, explainer: Explainer, folder: Path, track: int, time_s: float) -> None:
    """Explain the segment around a time.

    Args:
        folder: that `tasks.inference.web.answering.answer` wrote.

    Raises:
        Refused: the model has no maps, or no face is there to be seen.
    """
    if not explainer.has_maps:
        raise Refused(_NO_MAPS)
    found = find_segment(folder, track, time_s)
    if found is None:
        raise Refused("No face was seen for long enough for the model to look at it.")
    segment = predictor.completed(found.inputs)
    probabilities = predictor.ask(segment).mean(axis=0)[0]
    best = int(probabilities.argmax())
    looked = explainer.look(segment, best)
    shown = MomentShown(
        start_s=found.start_s,
        end_s=found.end_s,
        predicted=predictor.labels[best],
        confidence=float(probabilities[best]),
        tiles=[_tile(stream, looked) for stream in looked.maps],
    )
    write_json(folder / "moment.json", shown)


def _tile(stream: str, looked: Looked) -> Tile:
    heat = looked.maps[stream]
    places = shown_frames(len(looked.faces)) if heat.ndim == 3 or stream == "frames" else [0]
    pictures = _pictures(stream, looked)
    if heat.ndim == 3:
        over = [draw_heat(pictures[n], heat[n], _SIDE_PX) for n in places]
    else:
        over = [draw_heat(pictures[places].mean(axis=0).round().astype(np.uint8), heat, _SIDE_PX)]
    empty = "" if heat.any() else "Nothing here speaks for it."
    return Tile(
        title=_TITLES.get(stream, stream),
        seen=[_address(pictures[n]) for n in places],
        looked=[_address(one) for one in over],
        note=empty,
    )


def _pictures(stream: str, looked: Looked) -> np.ndarray:
    """What a stream saw, uint8 RGB (T, S, S, 3)."""
    if stream == "temporal" and looked.optical_flows is not None:
        return np.stack([draw_optical_flow(flow) for flow in looked.optical_flows])
    return looked.faces


def _address(picture: np.ndarray) -> str:
    """A picture, uint8 RGB, as an address that holds it."""
    large = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
    content: Sequence[int] = cv2.imencode(".png", large[..., ::-1])[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(bytes(content)).decode()
