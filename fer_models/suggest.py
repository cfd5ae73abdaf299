"""Names the nearest valid word to a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, valid: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the closest valid word, else an empty string."""
    close = get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
