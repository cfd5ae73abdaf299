"""Progress of anything that takes longer than two seconds: bars in a terminal, a line now and then elsewhere.

Both go to standard error. A job inside a job has a bar of its own, below that of the outer one while it goes on, and
counts as a part of the outer one's present item. What is printed meanwhile appears above the bars.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.escaping import visible
from tasks.terminal import Terminal

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL_S = 10.0
#: Cells of a bar and of what stands before it, where the terminal has room.
_BAR, _NAME = 24, 28
#: A bar of fewer cells shows nothing.
_LEAST_BAR = 6
#: Seconds from one drawing of the bars to the next.
_DRAW_S = 0.25
#: Shows the cursor again, which is hidden while there are bars.
_SHOW_CURSOR = b"\x1b[?25h"

console = Terminal(stderr=True)
#: For those who collect logs, such as Prefect on a worker (`PREFECT_LOGGING_EXTRA_LOGGERS=fer`); nobody else shows it.
_log = logging.getLogger("fer")
_log.setLevel(logging.INFO)
_log.propagate = False

Advance = Callable[[str], None]
#: Bars where that can be; lines whatever it is; nothing, not even what `echo` says.
Style = Literal["bars", "lines", "nothing"]

_style: Style = "bars"
#: What is said goes in here while there is such a list; see `collected`.
_collected: list[str] | None = None
#: The last line that was said, if there is one; it is the result of commands that print none.
_said: deque[str] = deque(maxlen=1)


@contextmanager
def progress(description: str, total: int, done: int = 0, sizes: Sequence[float] = ()) -> Iterator[Advance]:
    """Show how far a job is; the block calls what it is given once an item, with a short note (or an empty one).

    Args:
        total, done: items of the whole job, and those that were done before.
        sizes: how much work each item is, in any unit, in the order in which they are done; equally much if not given.
    """
    if _collected is not None or _style == "nothing":
        yield lambda note: None
        return
    job = _Job(description, total, done, sizes)
    with (_bars if _draws_bars() else _lines)(job):
        yield job.advance


def set_style(style: Style) -> None:
    """Choose how progress is shown from now on, and forget what was said."""
    global _style
    _style = style
    _said.clear()


def last_said() -> str:
    """The last line of `echo` since the style was chosen, shown or not; empty if there is none."""
    return _said[-1] if _said else ""


@contextmanager
def collected() -> Iterator[list[str]]:
    """Keep the lines that are said in the block for the caller instead of printing them; show no progress."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


def echo(message: str) -> None:
    """One line for users, on standard error; and for those who collect logs, such as Prefect on a worker."""
    if _collected is not None:
        _collected.append(message)
        return
    _log.info(visible(message))
    _said.append(message)
    if _style == "nothing":
        return
    with suppress(BrokenPipeError):  # whoever read this has gone; the work goes on
        console.print(message, highlight=False, markup=False, soft_wrap=True)
        sys.stderr.flush()


def last_words(sentence: str) -> None:
    """Say something before the process leaves at once, from a signal handler too; a hidden cursor is shown again."""
    before = _SHOW_CURSOR + b"\n" if _shown.live else b"\n" if os.isatty(2) else b""
    with suppress(OSError):
        os.write(2, before + f"{sentence}\n".encode(errors="backslashreplace"))


@dataclass(eq=False)
class _Job:
    """A job that is shown.

    Args:
        inner: how much of the present item is done, 0 to 1, as far as a job inside this one tells.
        outer: the job that this one is a part of.
        tell: called after each item.
    """

    description: str
    total: int
    done: int
    sizes: Sequence[float] = ()
    note: str = ""
    inner: float = 0.0
    outer: "_Job | None" = None
    tell: Callable[[], None] = lambda: None
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.sums = [0.0, *accumulate(self.sizes)]
        self.changed, self.first = self.begun, self.share

    def advance(self, note: str) -> None:
        """An item is done."""
        self.done += 1
        self.inner, self.note = 0.0, note
        self.touch()
        self.tell()

    def touch(self) -> None:
        """Something was done, which is a part of the outer job too."""
        self.changed = time.monotonic()
        if self.outer:
            self.outer.inner = self.share
            self.outer.touch()

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        if self.done >= self.total:
            return 1.0
        if not self.sizes:
            return (self.done + self.inner) / self.total
        return (self.sums[self.done] + self.inner * self.sizes[self.done]) / (self.sums[-1] or 1)

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self.begun

    @property
    def left_s(self) -> float | None:
        """Seconds that it will still take if it goes on as before; None while nobody can tell, or it is done."""
        new = self.share - self.first
        if new <= 0 or self.done >= self.total:
            return None
        took = self.changed - self.begun
        return max(took * (1 - self.share) / new - (time.monotonic() - self.changed), 0)


