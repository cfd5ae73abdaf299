"""What a check found, and how to fix it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How good it is, the best first."""

    OK = "ok"
    NOTE = "note"  # worth knowing, nothing to fix
    WARNING = "warning"  # works, but not as it should
    ERROR = "error"  # a study would fail


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Args:
        name: what was looked at.
        found: what there is, for users; never a password.
        fix: what to do about it; empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    fix: str = ""
