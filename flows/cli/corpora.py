"""Commands about corpora: which are known, and which one a folder holds."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fer_models.errors import UserError
from flows.cli.options import Debug, from_home
from flows.cli.running import out

if TYPE_CHECKING:
    from tasks.corpus.adapters.about import About
    from tasks.corpus.checking import Checked

commands = typer.Typer(no_args_is_help=False, help="Corpora that can be read as they are: list them, check a folder.")


@commands.callback(invoke_without_command=True)
def corpora(context: typer.Context) -> None:
    """List the corpora that can be read as they come, or look which one a folder holds."""
    if context.invoked_subcommand is None:
        list_corpora()


@commands.command("list", epilog="fer corpora list ravdess dfew")
def list_corpora(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ADAPTER]...", help="only these")] = None,
    debug: Debug = False,
) -> None:
    """List them: classes, people, size, licence, how to get them, citation, where files go, what was tried."""
    from fer_models.suggest import nearest
    from tasks.corpus.catalogue import known_corpora

    known = known_corpora()
    for name in names or known:
        if name not in known:
            raise UserError(f"There is no corpus {name!r}{nearest(name, known)}; there are {', '.join(known)}.")
        out.print(f"[bold]{name}[/]  {escape(known[name].title)}", highlight=False)
        for what, text in _facts(known[name]):
            out.print(f"  {what:<13} {escape(text)}", soft_wrap=True, highlight=False)


def _facts(about: "About") -> list[tuple[str, str]]:
    first, *others = about.layout
    return [
        ("classes", ", ".join(about.classes)),
        ("size", about.size),
        ("licence", about.licence),
        ("get it", about.ask),
        ("cite", about.citation),
        ("files", first),
        *(("", line) for line in others),
        ("folds", about.folds),
        ("tried on", about.verified),
        *([("not confirmed", about.unconfirmed)] if about.unconfirmed else []),
    ]


@commands.command(epilog="fer corpora check /data/RAVDESS  |  fer corpora check /data/RAVDESS /data/CREMA-D")
def check(
    roots: Annotated[list[Path], typer.Argument(help="folder, or several for one study", metavar="ROOT...")],
    debug: Debug = False,
) -> None:
    """Say which corpus a folder holds, and what is missing or odd; exits with 1 when it is none that is known.

    Of several folders it also writes what a study of all says of them.
    """
    from tasks.corpus.checking import in_one_study

    found = [one for root in roots if (one := _check(root))]
    if len(roots) > 1 and len(found) == len(roots):
        out.print("\nFor a study of all of them:\n", highlight=False)
        out.print(escape(in_one_study(found)), soft_wrap=True, highlight=False)


def _check(root: Path) -> "Checked | None":
    """What the likeliest adapter makes of a folder, once it is told; None for folders of classes."""
    from tasks.corpus.catalogue import known_corpora
    from tasks.corpus.checking import check_corpus
    from tasks.corpus.recognising import look_at, nobodys_layout, recognise

    sample, known = look_at(from_home(root)), known_corpora()
    fits = recognise(sample, known)
    if not fits:
        layout = nobodys_layout(sample, known)
        if not layout:
            raise UserError(
                f"{str(root)!r} holds no corpus that is known ({len(sample.files)} videos and images were looked at); "
                "`fer corpora` shows the layouts, and a table of your own (corpus.adapter table) reads any."
            )
        out.print(
            f"No corpus that is known, but folders of classes: corpus.adapter {layout}", soft_wrap=True, highlight=False
        )
        return None
    if len(fits) > 1:
        titles = " or ".join(fit.about.title for fit in fits)
        out.print(f"Names do not tell whether this is {titles}.", soft_wrap=True, highlight=False)
    found = [check_corpus(sample, fit) for fit in fits]
    for one in found:
        _show(one)
    return found[0]


def _show(checked: "Checked") -> None:
    fit = checked.fit
    out.print(f"[bold]{escape(fit.about.title)}[/]: corpus.adapter {fit.adapter}", highlight=False)
    usable = checked.usable
    classes = ", ".join(f"{word} {count}" for word, count in Counter(one.emotion for one in usable).most_common())
    people = f"{len(checked.people)} people" if checked.people else "nobody named"
    out.print(f"  {len(usable)} usable clips, {people}: {classes or 'no class'}", soft_wrap=True, highlight=False)
    folds = Counter(video.official for video in usable if video.official)
    if folds:
        told = ", ".join(f"{name} {count}" for name, count in sorted(folds.items()))
        out.print(f"  official folds: {escape(told)}", soft_wrap=True, highlight=False)
    for oddity in checked.oddities:
        out.print(f"  [yellow]-[/] {escape(oddity)}", soft_wrap=True, highlight=False)
    if not checked.oddities:
        out.print("  Nothing is missing or odd.", highlight=False)
