"""Local folders for those who must have one: Keras, MLflow and matplotlib know nothing of object stores.

Where the data root is local these are the folders themselves, and nothing is copied.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.storage.locations import as_remote


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield a file or folder to be read, as it is when it is local, else copied into a temporary folder."""
    remote = as_remote(path)
    if remote is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="fer-") as folder:
        copy = Path(folder) / path.name
        if remote.is_file():
            copy.write_bytes(remote.read_bytes())
        else:
            copy.mkdir()
            remote.download(copy)
        yield copy


@dataclass
class SyncedFolder:
    """A local folder that is written to, and the place that it belongs to; made by `synced_folder`.

    Args:
        path: the local folder.
        place: where its files belong; the folder itself, when that is local.
        last: names of files that say that others are there, in the order in which they follow those.
    """

    path: Path
    place: Path
    last: Sequence[str] = ()
    _saved: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._saved = self._state() if as_remote(self.place) else {}

    def save(self) -> None:
        """Bring the place up to date: new and changed files, then those of `last`, then remove what is gone.

        Whatever moment a kill falls on, what the place's files of `last` promise is there.
        """
        place = as_remote(self.place)
        if place is None:
            return
        now = self._state()
        changed = [name for name, state in now.items() if self._saved.get(name) != state]
        place.upload({self.path / name: place / name for name in changed if Path(name).name not in self.last})
        for commit in self.last:
            place.upload({self.path / name: place / name for name in changed if Path(name).name == commit})
        place.remove([place / name for name in self._saved if name not in now])
        self._saved = now

    def _state(self) -> dict[str, tuple[int, int]]:
        """By name size and time of change of each file; hidden ones are not finished."""
        files = (path for path in sorted(self.path.rglob("*")) if path.is_file() and not path.name.startswith("."))
        stats = {path.relative_to(self.path).as_posix(): path.stat() for path in files}
        return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


@contextmanager
def synced_folder(place: Path, last: Sequence[str] = ()) -> Iterator[SyncedFolder]:
    """Yield a folder to work in, made if need be, that holds what `place` holds; saved when the block ends well.

    Args:
        place: a folder, or the common beginning of names in an object store.
        last: as in `SyncedFolder`.
    """
    remote = as_remote(place)
    if remote is None:
        place.mkdir(parents=True, exist_ok=True)
        yield SyncedFolder(place, place, last)
        return
    with tempfile.TemporaryDirectory(prefix="fer-") as folder:
        local = Path(folder) / place.name
        local.mkdir()
        remote.download(local)
        working = SyncedFolder(local, place, last)
        yield working
        working.save()
