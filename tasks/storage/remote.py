"""Paths in object stores, with those methods of `pathlib.Path` that are used here. Imported when a URL is met.

S3 is what is tested; what holds for it holds for any store of fsspec whose uploads are whole or not there. Credentials,
region and address come from where s3fs and its siblings look for them: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_ENDPOINT_URL`, the AWS configuration files, or the role of the machine. Settings never hold any.
"""

import errno
import glob
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from upath import UPath
from upath.extensions import ProxyUPath

from fer_models.errors import StorageError, UserError
from tasks.storage.stored_names import path_below

#: The extra of this project, or the package, that an object store needs.
_PACKAGES = {"s3": "fer-pipeline[s3]", "s3a": "fer-pipeline[s3]", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
_UNWRITABLE = ("http", "https", "github", "data")
_ERRNO = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, TimeoutError: errno.ETIMEDOUT}


def check_scheme(scheme: str) -> None:
    """Raise `UserError` when nothing can be written to URLs of a kind, or a package for them is missing."""
    if scheme in _UNWRITABLE or scheme not in fsspec.available_protocols():
        raise UserError(
            f"Nothing can be read or kept at {scheme}://; take a file or folder here, or a URL such as s3://bucket/prefix."
        )
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        how = f"pip install '{package}'" if package else str(error).rstrip(".")
        raise UserError(f"A package for {scheme}:// is not installed: {how}.") from error


class RemotePath(ProxyUPath):
    """A file of an object store, or all files whose names begin so.

    Unlike `UPath`, it never takes a store that does not answer for one that lacks the file: a split or a ledger would
    be made again. Every fault is an `OSError` that names the file. Files are read and written whole.
    """

    __slots__ = ()

    @classmethod
    def _from_upath(cls, upath: UPath, /) -> "RemotePath":
        path = object.__new__(cls)
        path.__wrapped__ = upath.__wrapped__ if isinstance(upath, ProxyUPath) else upath
        return path

    def is_file(self) -> bool:
        """Whether there is such a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether there are files below this name."""
        return self._kind() == "directory"

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is such a file, or any below this name."""
        return self._kind() is not None

    def _kind(self) -> str | None:
        with self._faults():
            try:
                return str(self.fs.info(self.path)["type"])
            except FileNotFoundError:
                return None

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Size and time of the last change, as of a local file."""
        with self._faults():
            return self.__wrapped__.stat()

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there when a file is. A bucket is never made."""

    def read_bytes(self) -> bytes:
        """The whole file, by one request."""
        with self._faults():
            return bytes(self.fs.cat_file(self.path))

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """The whole file as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *args: Any, **options: Any) -> Any:
        """The whole file in memory, for reading bytes."""
        if mode != "rb":
            raise io.UnsupportedOperation(f"{self} can be opened as 'rb' only; write with tasks.storage.files")
        return io.BytesIO(self.read_bytes())

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file; stores do not tell whether there was one."""
        self.remove([self])

    def read_many(self, paths: Sequence["RemotePath"], last_bytes: int | None = None) -> list[bytes]:
        """The contents of files of this store, or the ends of them: a request each, many at once."""
        if not paths:
            return []
        with self._faults():
            start = -last_bytes if last_bytes else None
            names = [path.path for path in paths]
            return list(self.fs.cat_ranges(names, [start] * len(names), [None] * len(names), on_error="raise"))

    def sizes(self) -> dict["RemotePath", int]:
        """All files below this name with their sizes in bytes, sorted, by one listing (a request for 1,000 files).

        Raises:
            UserError: a name there would be a path out of a folder; names of a store can be anything.
        """
        with self._faults():
            found = self.fs.find(self.path, detail=True)
        base = f"{self.path.rstrip('/')}/"
        files = (name for name, info in found.items() if name.startswith(base) and info["type"] == "file")
        names = sorted(name for name in files if not name.endswith("/"))  # a console makes those for empty folders
        return {self._below(self, name.removeprefix(base)): int(found[name]["size"]) for name in names}

    def _below(self, folder: Any, name: str) -> Any:
        return path_below(folder, name, self, "remove that object from the bucket")

    def matches(self, folder: "RemotePath", pattern: str) -> bool:
        """Whether this path below a folder fits a pattern such as `*/*.parquet`, part by part."""
        part = PurePosixPath(str(self.relative_to(folder)))
        return len(part.parts) == len(PurePosixPath(pattern).parts) and part.match(pattern)

    def upload(self, files: Mapping[Path, "RemotePath"]) -> None:
        """Put local files into this store, many at once. Each is whole or not there.

        Raises:
            StorageError: the bucket is not there.
        """
        contents = {str(local.resolve(strict=True)): path.path for local, path in files.items()}
        try:
            if contents:
                with self._faults():
                    self.fs.put(list(contents), list(contents.values()))
        except FileNotFoundError as error:
            raise StorageError(
                f"{self} cannot be written: its bucket is not there; make it, then run the same command again."
            ) from error

    def download(self, folder: Path) -> None:
        """Copy all files below this name into a local folder."""
        targets = {path.path: self._below(folder, str(path.relative_to(self))) for path in self.sizes()}
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        if targets:
            with self._faults():
                self.fs.get(list(targets), [str(target) for target in targets.values()])

    def remove(self, paths: Sequence["RemotePath"]) -> None:
        """Remove files of this store, a thousand by one request; an asterisk in a name stands for itself."""
        if paths:
            with self._faults(), suppress(FileNotFoundError):
                self.fs.rm([glob.escape(path.path) for path in paths])

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Every store has exceptions of its own; here they become `OSError`s that name the file."""
        try:
            yield
        except Exception as error:
            number = getattr(error, "errno", None)
            number = number or next((code for kind, code in _ERRNO.items() if isinstance(error, kind)), errno.EIO)
            words = str(getattr(error, "strerror", None) or error).strip().rstrip(".")
            raise OSError(number, words or type(error).__name__, str(self)) from error
