"""Promises of the house, held by reading the sources and by fresh interpreters."""

import ast
import functools
import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tasks.config.registries import ADAPTERS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "tasks", "fer_models")
SOURCES = sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
#: What a package may import of the others: flows -> tasks -> fer_models.
MAY_IMPORT = {"flows": {"tasks", "fer_models"}, "tasks": {"fer_models"}, "fer_models": set()}
#: What a room may use of the others, beside the words that all share.
MAY_USE = {
    "storage": set(),
    "weights": {"storage"},
    "drawing": {"storage"},
    "services": {"storage"},
    "config": {"weights", "storage"},
    "video": {"weights", "config"},
    "processes": {"video"},
    "corpus": {"video", "config", "storage"},
    "preparation": {"corpus", "processes", "video", "config", "storage"},
    "inference": {"corpus", "processes", "video", "drawing", "config", "weights", "storage"},
    "dataset": {"preparation", "corpus", "config", "storage"},
    "study": {"dataset", "preparation", "video", "config", "weights", "storage"},
    "tracking": {"study", "dataset", "preparation", "corpus", "services", "config", "storage"},
    "report": {"study", "dataset", "preparation", "corpus", "video", "drawing", "config", "storage"},
    "diagnosis": {"corpus", "video", "services", "config", "weights", "storage"},
    "steps": {"report", "tracking", "inference", "study", "dataset", "preparation", "config"},
}
#: Of `fer_models`; what stands beside the rooms is for all.
MAY_USE_OF_MODELS = {
    "": set(),
    "models": set(),
    "statistics": set(),
    "training": {"models", "statistics"},
    "explanation": {"models"},
}
#: What others come in by, and so may use all rooms of its package.
DOORS = {"fer_models/__init__.py", "fer_models/serving.py"}
#: Modules of `tasks` that stand beside the rooms, for all.
SHARED = {"outcomes", "progress", "terminal", "escaping", "memory", "cores"}
#: What begins the names of the modules that know a backend.
COMPILED = "fer_models/training/on_"
HEAVY = ("prefect", "mlflow", "keras", "tensorflow", "jax", "cv2", "av", "pandas", "pyarrow", "numpy", "sklearn")
#: Modules whose imports touch nothing outside Python, NumPy, OpenCV, PyAV, pyarrow and pandas.
LIGHT = [
    "fer_models.models.arms",
    "fer_models.settings",
    "flows.cli",
    "flows.environment",
    "tasks.corpus.adapters",
    "tasks.config.resolving",
    "tasks.dataset.index",
    "tasks.config.layout",
    "tasks.preparation.ledger",
    "tasks.corpus.manifest",
    "tasks.preparation.prepare_file",
    "tasks.corpus.sample.corpus",
    "tasks.dataset.splits",
    "tasks.preparation.workers",
]


@functools.cache
def parse(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), source)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            yield node.module or ""


def imported_packages(source: str) -> set[str]:
    return {name.partition(".")[0] for name in imported_modules(parse(source))}


def package_of(source: str) -> str:
    return source.partition("/")[0]


