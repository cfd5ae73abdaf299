"""Arrays in files, read by the numbers of their rows. What is read is the reader's; the rest never enters its memory.

The files are NumPy's (`.npy`), which `np.load` maps as well. Readers of many processes share what the system keeps of a
file in its own memory.
"""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from fer_models.errors import BrokenFile
from tasks.storage.files import LOST


@dataclass(frozen=True)
class RowFile:
    """An array (n, ..) in a file; `file[rows]` reads rows, int of any shape, as `array[rows]` gives those of an array.

    It holds no open file, so that threads and processes can share one, and whoever reads a removed file is told so.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @classmethod
    def find(cls, path: Path) -> "RowFile":
        """The array of a file.

        Raises:
            BrokenFile: it is not whole.
        """
        try:
            with path.open("rb") as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                found = cls(path, shape, dtype, file.tell())
        except ValueError as error:
            raise BrokenFile(path, LOST, detail=str(error)) from error
        if dtype.hasobject or not shape or path.stat().st_size != found.offset + found.nbytes:
            raise BrokenFile(path, LOST, detail="it is of another size than it says")
        return found

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """Of each row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Of all rows."""
        return len(self) * self.row_bytes

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        wanted = np.asarray(rows)
        numbers = wanted.ravel()
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"{self.path} has {len(self)} rows, and none of number {numbers.max()}")
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)  # of rows that stand in the file as they are wanted
        ends = np.append(starts[1:], len(numbers))
        into, size = memoryview(found.view(np.uint8).reshape(-1)), self.row_bytes
        with self.path.open("rb", buffering=0) as file:
            for run in np.argsort(numbers[starts]):  # from the front of the file to its end
                file.seek(self.offset + int(numbers[starts[run]]) * size)
                _fill(into[starts[run] * size : ends[run] * size], file, self.path)
        return found.reshape(*wanted.shape, *self.shape[1:])


def _fill(into: memoryview, file: BinaryIO, path: Path) -> None:
    while into:
        count = file.readinto(into)  # type: ignore[attr-defined]
        if not count:
            raise BrokenFile(path, LOST, detail="it ends too soon")
        into = into[count:]


class RowWriter:
    """Writes an array row by row whose length is not known before; a context, whose end makes the file whole."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: type) -> None:
        self._file = path.open("wb")
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self.num_rows = 0
        self._write_header()

    def add(self, rows: np.ndarray) -> None:
        """Append rows (k, ..)."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self.num_rows += len(rows)

    def _write_header(self) -> None:
        """NumPy leaves room in it for the number of rows to grow."""
        shape = (self.num_rows, *self._row_shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if not kind:
                self._file.seek(0)
                self._write_header()
