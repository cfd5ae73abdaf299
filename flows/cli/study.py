"""Commands that do a study: all of it, or step by step."""

import functools
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import answering, out
from flows.cli.completion import complete_reason
from flows.cli.options import Chosen, Command, study_options
from flows.cli.running import run_flow, show_results
from flows.environment import check_keras, prepare_environment, silent_imports

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="A study")


@_command(epilog="fer study --preset sample  |  fer study --preset corrected --set corpus.root=/data/BAUM-1")
@answering
@study_options(seeds=True)
def study(
    chosen: Chosen,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check and say what would be done, and do nothing")
    ] = False,
) -> None:
    """Run all steps: prepare, split, train, evaluate, report. Finished work is not repeated."""
    if dry_run:
        prepare_environment(quiet=not chosen.debug)
        check_keras()
        with silent_imports():
            from flows.dry_run import print_plan
        print_plan(chosen.settings(), out)
        return
    show_results(run_flow("study", chosen), chosen)


@_command(epilog="fer prepare --set corpus.adapter=folder --set corpus.root=my-videos")
@answering
@study_options()
def prepare(chosen: Chosen) -> None:
    """Find faces and optical flow in every video that is new."""
    run_flow("prepare", chosen)


@_command()
@answering
@study_options()
def split(chosen: Chosen) -> None:
    """Assign every person to one subset: train, validation or test."""
    run_flow("split", chosen)


@_command(epilog="fer train --preset corrected --set training.epochs=20 --set 'arms=\\[gap-sum]'")
@answering
@study_options(seeds=True)
def train(
    chosen: Chosen,
    fold: Annotated[str, typer.Option("--fold", help="only the runs of this fold, by its name in the split")] = "",
) -> None:
    """Train the models (arms) that are not trained yet."""
    run_flow("train", chosen, fold=fold)


@_command()
@answering
@study_options(seeds=True)
def evaluate(chosen: Chosen) -> None:
    """Try the trained models (arms) on the test people, compare them, write the report; all of it goes to MLflow."""
    show_results(run_flow("evaluate", chosen), chosen)


@_command()
@answering
@study_options(seeds=True)
def report(chosen: Chosen) -> None:
    """Write the report of an evaluated study again and print its table."""
    prepare_environment(quiet=not chosen.debug)
    check_keras()
    with silent_imports():
        from tasks.report.input import collect
        from tasks.report.writing import write_report
    from tasks.config.layout import Layout
    from tasks.preparation.in_use import using_shards

    settings = chosen.settings()
    source = collect(settings)
    with using_shards(settings, "report"):
        written = write_report(source, Layout.of(settings).report)
    show_results(written, chosen)


@_command(epilog="fer retry --reason timeout --set execution.timeout_s=3600  |  fer retry --video baum1s/S001_001")
@answering
@study_options()
def retry(
    chosen: Chosen,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="only videos with this outcome, e.g. timeout", autocompletion=complete_reason),
    ] = None,
    video: Annotated[
        list[str] | None, typer.Option("--video", help="only this video, by its id or SHA-256; may be given again")
    ] = None,
) -> None:
    """Try failed videos again: those that crashed, hung, could not be read or were not begun, or those you name."""
    from tasks.config.layout import Layout
    from tasks.preparation.ledger import read_ledger, select_videos

    settings = chosen.settings()
    ledger = read_ledger(Layout.of(settings).ledger, settings.corpus.emotions)
    videos = select_videos(ledger, reason, video or [])
    if not videos:
        out.print(f"No video ended as {reason}." if reason else "No video crashed, hung or could not be read.")
        return
    run_flow("prepare", chosen, videos=videos)


@_command()
@answering
@study_options()
def clean(
    chosen: Chosen,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Remove prepared files that these settings and this corpus do not need and no running study uses."""
    from tasks.config.layout import Layout
    from tasks.dataset.frame_store import unused_stores
    from tasks.preparation.cleanup import find_unused, remove, users_of
    from tasks.storage.locations import as_remote

    layout = Layout.of(chosen.settings())
    found = [*find_unused(layout), *unused_stores(layout)]
    unused = [item for item in found if not _say_users(item.description, users_of(item, layout))]
    if as_remote(layout.root):
        out.print("Runs on other machines cannot be seen from here: make sure that there are none.")
    if not unused:
        out.print("There is nothing else to remove." if found else "There is nothing to remove.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "videos", "MB"):
        table.add_column(name, justify="left" if name == "what" else "right", overflow="fold")
    for item in unused:
        table.add_row(escape(item.description), str(item.num_shards), f"{item.size_bytes / 1e6:.1f}")
    rows = [{"what": item.description, "videos": item.num_shards, "size_bytes": item.size_bytes} for item in unused]
    out.show("unused", rows, table)
    if yes or (out.shows and typer.confirm("Remove it?")):
        removed = remove(unused, layout)
        for item in unused:
            if item not in removed:
                _say_users(item.description, users_of(item, layout))
        out.print(f"Removed {sum(item.size_bytes for item in removed) / 1e6:.1f} MB.")
    else:
        out.print("Nothing was removed; --yes removes it.")


def _say_users(what: str, users: list[str]) -> bool:
    """Say who uses something that could else be removed; returns whether anybody does."""
    for user in users:
        out.print(escape(f"{what}: kept, because {user}."), soft_wrap=True, highlight=False)
    return bool(users)
