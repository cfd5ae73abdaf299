"""Odd settings, tables, stored files, names and models by chance: each is used, or refused in one sentence, soon.

Case number n of a kind is always the same one, whatever else runs; a failure names it.
"""

import contextlib
import io
import json
import os
import random
import shutil
import string
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_before.make import ARGUMENTS, HERE

from fer_models.errors import FerError
from flows.cli import main
from tasks.config.presets import PRESETS
from tasks.config.resolving import resolve_settings, settings_as_yaml
from tasks.config.settings import CorpusSettings
from tasks.corpus.manifest import build_manifest, read_manifest
from tasks.dataset.folds import fold_of_subjects
from tasks.inference.batch.folders import place_videos
from tasks.inference.predictor import Predictor
from tasks.inference.sources import NamedVideo, list_videos

Case = Callable[[random.Random, Path], None]

#: Signs that mean something to YAML, CSV, paths, terminals or Unicode.
SIGNS = "abc019 .,;:-_/\\'\"[]{}()&*!|>%@`#~$=+<?\t\n\r\0\x1b\x7f\u00e4a\u0308\u202e\u200b\ufeff\ud800😀"
WORDS = [
    *("", "null", "~", "true", "no", "0", "-1", "1e999", ".inf", ".nan", "1:2:3:4", "2020-13-45", "!!int zz", "0x"),
    *("&a [*a]", "<<", "a: b: c", "- a", "[]", "{}", "[[]]", "{a: 1, a: 2}", "9" * 400, "x" * 300, "../../x", "C:\\x"),
    *("gap-sum", "sample", "folder", "table", "images", "holdout", "file", "none", "1", "7", "0.5", "[1, 2]", "auto"),
]


def text(rng: random.Random, longest: int = 40) -> str:
    """A text of odd signs, sometimes of the usual ones, sometimes long."""
    signs = rng.choice((SIGNS, string.ascii_letters + " ", SIGNS))
    return "".join(rng.choices(signs, k=rng.choice((1, 3, rng.randrange(1, longest), rng.randrange(1, longest)))))


def word(rng: random.Random) -> str:
    return rng.choice(WORDS) if rng.random() < 0.6 else text(rng)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, taken out, put in, doubled or swapped."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((1, 1, 4, 64, len(found) // 3 + 1)))
        match rng.randrange(5):
            case 0:
                found[start:end] = b""
            case 1:
                found[start:end] = bytes(rng.randrange(256) for _ in range(end - start))
            case 2:
                found[start:start] = found[start:end]
            case 3:
                found[start:start] = word(rng).encode("utf-8", "surrogatepass")
            case 4:
                del found[start:]
    return bytes(found)


