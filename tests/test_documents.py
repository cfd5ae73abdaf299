"""README, CONTRIBUTING, SECURITY and the documentation name what exists, and the examples of CONTRIBUTING work."""

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE
from test_house_rules import MAY_USE, MAY_USE_OF_MODELS, PACKAGES, ROOT

from fer_models.explanation.gradcam import gradcam
from fer_models.models.arms import Arm, get_arm
from fer_models.models.building import build_model
from fer_models.models.families import FAMILIES
from fer_models.segments import pair_inputs
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict
from fer_models.treatments import TREATMENTS, Function, Treatment
from tasks.config import presets
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.presets import PRESETS
from tasks.config.registries import ADAPTERS, DETECTORS, load_module
from tasks.config.resolving import resolve_settings
from tasks.config.settings import CorpusSettings, options_of
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.detectors import load_detector
from tasks.video.detectors.detector import Face

TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "infra/README.md",
        *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    )
}
#: The path that the first line of an example of CONTRIBUTING names, and its code.
EXAMPLES = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```", TEXTS["CONTRIBUTING.md"], re.MULTILINE | re.DOTALL))
#: The lines with which the examples join a registry.
LINES = dict(re.findall(r'`"(\w+)": "([\w.]+)"`', TEXTS["CONTRIBUTING.md"]))
#: Ends of names of files, such as `model.keras`, that look like settings.
FILES = {"keras"}
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def test_settings_in_sentences_exist() -> None:
    """Dotted keys such as `training.epochs`."""
    settings = resolve_settings("corrected").model_dump()
    for adapter in ADAPTERS:
        settings["corpus"] |= dict.fromkeys(options_of(adapter).model_fields)
    groups = [name for name, value in settings.items() if isinstance(value, dict)]
    for name, text in TEXTS.items():
        named = re.findall(rf"`({'|'.join(groups)})\.([a-z_]+)(?:: [^`]+)?`", text)
        assert [f"{group}.{key}" for group, key in named if key not in {*settings[group], *FILES}] == [], name


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name, text in TEXTS.items():
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets, name


@pytest.mark.parametrize("name", TEXTS)
def test_paths_exist(name: str) -> None:
    text = TEXTS[name].replace("infra/.env`", "")  # which users make
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []
    folders = "|".join(
        sorted({path.partition("/")[0] for path in EXAMPLES} | {"flows", "tests", "infra", "benchmarks"})
    )
    paths = re.findall(rf"(?<![\w/.<-])((?:{folders})/[\w./-]*\w)", BLOCK.sub("", text))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def tree_of_rooms() -> Iterator[tuple[str, str, str]]:
    """Top folder, room (empty for the top folder itself) and words of each line of the tree."""
    (block,) = (block for _, block in BLOCK.findall(TEXTS["docs/how-it-works.md"]) if block.startswith("flows/"))
    top = ""
    for indent, folder, words in re.findall(r"^( *)(\w+)/ +(.+)", block, re.MULTILINE):
        top = top if indent else folder
        yield top, folder if indent else "", words


def test_the_tree_of_the_documentation_names_every_room() -> None:
    rooms = {(package, path.parent.name) for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")}
    assert {(top, room) for top, room, _ in tree_of_rooms() if room} == rooms
    assert all((ROOT / top).is_dir() for top, _, _ in tree_of_rooms())
    inner = [
        (ROOT / top / room / name) for top, room, words in tree_of_rooms() for name in re.findall(r"(\w+)/", words)
    ]
    assert inner
    assert [path for path in inner if not path.is_dir()] == []
    folders = [
        path for package in PACKAGES for path in (ROOT / package).glob("*/*/") if (path / "__init__.py").is_file()
    ]
    assert set(folders) <= set(inner)


@pytest.mark.parametrize(("package", "rules"), [("tasks", MAY_USE), ("fer_models", MAY_USE_OF_MODELS)])
def test_a_room_uses_only_rooms_above_it_in_the_tree(package: str, rules: dict[str, set[str]]) -> None:
    rooms = [room for top, room, _ in tree_of_rooms() if top == package and room]
    for number, room in enumerate(rooms):
        assert rules[room] <= set(rooms[:number]), room


def test_a_glossary_entry_is_a_word_and_a_sentence() -> None:
    lines = [line for line in TEXTS["docs/glossary.md"].splitlines() if line.startswith("- ")]
    entries = {
        found[1].lower(): found[2] for line in lines if (found := re.fullmatch(r"- \*\*([^*]+)\*\*: (.+\.)", line))
    }
    assert len(entries) == len(lines)
    assert [words for words in entries.values() if re.search(r"[.!?] [A-Z]", words)] == []
    forms = {word + ending for word in entries for ending in ("", "s", "es")}
    assert set(re.findall(r"\*([^*]+)\*", " ".join(entries.values()))) <= forms
    assert [outcome for outcome in Outcome if f"`{outcome}`" not in entries["outcome"]] == []
    assert [name for name in PRESETS if f"`{name}`" not in entries["preset"]] == []


def test_names_that_contributing_places_in_a_file_are_there() -> None:
    text = TEXTS["CONTRIBUTING.md"]
    placed = re.findall(r"`(\w+)` (?:of|in) `([\w/]+\.py)`", text)
    assert {"FAMILIES", "ARMS", "TREATMENTS", "ADAPTERS", "DETECTORS", "draw_figures", "draw_run", "MAY_USE"} <= {
        one for one, _ in placed
    }
    for name, path in placed:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        targets = [node.targets[0] if isinstance(node, ast.Assign) else node for node in tree.body]
        targets = [node.target if isinstance(node, ast.AnnAssign) else node for node in targets]
        assert name in {getattr(node, "name", getattr(node, "id", "")) for node in targets}, f"{name} is not in {path}"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, Any]], ModuleType]:
    """Makes an example importable as CONTRIBUTING says and joins it to a registry."""

    def add(name: str, registry: dict[str, Any]) -> ModuleType:
        path = LINES[name].replace(".", "/") + ".py"
        assert not (ROOT / path).exists()
        (tmp_path / "example.py").write_text(EXAMPLES[path], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(LINES[name], tmp_path / "example.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, LINES[name], module)
        monkeypatch.setitem(registry, name, LINES[name])
        return module

    return add


def test_every_example_is_run_here() -> None:
    text = TEXTS["CONTRIBUTING.md"]
    assert len(EXAMPLES) == text.count("```python") == text.count("### A ")
    used = {path.replace(".", "/") + ".py" for path in LINES.values()}
    others = {"tasks/report/plots/durations.py", "tasks/config/presets.py", "fer_models/training/effective_numbers.py"}
    assert EXAMPLES.keys() - used == others


@pytest.mark.trains
def test_the_family_of_contributing(example: Callable[..., ModuleType]) -> None:
    example("small", FAMILIES)
    (line,) = re.findall(r"`(Arm\(.+?\))`", TEXTS["CONTRIBUTING.md"])
    arm: Arm = eval(line, {"Arm": Arm})
    faces = np.random.default_rng(0).integers(0, 255, (3, *FACE_SHAPE)).astype(np.uint8)
    segments = pair_inputs(faces, np.zeros((3, *OPTICAL_FLOW_SHAPE), np.float16))
    model = build_model(arm, ModelSettings(), shape=segments.shape)
    assert predict(model, segments).sum(axis=1) == pytest.approx(1)
    assert model.get_layer("conv1").filters == arm.options["filters"]
    maps = gradcam(model, segments, np.arange(3), np.zeros(3, int))
    assert {stream: one.shape for stream, one in maps.items()} == {"spatial": (3, 48, 48)}


def test_the_corpus_of_contributing(example: Callable[..., ModuleType], tmp_path: Path) -> None:
    example("flat", ADAPTERS)
    corpus = CorpusSettings(adapter="flat", root=tmp_path / "corpus")
    corpus.root.mkdir()
    for name in ("anna_happy_1.mp4", "ben.mp4", "_sad_2.mp4"):
        (corpus.root / name).touch()
    videos = {one.video_id: one for one in load_module(ADAPTERS, "flat").read(corpus)}
    anna = videos["anna_happy_1.mp4"]
    assert (anna.subject, anna.emotion, anna.status) == ("anna", "happiness", Outcome.OK)
    assert {videos[name].status for name in ("ben.mp4", "_sad_2.mp4")} == {Outcome.LABEL_MISSING}


def test_the_treatment_of_contributing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "fer_models/training/effective_numbers.py"
    assert not (ROOT / path).exists()
    module = ModuleType("effective_numbers")
    exec(EXAMPLES[path], module.__dict__)
    monkeypatch.setitem(sys.modules, "fer_models.training.effective_numbers", module)
    ((name, line),) = re.findall(r'`"(\w+)": (Treatment\(.+?\)\))`', TEXTS["CONTRIBUTING.md"])
    monkeypatch.setitem(TREATMENTS, name, eval(line, {"Treatment": Treatment, "Function": Function}))
    labels = np.array([0] * 90 + [2] * 10)
    weights = TREATMENTS[name].weights(labels, 3)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[2] > 8 * weights[0] > weights[1] == 0
    assert get_arm(f"gap-sum+{name}").treatment == name


def test_the_detector_of_contributing(example: Callable[..., ModuleType]) -> None:
    example("centre", DETECTORS)
    detector = load_detector(PrepareSettings(detector="centre"))
    picture: Any = None
    assert detector.detect(picture, Box(10, 20, 100, 60), 48) == [Face(Box(30, 20, 60, 60))]
    assert detector.detect(picture, Box(10, 20, 100, 60), 24, 50) == [Face(Box(35, 25, 50, 50))]
    assert detector.detect(picture, Box(10, 20, 100, 60), 61) == []


def test_the_plot_of_contributing() -> None:
    names: dict[str, Any] = {}
    exec(EXAMPLES["tasks/report/plots/durations.py"], names)
    (axes,) = names["plot_durations"]({"gap-sum": 12.0, "gap-average": 9.0}).axes
    assert [bar.get_width() for bar in axes.patches] == [12, 9]


def test_the_preset_of_contributing() -> None:
    names = dict(vars(presets))
    exec(EXAMPLES["tasks/config/presets.py"], names)
    settings = names["quick"]()
    assert (settings.name, settings.training.epochs, settings.corpus.draw_sample) == ("quick", 5, True)
    assert '`"quick": quick`' in TEXTS["CONTRIBUTING.md"]
