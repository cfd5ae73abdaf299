"""Names and messages, which may hold any sign, as plain text of the terminal, of Markdown and of LaTeX.

HTML is escaped by its templates.
"""

import re

#: What moves the cursor, turns the direction of the text or cannot be written; line feeds and tabs are left.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Of a value in a message.
_MOST_SIGNS = 100
_MARKDOWN = {ord(sign): f"\\{sign}" for sign in "\\`*_[]|~#$"}
_MARKDOWN |= {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;"}
#: What Markdown takes for more than itself: in a line, and at its beginning.
_CHANGED = re.compile(
    r"`.*`|\*.*\*|~.*~|(?<!\w)_.*_(?!\w)|<[A-Za-z/!?]|\]\(|&#?\w+;|\\[!-/:-@\[-`{-~]"
    r"|^(?:#{1,6}|[+-]|\d+[.)])(?:\s|$)|^>|^[=-]+$"
)
#: Where a backslash goes then: before signs, and before the dot or bracket after a number that would begin a list.
_ESCAPE_AT = re.compile(r"^(\d+)(?=[.)])|(?=[\\`*_\[\]<>&|~#+=-])")
_LATEX = {ord(sign): f"\\{sign}" for sign in "&%$#_{}"} | {ord("±"): r"$\pm$"}
_LATEX |= {ord("\\"): r"\textbackslash{}", ord("~"): r"\textasciitilde{}", ord("^"): r"\textasciicircum{}"}
_LATEX |= {ord("<"): r"\textless{}", ord(">"): r"\textgreater{}", ord("|"): r"\textbar{}"}


def visible(text: str) -> str:
    """A text without what a terminal or a log would obey: each such sign is shown as one that stands for it."""
    return _INVISIBLE.sub("\ufffd", text)


def shortened(value: object) -> str:
    """A value as Python spells it, in a few words however long it is; for messages about what a user gave."""
    text = repr(value)
    return text if len(text) <= _MOST_SIGNS else f"{text[: _MOST_SIGNS - 4]}...{text[-1]}"


def markdown(text: object) -> str:
    """A text as one line of Markdown that shows it, in a table too."""
    return _one_line(text).translate(_MARKDOWN)


def markdown_cell(text: object) -> str:
    """A text as the cell of a table that some programs show as Markdown and others as it is, such as Prefect's pages.

    It is escaped only where Markdown would change it, so that most names are right in both.
    """
    line = _one_line(text)
    return _ESCAPE_AT.sub(r"\1\\", line) if _CHANGED.search(line) else line


def latex(text: object) -> str:
    """A text as one line of LaTeX that prints it."""
    return _one_line(text).translate(_LATEX)


def fenced(text: str, language: str) -> str:
    """A block of code in Markdown, whatever it holds."""
    fence = "`" * max([2, *map(len, re.findall("`+", text))]) + "`"
    return f"{fence}{language}\n{text}{fence}"


def _one_line(text: object) -> str:
    return visible(" ".join(str(text).split()))
