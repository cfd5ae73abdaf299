"""The command `fer`. Heavy packages are imported by the command that needs them, so that `fer --help` is quick."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path

import typer

from fer_models.errors import UserError
from flows.cli import corpora, export, lab, looking, models, setting_up, study, using, weights
from flows.cli.endings import USAGE_ERROR, end_with, end_with_usage
from flows.cli.options import Group
from flows.shortage import shortages_named

app = typer.Typer(
    name="fer",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Recognise facial expressions in videos: prepare them, train models, compare these honestly, use the best.",
    epilog="Without data: [b]fer study --preset sample[/b]. With your own videos: [b]fer init[/b], which asks you.",
)
app.add_typer(setting_up.commands)
app.add_typer(corpora.commands, name="corpora", rich_help_panel="Setting up")
app.add_typer(weights.commands, name="weights", rich_help_panel="Setting up")
for family in (study, looking, models, using, export, lab):  # in the order in which they are needed
    app.add_typer(family.commands)


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UserError("The folder that this command was started in is gone; go to another one: cd ~.") from error


def main() -> None:
    """Entry point: whatever goes wrong is one sentence and exit code 1, or 2 where the command is none."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name may have signs that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with shortages_named(_working_folder()):
            code = app(prog_name="fer", standalone_mode=False)
    except USAGE_ERROR as error:
        end_with_usage(error)
    except Exception as error:
        end_with(error)
    if isinstance(code, int) and code:  # of `typer.Exit`
        raise SystemExit(code)
