"""Files of a data root that are broken, foreign, edited or no files: one sentence that names the file and the remedy.

A small study is made once; then each of its files is damaged in each way, and the commands that read it are run.
"""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli import main, running
from flows.study import full_study
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.storage.files import write_text

pytestmark = pytest.mark.slow

#: What a sentence tells people to do.
REMEDY = re.compile(
    r"`fer [a-z]+|move it away|name one|put the file back|a study leaves them|or name another one|ids of tiles stand|"
    r"is not valid YAML|save it as UTF-8|should hold settings such as|no configuration file"
)
CORPUS = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180))
Damage = Callable[[Path], None]


class Made(NamedTuple):
    """A study that is done, a results folder of `fer predict`, and names in them."""

    folder: Path
    video_id: str
    tile_id: str
    clip: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    write_corpus(folder / "corpus", CORPUS)
    settings = {
        "name": "tiny",
        "data_root": str(folder / "data"),
        "corpus.root": str(folder / "corpus"),
        "corpus.draw_sample": False,
        "corpus.emotions": ["anger", "happiness", "sadness"],
        "model.width": 4,
        "model.head_units": 16,
        "training.epochs": 2,
        "arms": ["gap-sum"],
    }
    full_study("sample", overrides=settings)
    corpus = {"root": settings.pop("corpus.root"), "draw_sample": False, "emotions": settings.pop("corpus.emotions")}
    lines = ["preset: sample", "name: tiny", "data_root: data", f"corpus: {json.dumps(corpus)}"]
    lines += ["model: {width: 4, head_units: 16}", "training: {epochs: 2}", "arms: [gap-sum]"]
    (folder / "study.yaml").write_text("\n".join(lines))
    clip = sorted((folder / "corpus").rglob("*.mp4"))[0]
    ledger = pq.read_table(next(folder.glob("data/prepared/*/ledger.parquet")))
    tiles = pq.read_table(next(folder.glob("data/studies/tiny/runs/*/*/tiles.parquet")))
    made = Made(folder, ledger["video_id"][0].as_py(), tiles["tile_id"][0].as_py(), str(clip))
    with contextlib.chdir(folder):
        code, said = fer(made, "out")
        assert code == 0, said
    return made


@pytest.fixture
def work(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it to be damaged, as the working folder; nothing beside it may change."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("data", "results"):
        shutil.copytree(made.folder / name, folder / name)
    shutil.copy(made.folder / "study.yaml", folder)
    (tmp_path / "beside.txt").write_text("dear")
    before = stamps(made.folder / "corpus")
    monkeypatch.chdir(folder)
    yield folder
    assert stamps(made.folder / "corpus") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside.txt", "work"]
    assert (tmp_path / "beside.txt").read_text() == "dear"


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in found.items()}


COMMANDS = {
    "status": "status --config study.yaml",
    "audit": "audit --config study.yaml",
    "report": "report --config study.yaml",
    "retry": "retry --config study.yaml",
    "inspect": "inspect {0.video_id} --config study.yaml",
    "explain": "explain {0.tile_id} --config study.yaml",
    "predict": "predict {model} {0.clip}",
    "out": "predict {model} {0.clip} --out results",
    "config": "config --config study.yaml",
    "split": "split --config study.yaml",
    "train": "train --config study.yaml",
    "evaluate": "evaluate --config study.yaml",
}


def start_here(name: str, parameters: dict[str, Any], **more: Any) -> Any:
    """Run a flow as `fer` does, with the server of the tests in place of one of its own."""
    module, function = running._FLOWS[name]
    return getattr(importlib.import_module(module), function)(**parameters, **more)


def fer(made: Made, command: str) -> tuple[int, str]:
    """The exit code of a command that is run in this process, and what it says on standard error."""
    (model,) = Path("data/studies/tiny/runs").glob("*/")
    words = [word.format(made, model=model / "model.keras") for word in COMMANDS[command].split()]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(sys, "argv", ["fer", *words])
        patch.setattr(running, "start_flow", start_here)
        with contextlib.redirect_stderr(said):
            try:
                main()
            except SystemExit as end:
                return int(end.code or 0), said.getvalue()
    return 0, ""


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def noise(path: Path) -> None:
    path.write_bytes(b"not what it was\n" * 20)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    path.chmod(0)


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), path)


def _changed(change: Callable[[pa.Table], pa.Table]) -> Damage:
    def damage(path: Path) -> None:
        pq.write_table(change(pq.read_table(path)), path)

    return damage


def _of(value: object) -> Damage:
    return _changed(lambda table: pa.table({name: [value] * len(table) for name in table.column_names}))


