"""Who listens on a port of this machine."""

import socket
from contextlib import suppress

import psutil


def is_listening(port: int, host: str = "127.0.0.1", timeout_s: float = 3.0) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout_s):
            return True
    except OSError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections there.

    Raises:
        OSError: it is taken, or there is no such address on this machine.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family)


def is_listened_on_by_this_user(port: int) -> bool:
    """Whether a process of this user listens on a port; what cannot be seen is not this user's."""
    own = psutil.Process().username()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.username() == own and any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
                for connection in process.net_connections("tcp")
            ):
                return True
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
