"""Tables of a video: a row a segment and a row a frame, of what a model says of a followed face."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fer_models.windows import Windows
from tasks.inference.asking import Said
from tasks.inference.smoothing import smooth
from tasks.video.segments import Sighting

#: How a face stands in a frame: it was found; it was not looked for, and was found before; it is not there.
FOUND, BETWEEN, NO_FACE = "found", "between", "none"


@dataclass
class Sightings:
    """The frames of a video in which a face is followed, and the face in them, in little memory; filled frame by frame.

    Args:
        frames, times_s: of each frame.
        scenes: see `Sighting`.
        stretches: of frames that follow each other, in one scene and of one size, numbered: no box of one says where
            the face is in another.
        searched: 1 where a face was looked for.
        boxes: x, y, width, height of each, in px; width 0 where no face was found.
    """

    frames: array = field(default_factory=lambda: array("q"))
    times_s: array = field(default_factory=lambda: array("d"))
    scenes: array = field(default_factory=lambda: array("i"))
    stretches: array = field(default_factory=lambda: array("i"))
    searched: array = field(default_factory=lambda: array("b"))
    boxes: array = field(default_factory=lambda: array("i"))
    _next: tuple[int, int, tuple[int, int]] | None = None

    def add(self, one: Sighting) -> None:
        """Of the next frame."""
        goes_on = self._next == (one.frame, one.scene, one.size)
        self.stretches.append((self.stretches[-1] if self.stretches else 0) + (not goes_on))
        self._next = one.frame + 1, one.scene, one.size
        self.frames.append(one.frame)
        self.times_s.append(one.pts_s)
        self.scenes.append(one.scene)
        self.searched.append(one.searched)
        self.boxes.extend(one.box or (0, 0, 0, 0))


@dataclass(frozen=True)
class _Faces:
    """How the face stands in each frame (m,), one of the words above, and its boxes, int (m, 4)."""

    words: np.ndarray
    boxes: np.ndarray


def _faces(sightings: Sightings) -> _Faces:
    """The box in a frame that was not looked at lies between those of the frames around it that were."""
    boxes = np.array(sightings.boxes, np.int64).reshape(-1, 4)
    stretches, searched = np.array(sightings.stretches), np.array(sightings.searched, bool)
    numbers = np.arange(len(boxes))
    before = np.maximum.accumulate(np.where(searched, numbers, -1))
    after = np.minimum.accumulate(np.where(searched, numbers, len(boxes))[::-1])[::-1]
    known = (before >= 0) & (stretches[before] == stretches) & (boxes[before, 2] > 0)
    after = np.where(after < len(boxes), after, before)  # at the end it stays where it was
    after = np.where((stretches[after] == stretches) & (boxes[after, 2] > 0), after, before)
    share = (numbers - before) / np.maximum(after - before, 1)
    between = boxes[before] + (share[:, None] * (boxes[after] - boxes[before]))
    words = np.where(known, np.where(searched, FOUND, BETWEEN), NO_FACE)
    return _Faces(words, np.where(known[:, None], np.round(between).astype(np.int64), 0))


def frame_rows(
    sightings: Sightings, said: Said, windows: Windows, labels: Sequence[str], track: int, smoothing_s: float = 0.0
) -> pd.DataFrame:
    """A row a frame: the mean of the covered segments that it stands in, where the face is.

    Args:
        smoothing_s: window that these are smoothed over, within scenes, s.

    Returns:
        frame, time_s (since the first frame), track, face (`found`, `between` or `none`), x, y, width, height (of its
        box, px of the frame as shown; missing without a face), predicted (empty where nothing was said), confidence,
        uncertainty (standard deviation of that probability between the members of an ensemble; NaN of one model) and
        `p_<label>`.
    """
    faces = _faces(sightings)
    frames = np.array(sightings.frames, np.int64)
    probabilities = of_frames(said, windows, frames, len(labels))
    probabilities[:, faces.words == NO_FACE] = np.nan
    times_s, scenes = np.array(sightings.times_s), np.array(sightings.scenes)
    probabilities = np.stack([smooth(one, times_s, smoothing_s, scenes) for one in probabilities])
    boxes = pd.DataFrame(faces.boxes, columns=["x", "y", "width", "height"]).astype("Int64")
    boxes[faces.words == NO_FACE] = pd.NA
    table = pd.DataFrame({"frame": frames, "time_s": times_s, "track": track})
    table["face"] = pd.Categorical(faces.words, [FOUND, BETWEEN, NO_FACE])
    return pd.concat([table, boxes, verdicts(probabilities, labels)], axis=1)


def of_frames(said: Said, windows: Windows, frames: np.ndarray, num_classes: int) -> np.ndarray:
    """Probabilities of frames by each member, float64 (members, m, classes); NaN for those of no covered segment."""
    members = said.probabilities.shape[0]
    count = int(max(frames.max(initial=0) // windows.stride, said.segments.max(initial=0))) + 1
    sums = np.zeros((members, count + 1, num_classes))
    numbers = np.zeros(count + 1)
    if len(said.segments):
        sums[:, said.segments + 1] = said.probabilities
        numbers[said.segments + 1] = 1
    sums, numbers = sums.cumsum(axis=1), numbers.cumsum()
    first = np.maximum(-(-(frames - windows.length + 1) // windows.stride), 0)
    end = frames // windows.stride + 1
    held = numbers[end] - numbers[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[:, end] - sums[:, first]) / held[:, None]
    return np.where(held[:, None] > 0, np.clip(means, 0, 1), np.nan)


def segment_rows(
    times_s: np.ndarray,
    said: Said,
    windows: Windows,
    segments: np.ndarray,
    labels: Sequence[str],
    track: int,
) -> pd.DataFrame:
    """A row a segment.

    Args:
        times_s: float (m,), of all frames of the video.
        segments: their numbers, int (n,), ascending; all of which something was said are among them.

    Returns:
        segment, first_frame, last_frame, start_s, end_s (times of these frames), track, seen_share (of the frames that
        the model looks at, those that show the face; 0 for a segment that is not covered, of which nothing is said)
        and what is said as in `frame_rows`.
    """
    first = segments * windows.stride
    seen = np.zeros(len(segments))
    probabilities = np.full((said.probabilities.shape[0], len(segments), len(labels)), np.nan)
    if len(said.segments):
        places = np.searchsorted(segments, said.segments)
        seen[places] = said.seen
        probabilities[:, places] = said.probabilities
    table = pd.DataFrame(
        {
            "segment": segments,
            "first_frame": first,
            "last_frame": first + windows.length - 1,
            "start_s": times_s[first],
            "end_s": times_s[first + windows.length - 1],
            "track": track,
            "seen_share": seen,
        }
    )
    return pd.concat([table, verdicts(probabilities, labels)], axis=1)


def verdicts(probabilities: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """What is said in columns: predicted, confidence, uncertainty and `p_<label>`.

    Args:
        probabilities: float (members, n, classes); NaN where nothing is said.
    """
    means = probabilities.mean(axis=0)
    is_said = ~np.isnan(means[:, 0])
    best = np.where(is_said, np.nan_to_num(means).argmax(axis=1), len(labels))
    rows = np.arange(len(means))
    chosen = np.minimum(best, len(labels) - 1)
    spread = probabilities.std(axis=0)[rows, chosen] if len(probabilities) > 1 else np.full(len(means), np.nan)
    return pd.DataFrame(
        {
            "predicted": pd.Categorical.from_codes(best, [*labels, ""]),
            "confidence": means[rows, chosen],
            "uncertainty": spread,
            **{f"p_{label}": means[:, number] for number, label in enumerate(labels)},
        }
    )
