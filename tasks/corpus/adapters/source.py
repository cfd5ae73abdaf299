"""What an adapter says of one video, and what adapters share."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import UserError
from fer_models.labels import canonical_emotion
from tasks.outcomes import Outcome
from tasks.video.image_sequences import holds_one_sequence, is_image

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".m4v", ".wmv", ".asf", ".ogv", ".3gp", ".3g2")
    + (".ts", ".mts", ".m2ts", ".vob")
)

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
        raise UserError(f"There is no folder {str(path)!r}; set {setting} to the folder of your videos.")
    return path


def videos_below(folder: Path) -> list[Path]:
    """All videos in and below a folder, sorted; what is hidden is left out.

    A video is a video file, or a folder without folders in it whose images are all numbered and of one sequence.
    Images beside a video file, and folders of images beside one, are taken for stills of it.
    Links to folders are followed, but not in a circle. A folder that cannot be read stands for what is in it, so that
    it shows among the videos instead of being passed over.
    """
    videos: list[Path] = []
    stills: set[Path] = set()
    unreadable: list[OSError] = []
    for here, folders, files in _walk(folder, unreadable):
        found = [here / file for file in files if _is_video(file)]
        if found:
            videos += found
            stills.update(here / child for child in folders)
        elif not folders and here not in stills and holds_one_sequence(files):
            videos.append(here)
    return sorted([*videos, *(Path(fault.filename) for fault in unreadable)])


def images_below(folder: Path) -> list[Path]:
    """All image files in and below a folder, sorted; hidden ones, links and unreadable folders as in `videos_below`."""
    unreadable: list[OSError] = []
    images = [here / file for here, _, files in _walk(folder, unreadable) for file in files if is_image(file)]
    return sorted([*images, *(Path(fault.filename) for fault in unreadable)])


def _walk(folder: Path, unreadable: list[OSError]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from this one on, with the names of the folders and files in it.

    Args:
        unreadable: what folders cannot be read for is added to it.
    """
    chains: dict[Path, tuple[str, ...]] = {folder: (os.path.realpath(folder),)}
    for name, folders, files in os.walk(folder, onerror=unreadable.append, followlinks=True):
        here = Path(name)
        folders[:] = [child for child in folders if not child.startswith(".") and _leads_on(here / child, chains)]
        yield here, folders, files


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not name.startswith(".")


def _leads_on(folder: Path, chains: dict[Path, tuple[str, ...]]) -> bool:
    """Whether a folder is none of those that led to it; `chains` are their real places, and this one joins them."""
    place, above = os.path.realpath(folder), chains[folder.parent]
    chains[folder] = (*above, place)
    return place not in above
