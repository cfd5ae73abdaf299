"""The password of the servers that `fer up` starts: made at random, in a file that only its user can read."""

import os
import secrets
import stat
from pathlib import Path

_USER = "fer"
_FILE = "password"


def password_file(home: Path) -> Path:
    """Where the credentials of the services of a folder are, as `user:password`."""
    return home / _FILE


def make_password(home: Path) -> None:
    """Make credentials unless there are some that nobody else can have read or written."""
    path = password_file(home)
    if path.exists():
        found = path.stat()
        if found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077 and _read(path):
            return
        path.unlink()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{_USER}:{secrets.token_urlsafe(24)}\n")


def credentials(home: Path) -> dict[str, str]:
    """The environment variables by which Prefect's and MLflow's clients bring them; none when there is no such file."""
    path = password_file(home)
    both = _read(path) if path.is_file() else ""
    user, _, password = both.partition(":")
    return (
        {"PREFECT_API_AUTH_STRING": both, "MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        if password
        else {}
    )


def _read(path: Path) -> str:
    """`user:password`; empty when the file holds something else."""
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    return text if text.isascii() and len(text.partition(":")[2]) > 20 else ""
