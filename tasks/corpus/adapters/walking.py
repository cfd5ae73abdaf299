"""What is found in and below the folder of a corpus: videos, images, and how much that is neither.

What a file system or a disk station keeps for itself is none of a corpus: hidden names, recycle bins, thumbnails.
"""

import functools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from tasks.progress import echo
from tasks.video.image_sequences import holds_one_sequence, is_image

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".m4v", ".wmv", ".asf", ".ogv", ".3gp", ".3g2")
    + (".ts", ".mts", ".m2ts", ".vob")
)
#: Folders that systems and disk stations make, in lower case; nobody's name.
_OF_SYSTEM = frozenset(
    (
        "@eadir",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "$recycle.bin",
        "recycler",
        "recycled",
    )
    + ("system volume information", "lost+found", "__macosx", "network trash folder", "temporary items")
)
#: How the files of usual containers begin, at which byte.
_BEGINNINGS = (
    (4, b"ftyp"),
    (8, b"AVI "),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"FLV\x01"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    (0, b"OggS"),
)
#: Files that are opened to see whether they hold a video, and kinds and files that are named.
_MOST_OPENED, _MOST_NAMED = 1000, 5


def is_of_system(name: str) -> bool:
    """Whether a folder of that name is hidden or made by a system, so that nothing in it belongs to a corpus."""
    return name.startswith(".") or name.lower() in _OF_SYSTEM


def videos_below(folder: Path, passed: list[Path] | None = None) -> list[Path]:
    """All videos in and below a folder, sorted; what is hidden or of the system is left out.

    A video is a video file, or a folder without folders in it whose images are all numbered and of one sequence.
    Images beside a video file, and folders of images beside one, are taken for stills of it.
    Links to folders are followed, but not in a circle. A folder that cannot be read stands for what is in it, so that
    it shows among the videos instead of being passed over.

    Args:
        passed: the visible files that are none of a video are added to it, but for such stills.
    """
    videos: list[Path] = []
    stills: set[Path] = set()
    unreadable: list[OSError] = []
    for here, folders, files in _walk(folder, unreadable):
        found = [here / file for file in files if is_video(file)]
        is_sequence = not found and not folders and here not in stills and holds_one_sequence(files)
        if found:
            videos += found
            stills.update(here / child for child in folders)
        elif is_sequence:
            videos.append(here)
        if passed is not None:
            with_images = bool(found) or is_sequence or here in stills
            passed += [here / file for file in files if not (is_video(file) or (with_images and is_image(file)))]
    return sorted([*videos, *(Path(fault.filename) for fault in unreadable)])


def images_below(folder: Path, passed: list[Path] | None = None) -> list[Path]:
    """All image files in and below a folder, sorted; the rest as in `videos_below`."""
    images: list[Path] = []
    unreadable: list[OSError] = []
    for here, _, files in _walk(folder, unreadable):
        images += [here / file for file in files if is_image(file)]
        if passed is not None:
            passed += [here / file for file in files if not is_image(file)]
    return sorted([*images, *(Path(fault.filename) for fault in unreadable)])


def tell_of_passed(root: Path, passed: Sequence[Path]) -> None:
    """Say how many files below a folder are passed over, of which kinds, and which of them may hold a video."""
    visible = [path for path in passed if not path.name.startswith(".")]
    if not visible:
        return
    kinds = Counter(path.suffix.lower() or "without a suffix" for path in visible).most_common()
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds[:_MOST_NAMED])
    more = f", {sum(count for _, count in kinds[_MOST_NAMED:])} others" if len(kinds) > _MOST_NAMED else ""
    line = f"Files below {root} that are passed over, by their names: {len(visible)} ({listed}{more})."
    if held := [path for path in islice(visible, _MOST_OPENED) if _begins_as_video(path)]:
        names = ", ".join(path.relative_to(root).as_posix() for path in held[:_MOST_NAMED])
        rest = f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else ""
        line += f" {len(held)} of them may hold a video: {names}{rest}; give them a suffix of videos, such as .mp4."
    _echo_once(line)


@functools.cache
def _echo_once(line: str) -> None:
    """A watched corpus is read again and again."""
    echo(line)


def _begins_as_video(path: Path) -> bool:
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return any(head[at:].startswith(words) for at, words in _BEGINNINGS)


def _walk(folder: Path, unreadable: list[OSError]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from this one on, with the names of the folders and files in it.

    Args:
        unreadable: what folders cannot be read for is added to it.
    """
    chains: dict[Path, tuple[str, ...]] = {folder: (os.path.realpath(folder),)}
    for name, folders, files in os.walk(folder, onerror=unreadable.append, followlinks=True):
        here = Path(name)
        folders[:] = [child for child in folders if not is_of_system(child) and _leads_on(here / child, chains)]
        yield here, folders, files


def is_video(name: str) -> bool:
    """Whether a file of that name is a video, and not a hidden one."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not name.startswith(".")


def _leads_on(folder: Path, chains: dict[Path, tuple[str, ...]]) -> bool:
    """Whether a folder is none of those that led to it; `chains` are their real places, and this one joins them."""
    place, above = os.path.realpath(folder), chains[folder.parent]
    chains[folder] = (*above, place)
    return place not in above
