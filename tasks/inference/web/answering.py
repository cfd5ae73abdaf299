"""What a model says of a visitor's video, as the files that the page shows; runs in a process of its own.

Leaves in the folder of the upload: `answer.json`, what is drawn as a timeline; `frames.csv` and `segments.csv`;
`annotated.mp4`, of a picture `annotated.png`; and what `tasks.inference.web.explaining` needs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from fer_models.errors import Refused, VideoFault
from tasks.drawing.colours import class_colours, track_colour
from tasks.inference.annotation import annotate_video
from tasks.inference.cutting import ONE_TRACK, Faces
from tasks.inference.frame_rows import FrameRows
from tasks.inference.moments import predict_and_keep
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Predictor
from tasks.inference.table_files import write_table
from tasks.inference.web.child import Tell
from tasks.outcomes import Outcome
from tasks.progress import collected
from tasks.storage.files import write_json
from tasks.video.containers import open_container
from tasks.video.image_sequences import is_still
from tasks.video.segments import Sighting

#: Probabilities are shown in so many steps.
_STEPS = 1000
#: Of a video, and somewhat more than 4K has: in larger pictures faces are searched for minutes.
_MOST_PX = 4096 * 2304
#: So many faces can be chosen on the page, those that are seen longest.
_MOST_FACES = 12
#: Frames between two words on how far it is.
_TELL_EVERY = 8
_IN_WORDS = {
    Outcome.NO_FACE: "No face was found in it; show a face from the front, in good light.",
    Outcome.FACE_TOO_SMALL: "The face in it is too small for this model; film from nearer.",
    Outcome.TOO_SHORT: "It is too short for this model, which looks at moving pictures; film for a few seconds.",
    Outcome.TRUNCATED: "The file breaks off before anything can be seen in it; copy it again.",
}


class Verdict(BaseModel):
    """What is said of a face in the whole video.

    Args:
        predicted: the class; empty when there is none.
        confidence: the probability of that class, 0..1; None when there is none.
        is_sure: whether enough was seen, and that class is likelier than all others together.
        coverage: share of the segments that show the face: of the video, or where all faces are followed of those from
            the first that shows it to the last.
    """

    predicted: str
    confidence: float | None
    is_sure: bool
    coverage: float


class TrackLine(BaseModel):
    """What is said of one followed face: a row a frame of the video.

    Args:
        track: its number.
        colour: `#rrggbb`, of its box where there are several.
        times_s: of the frames.
        predicted: numbers of classes; -1 where nothing is said.
        probabilities: by class, in `_STEPS`; None where nothing is said.
        uncertainty: of the predicted class's probability, likewise; empty for a single model.
    """

    track: int
    colour: str
    verdict: Verdict
    times_s: list[float]
    predicted: list[int]
    probabilities: list[list[int | None]]
    uncertainty: list[int | None]


class Answer(BaseModel):
    """What the page shows of a video.

    Args:
        colours: of the classes, `#rrggbb`.
        remark: what is worth knowing of the file.
        is_still: whether it is a picture.
        duration_s: from the first frame's time to the last one's.
        tracks: the faces that were followed, at least one.
    """

    labels: tuple[str, ...]
    colours: list[str]
    remark: str
    is_still: bool
    duration_s: float
    tracks: list[TrackLine]


def load(models: Sequence[str], detector_model: str | None) -> Predictor:
    """The model of these files; without any the network that others trained."""
    return Predictor.load(*models, detector_model=detector_model) if models else Predictor.pretrained()


def answer(predictor: Predictor, video: Path, most_s: float, tell: Tell, faces: Faces = "one") -> None:
    """Ask a model about a video, and write the files.

    Args:
        most_s: longest video that is looked at.
        faces: whether one is followed or all.

    Raises:
        Refused: nothing can be said of it; the message says why.
    """
    clock = _Clock(video, most_s, tell)
    found = predict_and_keep(predictor, video, video.parent, clock.see, faces)
    if not found.row["predicted"]:
        raise Refused(_why(found))
    tell("Drawing the answer into the picture" if is_still(video) else "Drawing the answer into the video", None)
    target = video.with_name("annotated.png" if is_still(video) else "annotated.mp4")
    with collected():
        drawn = annotate_video(video, found.frames, found.labels, target)
    write_table(video.with_name("frames.csv"), found.frames)
    write_table(video.with_name("segments.csv"), found.segments)
    write_json(video.with_name("answer.json"), describe(found, is_still(video), drawn.remark))


def describe(found: Prediction, still: bool, remark: str = "") -> Answer:
    """What the page shows of a prediction; no name and no path is in it."""
    labels, frames = found.labels, found.frames
    times_s = frames.drop_duplicates("frame").set_index("frame")["time_s"]
    rows = {int(row.get("track", ONE_TRACK)): row for row in found.rows}
    shown = FrameRows.of(frames, labels).longest_tracks(_MOST_FACES)
    more = (
        f"the {len(shown)} of {len(rows)} faces that are seen longest can be chosen" if len(shown) < len(rows) else ""
    )
    return Answer(
        labels=labels,
        colours=class_colours(labels),
        remark="; ".join(filter(None, (found.report.message, remark, more))),
        is_still=still,
        duration_s=float(times_s.max() - times_s.min()),
        tracks=[_line(track, rows[track], frames[frames["track"] == track], times_s, labels) for track in shown],
    )


def _line(
    track: int, row: Mapping[str, Any], rows: pd.DataFrame, times_s: pd.Series, labels: Sequence[str]
) -> TrackLine:
    """Of a track whose row in the table of faces is given, and its rows by frame; it has none while it is gone."""
    numbers = {label: number for number, label in enumerate(labels)}
    rows = rows.set_index("frame").reindex(times_s.index)
    red, green, blue = track_colour(track)
    is_said = bool(row["predicted"])
    return TrackLine(
        track=track,
        colour=f"#{red:02x}{green:02x}{blue:02x}",
        verdict=Verdict(
            predicted=row["predicted"],
            confidence=row["confidence"] if is_said else None,
            is_sure=row["has_verdict"],
            coverage=row["coverage"] if is_said else 0.0,
        ),
        times_s=times_s.round(4).tolist(),
        predicted=[numbers.get(label, -1) for label in rows["predicted"]],
        probabilities=[_stepped(rows[f"p_{label}"]) for label in labels],
        uncertainty=_stepped(rows["uncertainty"]) if rows["uncertainty"].notna().any() else [],
    )


def _stepped(values: pd.Series) -> list[int | None]:
    return [None if np.isnan(value) else round(_STEPS * value) for value in values]


def _why(found: Prediction) -> str:
    """Why nothing can be said of a video, in a sentence."""
    message = found.report.message.rstrip(".").replace(found.video.name, "it")  # the visitor's file has another name
    known = _IN_WORDS.get(Outcome(found.row["outcome"]))
    return known or f"{message[:1].upper()}{message[1:]}; try another file."


class _Clock:
    """Tells how far a video is read, and ends that when it is longer than allowed."""

    def __init__(self, video: Path, most_s: float, tell: Tell) -> None:
        self._is_still, self._most_s, self._tell = is_still(video), most_s, tell
        self._duration_s = None if self._is_still else _duration_s(video)

    def see(self, sighting: Sighting) -> None:
        """The next frame."""
        height, width = sighting.size
        if width * height > _MOST_PX and not self._is_still:
            raise Refused(f"Its pictures have {width}x{height} px; send it in 4K or smaller.")
        if sighting.pts_s > self._most_s:
            raise Refused(f"It is longer than {self._most_s / 60:g} minutes, the most that is looked at here; cut it.")
        if sighting.frame % _TELL_EVERY == 0:
            share = min(sighting.pts_s / self._duration_s, 1.0) if self._duration_s else None
            self._tell("Reading the video", share)


def _duration_s(video: Path) -> float | None:
    """How long a file says that it is; None when it does not."""
    try:
        with open_container(video) as container:
            return container.duration / 1e6 if container.duration else None
    except VideoFault:
        return None  # which reading it will say
