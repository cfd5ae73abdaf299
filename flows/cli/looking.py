"""Commands that look at what a study made, and change nothing of it."""

import functools
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.cli.answers import answering, out
from flows.cli.options import Chosen, Command, Force, from_home, study_options
from flows.environment import check_keras, prepare_environment

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="Looking closer")

Output = Annotated[
    Path | None, typer.Option("--output", "-o", parser=from_home, metavar="FILE", help="where to write the PNG")
]


@_command()
@answering
@study_options(seeds=True)
def status(chosen: Chosen) -> None:
    """Show what became of every video, and which models are trained."""
    prepare_environment(quiet=not chosen.debug)
    from flows.status import print_status

    print_status(chosen.settings(), out)


@_command(epilog="fer audit --preset sample && fer train --preset sample")
@answering
@study_options()
def audit(chosen: Chosen) -> None:
    """Look for what is in training and in test, and must not be: people, files, footage. Exits with 1 if any is."""
    prepare_environment(quiet=not chosen.debug)
    from flows.audit import print_audit

    if print_audit(chosen.settings(), out):
        raise typer.Exit(1)


@_command(epilog="fer inspect baum1s/S001_001 --preset sample")
@answering
@study_options()
def inspect(
    chosen: Chosen,
    video: Annotated[
        str, typer.Argument(metavar="VIDEO_ID", help="a video's id, or a part of it that no other id has")
    ],
    output: Output = None,
    force: Force = False,
) -> None:
    """Draw a video on one page: faces, motion, outcome and why."""
    prepare_environment(quiet=not chosen.debug)
    from tasks.report.inspection import inspect_video

    path = inspect_video(chosen.settings(), video, output, force)
    out.print(escape(str(path)), soft_wrap=True, highlight=False)


@_command(epilog="fer explain 3fa9c1d204 --preset sample")
@answering
@study_options()
def explain(
    chosen: Chosen,
    tile: Annotated[str, typer.Argument(metavar="TILE", help="id below a Grad-CAM tile, or its beginning")],
    output: Output = None,
    force: Force = False,
) -> None:
    """Draw one Grad-CAM tile of the report on a page: frame, face, motion, where the model looked, probabilities."""
    prepare_environment(quiet=not chosen.debug)
    check_keras()
    from tasks.report.tile_page import explain_tile

    path = explain_tile(chosen.settings(), tile, output, force)
    out.print(escape(str(path)), soft_wrap=True, highlight=False)
