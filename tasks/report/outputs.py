"""Files under names that the user chose: they destroy nothing.

An output is written to a temporary name and renamed. It never takes the place of an input, under whatever name or link
that is given, nor of a file of another kind; of an earlier one of its own kind when that was made by this program, or
when the user insists.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import UserError
from tasks.drawing import SOFTWARE
from tasks.storage.files import atomic_write
from tasks.video.image_sequences import would_harm

#: Enough of a file to tell what it is.
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of output.

    Args:
        words: what it is called in a sentence.
        suffixes: of its files.
        fits: whether a file is of this kind.
        is_ours: whether one of this kind was made by this program.
    """

    words: str
    suffixes: tuple[str, ...]
    fits: Callable[[Path], bool]
    is_ours: Callable[[Path], bool]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _is_table(path: Path) -> bool:
    head = _head(path)
    return head.startswith(b"PAR1") if path.suffix.lower() == ".parquet" else b"\0" not in head and b"\n" in head


def _is_predictions(path: Path) -> bool:
    """Whether the first columns of a table are those of the tables of `tasks.inference`."""
    if path.suffix.lower() != ".parquet":
        begins = _head(path).translate(None, b'"').partition(b"\n")[0]
        in_json = begins.startswith(b"{video:")
        return any(
            b"," + name + b":" in begins if in_json else begins.startswith(b"video," + name) for name in _SECOND_COLUMNS
        )
    from pyarrow import ArrowInvalid, parquet  # which no other output needs

    with suppress(ArrowInvalid):
        names = parquet.read_schema(path).names
        return names[:1] == ["video"] and any(names[1:2] == [name.decode()] for name in _SECOND_COLUMNS)
    return False


_SECOND_COLUMNS = (b"outcome", b"segment", b"frame")

PICTURE = Kind(
    "picture",
    (".png",),
    lambda path: _head(path).startswith(b"\x89PNG\r\n\x1a\n"),
    lambda path: b"tEXtSoftware\0" + SOFTWARE.encode() in _head(path),
)
PREDICTIONS = Kind("table", (".csv", ".parquet", ".jsonl"), _is_table, _is_predictions)


#: Begins with the version of the format, then the name of the program that wrote it.
ONNX = Kind(
    "model in ONNX",
    (".onnx",),
    lambda path: _head(path).startswith(b"\x08"),
    lambda path: _head(path)[2:].startswith(b"\x12" + bytes([len(SOFTWARE)]) + SOFTWARE.encode()),
)
#: Says nowhere in its beginning who wrote it.
LITERT = Kind("model in LiteRT", (".tflite",), lambda path: _head(path)[4:8] == b"TFL3", lambda path: False)
#: Formats that a model can be exported to, by the end of a file's name.
EXPORTS = {suffix: kind for kind in (ONNX, LITERT) for suffix in kind.suffixes}


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
    if path.suffix.lower() not in kind.suffixes:
        allowed = " or ".join(kind.suffixes)
        raise UserError(f"The {kind.words} is a {allowed} file; {called} should end in {allowed}, not be {name}.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {str(path.parent)!r} for {called}.")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"Nothing can be written to the folder {str(path.parent)!r} of {called}.")
    if any(would_harm(path, source) for source in inputs):
        raise UserError(f"{called} {name} is one of the inputs; give it another name.")
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"{called} {name} exists and is not a file; give it another name.")
    if not path.stat().st_size:
        return
    if not kind.fits(path):
        raise UserError(f"{called} {name} is there and holds something else than a {kind.words}; give it another name.")
    if not force and not kind.is_ours(path):
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
