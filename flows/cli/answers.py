"""What a command says on standard output: all of it for people, its last line alone (`--quiet`), or JSON (`--json`).

Every command prints on `out`: sentences with `out.print`, tables with `out.show`. Nothing else decides how they appear.
"""

import functools
import inspect
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Annotated, Any

import typer
from rich.text import Text

from fer_models.errors import FerError

try:
    from tasks import progress
    from tasks.escaping import visible
    from tasks.terminal import Terminal
except ImportError:  # another package hides ours, which `prepare_environment` says
    from rich.console import Console as Terminal  # type: ignore[assignment]

    progress, visible = None, str  # type: ignore[assignment]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="show nothing but errors and the last line of the result")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON; progress still goes to standard error")]

Rows = Sequence[Mapping[str, Any]]
_Command = Callable[..., None]


class Answers(Terminal):
    """The console that commands print their results on."""

    def __init__(self, **options: Any) -> None:
        """Of standard output; options as of `Console`."""
        super().__init__(**options)
        self.shows = True
        self._sentences: list[str] = []
        self._tables: dict[str, Rows] = {}

    def print(self, *objects: Any, **named: Any) -> None:
        """A sentence, in Rich's markup; arguments as of `Console.print`."""
        self._sentences += [Text.from_markup(one).plain.strip() for one in objects if isinstance(one, str)]
        if self.shows:
            super().print(*objects, **named)

    def remark(self, sentence: str, **named: Any) -> None:
        """A sentence that is not the result, though it may be the last one."""
        self.print(sentence, **named)
        self._sentences.insert(0, self._sentences.pop())

    def show(self, name: str, rows: Rows, *tables: Any) -> None:
        """A table: as people see it, and the rows that it is of.

        Args:
            name: of the table in JSON.
            rows: with the same keys each: plain values, such as JSON has, and times as text.
            tables: what is printed, if that is not done elsewhere.
        """
        self._tables[name] = rows
        if self.shows and tables:
            super().print(*tables)

    @contextmanager
    def answering(self, command: str, quiet: bool, as_json: bool) -> Iterator[None]:
        """What the block prints, in the form that was asked for, which appears when it has ended.

        Args:
            command: its name, as it was called.
        """
        self.shows, self._sentences, self._tables = not (quiet or as_json), [], {}
        end: dict[str, Any] = {"command": command, "ok": True, "error": None}
        try:
            with redirect_stdout(sys.stderr) if as_json else nullcontext():
                yield
        except FerError as error:
            end |= {"ok": False, "error": str(error)}
            raise
        except typer.Exit as leaving:
            end["ok"] = not leaving.exit_code
            raise
        except BaseException:
            quiet = as_json = False  # of an accident there is nothing to tell
            raise
        finally:
            self.shows = True
            said = self._sentences or ([progress.last_said()] if progress and progress.last_said() else [])
            if as_json:
                self._write_json(end, said)
            elif quiet and said and not end["error"]:
                sys.stdout.write(f"{visible(said[-1])}\n")

    def _write_json(self, end: dict[str, Any], said: Sequence[str]) -> None:
        num_results = 0 if end["error"] else 1
        notes, result = list(said[: len(said) - num_results]), said[-1] if said and num_results else None
        tables = {name: list(map(_plain, rows)) for name, rows in self._tables.items()}
        text = json.dumps(end | {"result": result, "notes": notes, "tables": tables}, indent=2)
        sys.stdout.write(f"{text}\n")


out = Answers()


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is no number is null there."""
    if hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def answering(command: _Command) -> _Command:
    """Give a command `--quiet` and `--json`, after its own options."""
    own = list(inspect.signature(command).parameters.values())
    new = [
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet),
        inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
    ]

    @functools.wraps(command)
    def with_answers(*, quiet: bool, as_json: bool, context: typer.Context, **given: Any) -> None:
        is_debug = bool(given.get("debug"))
        if progress:
            progress.set_style("nothing" if quiet else "lines" if is_debug else "bars")
        try:
            with out.answering(context.command_path.partition(" ")[2], quiet, as_json):
                command(**given)
        finally:
            if progress:
                progress.set_style("bars")

    with_answers.__signature__ = inspect.Signature([*own, *new])  # type: ignore[attr-defined]
    return with_answers
