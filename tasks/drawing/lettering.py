"""Names of any script and length as one line of a picture."""


def shorten(text: str, most: int) -> str:
    """A text on one line, its middle left out when it is longer than `most` characters."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    half = (most - 1) // 2
    return line if len(line) <= most else f"{line[:half]}…{line[-half:]}"
