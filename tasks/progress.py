"""Progress of anything that takes longer than two seconds: a bar in a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tasks.escaping import visible
from tasks.terminal import Terminal

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL_S = 10.0

console = Terminal(stderr=True)
#: For those who collect logs, such as Prefect on a worker (`PREFECT_LOGGING_EXTRA_LOGGERS=fer`); nobody else shows it.
_log = logging.getLogger("fer")
_log.setLevel(logging.INFO)
_log.propagate = False

Advance = Callable[[str], None]

#: What is said goes in here while there is such a list; see `collected`.
_collected: list[str] | None = None


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show how far a job is; the block calls what it is given once an item, with a short note (or an empty one)."""
    if _collected is not None:
        yield lambda note: None
        return
    show = _bar if console.is_terminal else _lines
    with show(description, total, done) as advance:
        yield advance


@contextmanager
def collected() -> Iterator[list[str]]:
    """Keep the lines that are said in the block for the caller instead of printing them; show no progress."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


@contextmanager
def _bar(description: str, total: int, done: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, completed=done, note="")
        yield lambda note: bar.update(task, advance=1, note=note)


@contextmanager
def _lines(description: str, total: int, done: int) -> Iterator[Advance]:
    start = last = time.monotonic()
    last_note = ""

    def advance(note: str) -> None:
        nonlocal done, last, last_note
        done += 1
        last_note = note
        if time.monotonic() - last >= LINE_INTERVAL_S and done < total:
            last = time.monotonic()
            echo(f"{description}: {done} of {total} {note}".rstrip())

    yield advance
    echo(f"{description}: {done} of {total} in {time.monotonic() - start:.1f} s {last_note}".rstrip())


def echo(message: str) -> None:
    """One line for users, on standard error; and for those who collect logs, such as Prefect on a worker."""
    if _collected is not None:
        _collected.append(message)
        return
    _log.info(visible(message))
    with suppress(BrokenPipeError):  # whoever read this has gone; the work goes on
        console.print(message, highlight=False, markup=False, soft_wrap=True)
        sys.stderr.flush()
