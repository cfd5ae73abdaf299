"""The options that commands share, declared once: they reach a command as one `Chosen`."""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from fer_models.errors import UserError
from flows.cli.completion import complete_preset, complete_setting

if TYPE_CHECKING:
    from tasks.config.settings import StudySettings

Debug = Annotated[bool, typer.Option("--debug", help="show stack traces and the logs of Prefect")]
Force = Annotated[bool, typer.Option("--force", help="also replace a file of that kind that this command did not make")]
_Function = Callable[..., None]


def from_home(path: str | Path) -> Path:
    """A path of this machine, `~` for the home folder; raises `UserError` when that is nobody's."""
    from tasks.storage.locations import local_path

    return local_path(path)


@dataclass(frozen=True)
class Chosen:
    """The study that a command is about. The fields are the options, in the order of the help."""

    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="settings to start from", autocompletion=complete_preset)
    ] = None
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file with settings that differ from the preset's")
    ] = None
    pairs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="one setting, e.g. training.epochs=20",
            autocompletion=complete_setting,
        ),
    ] = None
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="train every arm with so many seeds")] = None
    data_root: Annotated[
        str | None,
        typer.Option("--data-root", help="folder or s3://bucket/prefix for all results, one for each corpus"),
    ] = None
    debug: Debug = False

    @property
    def overrides(self) -> dict[str, Any]:
        """Settings by dotted key, those of `--set` as texts that are YAML.

        Raises:
            UserError: a `--set` is not KEY=VALUE.
        """
        overrides: dict[str, Any] = {}
        if self.data_root:
            # a string is read as YAML, which takes 2024 for a number; a path is taken as it is
            overrides["data_root"] = self.data_root if "://" in self.data_root else Path(self.data_root)
        if self.seeds:
            overrides["seeds"] = self.seeds
        for pair in self.pairs or []:
            key, equals, value = pair.partition("=")
            if not equals or not key:
                from tasks.storage.addresses import hide_secrets

                raise UserError(
                    f"--set takes a setting and its value such as training.epochs=20, not {hide_secrets(pair)!r}."
                )
            overrides[key.strip()] = value
        return overrides

    def settings(self) -> "StudySettings":
        """The settings of the study.

        Raises:
            UserError: there is no such preset, file or setting, or a value does not fit.
        """
        from tasks.config.resolving import resolve_settings

        return resolve_settings(self.preset, self.config, self.overrides)

    def parameters(self) -> dict[str, Any]:
        """The same choice as parameters of a flow; what was not chosen is not among them."""
        config = str(from_home(self.config).absolute()) if self.config else None
        given = {"preset": self.preset, "config": config, "overrides": self.overrides}
        return {name: value for name, value in given.items() if value}


#: What a value is, in the words of those who do not program.
_KINDS = {
    "<str>": "TEXT",
    "<path>": "FILE",
    **dict.fromkeys(("<int>", "<float>", "<int range>", "<float range>"), "NUMBER"),
}


class Command(TyperCommand):
    """A command whose help is plain, and says what the presets are, which are imported only then."""

    def get_help(self, ctx: Any) -> str:
        """The help, as click asks for it."""
        _say_kinds(self.get_params(ctx), ctx)
        for option in self.params:
            if option.name == "preset" and isinstance(option, TyperOption):
                option.help = _presets()
        return super().get_help(ctx)


class Group(TyperGroup):
    """The same for what has commands."""

    def get_help(self, ctx: Any) -> str:
        """The help, as click asks for it."""
        _say_kinds(self.get_params(ctx), ctx)
        return super().get_help(ctx)


def _say_kinds(parameters: Iterable[Any], ctx: Any) -> None:
    """Of an option that takes no value nothing is said, nor of an argument; of other options a word for what it is."""
    for parameter in parameters:
        kind = getattr(parameter, "display_type_rich", lambda ctx: "")(ctx)  # which older versions of Typer lack
        if not isinstance(parameter, TyperOption):
            parameter.display_type_rich = lambda ctx: ""
        elif parameter.metavar is None:
            parameter.metavar = "" if parameter.is_flag else _KINDS.get(str(kind).removesuffix("..."))


def _presets() -> str:
    """A line for each preset; the help of an option has blank lines between its lines."""
    from tasks.config.presets import PRESETS, summary_of
    from tasks.config.resolving import DEFAULT_PRESET

    default = {DEFAULT_PRESET: " (default)"}
    lines = (f"{name}{default.get(name, '')}: {summary_of(name)}" for name in PRESETS)
    return "\n\n".join(("settings to start from", *lines))


def study_options(*, seeds: bool = False, data_root: bool = True) -> Callable[[_Function], _Function]:
    """Give a command, whose first parameter is a `Chosen`, the options of one, after its own.

    Args:
        seeds: `--seeds` is among them.
        data_root: `--data-root` is among them.
    """
    shared = [
        field.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for field in inspect.signature(Chosen).parameters.values()
        if {"seeds": seeds, "data_root": data_root}.get(field.name, True)
    ]

    def decorate(command: _Function) -> _Function:
        own = list(inspect.signature(command).parameters.values())[1:]

        @functools.wraps(command)
        def with_options(**given: Any) -> None:
            chosen = Chosen(**{option.name: given.pop(option.name) for option in shared})
            command(chosen, **given)

        with_options.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return with_options

    return decorate
