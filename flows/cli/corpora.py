"""Commands about corpora: which are known, and which one a folder holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from fer_models.errors import UserError
from flows.cli.answers import answering, out
from flows.cli.completion import complete_corpus
from flows.cli.options import Command, Debug, Group, from_home

if TYPE_CHECKING:
    from tasks.corpus.adapters.about import About
    from tasks.corpus.checking import Checked

commands = typer.Typer(
    cls=Group, no_args_is_help=False, help="Corpora that can be read as they are: list them, check a folder."
)


@commands.callback(invoke_without_command=True)
def corpora(context: typer.Context) -> None:
    """List the corpora that can be read as they come, or look which one a folder holds."""
    if context.invoked_subcommand is None:
        _list([])


@commands.command("list", cls=Command, epilog="fer corpora list ravdess dfew")
@answering
def list_corpora(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ADAPTER", help="only these corpora", autocompletion=complete_corpus),
    ] = None,
    debug: Debug = False,
) -> None:
    """List what is known of each: classes, people, size, licence, how to get it, citation, where its files go."""
    _list(names or [])


def _list(names: Sequence[str]) -> None:
    from fer_models.suggest import nearest
    from tasks.corpus.catalogue import known_corpora

    known = known_corpora()
    rows = []
    for name in names or known:
        if name not in known:
            raise UserError(f"There is no corpus {name!r}{nearest(name, known)}; there are {', '.join(known)}.")
        rows.append({"adapter": name, **asdict(known[name])})
        del rows[-1]["signs"]
    out.show("corpora", rows)
    for row in rows:
        out.print(_entry(str(row["adapter"]), known[str(row["adapter"])]), soft_wrap=True, highlight=False)
    num = "1 corpus" if len(rows) == 1 else f"{len(rows)} corpora"
    out.print(f"{num}; `fer corpora check FOLDER` says which one a folder holds.", highlight=False)


def _entry(name: str, about: "About") -> Text:
    lines = (f"\n  {what:<13} {text}" for what, text in _facts(about))
    return Text.assemble((name, "bold"), f"  {about.title}", *lines)


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


@commands.command(
    cls=Command, epilog="fer corpora check /data/RAVDESS  |  fer corpora check /data/RAVDESS /data/CREMA-D"
)
@answering
def check(
    roots: Annotated[list[Path], typer.Argument(help="folder, or several for one study", metavar="FOLDER...")],
    debug: Debug = False,
) -> None:
    """Say which corpus a folder holds, and what is missing or odd; exits with 1 when it is none that is known.

    Of several folders it also writes what a study of all says of them.
    """
    from tasks.corpus.checking import in_one_study

    found = [_check(root) for root in roots]
    out.show("corpora", [_row(checked) for of_root in found for checked in of_root])
    if len(roots) > 1 and all(found):
        out.print("\nFor a study of all of them:\n", highlight=False)
        _say(in_one_study([of_root[0] for of_root in found]))


def _check(root: Path) -> "list[Checked]":
    """What the likeliest adapters make of a folder, once it is told; none for folders of classes."""
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
        _say(f"No corpus that is known, but folders of classes: corpus.adapter {layout}")
        return []
    if len(fits) > 1:
        titles = " or ".join(fit.about.title for fit in fits)
        _say(f"Names do not tell whether this is {titles}.")
    found = [check_corpus(sample, fit) for fit in fits]
    for checked in found:
        _tell(checked)
    layout = "" if any(checked.usable for checked in found) else nobodys_layout(sample, known)
    if layout:
        _say(f"As it lies, nothing of it can be used so, but it has folders of classes: corpus.adapter {layout}")
        return found
    _say(f"Read it with corpus.adapter {' or '.join(fit.adapter for fit in fits)}; `fer init` writes the settings.")
    return found


def _row(checked: "Checked") -> dict[str, Any]:
    """What was found, for programs."""
    return {
        "adapter": checked.fit.adapter,
        "title": checked.fit.about.title,
        "videos": len(checked.videos),
        "usable": len(checked.usable),
        "people": len(checked.people),
        "classes": Counter(one.emotion for one in checked.usable),
        "official_folds": Counter(video.official for video in checked.usable if video.official),
        "oddities": checked.oddities,
    }


def _say(sentence: str) -> None:
    out.print(escape(sentence), soft_wrap=True, highlight=False)


def _tell(checked: "Checked") -> None:
    """The same for people."""
    fit = checked.fit
    out.print(f"[bold]{escape(fit.about.title)}[/]: corpus.adapter {fit.adapter}", highlight=False)
    usable = checked.usable
    classes = ", ".join(f"{word} {count}" for word, count in Counter(one.emotion for one in usable).most_common())
    people = f"{len(checked.people)} people" if checked.people else "nobody named"
    _say(f"  {len(usable)} usable clips, {people}: {classes or 'no class'}")
    folds = Counter(video.official for video in usable if video.official)
    if folds:
        told = ", ".join(f"{name} {count}" for name, count in sorted(folds.items()))
        _say(f"  official folds: {told}")
    for oddity in checked.oddities:
        out.print(f"  [yellow]-[/] {escape(oddity)}", soft_wrap=True, highlight=False)
    if not checked.oddities:
        out.print("  Nothing is missing or odd.", highlight=False)
