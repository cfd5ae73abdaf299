"""What an adapter says of one video, and what adapters share."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import UseError
from fer_models.labels import canonical_emotion
from tasks.outcomes import Outcome

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".m4v", ".wmv", ".mts", ".3gp")
)


@dataclass(frozen=True)
class SourceVideo:
    """One video as its corpus describes it.

    Args:
        video_id: unique over all data sets.
        subject: names a person, over all data sets.
        emotion: the project's word, empty when unknown.
        label_raw: the label as the corpus spells it.
        status: `ok`, or why the video cannot be used.
        reason: for people; may stand beside `ok` as a remark.
    """

    video_id: str
    dataset: str
    path: Path
    subject: str
    emotion: str
    label_raw: str
    status: Outcome = Outcome.OK
    reason: str = ""


def label_status(label_raw: str, emotions: Iterable[str]) -> tuple[str, Outcome, str]:
    """Canonical emotion, status and reason of a raw label, given the classes of the study."""
    emotion = canonical_emotion(label_raw)
    if not emotion:
        return "", Outcome.LABEL_MISSING, "it has no label"
    if emotion not in set(emotions):
        return emotion, Outcome.OUT_OF_SCOPE, f"{label_raw.strip()!r} is not among the study's classes"
    return emotion, Outcome.OK, ""


def require_folder(path: Path, setting: str = "corpus.root") -> Path:
    """The folder, or a `UseError` that names the setting to mend."""
    if not path.is_dir():
        raise UseError(f"There is no folder {str(path)!r}; set {setting} to the folder of your videos.")
    return path


def videos_below(folder: Path) -> list[Path]:
    """All video files below a folder, sorted; hidden files are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    )
