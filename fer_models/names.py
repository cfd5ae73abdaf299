"""Names of subjects and classes as users type them, in one spelling each. Every name enters through `plain_name`."""

import re
import unicodedata

#: Signs that show nothing though Unicode counts them as letters, marks or symbols: fillers, variation selectors, ...
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_EMPTY_BRAILLE = "\u2800"
_WHOLE_NUMBER = re.compile(r"(\d{1,18})(?:[.,]0{1,2}|\.0{4,})?")  # not `1,000` and `1.000`: may be a thousand


def plain_name(raw: str) -> str:
    """A name without what cannot be seen: two that look the same on the screen are the same afterwards.

    Composed letters (Unicode NFKC, which also takes full-width letters and ligatures for plain ones), no control,
    zero-width, direction or other invisible signs, single blanks and none at the ends. Letter case and accents stay.
    """
    if raw.isascii() and raw.isprintable():
        return " ".join(raw.split())
    letters = unicodedata.normalize("NFKC", raw.replace(_EMPTY_BRAILLE, " "))
    seen = "".join(letter for letter in letters if not _is_unseen(letter))
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def composed(text: str) -> str:
    """A text with composed letters and nothing else changed: for what names a file, which must stay what it is."""
    return unicodedata.normalize("NFC", text)


def whole_number(name: str) -> int | None:
    """The value of a plain name that is a whole number, as spreadsheets write them too (`7`, `007`, `7.0`)."""
    match = _WHOLE_NUMBER.fullmatch(name)
    return int(match[1]) if match else None


def _is_unseen(letter: str) -> bool:
    hidden = unicodedata.category(letter) in ("Cc", "Cf") or _UNSEEN.match(letter)
    return bool(hidden) and not letter.isspace()