def keys_of(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{above}{name}.")


KEYS = sorted({key for make in PRESETS.values() for key in keys_of(make().model_dump(mode="json"))})


def settings(rng: random.Random, folder: Path) -> None:
    """One to three settings with odd values, or odd keys."""
    keys = [rng.choice(KEYS) if rng.random() < 0.9 else f"{rng.choice(KEYS)}{text(rng, 8)}" for _ in range(3)]
    given = {key: word(rng) for key in keys[: rng.randrange(1, 4)]}
    preset = rng.choice(sorted(PRESETS)) if rng.random() < 0.95 else word(rng)
    settings_as_yaml(resolve_settings(preset, overrides=given))


def settings_file(rng: random.Random, folder: Path) -> None:
    """The settings of a preset as a file that was spoilt."""
    path = folder / "study.yaml"
    path.write_bytes(mutated(rng, settings_as_yaml(PRESETS[rng.choice(sorted(PRESETS))]()).encode()))
    resolve_settings(config=path)


def table(rng: random.Random, folder: Path) -> None:
    """A table of a corpus in CSV, in any encoding, or Parquet with columns of any type."""
    header = ("path", "subject", "emotion", "fold")
    columns = [rng.choice((name, f" {name.title()}")) if rng.random() < 0.9 else text(rng, 8) for name in header]
    rows = [
        [rng.choice((f"{number}.mp4", word(rng))), word(rng), rng.choice(("anger", word(rng))), "1"]
        for number in range(rng.randrange(5))
    ]
    path = folder / f"labels{rng.choice(('.csv', '.tsv', '.txt', '.parquet', ''))}"
    if path.suffix == ".parquet" and rng.random() < 0.7:
        values: list[Any] = [1, 2.5, None, b"\xff", [1], {"a": 1}, "a", True, pd.Timestamp(0)]
        chosen = {name: [rng.choice(values)] * rng.randrange(1, 4) for name in ("path", "subject", "emotion")}
        size = min(map(len, chosen.values()))
        pq.write_table(pa.table({name: one[:size] for name, one in chosen.items()}), path)
    else:
        separator, end = rng.choice(",,;\t|"), rng.choice(("\n", "\r\n", "\r"))
        quoted = [[f'"{cell}"' if rng.random() < 0.2 else cell for cell in row] for row in [columns, *rows]]
        content = end.join(separator.join(row) for row in quoted)
        encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16", "latin-1", "utf-16-be"))
        encoded = content.encode(encoding, "replace")
        path.write_bytes(mutated(rng, encoded) if rng.random() < 0.3 else encoded)
    reading: list[Callable[[], Any]] = [
        lambda: build_manifest(CorpusSettings(adapter="table", root=path), folder / "manifest.parquet"),
        lambda: fold_of_subjects(path, ["anna"]),
        lambda: list_videos([path]),
    ]
    rng.choice(reading)()


def names(rng: random.Random, folder: Path) -> None:
    """Videos and people of odd names, as folders of a corpus and as results of predictions."""
    root = folder / "corpus"
    for _ in range(rng.randrange(1, 6)):
        parts = [
            rng.choice(("anger", "@eaDir", text(rng, 12))),
            text(rng, 12),
            f"{text(rng, 12)}{rng.choice(('.mp4', '.MOV', '.png', ''))}",
        ]
        with contextlib.suppress(OSError, ValueError):  # no file can be called so
            path = root.joinpath(*(part.replace("/", "_").strip(".") or "_" for part in parts))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.randbytes(3))
    place_videos(videos_below_or_none(root), folder / "results")
    adapter = rng.choice(("folder", "folder", "videos", "ckplus48"))
    manifest = build_manifest(CorpusSettings(adapter=adapter, root=root), folder / "manifest.parquet")
    pd.testing.assert_frame_equal(read_manifest(folder / "manifest.parquet"), manifest)


def videos_below_or_none(root: Path) -> list[NamedVideo]:
    with contextlib.suppress(FerError):
        return list_videos([root])
    return []


_COMMANDS = ("status", "audit", "report", "retry", "inspect happiness/p0/clip.mp4", "explain 0", "clean --yes")


def stored(rng: random.Random, folder: Path) -> None:
    """A file of a data root that was spoilt, and a command that looks at it."""
    for name in ("corpus", "data"):
        shutil.copytree(HERE / name, folder / name)
    path = rng.choice(sorted(path for path in (folder / "data").rglob("*") if path.is_file()))
    if path.suffix == ".parquet" and rng.random() < 0.6:
        spoil_table(rng, path)
    elif path.suffix == ".json" and rng.random() < 0.6:
        spoil_record(rng, path)
    elif rng.random() < 0.2:
        path.unlink()
        rng.choice((path.mkdir, lambda: path.symlink_to("nowhere"), lambda: path.write_bytes(b"")))()
    else:
        path.write_bytes(mutated(rng, path.read_bytes()))
    (folder / "study.yaml").write_text(json.dumps({"preset": ARGUMENTS["preset"], **nested(ARGUMENTS["overrides"])}))
    command = [*rng.choice(_COMMANDS).split(), "--config", "study.yaml"]
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fer", *command])
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                main()
        except SystemExit as end:
            told = f"{command} of {path}: {said.getvalue()}"
            is_sentence = not said.getvalue() or said.getvalue().strip().splitlines()[-1].startswith("fer: ")
            if "This is a bug" in told or (end.code and not is_sentence):
                raise ValueError(told) from None


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in dotted.items():
        *groups, name = key.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = str(value) if isinstance(value, Path) else value
    return found


