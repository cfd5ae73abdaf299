"""Where the results of each video go below a folder: names that anybody may have written become paths here only.

A video's folder is called as the video is below the folder or table that named it. Signs that some file system does not
take are replaced. A name that had to be changed, and each of several that fall together (on file systems that do not
tell `A.mp4` from `a.mp4` too), ends with digits that follow from where its video lies.
"""

import hashlib
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fer_models.errors import UserError
from tasks.inference.batch.wishes import FILES, MARKER
from tasks.inference.sources import NamedVideo
from tasks.storage.disk import make_folder
from tasks.storage.files import remove_temporary_files, try_lock
from tasks.storage.locations import as_remote
from tasks.storage.stored_names import path_below

#: In the folder of all results: a row a video.
TABLE = "predictions.csv"
#: What that file begins with, and no file of others does.
_OWN_HEAD = b"video,outcome,"
_LOCK = ".fer-predict.lock"
#: Below it, files on their way from one process to another.
TEMPORARY = ".fer-predict"
#: What some file system takes for something else than a sign of a name, or nobody sees.
_ODD = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]|^\.|[. ]+$')
_RESERVED = frozenset((TABLE, MARKER, *FILES))
#: Bytes of a part of a name that leave room for what is added to it.
_MOST_BYTES = 230


class Placed(NamedTuple):
    """A video and the folder of its results."""

    video: Path
    folder: Path


def place_videos(videos: Sequence[NamedVideo], out: Path) -> list[Placed]:
    """The folder of each video's results, one that no other has.

    Raises:
        UserError: a link leads out of `out`, or a file is where a folder should be.
    """
    out = Path(os.path.abspath(out))
    names = [_safe(video.name) for video in videos]
    taken = Counter(map(_key, names))
    placed = []
    for video, name in zip(videos, names, strict=True):
        is_reserved = not _RESERVED.isdisjoint(_key(name).split("/"))
        if name != video.name or taken[_key(name)] > 1 or is_reserved:
            name += f"-{hashlib.sha256(os.fsencode(os.path.abspath(video.path))).hexdigest()[:8]}"
        folder = path_below(out, name, "The list of videos", "give its file another name")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"The results of {str(video.path)!r} go to {str(folder)!r}, which is a file; move it.")
        placed.append(Placed(video.path, folder))
    return placed


def _safe(name: str) -> str:
    return "/".join(_ODD.sub("_", _shortened(part)) or "_" for part in name.split("/"))


def _shortened(part: str) -> str:
    encoded = os.fsencode(part)
    return part if len(encoded) <= _MOST_BYTES else encoded[:_MOST_BYTES].decode("utf-8", "ignore")


def _key(name: str) -> str:
    """The same for names that one file system or another takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@contextmanager
def results_folder(out: Path, sources: Sequence[Path], force: bool = False) -> Iterator[Path]:
    """Be the only run that writes to a folder for results, for the block; yields its absolute path.

    What a run that was killed left half written is removed.

    Args:
        sources: what videos are read from.
        force: it may hold files that others wrote.

    Raises:
        UserError: it is no folder of this machine, holds files of others, or lies where the videos are, so that the
            next run would take its pictures for videos; or another run writes to it.
    """
    if as_remote(out):
        raise UserError(f"Results of videos are written to a folder of this machine; --out {out} is none.")
    out = Path(os.path.abspath(out))
    name = repr(str(out))
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {name} is a file; name a folder.")
    for source in sources:
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise UserError(f"--out {name} lies within {str(source)!r}, where the videos are; name one outside of it.")
    if not force and _is_of_others(out):
        raise UserError(f"--out {name} holds other files; name a new or empty folder, or add --force.")
    make_folder(out)
    with try_lock(out / _LOCK) as alone:
        if not alone:
            raise UserError(f"Another run writes to {name}; wait until it has ended, or name another one with --out.")
        shutil.rmtree(out / TEMPORARY, ignore_errors=True)
        remove_temporary_files(out)
        yield out


def _is_of_others(out: Path) -> bool:
    if not out.is_dir() or not any(out.iterdir()) or (out / _LOCK).is_file():
        return False
    table = out / TABLE
    if not table.is_file():
        return True
    with table.open("rb") as file:
        return not file.read(2 * len(_OWN_HEAD)).replace(b'"', b"").startswith(_OWN_HEAD)
