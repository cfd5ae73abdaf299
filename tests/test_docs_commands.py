"""Every command, option, setting and variable that README and the documentation name is one that the code has."""

import itertools
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from test_docs_site import GENERATOR
from test_documents import BLOCK, TEXTS
from test_house_rules import ROOT, SOURCES
from typer.main import get_command

from flows.cli import app
from tasks.config import presets
from tasks.config.presets import PRESETS
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings

COMMAND = re.compile(r" *(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?fer ([a-z].*)")
#: With the examples of each command's help, as the page of commands shows them.
PAGES = TEXTS | {"the page of commands": GENERATOR.commands()}
#: What a line of shell may begin with: programs that a reader has, or is told to install.
PROGRAMS = {"fer", "make", "pip", "prefect", "mlflow", "python", "docker", "kubectl", "curl", "cp", "cd", "export", "."}
PROGRAMS |= {"infra/deploy.sh"}
#: Variables that a process sets for those it starts; nobody else does.
GIVEN_TO_CHILDREN = {"FER_UP_IN"}
#: Options of those other programs.
OPTIONS_OF_OTHERS = (
    "--allowed-hosts",
    "--backend-store-uri",
    "--base-job-template",
    "--build",
    "--cors-allowed-origins",
    "--entrypoint",
    "--env-manager",
    "--from-literal",
    "--help",
    "--limit",
    "--no-deps",
    "--param",
    "--pool",
    "--profile",
    "--rm",
    "--type",
    "--wait",
    "--watch",
)


def lines_of_shell(text: str) -> Iterator[str]:
    """The lines of shell blocks; one that ends in a backslash goes on in the next."""
    for kind, block in BLOCK.findall(text):
        if kind == "sh":
            yield from re.sub(r"\\\n\s*", " ", block).splitlines()


def fer_commands(text: str) -> Iterator[list[str]]:
    """The `fer` commands in shell blocks and in sentences."""
    for line in [*lines_of_shell(text), *re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))]:
        for found in filter(None, map(COMMAND.fullmatch, re.split(r" *(?:&&| \| ) *", line))):
            yield [word for word in shlex.split(found[1], comments=True) if word != "..."]


ALL_COMMANDS = sorted({(name, tuple(line)) for name, text in PAGES.items() for line in fer_commands(text)})


def command_and_words(line: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command that a line names, one of a group too, and the words after it."""
    found: Any = get_command(app)
    words = list(line)
    while words and words[0] in getattr(found, "commands", {}):
        found = found.commands[words.pop(0)]
    return found, words


def all_commands(found: Any) -> Iterator[Any]:
    """A command, or all of a group."""
    for one in getattr(found, "commands", {}).values():
        yield from all_commands(one)
    yield found


def options() -> set[str]:
    """Long names of the options of all commands."""
    return {
        name
        for one in all_commands(get_command(app))
        for option in one.params
        for name in (*option.opts, *option.secondary_opts)
    }


@pytest.mark.parametrize(
    ("name", "line"), ALL_COMMANDS, ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_a_fer_command_has_options_and_settings_that_exist(
    name: str, line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "quick", presets.sample)  # the example of CONTRIBUTING
    command, words = command_and_words(line)
    assert not hasattr(command, "commands") or not words, f"there is no command `fer {' '.join(line)}`"
    needed = [one for one in command.params if one.param_type_name == "argument" and one.required]
    if not words and (needed or hasattr(command, "commands")):
        return  # mentioned only
    context = command.make_context(line[0], words)
    pairs = [following for word, following in itertools.pairwise(words) if word == "--set"]
    resolve_settings(context.params.get("preset"), None, dict(pair.split("=", 1) for pair in pairs))


@pytest.mark.parametrize("wrong", ["predict --bye frame a.mp4", "corpora chek x", "studdy", "study --seeds many"])
def test_a_command_that_does_not_exist_is_seen(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match=r"no command|No such option|a valid integer"):
        test_a_fer_command_has_options_and_settings_that_exist("", tuple(wrong.split()), monkeypatch)


@pytest.mark.parametrize("name", PAGES)
def test_options_in_sentences_exist(name: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", PAGES[name]))
    assert named - options() - set(OPTIONS_OF_OTHERS) == set()


def test_options_of_others_are_named_somewhere() -> None:
    text = "".join(PAGES.values())
    assert [one for one in OPTIONS_OF_OTHERS if one not in text] == []


@pytest.mark.parametrize("name", TEXTS)
def test_a_line_of_shell_begins_with_a_program_that_a_reader_has(name: str) -> None:
    for line in lines_of_shell(TEXTS[name]):
        words = shlex.split(line, comments=True)
        program = next((word for word in words if not re.match(r"[A-Z_]+=", word)), "")
        assert not program or program.removeprefix(".venv/bin/") in PROGRAMS, line
        if program == "make":
            assert re.search(rf"^{words[-1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), line


def yaml_blocks() -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings that pages show."""
    for name, text in TEXTS.items():
        for kind, block in BLOCK.findall(text):
            if kind == "yaml":
                yield name, yaml.safe_load(block)


@pytest.mark.parametrize(("name", "shown"), list(yaml_blocks()))
def test_settings_in_blocks_can_be_used(name: str, shown: dict[str, Any]) -> None:
    preset = shown.pop("preset", None)
    assert resolve_settings(preset, None, shown) != StudySettings()


def test_variables_of_the_environment_are_those_that_the_code_reads() -> None:
    """Its own, which all begin with FER_; those of the tests are said where tests are."""
    code = "".join((ROOT / source).read_text(encoding="utf-8") for source in SOURCES)
    read = {one for one in re.findall(r"\bFER_[A-Z_]+", code) if one not in GIVEN_TO_CHILDREN}
    others = "".join((ROOT / one).read_text(encoding="utf-8") for one in ("infra/compose.yaml", "infra/deploy.sh"))
    said = set(re.findall(r"\bFER_[A-Z_]+", "".join(PAGES.values())))
    assert {"FER_WEIGHTS"} <= read
    assert read - said == set()
    assert {one for one in said - read if one not in others and one not in (ROOT / "Makefile").read_text()} == set()
