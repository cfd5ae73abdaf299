"""What a diagnosis looks like in a terminal."""

from dataclasses import asdict

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import Answers
from tasks.config.settings import StudySettings
from tasks.diagnosis import diagnose, num_in
from tasks.diagnosis.check_result import CheckResult, State

_STYLES = {State.OK: "green", State.NOTE: "dim", State.WARNING: "yellow", State.ERROR: "bold red"}


def print_diagnosis(settings: StudySettings, out: Answers) -> bool:
    """Look at the machine and print what was found; returns whether a study would fail."""
    found = diagnose(settings)
    out.show("checks", [asdict(result) for result in found], _table(found))
    errors, warnings = (num_in(found, state) for state in (State.ERROR, State.WARNING))
    counts = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    verdict = "This has to be fixed first" if errors else "A study can run here"
    out.print(f"{verdict}: {counts}.", style="bold" if errors else None)
    return errors > 0


def _table(found: list[CheckResult]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("what", "state", "found, and how to fix it"):
        table.add_column(name, overflow="fold", no_wrap=name != "found, and how to fix it")
    for result in found:
        style = _STYLES[result.state]
        fix = f"\n[{style}]-> {escape(result.fix)}[/]" if result.fix else ""
        table.add_row(escape(result.name), f"[{style}]{result.state}[/]", escape(result.found) + fix)
    return table
