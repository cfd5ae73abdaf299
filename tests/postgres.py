"""A PostgreSQL server for tests and benchmarks: new, in a temporary folder, on a free port of this machine."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab import free_port

USER = "fer"
#: With characters that addresses, connection strings and configuration files give a meaning.
PASSWORD = "p@ss/w%rd:1 #&"
_WHERE_DEBIAN_PUTS_THEM = "/usr/lib/postgresql"


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where PostgreSQL is not installed."""
    installed = sorted(Path(_WHERE_DEBIAN_PUTS_THEM).glob("*/bin"), key=lambda path: float(path.parent.name))
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(installed))])
    found = shutil.which("initdb", path=places)
    return Path(found).resolve().parent if found else None


@contextmanager
def postgres_server(binaries: Path) -> Iterator[str]:
    """Yield the address of a server, with user and password; it ends with the block."""
    as_user = _without_root()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if as_user:
            for path in (folder, folder / "password"):
                os.chown(path, as_user["user"], as_user["group"])
        data, port = str(folder / "data"), free_port()

        def run(program: str, *words: str) -> None:
            # no pipes: the server would hold them open
            with (folder / f"{program}.log").open("ab") as log:
                command = [str(binaries / program), "--pgdata", data, *words]
                done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=False, **as_user)
            assert done.returncode == 0, (folder / f"{program}.log").read_text()

        run("initdb", "--username", USER, "--pwfile", "password", "--auth", "scram-sha-256", "--encoding", "UTF8")
        run("pg_ctl", "start", "--wait", "--options", f"-c listen_addresses=127.0.0.1 -p {port} -k ''")
        try:
            yield f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode", "fast")


def _without_root() -> dict[str, Any]:
    """Whom a command is run as: PostgreSQL refuses root."""
    if os.geteuid():
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
