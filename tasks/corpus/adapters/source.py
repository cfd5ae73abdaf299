"""What an adapter says of one video, and what adapters share."""

import os
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import UserError
from fer_models.labels import canonical_emotion
from tasks.outcomes import Outcome

#: Words of official lists (see `SourceVideo.official`).
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class SourceVideo:
    """One video as its corpus describes it.

    Args:
        video_id: unique over all data sets.
        path: a video file, a folder or pattern of numbered images, or an image (see `tasks.video.image_sequences`).
        subject: who is seen, under one name over all data sets; in the spelling of `fer_models.names.plain_name`.
        emotion: the project's word, empty when unknown.
        label_raw: the label as the corpus spells it.
        status: `ok`, or why the video cannot be used, whatever the classes of a study.
        reason: for users; may stand beside `ok` as a remark.
        official: where official lists put it: `train`, `validation` or `test`, or the name of the fold that tests it;
            empty where there are none.
    """

    video_id: str
    dataset: str
    path: Path
    subject: str
    emotion: str
    label_raw: str
    status: Outcome = Outcome.OK
    reason: str = ""
    official: str = ""


def label_status(label_raw: str) -> tuple[str, Outcome, str]:
    """Canonical emotion, status and reason of a raw label; whether a study wants it is for `tasks.corpus.scope`."""
    emotion = canonical_emotion(label_raw)
    if not emotion:
        return "", Outcome.LABEL_MISSING, "it has no label"
    return emotion, Outcome.OK, ""


def require_folder(path: Path, setting: str = "corpus.root") -> Path:
    """The folder; raises a `UserError` that names the setting to correct."""
    if not path.is_dir():
        raise UserError(f"There is no folder {str(path)!r}; set {setting} to the folder of your videos{_hint(path)}.")
    return path


def require_table(path: Path) -> Path:
    """The file of a table; raises a `UserError` that names the setting to correct."""
    if not path.is_file():
        raise UserError(f"There is no table {str(path)!r}; set corpus.root to a CSV or Parquet file{_hint(path)}.")
    return path


def _hint(path: Path) -> str:
    return ", with / in place of \\" if os.name != "nt" and "\\" in str(path) else ""
