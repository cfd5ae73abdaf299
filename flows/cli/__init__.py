"""The command `fer`. Heavy packages are imported by the command that needs them, so that `fer --help` is quick."""

import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import typer
from rich.markup import escape

from fer_models.errors import FerError
from flows.cli import corpora, export, lab, looking, models, setting_up, study, using, weights
from flows.cli.running import Terminal
from flows.shortage import shortages_named

app = typer.Typer(
    name="fer",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Facial expression recognition from video: prepare, train six fusion models, compare them honestly.",
    epilog="Start with [b]fer study --preset sample[/b]; it needs no data.",
)
for family in (study, looking, models, using, export, lab, setting_up):
    app.add_typer(family.commands)
app.add_typer(corpora.commands, name="corpora", rich_help_panel="Setting up")
app.add_typer(weights.commands, name="weights", rich_help_panel="Setting up")


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name may have signs that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with shortages_named(Path.cwd()):
            app()
    except FerError as error:
        if "--debug" in sys.argv:
            _print_trace()
        _complain(str(error))
    except OSError as error:
        if "--debug" in sys.argv:
            _print_trace()
        _complain(f"{error.filename or 'A file'}: {error.strerror or error}.")
    except Exception:  # a bug
        _print_trace()
        raise SystemExit(1) from None


def _print_trace() -> None:
    """The stack trace of what is being handled; messages of libraries may hold whole addresses."""
    sys.stderr.write(_shown(traceback.format_exc()))


def _shown(text: str) -> str:
    try:
        from tasks.storage.addresses import hide_secrets
    except ImportError:  # another package hides ours, which is what the text says
        return text
    return hide_secrets(text)


def _complain(sentence: str) -> NoReturn:
    Terminal(stderr=True, soft_wrap=True).print(f"[bold red]fer:[/] {escape(_shown(sentence))}", highlight=False)
    raise SystemExit(1) from None