def in_fresh_interpreter(code: str, cwd: Path, **environment: str) -> str:
    """What code prints in a new Python that knows no more of the environment than it needs."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=kept | {"HOME": str(cwd), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def loaded_after(statement: str, cwd: Path) -> set[str]:
    """The top-level packages in `sys.modules` after a statement."""
    code = f"{statement}\nimport json, sys\nprint('LOADED' + json.dumps(sorted(sys.modules)))"
    names = json.loads(in_fresh_interpreter(code, cwd).rpartition("LOADED")[2])
    return {name.partition(".")[0] for name in names}


def test_the_sources_are_found() -> None:
    assert {package_of(source) for source in SOURCES} == set(PACKAGES)
    assert len(SOURCES) > 50


def importers(sources: Iterable[str], packages: set[str]) -> dict[str, set[str]]:
    """The sources that import some of the packages, and which."""
    return {source: found for source in sources if (found := imported_packages(source) & packages)}


def sources_of(*packages: str) -> list[str]:
    return [source for source in SOURCES if source.startswith(tuple(f"{package}/" for package in packages))]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    assert importers(sources_of(package), set(PACKAGES) - {package} - MAY_IMPORT[package]) == {}


def room_of(package: str, module: str) -> str:
    """The room that a module lies in, empty for what stands beside the rooms."""
    first, _, rest = module.removeprefix(f"{package}.").partition(".")
    return first if rest or (ROOT / package / first).is_dir() else ""


def wrong_ways(package: str, source: str, tree: ast.AST, may_use: dict[str, set[str]]) -> list[str]:
    """The modules that a source imports though its room may not use theirs."""
    here = room_of(package, source.removesuffix(".py").replace("/", "."))
    allowed = may_use.get(here, set()) | {here, ""}
    named = [name for name in imported_modules(tree) if name.partition(".")[0] == package and "." in name]
    return [name for name in named if room_of(package, name) not in allowed]


@pytest.mark.parametrize(("package", "rules"), [("tasks", MAY_USE), ("fer_models", MAY_USE_OF_MODELS)])
def test_rooms_use_each_other_in_allowed_directions(package: str, rules: dict[str, set[str]]) -> None:
    ways = {source: wrong_ways(package, source, parse(source), rules) for source in sources_of(package)}
    assert {source: found for source, found in ways.items() if found and source not in DOORS} == {}


def test_no_room_is_a_corridor_and_no_file_a_wing() -> None:
    """A folder, a file and a function are of a size that can be taken in."""
    folders = Counter(source.rpartition("/")[0] for source in SOURCES)
    assert max(folders.values()) <= 22, folders.most_common(1)
    lengths = {source: (ROOT / source).read_text(encoding="utf-8").count("\n") for source in SOURCES}
    assert statistics.median(lengths.values()) <= 150
    assert not {source: length for source, length in lengths.items() if length > 350}
    functions = [
        f"{source}: {node.name}"
        for source in SOURCES
        for node in ast.walk(parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert functions == []


def test_every_room_is_known_and_a_wrong_way_is_seen() -> None:
    for package, rules in (("tasks", MAY_USE), ("fer_models", MAY_USE_OF_MODELS)):
        assert {path.parent.name for path in (ROOT / package).glob("*/__init__.py")} == set(rules) - {""}
    beside = {path.stem for path in (ROOT / "tasks").glob("*.py")} - {"__init__"}
    assert beside == SHARED
    wrong = ast.parse("def late():\n    from tasks.report.writing import write_report")
    assert wrong_ways("tasks", "tasks/study/runs.py", wrong, MAY_USE) == ["tasks.report.writing"]
    assert not wrong_ways("tasks", "tasks/steps/evaluate.py", wrong, MAY_USE)


def test_fer_models_computes_and_touches_nothing() -> None:
    outside = {"prefect", "mlflow", "cv2", "av", "pandas", "pyarrow", "typer", "rich"}
    assert importers(sources_of("fer_models"), outside) == {}


def test_in_tasks_only_the_steps_import_prefect() -> None:
    users = [source for source in SOURCES if package_of(source) == "tasks" and "prefect" in imported_packages(source)]
    assert users
    assert [source for source in users if not source.startswith("tasks/steps/")] == []


def test_orchestration_is_a_thin_skin() -> None:
    computing = {"cv2", "av", "keras", "tensorflow", "sklearn", "numpy", "pyarrow"}
    assert importers(sources_of("flows", "tasks/steps"), computing) == {}


def test_models_know_no_backend() -> None:
    """But for the compiled loops, one module a backend, of which the one is imported whose backend Keras uses."""
    found = importers(sources_of("fer_models"), {"tensorflow", "jax", "torch"})
    assert {source: f"{COMPILED}{name}.py" for source, names in found.items() for name in names} == {
        source: source for source in found
    }


def test_no_import_of_tasks_or_flows_is_in_a_circle() -> None:
    """Modules can be put in an order in which each imports only earlier ones."""
    names = {source.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): source for source in SOURCES}
    waiting = {
        name: {found for found in top_level_imports(source) if found in names and found != name}
        for name, source in names.items()
    }
    while ready := {name for name, needed in waiting.items() if not needed & set(waiting)}:
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}
    assert not waiting


def top_level_imports(source: str) -> Iterator[str]:
    """Modules that are imported when this one is; `from package import module` counts as the module."""
    for node in parse(source).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            children = {f"{node.module}.{alias.name}" for alias in node.names}
            yield node.module
            yield from children


def test_everything_public_has_a_docstring() -> None:
    assert [source for source in SOURCES if not ast.get_docstring(parse(source))] == []
    bare = [
        f"{source}: {node.name}"
        for source in SOURCES
        for node in parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


def test_importing_reads_no_environment_and_makes_no_folder() -> None:
    """Outside of functions nothing asks for the environment or writes."""
    forbidden = {"environ", "getenv", "putenv", "mkdir", "makedirs", "write_text", "write_bytes", "touch", "open"}
    found = [
        f"{source}: {name}"
        for source in SOURCES
        for statement in parse(source).body
        for name in names_run_at_import(statement)
        if name in forbidden
    ]
    assert found == []


def names_run_at_import(node: ast.AST) -> Iterator[str]:
    """Names and attributes in code that runs when a module is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Name):
        yield node.id
    if isinstance(node, ast.Attribute):
        yield node.attr
    for child in ast.iter_child_nodes(node):
        yield from names_run_at_import(child)