def spoil_table(rng: random.Random, path: Path) -> None:
    """A column that is gone, renamed, of another type or with other values; or rows that are."""
    found = pq.read_table(path)
    name = rng.choice(found.column_names)
    place = found.column_names.index(name)
    size = len(found)
    match rng.randrange(6):
        case 0:
            found = found.drop_columns([name])
        case 1:
            found = found.rename_columns([text(rng, 6) if one == name else one for one in found.column_names])
        case 2:
            value = rng.choice((1, 2.5, "zz", "../../x", b"x", [1], True, None, -5, 2**40))
            found = found.set_column(place, name, pa.array([value] * size))
        case 3:
            found = found.slice(0, rng.randrange(size + 1))
        case 4:
            found = pa.concat_tables([found, found.slice(0, rng.randrange(size + 1))])
        case 5:
            order = list(range(size))
            rng.shuffle(order)
            found = found.set_column(place, found.schema.field(name), found[name].take(order))
    pq.write_table(found.replace_schema_metadata(found.schema.metadata), path)


def spoil_record(rng: random.Random, path: Path) -> None:
    """A value of a record, at any depth, that is gone or another one."""
    record = json.loads(path.read_text())
    place: Any = record
    while isinstance(place, dict | list) and place:
        key = rng.choice(sorted(place)) if isinstance(place, dict) else rng.randrange(len(place))
        if not isinstance(place[key], dict | list) or rng.random() < 0.4:
            if rng.random() < 0.3:
                del place[key]
            else:
                place[key] = rng.choice((None, -1, 10**30, 1.5, "zz", "../../x", [], {}, True, float("nan")))
            break
        place = place[key]
    path.write_text(json.dumps(record))


def model(rng: random.Random, folder: Path) -> None:
    """A saved model that was spoilt: its bytes, or the description of its layers."""
    source = next((HERE / "data").rglob("model.keras"))
    path = folder / "model.keras"
    if rng.random() < 0.3:
        path.write_bytes(mutated(rng, source.read_bytes()))
    else:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json":
                    (folder / name).write_bytes(content)
                    spoil_config(rng, folder / name)
                    content = (folder / name).read_bytes()
                elif rng.random() < 0.1:
                    content = mutated(rng, content)
                new.writestr(name, content)
    predictor = Predictor.load(path)
    assert predictor.labels


def spoil_config(rng: random.Random, path: Path) -> None:
    """What a model carries beside its layers, mostly; else anything of it."""
    if rng.random() < 0.3:
        spoil_record(rng, path)
        return
    config = json.loads(path.read_text())
    carrier = next(layer for layer in config["config"]["layers"] if "labels" in layer["config"])
    (path.parent / "carried.json").write_text(json.dumps(carrier["config"]))
    for _ in range(rng.randrange(1, 3)):
        spoil_record(rng, path.parent / "carried.json")
    carrier["config"] = json.loads((path.parent / "carried.json").read_text())
    path.write_text(json.dumps(config))


#: How many cases of each kind there are in the long form.
KINDS: dict[Case, int] = {settings: 700, settings_file: 400, table: 400, names: 200, stored: 240, model: 60}


def run(case: Case, number: int, folder: Path) -> str:
    """What is wrong with the end of a case; empty where it was used, or refused in one sentence, in time."""
    own = folder / "own"
    own.mkdir()
    start, said = time.monotonic(), "used"
    try:
        case(random.Random(f"{case.__name__} {number}"), own)
    except (FerError, OSError) as error:  # which `main` says in one sentence
        said = str(error) if isinstance(error, FerError) else error.strerror or ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(own, ignore_errors=True)
    took = time.monotonic() - start
    if took > 5 * float(os.environ.get("FER_TEST_PATIENCE", "1")):
        return f"it took {took:.1f} s"
    if not 0 < len(said) < 3000:
        return f"it said: {said[:3000]}"
    kept = [path.name for path in folder.iterdir()] == ["beside"] and (folder / "beside").read_text() == "dear"
    return "" if kept else "it changed what lies beside"


@pytest.mark.parametrize("share", [0.075, pytest.param(1.0, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.__name__)
def test_whatever_comes_is_used_or_refused(
    case: Case, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "beside").write_text("dear")
    monkeypatch.chdir(tmp_path)
    ends = {number: run(case, number, tmp_path) for number in range(round(KINDS[case] * share))}
    assert {number: end[:600] for number, end in ends.items() if end} == {}
