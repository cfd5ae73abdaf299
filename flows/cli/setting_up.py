"""Commands for before a study: is the machine fit, what are the settings, a corpus to try it with."""

import functools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fer_models.errors import UserError
from flows.cli.answers import answering, out
from flows.cli.completion import complete_adapter
from flows.cli.options import Chosen, Command, Debug, from_home, study_options
from flows.environment import prepare_environment, silent_imports

if TYPE_CHECKING:
    from tasks.corpus.proposal import Proposal

_WHERE = "Where are your videos (a folder, or a table with the columns path, subject, emotion)?"

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="Setting up")


@_command(epilog="fer init my-videos && fer study --config study.yaml  |  fer init labels.csv --output labels.yaml")
@answering
def init(
    videos: Annotated[
        str | None,
        typer.Argument(
            metavar="VIDEOS",
            help="folder of your videos, or a table with the columns path, subject, emotion; without it you are asked",
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter",
            help="the corpus's layout; by default the one that fits best",
            autocompletion=complete_adapter,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=from_home, metavar="FILE", help="configuration file to write")
    ] = Path("study.yaml"),
    force: Annotated[bool, typer.Option("--force", help="replace a file that is there")] = False,
    debug: Debug = False,
) -> None:
    """Look at videos of your own and write the settings of a study of them, with comments; asks where they are."""
    if output.exists() and not force:
        raise UserError(f"{output} is there already; name another file with --output, or add --force.")
    from tasks.corpus.proposal import as_configuration, study_name
    from tasks.storage.files import atomic_write

    if videos is None and not sys.stdin.isatty():
        raise UserError("Name the folder of your videos, or a table that lists them: fer init my-videos")
    found = _ask(adapter) if videos is None else _proposal(videos, adapter)
    text = as_configuration(found, study_name(found.root))
    with atomic_write(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    out.print(escape(f"{found.in_words()} {output} is written; run: fer study --config {output}"), soft_wrap=True)


def _proposal(videos: str, adapter: str | None) -> "Proposal":
    """What lies there; raises `UserError` where there is nothing that a study can be of, or no such layout."""
    from tasks.config.registries import ADAPTERS, one_of
    from tasks.corpus.proposal import propose

    try:
        layout = adapter and one_of(ADAPTERS, "adapter")(adapter)
    except ValueError as error:
        raise UserError(f"--adapter: {error}.") from error
    return propose(from_home(videos), layout)


def _ask(adapter: str | None) -> "Proposal":
    """Ask where the videos are and how they are labelled, again after an answer that leads nowhere."""
    found: Proposal | None = None
    try:
        while found is None:
            typed = typer.prompt(_WHERE, prompt_suffix=" ")
            found = _or_why_not(_as_dropped(typed), adapter)
        while adapter != found.adapter:
            _tell(found.in_words())
            adapter = typer.prompt("Press Enter if that is right, or name another layout", default=found.adapter)
            found = _or_why_not(str(found.root), adapter) or found
    except typer.Abort:  # Ctrl-C, or the end of what is typed
        sys.stderr.write("\n")
        raise UserError("Stopped; nothing was written.") from None
    return found


def _or_why_not(videos: str, adapter: str | None) -> "Proposal | None":
    """What lies there, or nothing once it is said why not."""
    try:
        return _proposal(videos, adapter)
    except UserError as error:
        sentence = str(error).removeprefix("--adapter: ")
        _tell(sentence[:1].upper() + sentence[1:])
    return None


def _as_dropped(typed: str) -> str:
    """A path without what a terminal puts around one that is dropped on it: quotes, or bars before blanks."""
    typed = typed.strip()
    if typed[:1] in ("'", '"') and typed[-1:] == typed[:1]:
        return typed[1:-1]
    return typed.replace("\\ ", " ")


def _tell(sentence: str) -> None:
    out.print(escape(sentence), soft_wrap=True, highlight=False)


@_command(epilog="fer doctor --config study.yaml")
@answering
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
    """Print all settings as a configuration file, which can be changed and given to --config."""
    from tasks.config.resolving import settings_as_yaml

    sys.stdout.write(settings_as_yaml(chosen.settings()))


@_command(epilog="fer sample corpus --subjects 100 --clips 20 --size 640x480")
@answering
def sample(
    folder: Annotated[Path, typer.Argument(parser=from_home, metavar="FOLDER", help="folder to draw it into")] = Path(
        "sample-corpus"
    ),
    subjects: Annotated[int, typer.Option(min=1, help="how many people")] = 32,
    clips: Annotated[int, typer.Option(min=1, help="clips per person")] = 9,
    seconds: Annotated[float, typer.Option(min=0.04, max=3600, help="length of a clip")] = 1.6,
    size: Annotated[str, typer.Option(help="width x height in px, both even")] = "320x240",
    seed: Annotated[int, typer.Option(min=0, help="another number draws other people")] = 7,
    faults: Annotated[bool, typer.Option(help="add a clip without a face, a truncated file and so on")] = True,
    debug: Debug = False,
) -> None:
    """Draw videos of made-up people, to try things with; they are named like those of BAUM-1s."""
    from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
    from tasks.escaping import shortened

    sides = [int(side) for side in size.split("x") if re.fullmatch("[0-9]{2,4}", side)]
    if len(sides) != 2 or len(size.split("x")) != 2 or any(side % 2 or not 64 <= side <= 4096 for side in sides):
        raise UserError(f"--size takes two even numbers from 64 to 4096 such as 320x240, not {shortened(size)}.")
    corpus = SampleCorpus(subjects, clips, seconds, (sides[0], sides[1]), seed=seed, faults=faults)
    drawn = write_corpus(folder, corpus)
    done = f"{drawn} clips drawn, all of them in {folder}." if drawn else f"The corpus in {folder} is complete already."
    out.print(escape(done), soft_wrap=True, highlight=False)
