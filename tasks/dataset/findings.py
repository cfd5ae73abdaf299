"""What an audit finds, and the file that lists all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pandas as pd

from tasks.storage.spreadsheets import write_csv


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"  # a leak: a score on the test subset is not to be believed
    WARNING = "warning"  # may be one; somebody must look
    NOTE = "note"


class Check(StrEnum):
    """What an audit looks at."""

    SUBJECTS = "person in two subsets"
    NAMELESS = "nobody named"
    FILES = "same file"
    FACES = "near-identical faces"
    NAMES = "look-alike names"
    LABELS = "labels"
    PROPERTIES = "file properties"
    EARLIER_TRAINING = "seen before"
    OTHER_CORPORA = "other corpora"


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found.

    Args:
        what: what is wrong, for users.
        where: the videos or subjects, each with its subset.
        advice: what to do about it.
    """

    check: Check
    severity: Severity
    what: str
    where: tuple[str, ...]
    advice: str


def num_leaks(findings: Sequence[Finding]) -> int:
    """How many findings are errors."""
    return sum(finding.severity is Severity.ERROR for finding in findings)


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write the complete list as CSV, an empty one too, so that an old list does not stay."""
    rows = [
        (finding.severity, finding.check, finding.what, "; ".join(finding.where), finding.advice)
        for finding in findings
    ]
    table = pd.DataFrame(rows, columns=["severity", "check", "what", "where", "advice"])
    write_csv(path, table)