def nulls(table: pa.Table) -> pa.Table:
    return pa.table({field.name: pa.nulls(len(table), field.type) for field in table.schema})


def words_edited(table: pa.Table) -> pa.Table:
    """Every text is another."""
    edited = {name: ["zz"] * len(table) for name in table.column_names if pa.types.is_string(table[name].type)}
    return pa.table({name: edited.get(name, table[name]) for name in table.column_names})


def _edited(change: Callable[[dict[str, object]], object]) -> Damage:
    def damage(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return damage


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def without(number: int) -> Damage:
    """One column is not there, as an older version may have left it."""
    return _changed(lambda table: table.remove_column(number % table.num_columns))


ANY: dict[str, Damage] = {
    "empty": empty,
    "half": half,
    "noise": noise,
    "folder": folder,
    "link to itself": link_to_itself,
    "pipe": pipe,
    "unreadable": unreadable,
}
TABLE: dict[str, Damage] = {
    "other columns": other_columns,
    "lists": _of([1]),
    "numbers": _of(3.5),
    "texts": _of("x"),
    "nulls": _changed(nulls),
    "edited words": _changed(words_edited),
    "no rows": _changed(lambda table: table.slice(0, 0)),
    "rows twice": _changed(lambda table: pa.concat_tables([table, table])),
    "newer": _changed(lambda table: table.append_column("new", pa.array([1] * len(table)))),
    **{f"without column {number}": without(number) for number in range(6)},
}
RECORD: dict[str, Damage] = {
    "a list": _edited(lambda record: [1]),
    "an empty record": _edited(lambda record: {}),
    "texts": _edited(lambda record: dict.fromkeys(record, "x")),
    "not numbers": _edited(lambda record: dict.fromkeys(record, float("nan"))),
    "nulls": _edited(dict.fromkeys),
    "newer": _edited(lambda record: record | {"of_tomorrow": {"a": 1}}),
    "deep": deep,
}
#: Files by pattern, how they may be damaged, and the commands that read them.
FILES: dict[str, tuple[dict[str, Damage], str]] = {
    "data/manifest.parquet": (TABLE, "status audit report inspect explain"),
    "data/prepared/*/ledger.parquet": (TABLE, "status audit report inspect retry"),
    "data/prepared/*/shards/*/*.parquet": (TABLE, "inspect audit"),
    "data/splits/*.parquet": (TABLE, "status audit report"),
    "data/splits/*.copy": ({}, "status"),
    "data/studies/tiny/index/*/*/train.parquet": (TABLE, "status audit report"),
    "data/studies/tiny/index/*/*/test.parquet": (TABLE, "report audit"),
    "data/studies/tiny/mlflow.json": (RECORD, "status report"),
    "data/studies/tiny/runs/*/progress.json": (RECORD, "status report"),
    "data/studies/tiny/runs/*/model.keras": ({}, "status predict explain"),
    "data/studies/tiny/runs/*/model_card.json": (RECORD, "report predict"),
    "data/studies/tiny/runs/*/model_card.md": ({}, "report"),
    "data/studies/tiny/runs/*/settings.json": (RECORD, "status"),
    "data/studies/tiny/runs/*/test-*/evaluation.json": (RECORD, "report"),
    "data/studies/tiny/runs/*/test-*/explanation.json": (RECORD, "report"),
    "data/studies/tiny/runs/*/test-*/tiles.parquet": (TABLE, "explain"),
    "data/studies/tiny/runs/*/test-*/predictions.parquet": (TABLE, "report"),
    "data/studies/tiny/runs/*/test-*/videos.parquet": (TABLE, "report"),
    "data/mlflow.db": ({}, "status report"),
    "results/*/prediction.json": (RECORD, "out"),
    "results/predictions.csv": ({}, "out"),
    "study.yaml": ({}, "config"),
}
#: The flows that read them, each of which takes seconds; so they meet fewer kinds of damage.
FLOWS = {
    "data/manifest.parquet": "train",
    "data/prepared/*/ledger.parquet": "split train evaluate",
    "data/prepared/*/shards/*/*.parquet": "train evaluate",
    "data/splits/*.parquet": "split train evaluate",
    "data/studies/tiny/index/*/*/train.parquet": "train evaluate",
    "data/studies/tiny/index/*/*/validation.parquet": "train",
    "data/studies/tiny/index/*/*/test.parquet": "evaluate",
    "data/studies/tiny/mlflow.json": "train evaluate",
    "data/studies/tiny/runs/*/mlflow.json": "evaluate",
    "data/studies/tiny/runs/*/progress.json": "evaluate train",
    "data/studies/tiny/runs/*/model.keras": "evaluate train",
    "data/studies/tiny/runs/*/model_card.json": "evaluate",
    "data/studies/tiny/runs/*/settings.json": "train evaluate",
    "data/studies/tiny/runs/*/test-*/evaluation.json": "evaluate",
    "data/studies/tiny/runs/*/test-*/explanation.json": "evaluate",
    "data/studies/tiny/runs/*/test-*/tiles.parquet": "evaluate",
    "data/studies/tiny/runs/*/test-*/predictions.parquet": "evaluate",
    "data/studies/tiny/runs/*/test-*/videos.parquet": "evaluate",
    "data/mlflow.db": "train evaluate",
}
SOME = (
    "empty",
    "half",
    "folder",
    "other columns",
    "nulls",
    "edited words",
    "newer",
    "without column 2",
    "a list",
    "texts",
)
Case = tuple[str, str, Damage, str]
CASES: list[Case] = [
    (pattern, how, damage, commands)
    for pattern, (more, commands) in FILES.items()
    for how, damage in (ANY | more).items()
]
KINDS = {".parquet": TABLE, ".json": RECORD}
OF_FLOWS: list[Case] = [
    (pattern, how, damage, commands)
    for pattern, commands in FLOWS.items()
    for how, damage in (ANY | KINDS.get(Path(pattern).suffix, {})).items()
    if how in SOME
]


@pytest.mark.parametrize(
    ("pattern", "how", "damage", "commands"),
    [*CASES, *OF_FLOWS],
    ids=[f"{one[0]}: {one[1]}" for one in CASES] + [f"{one[0]}: {one[1]}, flows" for one in OF_FLOWS],
)
def test_a_damaged_file_is_one_sentence(
    made: Made, work: Path, pattern: str, how: str, damage: Damage, commands: str
) -> None:
    if how == "unreadable" and (os.name == "nt" or os.geteuid() == 0):
        pytest.skip("this user may read everything")
    path = sorted(work.glob(pattern))[0]
    damage(path)
    for command in commands.split():
        start = time.monotonic()
        code, said = fer(made, command)
        lines = said.strip().splitlines()
        assert time.monotonic() - start < (120 if command in ("split", "train", "evaluate") else 30), command
        assert "This is a bug" not in said, f"{command}: {said}"
        assert "Traceback" not in said, f"{command}: {said}"
        if code:
            assert lines[-1].startswith("fer: "), said
            assert sum(line.startswith("fer: ") for line in lines) == 1, said
            assert REMEDY.search(lines[-1]), said
            if how != "rows twice":  # which is seen by what does not fit together any more
                assert path.name.partition(".")[0] in said, said


def test_a_database_of_another_version_of_mlflow(made: Made, work: Path) -> None:
    from tasks.config.layout import Layout
    from tasks.config.resolving import resolve_settings
    from tasks.tracking import connection

    with closing(sqlite3.connect("data/mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    settings = resolve_settings(config="study.yaml")
    with pytest.raises(Exception, match=r"MLflow cannot use .*mlflow\.db .*or move it away"):
        connection.connect(Layout.of(settings))


def test_a_database_that_another_program_holds(made: Made, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for with a word, and not for ever."""
    connect = sqlite3.connect
    monkeypatch.setattr("tasks.tracking.mlflow_database.PATIENCE_S", (0.1, 0.2))
    with closing(connect("data/mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        code, said = fer(made, "status")
    assert code == 1
    waiting, sentence = said.strip().splitlines()[-2:]
    assert "Another program writes to" in waiting
    assert "mlflow.db cannot be used (database is locked)" in sentence


def test_a_folder_in_the_place_of_a_file_that_is_written(made: Made, work: Path) -> None:
    report = work / "data/studies/tiny/report/index.html"
    report.unlink()
    report.mkdir()
    code, said = fer(made, "report")
    assert code == 1
    assert "index.html is a folder where a file belongs; move it away" in said


def test_nothing_that_is_not_damaged_is_touched(made: Made, work: Path) -> None:
    """Looking changes nothing of what a study made."""
    kept = ("manifest.parquet", "ledger.parquet", "model.keras", "progress.json", "evaluation.json")
    before = {path: when for path, when in stamps(work).items() if path.name in kept}
    write_text(work / "data" / "own.txt", "dear")
    for command in ("status", "audit", "report", "inspect", "explain", "retry", "config"):
        assert fer(made, command)[0] == 0, command
    assert {path: when for path, when in stamps(work).items() if path.name in kept} == before
    assert (work / "data" / "own.txt").read_text() == "dear"
