"""A terminal that shows names as they are and obeys nothing in them."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from tasks.escaping import visible


class Terminal(Console):
    """A console whose texts cannot move the cursor or turn the direction of writing."""

    def render(self, *arguments: Any, **named: Any) -> Iterable[Segment]:
        """See `Console.render`."""
        for segment in super().render(*arguments, **named):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
