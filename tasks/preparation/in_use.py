"""Who uses the shards of a data root at this moment, so that nothing is removed under a running study.

A user is a lock that a process holds, and a note beside it that says who. The lock ends with its process, however that
ends, so a note whose lock is free tells of a process that is gone. Both lie in `in-use` below the data root; for one in
an object store among the temporary files of this machine and user, and nobody else's runs are known.
"""

import datetime
import hashlib
import os
import platform
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.progress import echo
from tasks.storage.files import try_lock, write_json
from tasks.storage.locations import as_remote

_GATE = "gate.lock"
_BETWEEN_LOOKS_S = 0.1


class User(BaseModel):
    """A process that uses shards: those in the folder named `prepared`, for a step such as `train` of a study."""

    step: str
    study: str
    prepared: str
    pid: int
    host: str
    since: datetime.datetime

    def __str__(self) -> str:
        since = self.since.strftime("%Y-%m-%d %H:%M UTC")
        return f"{self.step} of {self.study!r} uses it (process {self.pid} on {self.host}, since {since})"


@contextmanager
def using_shards(settings: StudySettings, step: str) -> Iterator[None]:
    """Keep the shards of these settings from being removed for the block; waits while some are being removed."""
    layout = Layout.of(settings)
    folder = _folder(layout.root)
    note = folder / f"{uuid.uuid4().hex[:12]}.json"
    lock = note.with_suffix(".lock")
    user = User(
        step=step,
        study=settings.name,
        prepared=layout.prepared.name,
        pid=os.getpid(),
        host=platform.node(),
        since=datetime.datetime.now(datetime.UTC),
    )
    with ExitStack() as stack:
        with kept_from_use(layout.root):
            stack.enter_context(try_lock(lock))
            write_json(note, user)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


@contextmanager
def kept_from_use(root: Path) -> Iterator[None]:
    """Nobody begins to use the shards of a data root in the block; waits for others who keep them so."""
    gate = _folder(root) / _GATE
    told = time.monotonic()
    while True:
        with try_lock(gate) as alone:
            if alone:
                yield
                return
        if time.monotonic() - told > 2.0:
            echo(f"Shards of {root} are being removed; waiting for that.")
            told = float("inf")
        time.sleep(_BETWEEN_LOOKS_S)


def find_users(root: Path) -> list[User]:
    """The processes that use shards of a data root now; what those left that are gone is removed."""
    users = []
    for note in sorted(_folder(root).glob("*.json")):
        lock = note.with_suffix(".lock")
        with try_lock(lock) as is_gone:
            if is_gone:
                note.unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
            else:
                with suppress(FileNotFoundError):  # it has just ended
                    users.append(User.model_validate_json(note.read_text(encoding="utf-8")))
    return sorted(users, key=lambda user: user.since)


def _folder(root: Path) -> Path:
    if as_remote(root):
        name = f"fer-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}-{getattr(os, 'getuid', int)()}"
        return Path(tempfile.gettempdir()) / name
    return root / "in-use"
