"""The parts of the documentation that are made from the code when it is built, so that they cannot lag behind it.

A page says where: `<!-- generated: settings -->` is replaced by what the function `settings` below returns, and
`<!-- included: benchmarks/RESULTS.md -->` by that file of the repository. MkDocs calls `on_page_markdown`.
"""

import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from fer_models.models.arms import ARMS
from fer_models.treatments import TREATMENTS
from flows.cli import app
from flows.cli.options import Chosen
from tasks.config.annotations import kinds
from tasks.config.presets import PRESETS, summary_of
from tasks.config.registries import ADAPTERS, load_module
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings, options_of
from tasks.corpus.catalogue import known_corpora
from tasks.weights.registry import WEIGHTS

ROOT = Path(__file__).resolve().parent.parent
#: Where files of the repository stand in the site; links to others become plain text.
PAGES = {
    "docs/glossary.md": "glossary.md",
    "infra/README.md": "lab.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "benchmarks/TUNING.md": "tuning.md",
    "CONTRIBUTING.md": "extending.md",
}
#: Signs of code that fit beside the navigation.
WIDEST = 88
#: Heads of tables.
SETTING, OPTION = "setting | default | values | what it says", "option | default | what it does"
#: Options that many commands have are described once.
SHARED = {*Chosen.__dataclass_fields__, "quiet", "as_json"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with its generated parts."""
    markdown = re.sub(r"<!-- generated: (\w+) -->", lambda found: GENERATED[found[1]](), markdown)
    markdown = re.sub(r"<!-- included: (\S+) -->", lambda found: included(found[1]), markdown)
    return re.sub(r"(?<=^```sh\n).*?(?=^```)", lambda found: narrow(found[0]), markdown, flags=re.DOTALL | re.MULTILINE)


def narrow(block: str) -> str:
    """Lines of shell; where one is too wide for a page, the remarks stand above what they are about."""
    if all(len(line) <= WIDEST for line in block.splitlines()):
        return block
    return re.sub(r"^(\S.*?) +(# .*)$", r"\2\n\1", block, flags=re.MULTILINE)


def included(name: str) -> str:
    """A Markdown file of the repository without its title, its links led into the site."""

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        if "://" in target:
            return found[0]
        path, _, anchor = target.partition("#")
        try:
            page = PAGES.get(((ROOT / name).parent / path).resolve().relative_to(ROOT).as_posix())
        except ValueError:  # outside of the repository
            page = None
        return f"[{text}]({page}{'#' + anchor if anchor else ''})" if page else text

    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"(?<!!)\[([^]\n]+)\]\(([^)\s]+)\)", link, text.partition("\n")[2])


def table(head: str, rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table; cells may hold no line breaks, and their bars are escaped."""
    titles = head.split(" | ")
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plain(value: Any) -> str:
    """A value as a configuration file would have it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def values_of(field: FieldInfo) -> str:
    """What a setting can be: its words, or its type and range."""
    words = [
        str(word)
        for one in kinds(field.annotation)
        for word in typing.get_args(one)
        if typing.get_origin(one) is typing.Literal
    ]
    names = {bool: "yes or no", int: "whole number", float: "number", str: "text", Path: "path"}
    others = [
        names.get(one) or ("list" if typing.get_origin(one) is tuple else "table")
        for one in kinds(field.annotation)
        if typing.get_origin(one) is not typing.Literal
    ]
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [
        f"{sign} {getattr(one, name):g}"
        for one in field.metadata
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    kind = ", ".join([*dict.fromkeys(others), *(f"`{word}`" for word in words)])
    return f"{kind}, {' and '.join(bounds)}" if bounds else kind


def sentence(text: str) -> str:
    """The first paragraph of a docstring in one line."""
    return " ".join(text.partition("\n\n")[0].split())


def setting_rows(model: type[BaseModel], prefix: str, defaults: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each setting of a group that is not a group itself."""
    for name, field in model.model_fields.items():
        if not groups_of(field):
            yield f"`{prefix}{name}`", plain_code(defaults.get(name)), values_of(field), said_of(name, field)


def said_of(name: str, field: FieldInfo) -> str:
    """The description of a setting; that of the word which chooses among groups stands above its table."""
    return field.description or ("chooses these settings" if name == "kind" else "")


def plain_code(value: Any) -> str:
    """A default, as code; nothing where there is none."""
    return "" if value is None else f"`{plain(value)}`"


def groups_of(field: FieldInfo) -> list[type[BaseModel]]:
    """The groups of settings that a field can hold."""
    return [one for one in kinds(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]


def groups(model: type[BaseModel], prefix: str, defaults: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Title, sentence and table of a group of settings and of those inside it."""
    yield (
        prefix.rstrip("."),
        sentence(model.__doc__ or ""),
        table(SETTING, setting_rows(model, prefix, defaults)),
    )
    for name, field in model.model_fields.items():
        inner = groups_of(field)
        for one in inner:
            own = one().model_dump(mode="json") if len(inner) > 1 else defaults[name] or one().model_dump(mode="json")
            for title, words, rows in groups(one, f"{prefix}{name}.", own):
                yield f"{title}: {own['kind']}" if len(inner) > 1 else title, words, rows


def settings() -> str:
    """All settings, group by group, then those of single adapters."""
    parts = [
        f"## {f'`{title}`' if title else 'The study'}\n\n{words}\n\n{rows}"
        for title, words, rows in groups(StudySettings, "", StudySettings().model_dump(mode="json"))
    ]
    common = set(options_of("folder").model_fields)
    for adapter in ADAPTERS:
        model = options_of(adapter)
        if own := model.model_fields.keys() - common:
            defaults = {name: model.model_fields[name].get_default(call_default_factory=True) for name in own}
            rows = (
                (f"`corpus.{name}`", plain_code(jsonable(defaults[name])), values_of(field), said_of(name, field))
                for name, field in model.model_fields.items()
                if name in own
            )
            parts.append(f"## `corpus` with the adapter `{adapter}`\n\n{table(SETTING, rows)}")
    return "\n".join(parts)


def jsonable(value: Any) -> Any:
    """A default as plain YAML can hold it."""
    return list(value) if isinstance(value, tuple) else value


def presets() -> str:
    """What each preset is, and where it differs from the defaults."""
    common = StudySettings().model_dump(mode="json")
    parts = []
    for name in PRESETS:
        own = differences(resolve_settings(name).model_dump(mode="json"), common)
        text = yaml.safe_dump(own, sort_keys=False, width=110, allow_unicode=True)
        parts.append(f"### `{name}`\n\n{summary_of(name)}\n\n```yaml\n{text}```\n")
    return "\n".join(parts)


def differences(own: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """The values of nested settings that are not those of others."""
    found = {}
    for name, value in own.items():
        other = common.get(name)
        if isinstance(value, dict) and isinstance(other, dict) and value.get("kind") == other.get("kind"):
            if inner := differences(value, other):
                found[name] = inner
        elif value != other:
            found[name] = value
    return found


def commands() -> str:
    """All commands with their options, under the headings of `fer --help`."""
    root: Any = get_command(app)
    panels: dict[str, list[str]] = {}
    for name, command in root.commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            text = command_text(f"fer {name} {inner}".rstrip(), one)
            panels.setdefault(command.rich_help_panel, []).append(text)
    shared = next(one for name, one in root.commands.items() if name == "study").params
    rows = (option_row(one) for one in shared if one.name in SHARED)
    common = f"## Options that commands share\n\nCommands that say so below have these too.\n\n{table(OPTION, rows)}"
    return "\n".join([common, *(f"## {panel}\n\n" + "\n".join(texts) for panel, texts in panels.items())])


def command_text(title: str, command: Any) -> str:
    """One command: what it does, examples, arguments and options."""
    parts = [f"### `{title}`\n", unmarked(command.help or "").strip() + "\n"]
    if command.epilog:
        examples = unmarked(command.epilog).replace("  |  ", "\n").replace("in a crontab: ", "")
        parts.append(f"```sh\n{examples}\n```\n")
    shared = [one.opts[0] for one in command.params if one.name in SHARED]
    if rows := [option_row(one) for one in command.params if one.name not in SHARED]:
        parts.append(table(OPTION, iter(rows)))
    if shared:
        names = ", ".join(f"`{name}`" for name in shared)
        parts.append(f"{'Also' if rows else 'Options'}: {names}, as [above](#options-that-commands-share).\n")
    return "\n".join(parts)


def unmarked(text: str) -> str:
    """Text of a help without the marks that Rich colours it by."""
    return re.sub(r"\[/?[bi]\]", "", text.replace("\\[", "["))


def option_row(option: Any) -> tuple[str, ...]:
    """Names, default and help of an option or argument."""
    if type(option).__name__.endswith("Argument"):
        name, default = f"`{option.metavar or option.name.upper()}`", option.default
    else:
        names = [f"`{one}`" for one in (*option.opts, *option.secondary_opts)]
        name, default = ", ".join(names), option.default
    shown = "" if default in (None, "", False, True) else f"`{default}`"
    words = (
        settings_to_start_from()
        if option.name == "preset"
        else option.help or {"seed": "the seed of all that is drawn"}.get(option.name, "")
    )
    if variable := getattr(option, "envvar", None):
        words += f"; also read from the variable `{variable}`"
    return name, shown, unmarked(words)


def settings_to_start_from() -> str:
    """The help of `--preset`."""
    return "settings to start from: " + ", ".join(f"[`{name}`](settings.md#{name})" for name in PRESETS)


def arms() -> str:
    """All arms, family by family."""
    rows = ((f"`{name}`", arm.title, arm.family) for name, arm in ARMS.items())
    return table("arm | title in reports | family", rows)


def treatments() -> str:
    """The treatments of rare classes."""
    return table("treatment | what it does", ((f"`{name}`", one.summary) for name, one in TREATMENTS.items()))


def adapters() -> str:
    """The layouts of corpora that are known."""
    return table(
        "adapter | layout", ((f"`{name}`", sentence(load_module(ADAPTERS, name).__doc__ or "")) for name in ADAPTERS)
    )


def corpora() -> str:
    """What is known of each corpus that is read as it comes."""
    parts = []
    for name, about in known_corpora().items():
        facts = {
            "classes": ", ".join(about.classes),
            "size": about.size,
            "licence": about.licence,
            "get it": about.ask,
            "cite": about.citation,
            "files": "; ".join(f"`{line}`" for line in about.layout),
            "folds": about.folds,
            "tried on": about.verified,
            **({"not confirmed": about.unconfirmed} if about.unconfirmed else {}),
        }
        rows = "".join(f"- {what}: {said}\n" for what, said in facts.items())
        parts.append(f"### {about.title}\n\n- adapter: `{name}`\n{rows}")
    return "\n".join(parts)


def weights() -> str:
    """The weights that others published."""
    rows = (
        (f"`{name}`", one.purpose, one.licence, one.trained_on, "yes" if one.is_default else "on request")
        for name, one in WEIGHTS.items()
    )
    return table("name | for | licence | trained on | fetched by set-up", rows)


GENERATED: dict[str, Callable[[], str]] = {
    one.__name__: one for one in (settings, presets, commands, arms, treatments, adapters, corpora, weights)
}