def _draws_bars() -> bool:
    """Whether standard error is a terminal that can draw again what it has drawn, whatever the environment says."""
    return _style == "bars" and console.is_interactive and console.file.isatty()


@contextmanager
def _lines(job: _Job) -> Iterator[None]:
    last = job.begun

    def tell() -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_INTERVAL_S and job.done < job.total:
            last = time.monotonic()
            left = f", about {in_words(job.left_s)} left" if job.left_s is not None else ""
            echo(f"{job.description}: {job.done} of {job.total}{left}  {job.note}".rstrip())

    job.tell = tell
    yield
    echo(f"{job.description}: {job.done} of {job.total} in {job.seconds:.1f} s {job.note}".rstrip())


def in_words(seconds: float) -> str:
    """A time as one says it: 40 s, 5 min, 2 h 10 min."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours = f"{minutes // 60} h" if minutes >= 60 else ""
    return " ".join(filter(None, (hours, f"{minutes % 60} min" if minutes % 60 else "")))


class _Shown:
    """The bars on the terminal: one display for all, which is there while there are jobs.

    Rich would draw it in a thread that does not wait for the lines of other threads, and so wipe some of them away;
    here whoever draws or prints waits for `console.turn`.
    """

    def __init__(self) -> None:
        self.jobs: list[_Job] = []
        self.live: Live | None = None
        self._handlers: list[tuple[logging.StreamHandler, object]] = []
        self._is_over = threading.Event()

    def __rich__(self) -> RenderableType:
        return Group(*map(_Row, self.jobs))

    def add(self, job: _Job) -> None:
        """Show one more bar."""
        with console.turn:
            if self.jobs:
                job.outer = self.jobs[-1]
                job.outer.inner = 0.0  # an item may have several parts: what counts is the last one
            self.jobs.append(job)
            if self.live is None:
                self._start()

    def remove(self, job: _Job) -> None:
        """Leave the bar of a job as it is: above the others, or, if it was the last one, for good."""
        with console.turn:
            if len(self.jobs) == 1:
                self._stop()
            self.jobs.remove(job)
            if self.jobs:
                console.print(_Row(job))

    def _start(self) -> None:
        errors = sys.stderr
        self.live = Live(
            self,
            console=console,
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),  # what goes into a file does not belong on the terminal
            vertical_overflow="visible",
        )
        self.live.start(refresh=True)
        self._lead_logs(errors)
        self._is_over = threading.Event()
        threading.Thread(target=self._draw, args=(self.live, self._is_over), daemon=True).start()

    def _draw(self, live: Live, is_over: threading.Event) -> None:
        while not is_over.wait(_DRAW_S):
            with console.turn:
                if not is_over.is_set():
                    live.refresh()

    def _stop(self) -> None:
        assert self.live
        self._is_over.set()
        self.live.stop()
        self.live = None
        for handler, stream in self._handlers:
            handler.setStream(stream)
        self._handlers = []

    def _lead_logs(self, errors: object) -> None:
        """Log lines that go to standard error go above the bars as well."""
        loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
        for handler in {one for logger in loggers for one in logger.handlers}:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (errors, sys.__stderr__):
                self._handlers.append((handler, handler.stream))
                handler.setStream(sys.stderr)


_shown = _Shown()


@contextmanager
def _bars(job: _Job) -> Iterator[None]:
    _shown.add(job)
    try:
        yield
    finally:
        _shown.remove(job)


class _Row:
    """One line: what, a bar, how many, how long, and the note, as far as there is room."""

    def __init__(self, job: _Job) -> None:
        self.job = job

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        job, room = self.job, options.max_width - 1
        left = job.left_s
        times = f"{job.done}/{job.total} {_clock(job.seconds)}" + (f", {_clock(left)} left" if left is not None else "")
        name = visible(job.description)
        width = min(max(_NAME, cell_len(name)), max(room - cell_len(times) - 2 - _LEAST_BAR, 0))
        bar = min(_BAR, room - cell_len(times) - width - 2)
        row = Table.grid(padding=(0, 1, 0, 0))
        cells: list[RenderableType] = [Text(set_cell_size(name, width), no_wrap=True)] if width else []
        if bar >= _LEAST_BAR:
            cells.append(ProgressBar(total=1.0, completed=job.share, width=bar))
        cells.append(Text(times, no_wrap=True, overflow="crop"))
        rest = room - width - bar - cell_len(times) - 3
        if job.note and rest > 0:
            cells.append(Text(set_cell_size(visible(job.note), min(rest, cell_len(job.note))), "dim", no_wrap=True))
        row.add_row(*cells)
        yield row


def _clock(seconds: float) -> str:
    """A time as a clock shows it."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
