"""What work took on this machine before, so that a command can say beforehand what it will take.

A small file in the user's cache. It is a help, not a result: where it cannot be read or written, nothing is known.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from fer_models.errors import FerError
from tasks.storage.caches import user_cache
from tasks.storage.files import atomic_write

#: What older measurements count beside a new one: machines and programs change.
_OLD = 0.5
#: Entries of one kind; the oldest go first.
_MOST = 300


@dataclass(frozen=True)
class Measured:
    """What some work took.

    Args:
        work: how much it was, in the unit of its kind.
        seconds: that grew with the work.
        start_s: that it took however much there was.
        num_bytes: what it left on the disk.
        rows: what came out of it, in the unit of its kind.
        times: how many measurements this is the sum of; the older ones count less.
    """

    work: float = 0.0
    seconds: float = 0.0
    start_s: float = 0.0
    num_bytes: float = 0.0
    rows: float = 0.0
    times: float = 0.0

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    def scaled(self, factor: float) -> "Measured":
        """All of it times a factor."""
        return Measured(**{name: value * factor for name, value in asdict(self).items()})

    def seconds_for(self, work: float) -> float:
        """What so much work would take, begun once."""
        return self.start_s / self.times + (self.seconds * work / self.work if self.work else 0.0)


def remember(kind: str, group: str, key: str, new: Measured) -> None:
    """Take note of one measurement.

    Args:
        kind: of work, such as `train`.
        group: what other work is like it, such as the name of an arm.
        key: all that decides how long it takes.
    """
    known = _read()
    entries = known.setdefault(kind, {})
    name = f"{group}/{key}"
    before = Measured(**entries.pop(name)) if name in entries else Measured()
    entries[name] = asdict(before.scaled(_OLD) + Measured(**(asdict(new) | {"times": 1.0})))
    known[kind] = dict(list(entries.items())[-_MOST:])
    with suppress(OSError, FerError):
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(known), encoding="utf-8")


def recall(kind: str, group: str, key: str = "") -> Measured | None:
    """What such work took, else what its group took; None where neither was measured on this machine."""
    entries = _read().get(kind, {})
    if same := entries.get(f"{group}/{key}"):
        return Measured(**same)
    alike = [Measured(**entry) for name, entry in entries.items() if name.startswith(f"{group}/")]
    return sum(alike, Measured()) if alike else None


def _file() -> Path:
    return user_cache("progress is shown all the same") / "measured.json"


def _read() -> dict[str, dict[str, Any]]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
        all_of_it = [Measured(**entry) for entries in known.values() for entry in entries.values()]
        is_sound = all(one.times > 0 and all(0 <= value < inf for value in asdict(one).values()) for one in all_of_it)
    except (OSError, ValueError, TypeError, AttributeError, FerError):
        return {}
    return known if is_sound else {}
