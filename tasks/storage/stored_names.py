"""Names that were read from a file or listed by a store, and may have been written by anybody, turned into paths."""

import os
import re
from pathlib import Path

from fer_models.errors import UserError

#: What no part of such a name holds: signs that part folders on another system, and those that nobody sees.
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]|^.:")


def path_below(folder: Path, name: str, stored_in: object, advice: str) -> Path:
    """The path of a stored name below a folder, local or not; the only way from the one to the other.

    Args:
        name: such as `runs/a/model.keras`, with slashes on every system.
        stored_in: the file or place that holds the name, for the message.
        advice: what to do about a name that is refused, as the end of a sentence.

    Raises:
        UserError: the path would not lie below the folder, by its parts, by a drive letter or through a link.
    """
    if not (_is_plain(name) and _stays_below(folder, name)):
        raise UserError(f"{stored_in} holds the name {str(name)[:200]!r}, which leads out of {folder}; {advice}.")
    return folder / name


def _is_plain(name: object) -> bool:
    """Whether a name is made of parts that mean themselves wherever they are."""
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return all(part.rstrip(" .") and not _FORBIDDEN.search(part) for part in parts)


def _stays_below(folder: Path, name: str) -> bool:
    """Whether no link on the way leads out; an object store knows no links."""
    if not isinstance(folder, Path):
        return True
    return Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(folder))
