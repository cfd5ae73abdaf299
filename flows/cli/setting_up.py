"""Commands for before a study: is the machine fit, what are the settings, a corpus to try it with."""

import functools
import sys
from pathlib import Path
from typing import Annotated

import typer

from fer_models.errors import UserError
from flows.cli.options import Chosen, Debug, StudyCommand, study_options
from flows.cli.running import out
from flows.environment import prepare_environment, silent_imports

commands = typer.Typer()
_command = functools.partial(commands.command, cls=StudyCommand, rich_help_panel="Setting up")


@_command(epilog="fer doctor --config study.yaml")
@study_options()
def doctor(chosen: Chosen) -> None:
    """Check that this machine can run a study: packages, codecs, devices, disk, servers. Exits with 1 if it cannot."""
    prepare_environment(quiet=not chosen.debug)
    with silent_imports():
        from flows.doctor import print_diagnosis

    if print_diagnosis(chosen.settings(), out):
        raise typer.Exit(1)


@_command()
@study_options(data_root=False)
def config(chosen: Chosen) -> None:
    """Print all settings as a configuration file."""
    from tasks.config.resolving import settings_as_yaml

    sys.stdout.write(settings_as_yaml(chosen.settings()))


@_command(epilog="fer sample corpus --subjects 100 --clips 20 --size 640x480")
def sample(
    folder: Annotated[Path, typer.Argument(help="folder to draw it into")] = Path("sample-corpus"),
    subjects: Annotated[int, typer.Option(min=1, help="number of people")] = 32,
    clips: Annotated[int, typer.Option(min=1, help="clips per person")] = 9,
    seconds: Annotated[float, typer.Option(min=0.04, help="length of a clip")] = 1.6,
    size: Annotated[str, typer.Option(help="width x height in px, both even")] = "320x240",
    seed: Annotated[int, typer.Option(min=0)] = 7,
    faults: Annotated[bool, typer.Option(help="add a clip without a face, a truncated file and so on")] = True,
    debug: Debug = False,
) -> None:
    """Draw a corpus of made-up people in the layout of BAUM-1s."""
    from tasks.corpus.sample.corpus import SampleCorpus, write_corpus

    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64) or (
        int(width) % 2 or int(height) % 2
    ):
        raise UserError(f"--size takes two even numbers of at least 64 such as 320x240, not {size!r}.")
    corpus = SampleCorpus(subjects, clips, seconds, (int(width), int(height)), seed=seed, faults=faults)
    drawn = write_corpus(folder, corpus)
    out.print(
        f"{drawn} clips drawn, all of them in {folder}." if drawn else f"The corpus in {folder} is complete already."
    )
