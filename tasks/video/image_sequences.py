"""Images as videos: which numbered images, in which order, what they are together, and the pixels of one.

A video of numbered images is named by a folder whose images share what stands before the number (`clip/0001.png`, ...)
or, where several videos share a folder, by a pattern: in its last part the last `*` stands for the number
(`anger/S010_004_*.png`). Behind it braces may say which numbers are meant: `img*{46,59}.jpg` is two images,
`img*{46-91}.jpg` those from 46 to 91. A last part that is nothing but `*` means all images of a folder whatever their
names, in natural order. Nothing else has a meaning, so folders may have any name. A single image file is a still, a
video of one frame.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"))
#: Images carry no time; this is the rate of CK+ (Lucey et al. 2010). It gives `pts_s`, and so the time between the
#: images of a pair: neighbouring numbers count as 1/30 s apart.
SEQUENCE_FPS = 30.0
#: Stand for numbered images and for a still where the codec of a video stands.
IMAGES, STILL = "images", "still"

_NUMBERED = re.compile(r"(.*?)([0-9]+)\.[^.]+", re.DOTALL)
_CHOICE = re.compile(r"\*\{(?:([0-9]{1,9})-([0-9]{1,9})|([0-9]{1,9}(?:,[0-9]{1,9})*))\}(?=[^*{}]*$)")
_ALL = "*"


class NumberedImage(NamedTuple):
    """One image of a sequence and the number in its name."""

    number: int
    path: Path


def is_image(name: str) -> bool:
    """Whether a file of that name is an image, and not a hidden one."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def split_name(name: str) -> tuple[str, int] | None:
    """What stands before an image's number, and the number; None when the name is not that of a numbered image."""
    match = _NUMBERED.fullmatch(name) if is_image(name) else None
    return (match[1], int(match[2])) if match else None


def holds_one_sequence(names: Iterable[str]) -> bool:
    """Whether the images among a folder's files are two or more, all numbered, and of one sequence."""
    parts = [split_name(name) for name in names if is_image(name)]
    return len(parts) >= 2 and None not in parts and len({part[0] for part in parts if part}) == 1


def is_image_sequence(path: Path) -> bool:
    """Whether a path names a video by its images: it is a folder, or a pattern and no file."""
    is_pattern = path.name == _ALL or ("*" in path.name and is_image(path.name))
    return path.is_dir() or (is_pattern and not path.exists())


def is_still(path: Path) -> bool:
    """Whether a path names a video of one frame: an image file, whether or not it is there."""
    return is_image(path.name) and not is_image_sequence(path)


def would_harm(output: Path, source: Path) -> bool:
    """Whether a file that is written is a video that is read, or would lie among the images that are one."""
    if is_image_sequence(source):
        folder = source if source.is_dir() else source.parent
        return is_image(output.name) and folder.is_dir() and output.parent.samefile(folder)
    return output.exists() and source.exists() and output.samefile(source)


def sequence_images(path: Path) -> list[NumberedImage]:
    """The images of a folder or pattern, by their numbers; numbers may be missing.

    Raises:
        VideoFault: `file_missing` when no image fits the pattern; `undecodable` when the folder holds no numbered
            image or those of several sequences, or when two images have one number.
        OSError: the folder cannot be read.
    """
    images = _in_folder(path) if path.is_dir() else _of_pattern(path)
    numbers = Counter(image.number for image in images)
    number, count = numbers.most_common(1)[0]
    if count > 1:
        names = ", ".join(sorted(image.path.name for image in images if image.number == number))
        raise VideoFault(Outcome.UNDECODABLE, f"{count} of its images have the number {number} ({names}); keep one")
    return sorted(images)


def _in_folder(folder: Path) -> list[NumberedImage]:
    groups: dict[str, list[NumberedImage]] = {}
    for path in _files(folder):
        if parts := split_name(path.name):
            groups.setdefault(parts[0], []).append(NumberedImage(parts[1], path))
    if not groups:
        raise VideoFault(Outcome.UNDECODABLE, "the folder cannot be read as a video: it holds no numbered images")
    first = min(groups)
    if len(groups) > 1:
        pattern = f"{first}*{groups[first][0].path.suffix}"
        raise VideoFault(
            Outcome.UNDECODABLE, f"the folder holds images of {len(groups)} sequences; name one, such as {pattern}"
        )
    return groups[first]