def test_no_file_names_a_machine() -> None:
    paths = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix not in (".pyc", ".so")]
    pattern = re.compile(r"(?<![\w.<>*-])/(?:work|home|root|mnt|Users|tmp|opt|srv)/\S*|\b[A-Z]:\\\S*")
    found = {path: pattern.findall(path.read_text(encoding="utf-8")) for path in paths if path.is_file()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "infra/README.md", "benchmarks/RESULTS.md"])
def test_no_merge_was_left_half_done(name: str) -> None:
    assert re.findall(r"^(?:<{7} |={7}$|>{7} ).*", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize(
    "module", ["tasks.preparation.workers", "tasks.inference.batch.cutting", "tasks.inference.live.camera"]
)
def test_workers_and_cameras_start_without_orchestration_and_models(module: str, tmp_path: Path) -> None:
    loaded = loaded_after(f"import {module}", tmp_path)
    assert {"tasks", "fer_models", "cv2"} <= loaded
    assert not loaded & {"prefect", "mlflow", "keras", "tensorflow", "jax", "sklearn", "matplotlib", "pandas"}


@pytest.mark.parametrize(("command", "also"), [([], set()), (["study"], {"numpy"})], ids=["fer", "study"])
def test_help_is_shown_without_heavy_packages(tmp_path: Path, command: list[str], also: set[str]) -> None:
    """That of a study tells of the presets, whose settings need NumPy."""
    show_help = (
        f"import sys\nsys.argv = ['fer', *{command}, '--help']\nfrom flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    loaded = loaded_after(show_help, tmp_path)
    assert "typer" in loaded
    assert not loaded & set(HEAVY) - also


@pytest.mark.parametrize("command", [["status"], ["weights", "list"]], ids=" ".join)
def test_what_needs_no_model_loads_neither_keras_nor_servers(tmp_path: Path, command: list[str]) -> None:
    """As long as nothing is trained: the names of runs depend on what Keras computes with."""
    run = (
        f"import sys\nsys.argv = ['fer', *{command}]\nfrom flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    loaded = loaded_after(run, tmp_path)
    assert "typer" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "prefect", "mlflow", "sklearn", "matplotlib"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_settings_are_resolved_without_heavy_packages(tmp_path: Path, adapter: str) -> None:
    """With the options of the corpus's adapter."""
    overrides = {"corpus.adapter": adapter}
    loaded = loaded_after(
        f"from tasks.config.resolving import resolve_settings\nresolve_settings('sample', None, {overrides})", tmp_path
    )
    assert "pydantic" in loaded
    assert not loaded & {*HEAVY, "openpyxl"} - {"numpy"}


def test_imports_leave_no_trace(tmp_path: Path) -> None:
    """No file in the working folder or at home, and the same settings whatever the environment says."""
    code = (
        f"import importlib, os\nbefore = set(os.environ)\n"
        f"for name in {LIGHT!r}:\n    importlib.import_module(name)\n"
        f"new = [name for name in set(os.environ) - before if name.startswith(('PREFECT', 'MLFLOW', 'TF_', 'KERAS'))]\n"
        f"from tasks.config.resolving import resolve_settings\n"
        f"print(new, resolve_settings('sample').model_dump_json())"
    )
    plain = in_fresh_interpreter(code, tmp_path)
    loud = in_fresh_interpreter(code, tmp_path, NAME="x", DATA_ROOT="x", TRAINING="x", FER_DATA_ROOT="x", SEED="9")
    assert plain == loud
    assert plain.startswith("[] {")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_only_these_modules_know_the_test_side():
    """Training, runs and models cannot read a test label: who names that side is drawn up here."""
    naming = {
        source
        for source in SOURCES
        if any(
            isinstance(node, ast.ImportFrom)
            and node.module in ("tasks.dataset.folds", "tasks.corpus.adapters.source")
            and "TEST" in {a.name for a in node.names}
            for node in ast.walk(parse(source))
        )
    }
    after_training = {
        "tasks/study/test_set.py",
        "tasks/report/corpora.py",
        "tasks/report/facts.py",
        "tasks/dataset/audit.py",
        "tasks/dataset/earlier_training.py",
        "tasks/dataset/file_properties.py",
    }
    official = {f"tasks/corpus/adapters/wild/{name}.py" for name in ("afew", "caer", "lists")}
    drawing = {f"tasks/dataset/{name}.py" for name in ("folds", "official", "split_names", "splits", "index")}
    assert naming == official | drawing | after_training


#: Who may give a file its name, or write one that is not at once given its name by `tasks.storage.files`.
MAY_WRITE = {
    "tasks/storage/disk.py": "the one place where files get their names",
    "tasks/diagnosis/storage.py": "a probe",
    "tasks/storage/files.py": "files that are set aside",
    "tasks/storage/local_copies.py": "copies in temporary folders",
    "tasks/inference/batch/blocks.py": "what another process reads at once, and nobody later",
    "tasks/weights/fetching.py": "what pip is told, in a temporary folder",
}


def test_files_get_their_names_in_one_place() -> None:
    """A file that is renamed or written in another way could be empty after a power cut."""
    for source in SOURCES:
        text = (ROOT / source).read_text(encoding="utf-8")
        written = "|".join(re.findall(r"atomic_write\(.*\) as (\w+)", text)) or "nothing"
        plain = re.sub(rf"\b(?:{written})\.write_(?:text|bytes)\(", "", text)
        found = re.findall(r"os\.(?:replace|rename|link)\(|shutil\.(?:move|copy)|\.write_(?:text|bytes)\(", plain)
        assert not found or source in MAY_WRITE, f"{source}: {found}; write with tasks.storage.files"


#: Fields of tables and records that name a file, or whose text would make a part of a path. `uri` is where the corpus
#: says that a video lies, anywhere on this machine; it is read and never written.
STORED_NAMES = {"sha256", "shard", "video_id", "tile_id", "checkpoint", "last_checkpoint", "best_checkpoint", "uri"}
#: What turns one into a path, or into a file name of plain signs.
CONFINING = {"path_below", "named_shard", "shard_path", "picture_name", "_below", "_checkpoint"}
MAKING_PATHS = {"Path", "joinpath", "with_name", "with_stem", "open", "read_location", "load_model"}


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def stored_names_in(node: ast.AST) -> Iterator[str]:
    """Stored names that a piece of code uses, but for those it hands to what confines them or only counts or hashes."""
    if isinstance(node, ast.Call) and called(node) in CONFINING | {"digest", "len"}:
        return
    name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "value", None)
    if isinstance(node, ast.Name | ast.Attribute | ast.Constant) and name in STORED_NAMES:
        yield name
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and child is node.func and called(node) == "sha256"):
            yield from stored_names_in(child)


def unconfined(tree: ast.AST) -> Iterator[str]:
    """Code that makes a path of a stored name by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and set(stored_names_in(node.right)):
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and called(node) in MAKING_PATHS:
            found = {name for argument in node.args for name in stored_names_in(argument)}
            if found - ({"uri"} if called(node) == "Path" else set()):
                yield ast.unparse(node)


@pytest.mark.parametrize("source", SOURCES)
def test_stored_names_become_paths_in_one_way(source: str) -> None:
    """By `tasks.storage.stored_names.path_below`; what this cannot see is a stored name under another name."""
    assert list(unconfined(parse(source))) == []


def test_names_of_a_store_become_paths_in_one_way() -> None:
    """Every key of a bucket is a name that anybody may have written."""
    tree = parse("tasks/storage/remote.py")
    joins = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    assert [ast.unparse(node) for node in joins] == []
    assert "path_below" in ast.unparse(tree)


@pytest.mark.parametrize(
    "code",
    [
        "prepared / video['shard']",
        "folder / f'{row.sha256}.parquet'",
        "folder / progress.last_checkpoint",
        "[prepared / shard for shard in shards]",
        "Path(row['video_id'])",
        "root.joinpath(tile.checkpoint)",
        "keras.saving.load_model(origin.checkpoint)",
        "path.with_name(str(video_id))",
    ],
)
def test_a_stored_name_on_a_way_of_its_own_is_seen(code: str) -> None:
    assert list(unconfined(ast.parse(code)))
    assert not list(unconfined(ast.parse("root / path_below(folder, row['shard'], 'it', 'mend it')")))


#: What runs code that a file holds.
UNSAFE = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "eval", "exec", "read_pickle"}
UNSAFE |= {"to_pickle", "allow_pickle", "unsafe_load", "full_load", "enable_unsafe_deserialization"}


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_that_is_read_can_run(source: str) -> None:
    tree = parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    assert not (used | set(imported_modules(tree))) & UNSAFE
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("yaml.load", "yaml.load_all"):
            raise AssertionError(f"{source} reads YAML with {ast.unparse(node)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("saving.load_model", "models.load_model")):
            safe = {word.arg: ast.unparse(word.value) for word in node.keywords}.get("safe_mode")
            assert safe == "True", f"{source} loads a model that may run code: {ast.unparse(node)}"


@pytest.mark.parametrize("source", SOURCES)
def test_every_csv_file_is_written_in_one_place(source: str) -> None:
    """By `tasks.storage.spreadsheets`; elsewhere a table becomes CSV only to be hashed."""
    if source == "tasks/storage/spreadsheets.py":
        return
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Call) and called(node) == "to_csv":
            given = {word.arg for word in node.keywords}
            assert not node.args, f"{source} writes a CSV file by itself: {ast.unparse(node)}"
            assert given <= {"index"}, f"{source} writes a CSV file by itself: {ast.unparse(node)}"
            assert source in {"tasks/dataset/index.py", "tasks/tracking/mlflow_log.py"}, (
                f"{source} makes CSV of a table"
            )
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert name not in {"csv.writer", "csv.DictWriter"}, f"{source} writes a CSV file by itself"
        assert not name.endswith((".to_excel", ".to_markdown", ".to_latex", ".to_html")), f"{source} uses {name}"
