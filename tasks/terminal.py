"""A terminal that shows names as they are and obeys nothing in them."""

import os
import threading
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from tasks.escaping import visible

#: Characters in a line of what is no terminal: enough for any table, so that no path in it is cut.
_NO_END = 100_000


class Terminal(Console):
    """A console whose texts cannot move the cursor or turn the direction of writing.

    Written into a file or a pipe, lines are as long as they are, unless the environment names `COLUMNS`. Threads print
    one after another: what is drawn again and again, such as a bar, must know where the cursor is.
    """

    def __init__(self, **options: Any) -> None:
        """See `Console`."""
        super().__init__(**options)
        if not self.is_terminal and not os.environ.get("COLUMNS"):
            self.width = _NO_END
        self.turn = threading.RLock()

    def print(self, *objects: Any, **named: Any) -> None:
        """See `Console.print`."""
        with self.turn:
            super().print(*objects, **named)

    def render(self, *arguments: Any, **named: Any) -> Iterable[Segment]:
        """See `Console.render`."""
        for segment in super().render(*arguments, **named):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
