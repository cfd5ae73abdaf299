"""What is done: the marker in the folder of a video says what the files there were made of, and is written last."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator

from fer_models.errors import VideoFault
from tasks.inference.batch.wishes import FILES, MARKER
from tasks.outcomes import Outcome
from tasks.storage.disk import make_folder
from tasks.storage.files import find_json, is_whole, write_json
from tasks.video.fingerprint import content_sha256, content_state

#: Of a table of predictions, see `tasks.inference.prediction.Prediction`.
Cell = str | bool | int | float | None
Row = Mapping[str, Cell]
#: Of one video: one, or where all faces are followed one of each; all with the same outcome.
Rows = Sequence[Row]


class Done(BaseModel):
    """What was made of a video.

    Args:
        sha256, size_bytes, mtime_ns: of the video, see `tasks.video.fingerprint`.
        digest: see `tasks.inference.batch.wishes.Wishes.digest`.
        files: the files that were made, and what is to be remarked on each.
        lacking: those that could not be made, and why.
        rows: of the video; numbers that are none are null.
    """

    sha256: str
    size_bytes: int
    mtime_ns: int
    digest: str
    outcome: Outcome
    files: dict[str, str] = {}
    lacking: dict[str, str] = {}
    rows: list[dict[str, Cell]] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _with_rows(cls, said: Any) -> Any:
        """Markers of before all faces could be followed hold a single row."""
        if isinstance(said, dict) and "row" in said:
            return {name: value for name, value in said.items() if name != "row"} | {"rows": [said["row"]]}
        return said

    def rows_of(self, video: str) -> Rows:
        """The rows of the video, as it is called now, with all remarks."""
        remarks = {name: words for name, words in (self.files | self.lacking).items() if words}
        told = [f"{name}: {words}" for name, words in sorted(remarks.items())]
        return [
            row | {"video": video, "message": "; ".join(filter(None, [str(row["message"]), *told]))}
            for row in self.rows
        ]


def find_done(folder: Path) -> Done | None:
    """What the marker in a folder says; None where there is none, or one that has lost its content."""
    return find_json(folder / MARKER, Done)


def usable_part(folder: Path, done: Done, digest: str) -> Done | None:
    """What is done as far as it is of the same model and wishes and its files are there; None where nothing is."""
    if done.digest != digest:
        return None
    files = {name: done.files[name] for name in FILES if name in done.files and is_whole(folder / name)}
    lacking = {name: done.lacking[name] for name in FILES if name in done.lacking}
    return done.model_copy(update={"files": files, "lacking": lacking})


def is_of(done: Done, video: Path) -> bool:
    """Whether a video still is what it was; it is read only where its time of change differs.

    A video that cannot be read is not: what becomes of it is found out when it is tried.
    """
    with suppress(OSError, VideoFault, ValueError):
        size_bytes, mtime_ns = content_state(video)
        same_size = size_bytes == done.size_bytes
        return same_size and (mtime_ns == done.mtime_ns or content_sha256(video) == done.sha256)
    return False


def clear(folder: Path, keep: Done | None) -> None:
    """Make a folder ready for what is to be made in it: no marker, and no file but those that are kept."""
    make_folder(folder)
    kept = keep.files if keep else {}
    for name in (MARKER, *FILES):
        if name not in kept:
            (folder / name).unlink(missing_ok=True)


def mark_done(folder: Path, done: Done) -> None:
    """Write the marker; all files are there."""
    write_json(folder / MARKER, done)
