"""Names of subjects: which are one and the same, and which are written differently and may still mean one subject."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

import pandas as pd

from fer_models.names import plain_name, whole_number
from tasks.progress import echo

_WORD_OR_NUMBER = re.compile(r"[^\W\d_]+|\d+")
#: Letters of other alphabets that look like Latin ones, and those that no accent can be taken from; in lower case.
_LOOKS_LIKE = str.maketrans("авекмнорстухіјѕαβεζηικμνορτυχøłđħŧı", "abekmhopctyxijsabezhikmnoptyxoldhti")
_MOST_NAMED = 5


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Each of these names in the one spelling that it has among them.

    That is the plain name; when all are whole numbers, those of one value are one subject: `1`, `01` and `1.0`. A
    number that is always written in one way keeps its zeros.
    """
    plain = {name: plain_name(name) for name in set(names)}
    numbers = {name: whole_number(name) for name in set(plain.values()) if name}
    if None in numbers.values():
        return plain
    spellings = Counter(numbers.values())
    by_value = {
        name: name if name.isdecimal() and spellings[number] == 1 else str(number) for name, number in numbers.items()
    }
    return {raw: by_value.get(name, name) for raw, name in plain.items()}


def name_key(subject: str) -> tuple[str, ...]:
    """What is left of a name without case, accents, separators and leading zeros: `S_001`, `s01` and `S1` are one.

    Letters that look alike in Latin, Cyrillic and Greek are one, and so are `1` and `1.0`.

    The order of words does not count (`John_Smith`, `smith-john`) unless there is a number: `s1_t2` is not `s2_t1`.
    """
    number = whole_number(subject)
    plain = unicodedata.normalize("NFKD", subject.casefold() if number is None else str(number))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_LOOKS_LIKE)
    parts = [part.lstrip("0") or "0" if part.isdecimal() else part for part in _WORD_OR_NUMBER.findall(plain)]
    return tuple(parts if any(part.isdecimal() for part in parts) else sorted(parts))


def look_alikes(subjects: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more different names with one key, each sorted; names without a letter or digit are left out."""
    by_key: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for subject in subjects:
        by_key[name_key(subject)].add(subject)
    return sorted(tuple(sorted(names)) for key, names in by_key.items() if key and len(names) > 1)


def echo_look_alikes(videos: pd.DataFrame) -> None:
    """Say which names may mean one subject, those in two subsets first.

    Args:
        videos: one or more rows a subject, with `subject`; those of a split also with `fold` and `side`.
    """
    sides: dict[str, set[tuple[int, str]]] = defaultdict(set)
    if "side" in videos:
        for subject, fold, side in videos[["subject", "fold", "side"]].drop_duplicates().itertuples(index=False):
            sides[subject].add((fold, side))
    told = []
    for names in look_alikes(name for name in videos["subject"].unique() if name):
        taken = set().union(*(sides[name] for name in names))
        apart = len(taken) > len({fold for fold, _ in taken})
        told.append((not apart, " and ".join(map(repr, names)) + (" (in two subsets)" if apart else "")))
    if told:
        listed = "; ".join(what for _, what in sorted(told)[:_MOST_NAMED])
        more = f"; and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
        echo(
            f"These names may mean one person: {listed}{more}. If they do, write the name in one way in the corpus, or "
            "the person can be tested after being trained on; `fer audit` compares the faces."
        )
