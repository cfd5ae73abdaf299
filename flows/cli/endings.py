"""How a command ends that could not do its work: one sentence, exit code 1, and a stack trace only for who asks."""

import errno
import os
import sys
import tempfile
import traceback
from typing import NoReturn

from rich.markup import escape

from fer_models.errors import FerError
from flows.cli.answers import Terminal

#: What to do about a fault that the system told, by its number.
_REMEDIES = {
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "let this user read and write there, or name another place"
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV),
        "check the disk or the share, then run the same command again",
    ),
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.ELOOP), "move away what stands in its place"),
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "put it back, or run the same command again if something else was at work there",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
}


def end_with(error: Exception) -> NoReturn:
    """Say in one sentence what went wrong, and leave; with `--debug` the stack trace goes before it."""
    is_debug = "--debug" in sys.argv
    if is_debug:
        sys.stderr.write(_shown(_trace(error)))
    if isinstance(error, FerError):
        _complain(str(error))
    if isinstance(error, OSError) and (error.filename or error.errno):
        remedy = _REMEDIES.get(error.errno or 0)
        what = f"{error.filename or 'A file'}: {error.strerror or error}"
        _complain(f"{what}; {remedy}." if remedy else f"{what}.")
    _complain(_unforeseen(error, is_debug))


def _unforeseen(error: Exception, is_debug: bool) -> str:
    """A sentence about a bug, of this project or of a package that it uses."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".: ")
    report = "please report it, with the command that you ran, to whoever maintains fer here"
    place = "" if is_debug else _write_log(_shown(_trace(error)))
    told = f"the stack trace is in {place}" if place else "the stack trace comes with --debug"
    return f"This is a bug ({words}); {told}. {report[0].upper()}{report[1:]}."


def _write_log(trace: str) -> str:
    """Keep a stack trace where nobody else reads it; returns its path, empty where it cannot be written."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="fer-bug-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(trace)
    except OSError:
        return ""
    return path


def _trace(error: Exception) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except RecursionError:  # of causes that lead to each other
        return "".join(traceback.format_exception_only(error))


def _shown(text: str) -> str:
    """A text without the passwords in it; messages of libraries may hold whole addresses."""
    try:
        from tasks.storage.addresses import hide_secrets
    except ImportError:  # another package hides ours, which is what the text says
        return text
    return hide_secrets(text)


def _complain(sentence: str) -> NoReturn:
    Terminal(stderr=True, soft_wrap=True).print(f"[bold red]fer:[/] {escape(_shown(sentence))}", highlight=False)
    raise SystemExit(1) from None
