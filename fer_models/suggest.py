"""Names the nearest valid word to a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches

#: A longer word is nobody's slip, and would take long to compare.
_MOST_SIGNS = 100


def nearest(word: str, valid: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the closest valid word, else an empty string."""
    if len(word) > _MOST_SIGNS:
        return ""
    close = get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
