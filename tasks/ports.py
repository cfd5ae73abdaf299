"""Who listens on a port of this machine."""

import socket

import psutil


def is_listening(port: int, host: str = "127.0.0.1", timeout_s: float = 3.0) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout_s):
            return True
    except OSError:
        return False


def listening_process(port: int) -> str | None:
    """Name and id of the process that listens on a port; `None` where that cannot be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:  # it belongs to another user, or ended meanwhile
        pass
    return None
