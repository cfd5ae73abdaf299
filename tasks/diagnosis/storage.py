"""The data root: room, rights, and what killed processes left in it; and the cache of weights."""

import shutil
import tempfile
import time
from pathlib import Path

from fer_models.errors import UserError
from tasks.config.settings import StudySettings
from tasks.diagnosis.check_result import CheckResult, State
from tasks.storage.files import temporary_files
from tasks.storage.locations import as_remote
from tasks.storage.remote import RemotePath
from tasks.weights.cache import cache_folder, find
from tasks.weights.registry import default_names

_LEAST_FREE_GB, _LITTLE_FREE_GB = 0.5, 5.0
#: A temporary file that nobody has written to for so long belongs to no living process.
_STALE_S = 3600.0


def check_data_root(settings: StudySettings) -> list[CheckResult]:
    """Whether the data root can be written to, and how much room it has."""
    root = settings.data_root
    if remote := as_remote(root):
        return [_remote(remote)]
    folder = root if root.is_dir() else next(parent for parent in root.absolute().parents if parent.exists())
    try:
        if root.exists() and not root.is_dir():
            raise NotADirectoryError(0, "it is not a folder")
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        fix = "name another one with --data-root, or make it writable"
        return [CheckResult("data root", State.ERROR, f"{root}: {error.strerror or error}", fix)]
    free_gb = shutil.disk_usage(folder).free / 1e9
    found = f"{root}{'' if root.is_dir() else ' (will be made)'}: writable, {free_gb:.1f} GB free"
    if free_gb < _LITTLE_FREE_GB:
        state = State.ERROR if free_gb < _LEAST_FREE_GB else State.WARNING
        return [CheckResult("data root", state, found, "make room (fer clean), or name another disk with --data-root")]
    return [CheckResult("data root", State.OK, found)]


def check_leftovers(settings: StudySettings) -> list[CheckResult]:
    """Temporary files of processes that were killed."""
    root = settings.data_root
    stale = [path for path in temporary_files(root) if _age_s(path) >= _STALE_S]
    if not stale:
        return [CheckResult("temporary files", State.OK, "no old ones")]
    size_mb = sum(path.stat().st_size for path in stale) / 1e6
    fix = f"when nothing runs: find '{root}' -name '{stale[0].name[:6]}*' -mmin +60 -delete"
    return [CheckResult("temporary files", State.WARNING, f"{len(stale)} old ones, {size_mb:.1f} MB", fix)]


def check_weights(_: StudySettings) -> list[CheckResult]:
    """That the weights which set-up fetches are on this machine, and whole."""
    names = default_names()
    try:
        missing = [name for name in names if find(name) is None]
        folder = cache_folder()
    except (UserError, OSError) as error:
        return [CheckResult("weights", State.WARNING, str(error), "name a folder of yours in FER_WEIGHTS")]
    if missing:
        found = f"{folder}: not there, or damaged: {', '.join(missing)}"
        return [CheckResult("weights", State.WARNING, found, f"fer weights get {' '.join(missing)}")]
    return [CheckResult("weights", State.OK, f"{folder}: {', '.join(names)}")]


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # renamed meanwhile by who wrote it
        return 0.0


def _remote(root: RemotePath) -> CheckResult:
    """Write a small object, read it again, remove it."""
    probe = root / f"fer-doctor-{time.time_ns()}"
    try:
        probe.write_bytes(b"x")
        same = probe.read_bytes() == b"x"
        probe.unlink()
    except Exception as error:  # what storage raises depends on its kind
        fix = "check the bucket, AWS_ENDPOINT_URL and the credentials in the environment"
        return CheckResult("data root", State.ERROR, f"{root}: {type(error).__name__}: {error}", fix)
    return CheckResult("data root", State.OK if same else State.ERROR, f"{root}: written to, read, removed")
