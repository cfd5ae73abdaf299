"""Names of people that are written differently and may still mean one person."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_WORD_OR_NUMBER = re.compile(r"[^\W\d_]+|\d+")


def name_key(subject: str) -> tuple[str, ...]:
    """What is left of a name without case, accents, separators and leading zeros: `S_001`, `s01` and `S1` are one.

    The order of words does not count (`John_Smith`, `smith-john`) unless there is a number: `s1_t2` is not `s2_t1`.
    """
    plain = unicodedata.normalize("NFKD", subject.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    parts = [part.lstrip("0") or "0" if part.isdecimal() else part for part in _WORD_OR_NUMBER.findall(plain)]
    return tuple(parts if any(part.isdecimal() for part in parts) else sorted(parts))


def look_alikes(subjects: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more different names with one key, each sorted; names without a letter or digit are left out."""
    by_key: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for subject in subjects:
        by_key[name_key(subject)].add(subject)
    return sorted(tuple(sorted(names)) for key, names in by_key.items() if key and len(names) > 1)
