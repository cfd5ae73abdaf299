"""How a command ends that could not do its work: one sentence, exit code 1, and a stack trace only for who asks."""

import errno
import importlib.metadata
import os
import re
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import Any, NoReturn

import typer
from rich.markup import escape

from fer_models.errors import FerError
from fer_models.suggest import nearest
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
    if isinstance(error, typer.Abort):  # Ctrl-C at a question, or the end of what is typed
        _complain("Stopped; nothing was done.")
    if isinstance(error, FerError):
        _complain(str(error))
    if isinstance(error, OSError) and (error.filename or error.errno):
        remedy = _REMEDIES.get(error.errno or 0)
        what = f"{error.filename or 'A file'}: {error.strerror or error}"
        _complain(f"{what}; {remedy}." if remedy else f"{what}.")
    if fault := _STORE_FAULT.search(str(error)) if type(error).__module__.startswith("mlflow.") else None:
        words = " ".join(str(error)[fault.start() :].split())[:200].rstrip(".: ")
        _complain(
            f"MLflow's server or database cannot be used any more ({words}); make sure that it can, or name another "
            "with MLFLOW_TRACKING_URI; the same command continues from here."
        )
    _complain(_unforeseen(error, is_debug))


#: In MLflow's words the faults of a server or a database, which are not of who calls it.
_STORE_FAULT = re.compile(r"API request to \S+ failed|Max retries exceeded|\(\w+\.OperationalError\)")


#: Of words that make no command; Typer has click's errors or its own, by version.
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]


def end_with_usage(error: Any) -> NoReturn:
    """Say in one sentence which words make no command, and leave with exit code 2.

    Args:
        error: a `USAGE_ERROR`.
    """
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is shown
        raise SystemExit(2)
    _complain(_usage(error), code=2)


def _usage(error: Any) -> str:
    """What a command lacks or does not have; the classes of Typer's errors are told by their names."""
    command = error.ctx.command_path if error.ctx else "fer"
    said = str(error.message).removeprefix("Value error, ").rstrip(".")
    quoted = re.findall(r"'([^']*)'", said)
    if type(error).__name__ == "NoSuchOption":
        names = [name for option in error.ctx.command.params for name in (*option.opts, *option.secondary_opts)]
        hint = nearest(error.option_name, [name for name in names if name.startswith("--")])
        return f"{command} has no option {error.option_name}{hint}; {command} --help lists them."
    if said.endswith(" requires an argument"):
        return f"{error.option_name} needs a value after it; the --help of the command says which."
    if said.startswith("No such command"):
        hint = nearest(quoted[0], error.ctx.command.list_commands(error.ctx))
        return f"There is no command {quoted[0]!r}{hint}; {command} --help lists them."
    if type(error).__name__ == "BadParameter" and error.param:
        name = max(error.param.opts, key=len)
        given: list[Any] = getattr(error.__cause__, "errors", list)()
        if " is not one of " in said:
            *others, last = quoted[1:]
            return f"{name} takes {', '.join(others)} or {last}, not {quoted[0]!r}{nearest(quoted[0], quoted[1:])}."
        words = said.replace("Input should", "it should").partition(", unable to")[0]
        return f"{name}: {words}{_given(given[0]['input']) if given else ''}."
    words = str(error.format_message()).rstrip(".")
    return f"{words}; {command} --help tells what belongs there."


def _given(value: object) -> str:
    from tasks.escaping import shortened

    return f" (it is {shortened(value)})"


def _unforeseen(error: Exception, is_debug: bool) -> str:
    """A sentence about a bug, of this project or of a package that it uses."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".: ")
    place = "" if is_debug else _write_log(_shown(_trace(error)))
    told = f"the stack trace is in {place}" if place else "the stack trace comes with --debug"
    return f"This is a bug ({words}); {told}. Please report it {_where_to_report()}, with the command that you ran."


def _where_to_report() -> str:
    """An address, where what was installed names one."""
    with suppress(importlib.metadata.PackageNotFoundError):
        named = importlib.metadata.metadata("fer-pipeline").get_all("Project-URL") or []
        labels = {label.strip().lower(): address.strip() for label, _, address in (one.partition(",") for one in named)}
        for label in ("issues", "bug tracker", "repository", "source", "homepage"):
            if labels.get(label):
                return f"at {labels[label]}"
    return "to whom you got fer from"


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


def _complain(sentence: str, code: int = 1) -> NoReturn:
    Terminal(stderr=True, soft_wrap=True).print(f"[bold red]fer:[/] {escape(_shown(sentence))}", highlight=False)
    raise SystemExit(code) from None
