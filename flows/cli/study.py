"""Commands that do a study: all of it, or step by step."""

import functools
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.options import Chosen, study_options
from flows.cli.running import out, run_flow, show_results
from flows.environment import check_keras, prepare_environment, silent_imports

commands = typer.Typer()
_command = functools.partial(commands.command, rich_help_panel="A study")


@_command(epilog="fer study --preset sample  |  fer study --preset corrected --set corpus.root=/data/BAUM-1")
@study_options(seeds=True)
def study(chosen: Chosen) -> None:
    """Do it all: prepare, split, train, evaluate, report. What is done is not done again."""
    show_results(run_flow("study", chosen), chosen)


@_command(epilog="fer prepare --set corpus.adapter=folder --set corpus.root=my-videos")
@study_options()
def prepare(chosen: Chosen) -> None:
    """Find faces and optical flow in every video that is new."""
    run_flow("prepare", chosen)


@_command(epilog="fer retry --reason timeout --set execution.timeout_s=3600  |  fer retry --video baum1s/S001_001")
@study_options()
def retry(
    chosen: Chosen,
    reason: Annotated[str | None, typer.Option("--reason", help="only videos with this outcome, e.g. timeout")] = None,
    video: Annotated[list[str] | None, typer.Option("--video", help="only this video; may be given again")] = None,
) -> None:
    """Try failed videos again: those that crashed, hung or could not be read, or those that you name."""
    from tasks.layout import Layout
    from tasks.ledger import read_ledger, select_videos

    layout = Layout.of(chosen.settings())
    videos = select_videos(read_ledger(layout.ledger), reason, video or [])
    if not videos:
        out.print(f"No video ended as {reason}." if reason else "No video crashed, hung or could not be read.")
        return
    run_flow("prepare", chosen, videos=videos)


@_command()
@study_options()
def split(chosen: Chosen) -> None:
    """Give every person one side: train, validation or test."""
    run_flow("split", chosen)


@_command(epilog="fer train --preset corrected --set training.epochs=20 --set 'arms=\\[gap-sum]'")
@study_options(seeds=True)
def train(chosen: Chosen) -> None:
    """Train the arms that are not trained yet."""
    run_flow("train", chosen)


@_command()
@study_options(seeds=True)
def evaluate(chosen: Chosen) -> None:
    """Evaluate the trained arms on the test people, log to MLflow, write the report."""
    show_results(run_flow("evaluate", chosen), chosen)


@_command()
@study_options(seeds=True)
def report(chosen: Chosen) -> None:
    """Write the report of an evaluated study again and print its table."""
    prepare_environment(quiet=not chosen.debug)
    check_keras()
    with silent_imports():
        from tasks.report import write_report
        from tasks.report_input import collect
    from tasks.layout import Layout

    settings = chosen.settings()
    show_results(write_report(collect(settings), Layout.of(settings).report), chosen)


@_command()
@study_options()
def clean(
    chosen: Chosen,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Remove what preparation left that these settings and this corpus do not use."""
    from tasks.layout import Layout
    from tasks.unused import find_unused, remove

    unused = find_unused(Layout.of(chosen.settings()))
    if not unused:
        out.print("There is nothing to remove.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "videos", "MB"):
        table.add_column(name, justify="left" if name == "what" else "right", overflow="fold")
    for item in unused:
        table.add_row(escape(item.description), str(item.num_shards), f"{item.size_bytes / 1e6:.1f}")
    out.print(table)
    if yes or typer.confirm("Remove it?"):
        remove(unused)
        out.print(f"Removed {sum(item.size_bytes for item in unused) / 1e6:.1f} MB.")
