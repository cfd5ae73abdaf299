"""Where the parts of a corpus lie below its root, whatever copies call what stands above them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from fer_models.errors import UserError
from tasks.video.image_sequences import holds_one_sequence, is_image


def folders_below(root: Path, depth: int) -> Iterator[Path]:
    """The root and the folders below it, the nearest first, sorted; hidden ones are left out."""
    level = [root]
    for _ in range(depth + 1):
        yield from level
        level = [child for folder in level for child in folders_in(folder)]


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted; hidden ones, and all of one that cannot be read, are left out."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, sorted; hidden ones, and all of one that cannot be read, are left out."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def find_folder(root: Path, name: str, depth: int = 3) -> Path | None:
    """The nearest folder whose whole name matches a regular expression, without regard to letter case."""
    pattern = re.compile(name, re.IGNORECASE)
    return next((folder for folder in folders_below(root, depth) if pattern.fullmatch(folder.name)), None)


def find_files(root: Path, path: str, depth: int = 5) -> list[Path]:
    """All files the end of whose path below the root matches a regular expression, without regard to letter case."""
    pattern = re.compile(f"(?:^|.*/)(?:{path})", re.IGNORECASE)
    files = (file for folder in folders_below(root, depth) for file in files_in(folder))
    return sorted(file for file in files if pattern.fullmatch(file.relative_to(root).as_posix()))


def clip_of_images(folder: Path) -> Path | None:
    """What names the images of a folder as one video; None where there are none."""
    images = [path.name for path in files_in(folder) if is_image(path.name)]
    if not images:
        return None
    return folder if holds_one_sequence(images) else folder / "*"


def must_find(found: Path | None, root: Path, what: str) -> Path:
    """What was found; raises a `UserError` that says what is not there."""
    if found is None:
        raise UserError(f"{root} holds no {what}; set corpus.root to the folder above it.")
    return found