def _all_of(folder: Path) -> list[NumberedImage]:
    """All images of a folder: with their numbers where they are one sequence, else numbered in natural order."""
    files = [path for path in (_files(folder) if folder.is_dir() else []) if is_image(path.name)]
    if not files:
        raise VideoFault(Outcome.FILE_MISSING, f"there are no images in the folder {folder.name}")
    names = [split_name(path.name) for path in files]
    if holds_one_sequence(path.name for path in files) and len({name[1] for name in names if name}) == len(files):
        return [NumberedImage(name[1], path) for name, path in zip(names, files, strict=True) if name]
    return [NumberedImage(number, path) for number, path in enumerate(sorted(files, key=_natural), start=1)]


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def chosen_images(folder: Path, name: str, numbers: Sequence[int]) -> Path:
    """The video of some images of a sequence.

    Args:
        name: of any image of the sequence; those that are meant share what stands before and behind its number.
        numbers: of the images.
    """
    before = (split_name(name) or (name, 0))[0]
    after = os.path.splitext(name)[1]
    return folder / f"{before}*{{{','.join(map(str, numbers))}}}{after}"


def images_between(folder: Path, name: str, first: int, last: int) -> Path:
    """The video of the images of a sequence from one number to another, both included; `name` as in `chosen_images`."""
    chosen = chosen_images(folder, name, (first,)).name
    return folder / chosen.replace(f"{{{first}}}", f"{{{first}-{last}}}")


def _of_pattern(path: Path) -> list[NumberedImage]:
    choice = _CHOICE.search(path.name)
    if choice is None:
        return _all_of(path.parent) if path.name == _ALL else _with_any_number(path)
    images = _with_any_number(path.with_name(path.name.replace(choice[0], "*")))
    if choice[3]:
        numbers = {int(number) for number in choice[3].split(",")}
        found = [image for image in images if image.number in numbers]
        missing = sorted(numbers - {image.number for image in found})
    else:
        low, high = int(choice[1]), int(choice[2])
        found = [image for image in images if low <= image.number <= high]
        missing = [] if found else [low]
    if missing:
        raise VideoFault(Outcome.FILE_MISSING, f"there is no image with the number {missing[0]} in {path.parent.name}")
    return found


def _with_any_number(path: Path) -> list[NumberedImage]:
    before, _, after = path.name.rpartition("*")
    wanted = re.compile(f"{re.escape(before)}([0-9]+){re.escape(after)}", re.IGNORECASE)
    found = ((wanted.fullmatch(file.name), file) for file in (_files(path.parent) if path.parent.is_dir() else []))
    images = [NumberedImage(int(match[1]), file) for match, file in found if match]
    if not images:
        raise VideoFault(Outcome.FILE_MISSING, f"there is no image {path.name} with a number in place of the *")
    return images


def _files(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if entry.is_file()]


def describe_gaps(path: Path, images: Sequence[NumberedImage]) -> str:
    """A remark on numbers that are missing among the images of a video; empty when there are none, or it names each."""
    if (choice := _CHOICE.search(path.name)) and choice[3]:
        return ""
    gaps = [(low.number, high.number) for low, high in pairwise(images) if high.number - low.number > 1]
    if not gaps:
        return ""
    missing = sum(high - low - 1 for low, high in gaps)
    words = "number is" if missing == 1 else "numbers are"
    return f"{missing} {words} missing among its images, the first after {gaps[0][0]}"


def sequence_size_and_mtime(images: Sequence[NumberedImage]) -> tuple[int, int]:
    """Bytes of all images, and the newest time of change (ns) among them and their folder.

    The folder's time changes when an image is added, removed or renamed in it.
    """
    stats = [image.path.stat() for image in images]
    newest = max(stat.st_mtime_ns for stat in (*stats, images[0].path.parent.stat()))
    return sum(stat.st_size for stat in stats), newest


def sequence_sha256(images: Sequence[NumberedImage]) -> str:
    """SHA-256 over the sorted names of the images, each with its content's; the folder's name is not part of it."""
    total = hashlib.sha256()
    for image in sorted(images, key=lambda image: image.path.name):
        with image.path.open("rb") as file:
            total.update(os.fsencode(image.path.name) + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def read_image(path: Path) -> np.ndarray:
    """The pixels of an image file: uint8 (height, width) when it is grey, else uint8 BGR (height, width, 3).

    16 bits a channel become 8, transparency is left out, a rotation noted in EXIF is carried out. An image of more
    pixels than `OPENCV_IO_MAX_IMAGE_PIXELS` (see `flows.environment`) is refused before it is decoded.

    Raises:
        VideoFault: `undecodable`, naming the file, when it is not a whole image of a known format.
            `unreadable` when the file cannot be read at all.
    """
    import cv2  # only here, so that settings, which import adapters of corpora, stay light

    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise VideoFault(Outcome.UNREADABLE, f"{path.name} cannot be read ({error.strerror})") from error
    if not content.size:
        raise VideoFault(Outcome.UNDECODABLE, f"{path.name} is empty")
    try:
        image = cv2.imdecode(content, cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        why = "it has too many pixels" if "PIXELS" in str(error) else "it is damaged"
        raise VideoFault(Outcome.UNDECODABLE, f"{path.name} cannot be read as an image: {why}") from error
    if image is None:
        raise VideoFault(Outcome.UNDECODABLE, f"{path.name} cannot be read as an image: it is damaged or none")
    return image
