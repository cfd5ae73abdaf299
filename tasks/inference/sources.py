"""What a prediction is told to read: a model's file and videos. Looked for before Keras is loaded, which takes long."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fer_models.errors import UserError
from tasks.corpus.adapters.table import as_on_this_disk
from tasks.corpus.adapters.walking import images_below, videos_below
from tasks.storage.tables import read_lines, read_rows
from tasks.video.image_sequences import is_image_sequence


def find_model(path: Path) -> Path:
    """The file of a trained model, local or not; raises `UserError` when it is not there."""
    if not path.is_file():
        raise UserError(f"There is no model {str(path)!r}; a study leaves them at studies/<name>/runs/*/model.keras.")
    return path


def split_inputs(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Models and videos among what was named: a model is a file or URL that ends in `.keras`."""
    models = [name for name in names if name.lower().endswith(".keras")]
    return models, [name for name in names if name not in models]


class NamedVideo(NamedTuple):
    """A video that was named, and what it is called below the folder or table that named it, with slashes.

    The name may have been written by anybody, and become a path only by `tasks.inference.batch.folders`.
    """

    path: Path
    name: str


def find_videos(sources: Sequence[Path]) -> list[Path]:
    """The videos that are named, as `list_videos`.

    Raises:
        UserError: none is there, too.
    """
    videos = [video.path for video in list_videos(sources)]
    if not any(map(is_there, videos)):
        raise UserError(_no_video(videos))
    return videos


def list_videos(sources: Sequence[Path]) -> list[NamedVideo]:
    """The videos that are named, each once: files, the videos in and below folders, and what tables and lists name.

    A folder of numbered images is one video. A folder without videos stands for the images in and below it. A table is
    a CSV or Parquet file with a column `path`, a list a `.txt` file with a path a line; their paths are relative to
    them. What a folder, a table or a list names beside others need not be there.

    Raises:
        UserError: one that was named itself is not there, there is none, or a table cannot be read.
    """
    videos = [video for source in sources for video in _named_by(source)]
    named = {source for source in sources if not _is_list(source)}
    missing = [video.path for video in videos if video.path in named and not is_there(video.path)]
    if missing or not videos:
        raise UserError(_no_video(missing or sources))
    once: dict[str, NamedVideo] = {}
    for video in videos:
        once.setdefault(os.path.abspath(video.path), video)
    return list(once.values())


def _no_video(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _MOST_SHOWN} more" if len(paths) > _MOST_SHOWN else ""
    return f"There is no video at {', '.join(map(str, paths[:_MOST_SHOWN]))}{more}."


def is_there(path: Path) -> bool:
    """Whether a path leads to a video, as far as names tell; not so for a name that no file can have."""
    with suppress(OSError, ValueError):
        return path.is_file() or is_image_sequence(path)
    return False


_TABLES, _LISTS = (".csv", ".tsv", ".parquet", ".pq"), (".txt",)
#: Missing videos that are named in a message.
_MOST_SHOWN = 8


def _is_list(source: Path) -> bool:
    return source.suffix.lower() in (*_TABLES, *_LISTS) and source.is_file()


def _named_by(source: Path) -> list[NamedVideo]:
    if source.is_dir():
        return [NamedVideo(path, _below(source, path)) for path in videos_below(source) or images_below(source)]
    if not _is_list(source):
        return [NamedVideo(source, source.name)]
    folder = source.parent
    is_table = source.suffix.lower() in _TABLES
    named = [row.cells["path"] for row in read_rows(source, ("path",))] if is_table else read_lines(source)
    paths = [folder / as_on_this_disk(folder, name) for name in named]
    return [NamedVideo(path, _below(folder, path)) for path in paths]


def _below(folder: Path, path: Path) -> str:
    """What a path is called below a folder; the whole of it where it does not lie there."""
    folder, path = Path(os.path.abspath(folder)), Path(os.path.abspath(path))
    if path == folder:
        return folder.name
    return path.relative_to(folder if path.is_relative_to(folder) else path.anchor).as_posix()
