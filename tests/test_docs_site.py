"""The documentation says all that the code has, and its built pages load nothing from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from pydantic import BaseModel
from test_house_rules import ROOT
from typer.main import get_command

from fer_models.models.arms import ARMS
from fer_models.treatments import TREATMENTS
from flows.cli import app
from tasks.config.presets import PRESETS
from tasks.config.registries import ADAPTERS
from tasks.config.settings import StudySettings, options_of
from tasks.weights.registry import WEIGHTS

DOCS = ROOT / "docs"


def load_generator() -> ModuleType:
    """`docs/generated.py`, which MkDocs loads as a hook."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "generated.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def settings_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted keys of all settings of a group and of those inside it."""
    keys = set()
    for name, field in model.model_fields.items():
        inner = GENERATOR.groups_of(field)
        keys |= set().union(*(settings_of(one, f"{prefix}{name}.") for one in inner)) if inner else {f"{prefix}{name}"}
    return keys


def test_every_setting_is_described() -> None:
    text = GENERATOR.settings()
    expected = settings_of(StudySettings)
    assert {"training.batch_size", "training.schedule.peak_factor", "training.augmentation.zoom"} <= expected
    for adapter in ADAPTERS:
        expected |= {f"corpus.{name}" for name in options_of(adapter).model_fields}
    assert set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE)) == expected
    assert re.findall(r"^.*\|  \|$", text, re.MULTILINE) == []


def test_every_command_option_and_argument_is_described() -> None:
    text = GENERATOR.commands().replace("\\|", "|")
    shared = text[: text.index("\n## ", 5)]
    titles = []
    for name, command in get_command(app).commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            titles.append(f"fer {name} {inner}".rstrip())
            part = text[text.index(f"### `{titles[-1]}`\n") :].partition("\n##")[0]
            for option in one.params:
                rows = shared if option.name in GENERATOR.SHARED else part
                names = (option.opts[0], option.metavar or option.name.upper())
                assert any(f"| `{name}`" in rows for name in names), f"{titles[-1]}: {option.name}"
                assert any(f"`{name}`" in part for name in names), f"{titles[-1]}: {option.name}"
    assert re.findall(r"^### `(.+)`$", text, re.MULTILINE) == sorted(
        titles, key=lambda one: text.index(f"### `{one}`\n")
    )
    assert len(titles) == text.count("\n### ")
    assert re.findall(r"^.*\|  \|$", text, re.MULTILINE) == []
    assert not re.search(r"\[/?[bi]\]", text)


@pytest.mark.parametrize(
    ("made", "registry"),
    [("arms", ARMS), ("treatments", TREATMENTS), ("adapters", ADAPTERS), ("weights", WEIGHTS)],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_table_names_all_of_a_registry(made: str, registry: dict) -> None:
    assert re.findall(r"^\| `([^`]+)` \|", GENERATOR.GENERATED[made](), re.MULTILINE) == list(registry)


def test_presets_are_shown_as_settings_that_differ() -> None:
    text = GENERATOR.presets()
    shown = {name: yaml.safe_load(block) for name, block in re.findall(r"### `(.+?)`.*?```yaml\n(.*?)```", text, re.S)}
    assert list(shown) == list(PRESETS)
    assert shown["modern"]["training"]["steps"] == 1000
    assert "l2" not in shown["modern"]["model"]


def test_remarks_of_wide_lines_stand_above_them() -> None:
    wide = "fer audit" + 80 * " " + "# people in two subsets"
    text = GENERATOR.on_page_markdown(f"```sh\n{wide}\nfer doctor  # all well?\n```\n\n```sh\nfer up  # short\n```\n")
    assert text == (
        "```sh\n# people in two subsets\nfer audit\n# all well?\nfer doctor\n```\n\n```sh\nfer up  # short\n```\n"
    )


def test_pages_use_what_is_generated() -> None:
    used = set()
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        used |= set(re.findall(r"<!-- generated: (\w+) -->", text))
        assert all((ROOT / name).is_file() for name in re.findall(r"<!-- included: (\S+) -->", text)), page
    assert used == set(GENERATOR.GENERATED)


def test_links_of_included_files_lead_to_pages_or_become_text() -> None:
    text = "".join(GENERATOR.included(name) for name in ("CONTRIBUTING.md", "benchmarks/RESULTS.md"))
    assert "[docs/glossary.md](glossary.md)" in text
    assert all((DOCS / link).is_file() for link in re.findall(r"\]\(([\w./-]+\.md)", text))


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


class Loading(HTMLParser):
    """Addresses that a browser fetches when it shows a page, and the files that the page links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(given.get("href") or "")
        if tag != "a":
            self.loads += [given[name] or "" for name in ("src", "srcset", "data", "poster") if name in given]
        elif href := given.get("href"):
            self.links.append(href)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_built_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))  # one more: 404.html
    for page in pages:
        found = Loading(page)
        assert found.loads
        assert [one for one in found.loads if re.match(r"(?:https?:)?//", one)] == [], page.name
        if page.name != "404.html":  # which may be shown for any address
            missing = [one for one in found.loads if not one.startswith("data:") and not (page.parent / one).is_file()]
            assert missing == [], page.name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']+", text) == [], style.name


def test_links_of_the_built_pages_lead_somewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        if page.name == "404.html":
            continue
        for link in Loading(page).links:
            path, _, anchor = link.partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            target = page if path in ("", ".") else (page.parent / path)
            assert target.is_file(), f"{page.name}: {link}"
            if anchor and target.suffix == ".html":
                assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), f"{page.name}: {link}"


def test_the_search_index_and_what_runs_it_as_files_are_there(site: Path) -> None:
    assert "every setting" in (site / "search" / "search_index.js").read_text(encoding="utf-8").lower()
    assert 'src="assets/iframe-worker.js"' in (site / "index.html").read_text(encoding="utf-8")
    assert list(site.rglob("*.py")) == []
