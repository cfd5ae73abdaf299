"""Who listens on a port of this machine."""

import socket
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"


def is_listening(port: int, host: str = "127.0.0.1", timeout_s: float = 3.0) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout_s):
            return True
    except OSError:
        return False


def listening_process(port: int) -> str | None:
    """Name and id of the process that listens on a port; `None` where that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(link.readlink()) in sockets:
                process = link.parents[1]
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:  # it ended, or belongs to another user
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    rows = [line.split() for table in _TABLES if table.is_file() for line in table.read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port}
