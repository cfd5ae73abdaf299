"""What a camera showed and what was said of it, kept while it goes on: a table in memory, pictures on the disk."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import pandas as pd

from tasks.inference.cutting import ONE_TRACK
from tasks.inference.live.stream import Moment, TimedFrame
from tasks.inference.rows import BETWEEN, FOUND, NO_FACE
from tasks.video.writing.mp4 import PictureWriter, Plan

_FACES = (FOUND, BETWEEN, NO_FACE)
#: The unit of times.
_TICK_S = Fraction(1, 1000)


class MomentLog:
    """Moments in little memory, as the frame table of `tasks.inference.rows.frame_rows`.

    Args:
        labels: the classes of the model.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._places = array("q")  # frame, face, x, y, width, height, predicted
        self._numbers = array("d")  # time, confidence, uncertainty, probabilities

    def add(self, moment: Moment) -> None:
        """The next one."""
        predicted = self._labels.index(moment.predicted) if moment.predicted else len(self._labels)
        self._places.extend(
            (moment.frame, _FACES.index(moment.face), *(moment.box or (0, 0, 0, 0)), predicted),
        )
        self._numbers.extend((moment.time_s, moment.confidence, moment.uncertainty, *moment.probabilities))

    def table(self) -> pd.DataFrame:
        """A row a frame."""
        places = np.array(self._places, np.int64).reshape(-1, 7)
        numbers = np.array(self._numbers).reshape(-1, 3 + len(self._labels))
        boxes = pd.DataFrame(places[:, 2:6], columns=["x", "y", "width", "height"]).astype("Int64")
        boxes[places[:, 1] == _FACES.index(NO_FACE)] = pd.NA
        table = pd.DataFrame({"frame": places[:, 0], "time_s": numbers[:, 0], "track": ONE_TRACK})
        table["face"] = pd.Categorical.from_codes(places[:, 1], list(_FACES))
        said = {
            "predicted": pd.Categorical.from_codes(places[:, 6], [*self._labels, ""]),
            "confidence": numbers[:, 1],
            "uncertainty": numbers[:, 2],
            **{f"p_{label}": numbers[:, 3 + number] for number, label in enumerate(self._labels)},
        }
        return pd.concat([table, boxes, pd.DataFrame(said)], axis=1)


class Recording:
    """The pictures of a camera as an MP4 file, to be used as a context; it is whole after that.

    Args:
        path: of the file, which is written under that name at once; give a temporary one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = av.open(f"file:{path.absolute()}", "w", format="mp4")
        self._writer: PictureWriter | None = None
        self._size, self._last_s, self._shown_s = (0, 0), 0.0, float(_TICK_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._writer:
                self._writer.close(self._last_s + self._shown_s)
        finally:
            self._container.close()

    def recorded(self, frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
        """The same frames, each written before it is handed on."""
        for time_s, picture in frames:
            self._add(time_s, picture)
            yield time_s, picture

    def _add(self, time_s: float, picture: np.ndarray) -> None:
        """Frames of another size than the first, which no camera gives, stand in its upper left corner or are cut."""
        height, width = picture.shape[:2]
        if self._writer is None:
            self._size = (height + height % 2, width + width % 2)  # as H.264 asks for
            plan = Plan(self._size[1], self._size[0], 1, 0.04, _TICK_S)
            self._writer = PictureWriter(self._container, plan)
        canvas = np.zeros((*self._size, 3), np.uint8)
        part = picture[: self._size[0], : self._size[1]]
        canvas[: part.shape[0], : part.shape[1]] = part
        self._writer.add(canvas, time_s)
        self._shown_s, self._last_s = max(time_s - self._last_s, float(_TICK_S)), time_s
