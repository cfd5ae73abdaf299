"""Places: a folder or file of this machine, or a URL in an object store. Told apart here, without heavy imports.

A local place is a `pathlib.Path`, another one a `tasks.storage.remote.RemotePath`, which has the methods of a path that
are used here. Below a data root, `Path` in a signature of this package means either. The videos of a corpus, and every
file that is handed to OpenCV, Keras or MLflow, are local.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fer_models.errors import UserError
from tasks.escaping import shortened
from tasks.storage.addresses import refuse_secrets

if TYPE_CHECKING:
    from tasks.storage.remote import RemotePath

#: Bytes of a path, and of a name in it.
_MOST_BYTES, _MOST_OF_A_NAME = 4000, 255
#: A drive or a share with backslashes.
_OF_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>.*)")


def local_path(path: str | Path) -> Path:
    """A path of this machine as a shell understands it, with `~` for the home folder.

    Shells leave the `~` in `--set corpus.root=~/videos` as it is, and nobody else expands it in a file.

    Raises:
        UserError: it begins with `~name`, and there is no such user; or no file system has a place of that name.
    """
    _refuse_impossible(str(path))
    if not str(path).startswith("~"):
        return Path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{str(path)!r} names the home folder of a user who does not exist.") from error


def _refuse_impossible(path: str) -> None:
    """Raise `UserError` for a path that every system would answer with a fault of its own, whoever asks it."""
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise UserError(f"{shortened(path)} is no path: it holds a sign that no name can hold.")
    if len(encoded) > _MOST_BYTES or max(map(len, re.split(rb"[/\\]", encoded))) > _MOST_OF_A_NAME:
        raise UserError(f"{shortened(path)} is too long for a path; check its quotation marks.")


def read_location(text: str) -> Path:
    """The place that a user names: `s3://bucket/prefix` or another URL that fsspec knows, else a local path.

    Raises:
        UserError: a URL of an unknown kind or without a bucket, one with a password, or one whose package is not
            installed; or a path of Windows, elsewhere.
    """
    refuse_secrets({"The address": text})
    url = _URL.fullmatch(text)
    if os.name != "nt" and _OF_WINDOWS.match(text):
        raise UserError(f"{shortened(text)} is a path of Windows; write where that lies on this system, with /.")
    if not url:
        return local_path(text)
    scheme, rest = url["scheme"].lower(), url["rest"]
    if not rest.startswith("/"):
        raise UserError(f"{text!r} is no URL; write two slashes, {scheme}://{rest}.")
    if scheme == "file":
        return Path(rest[1:])
    from tasks.storage.remote import RemotePath, check_scheme

    check_scheme(scheme)
    if not rest.strip("/"):
        raise UserError(f"{text!r} names no bucket; write {scheme}://bucket/prefix.")
    # files that another process wrote must show, so no listing is remembered
    return cast(Path, RemotePath(f"{scheme}:/{rest.rstrip('/')}", use_listings_cache=False))


def is_location(value: object) -> bool:
    """Whether a value is a place already, local or not."""
    if isinstance(value, Path):
        return True
    from tasks.storage.remote import RemotePath

    return isinstance(value, RemotePath)


def as_remote(path: Path) -> "RemotePath | None":
    """The path as one of an object store; None when it is local."""
    return None if isinstance(path, Path) else cast("RemotePath", path)
