"""Files under names that the user chose: they destroy nothing.

An output is written to a temporary name and renamed. It never takes the place of an input, under whatever name or link
that is given, nor of a file of another kind; of an earlier one of its own kind when that was made by this program, or
when the user insists.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import UserError
from tasks.storage.files import atomic_write
from tasks.video.image_sequences import is_image, is_image_sequence

#: What PNG files that are drawn here name as the program that made them.
SOFTWARE = "fer-pipeline"
#: Enough of a file to tell what it is.
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of output.

    Args:
        words: what it is called in a sentence.
        suffix: of its files.
        fits: whether the beginning of a file is that of this kind.
        is_ours: whether a file that begins so was made by this program.
    """

    words: str
    suffix: str
    fits: Callable[[bytes], bool]
    is_ours: Callable[[bytes], bool]


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and b"\n" in head


PICTURE = Kind(
    "picture",
    ".png",
    lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    lambda head: b"tEXtSoftware\0" + SOFTWARE.encode() in head,
)
#: Its first columns are those of `tasks.inference.prediction`.
PREDICTIONS = Kind("table", ".csv", _is_text, lambda head: head.startswith(b"video,outcome,message,num_segments,"))


#: Begins with the version of the format, then the name of the program that wrote it.
ONNX = Kind(
    "model in ONNX",
    ".onnx",
    lambda head: head.startswith(b"\x08"),
    lambda head: head[2:].startswith(b"\x12" + bytes([len(SOFTWARE)]) + SOFTWARE.encode()),
)
#: Says nowhere in its beginning who wrote it.
LITERT = Kind("model in LiteRT", ".tflite", lambda head: head[4:8] == b"TFL3", lambda head: False)
#: Formats that a model can be exported to, by the end of a file's name.
EXPORTS = {kind.suffix: kind for kind in (ONNX, LITERT)}


def check_output(
    path: Path | None, kind: Kind, inputs: Iterable[Path] = (), force: bool = False, called: str = "--output"
) -> None:
    """Raise `UserError` when an output must not be written to `path`, or cannot be; before any work is done for it.

    Args:
        inputs: files, folders of images and patterns of them that the output may not harm.
        force: it may take the place of a file of its kind that somebody else made.
        called: what the user knows it as.
    """
    if path is None:
        return
    name = repr(str(path))
    if path.suffix.lower() != kind.suffix:
        raise UserError(
            f"The {kind.words} is a {kind.suffix} file; {called} should end in {kind.suffix}, not be {name}."
        )
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {str(path.parent)!r} for {called}.")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"Nothing can be written to the folder {str(path.parent)!r} of {called}.")
    if any(_harms(path, source) for source in inputs):
        raise UserError(f"{called} {name} is one of the inputs; give it another name.")
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"{called} {name} exists and is not a file; give it another name.")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head or kind.is_ours(head):
        return
    if not kind.fits(head):
        raise UserError(f"{called} {name} is there and holds something else than a {kind.words}; give it another name.")
    if not force:
        raise UserError(
            f"{called} {name} is there and was not made by this command; give it another name, or add --force."
        )


@contextmanager
def output_file(
    path: Path, kind: Kind, inputs: Iterable[Path] = (), force: bool = False, called: str = "--output"
) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well its file becomes `path`, else it is removed.

    Raises:
        UserError: as `check_output`; the file may have come into being since that was asked.
    """
    check_output(path, kind, inputs, force, called)
    with atomic_write(path) as temporary:
        yield temporary


def _harms(output: Path, source: Path) -> bool:
    """Whether an output is an input, or would lie among the images that are one."""
    if is_image_sequence(source):
        folder = source if source.is_dir() else source.parent
        return is_image(output.name) and folder.is_dir() and output.parent.samefile(folder)
    return output.exists() and source.exists() and output.samefile(source)
