"""Memory that is free: what this machine has left, or what the container that this process is in may still take."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
#: By the version of control groups: limit, usage, and what of the usage is files that can be read again.
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_bytes() -> int | None:
    """What can be taken without driving anything out; None where the system does not tell."""
    try:
        free = _facts(_MEMORY)["MemAvailable:"] * 1024
    except (OSError, KeyError):
        return None
    return min([free, *(left for folder in _own_groups() if (left := _left(folder)) is not None)])


def address_limit_bytes() -> int | None:
    """The addresses that this process may take (`ulimit -v`); None without a limit, or where there is none to set."""
    try:
        import resource
    except ImportError:  # no such system
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _own_groups() -> Iterator[Path]:
    """The folders of the control groups of this process and of those above them, as far as they are seen from here."""
    lines: list[str] = []
    with suppress(OSError):
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = _GROUPS / controllers
            own = top / path.strip("/")
            yield from (folder for folder in (own, *own.parents) if folder == top or top in folder.parents)


def _left(folder: Path) -> int | None:
    """What the limit of a control group leaves; None without a limit."""
    for limit, usage, cache in _FILES:
        with suppress(OSError, ValueError):  # such as "max"
            taken = int((folder / usage).read_text(encoding="utf-8"))
            taken -= _facts(folder / "memory.stat").get(cache, 0)
            return max(0, int((folder / limit).read_text(encoding="utf-8")) - taken)
    return None


def _facts(path: Path) -> dict[str, int]:
    """Names and numbers, one a line."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {words[0]: int(words[1]) for words in lines}
