"""What an audit looks like in a terminal."""

from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import Answers
from flows.environment import check_keras, silent_imports
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.audit import audit, present_split
from tasks.dataset.findings import Finding, Severity, num_leaks, write_findings
from tasks.dataset.splits import read_split
from tasks.preparation.ledger import read_ledger

#: Rows of one kind, and places in a row, that are shown; the file has all.
_MOST_ROWS = 8
_MOST_PLACES = 3
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def print_audit(settings: StudySettings, out: Answers) -> bool:
    """Audit a study, write `audit.csv` into its folder and print what was found; returns whether it has a leak."""
    layout = Layout.of(settings)
    findings = audit(settings, _earlier_models(settings))
    write_findings(layout.audit, findings)
    out.show("findings", [asdict(finding) for finding in findings], *([_table(findings)] if findings else []))
    if findings:
        for advice in dict.fromkeys(f"{finding.check}: {finding.advice}" for finding in findings):
            out.print(escape(advice), soft_wrap=True, highlight=False)
        out.print(escape(f"All findings: {layout.audit}"), soft_wrap=True, highlight=False)
    emotions = settings.corpus.emotions
    videos = present_split(read_ledger(layout.ledger, emotions), read_split(layout.split), emotions)
    num = num_leaks(findings)
    found = f"{num} leak{'s' if num > 1 else ''} found" if num else "No leak found"
    num_videos, num_subjects = videos["video_id"].nunique(), videos["subject"].nunique()
    out.print(f"{found} in {num_videos} videos of {num_subjects} people.", style="bold" if num else None)
    return num > 0


def _earlier_models(settings: StudySettings) -> dict[Path, list[str]]:
    """The saved models that arms begin with; without any, Keras is not needed, which takes long to import."""
    if settings.training.initial_weights is None:
        return {}
    check_keras()
    with silent_imports():
        from tasks.study.initial_weights import saved_models
    return saved_models(settings)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("severity", "check", "what", "where"):
        table.add_column(name, overflow="fold", no_wrap=name == "severity")
    for (severity, check), group in groupby(findings, key=lambda finding: (finding.severity, finding.check)):
        rows = list(group)
        for finding in rows[:_MOST_ROWS]:
            more = len(finding.where) - _MOST_PLACES
            places = [*finding.where[:_MOST_PLACES], *([f"and {more} more"] if more > 0 else [])]
            cells = (severity, check, finding.what, "\n".join(places))
            table.add_row(*map(escape, cells), style=_STYLES[severity])
        if len(rows) > _MOST_ROWS:
            table.add_row("", check, f"and {len(rows) - _MOST_ROWS} more", "", style=_STYLES[severity])
    return table
