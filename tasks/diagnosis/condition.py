"""What a check found, and how to mend it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How good it is, the best first."""

    OK = "ok"
    NOTE = "note"  # worth knowing, nothing to mend
    WARNING = "warning"  # works, but not as it should
    ERROR = "error"  # a study would fail


@dataclass(frozen=True)
class CheckResult:
    """The condition of one thing.

    Args:
        name: what was looked at.
        found: what there is, for users; never a password.
        fix: what to do about it; empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    fix: str = ""
