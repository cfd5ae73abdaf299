"""A command in a terminal of its own: what a person who sat before it would see, and could type."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CTRL_C = "\x03"
#: What is done with the cursor or the line; colours are not among it.
_ORDER = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


@dataclass
class Screen:
    """The lines of a terminal that never scrolls, and whether it shows a cursor."""

    columns: int
    lines: list[list[str]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    shows_cursor: bool = True

    def write(self, text: str) -> None:
        """Obey text and orders, as far as progress and prompts need them."""
        while text:
            if order := _ORDER.match(text):
                self._obey(order[1], order[2], order[3])
                text = text[order.end() :]
                continue
            self._put(text[0])
            text = text[1:]

    def _obey(self, private: str, number: str, name: str) -> None:
        if private:
            if number == "25":
                self.shows_cursor = name == "h"
        elif name == "A":
            self.row -= int(number or 1)
        elif name == "K":
            self.lines[self.row] = [] if number == "2" else self.lines[self.row][: self.column]
        else:
            assert name == "m", f"the screen does not know the order {name}"

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
            return
        if sign == "\b":
            self.column -= 1
            return
        if sign == "\n" or self.column == self.columns:
            self.row, self.column = self.row + 1, 0 if sign != "\n" else self.column
            self.lines += [[] for _ in range(self.row + 1 - len(self.lines))]
        if sign != "\n":
            line = self.lines[self.row]
            line += [" "] * (self.column + 1 - len(line))
            line[self.column] = sign
            self.column += 1

    @property
    def text(self) -> list[str]:
        """Its lines, without blanks at their ends and without empty ones."""
        return [line for line in ("".join(one).rstrip() for one in self.lines) if line]


@dataclass(frozen=True)
class Seen:
    """What a command left on its terminal, and its exit code (negative: the signal)."""

    screen: Screen
    raw: str
    code: int


def _hear_the_keyboard() -> None:
    """Let Ctrl-C reach this process, also where the tests run in the background of a shell, which has it ignored."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def in_terminal(
    command: Sequence[str],
    types: Sequence[tuple[str, str]] = (),
    columns: int = 80,
    resize: tuple[str, int] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] = ".",
    timeout_s: float = 45.0,
) -> Seen:
    """Run a command whose standard input, output and error are one terminal.

    Args:
        types: what is typed, each once the text before it has appeared since the last.
        resize: a text, and the columns that the terminal gets once it has appeared.
        env: variables beside those of this process.
    """
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=cwd,
        env={**known, "TERM": "xterm", **(env or {})},
        start_new_session=True,
        preexec_fn=_hear_the_keyboard,
    )
    os.close(inside)
    said, looked = "", 0
    due, end, typed = list(types), time.monotonic() + timeout_s, ""
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 2.0)[0]:
            if typed == CTRL_C:  # between a prompt and the reading of the answer Python does not hear it: press again
                os.write(terminal, CTRL_C.encode())
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the child has gone
            break
        if not data:
            break
        said += data.decode(errors="replace")
        if due and (place := said.find(due[0][0], looked)) >= 0:
            looked = place + len(due[0][0])
            typed = due.pop(0)[1]
            os.write(terminal, typed.encode())
        if resize and resize[0] in said:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, resize[1], 0, 0))
            resize = None
    else:
        process.kill()
    os.close(terminal)
    code = process.wait()
    screen = Screen(columns)
    screen.write(said)
    return Seen(screen, said, code)
