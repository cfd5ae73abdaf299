"""Files that are there but have lost their content, as an older version or a copy that broke off leaves them.

What can be made again counts as not there, with a sentence; of the split there is a copy.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import report_of, video_file, write_shard
from ledgers import make_ledger, subjects
from pydantic import BaseModel

from fer_models.errors import BrokenFile, UserError
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.settings import CorpusSettings
from tasks.config.split_settings import SplitSettings
from tasks.corpus.changes import read_changes, record_changes
from tasks.corpus.manifest import SCHEMA as MANIFEST
from tasks.corpus.manifest import build_manifest, read_manifest
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.dataset.splits import read_split, update_split
from tasks.outcomes import Outcome
from tasks.preparation.ledger import find_previous, plan_preparation, read_ledger, write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import shard_path
from tasks.storage.files import (
    atomic_write,
    broken_files,
    find_frame,
    find_json,
    is_whole,
    set_aside,
    write_json,
    write_table,
    write_text,
)
from tasks.storage.shard_files import read_tables, whole_shard
from tasks.study import checkpoints
from tasks.study.checkpoints import MODEL_FILE
from tasks.video.segments import VideoReport

Damage = Callable[[Path], None]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def last_page_lost(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4 if path.stat().st_size < 4096 else path.stat().st_size // 4096 * 4096 - 1)


damages = pytest.mark.parametrize("damage", [empty, half, zeros, last_page_lost])


class Words(BaseModel):
    words: list[str]


def write_kind(path: Path) -> None:
    if path.suffix == ".parquet":
        write_table(path, pa.table({"x": list(range(1000))}))
    elif path.suffix == ".json":
        write_json(path, Words(words=["a", "b"] * 300))
    elif path.suffix == ".keras":
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    elif path.suffix == ".npz":
        np.savez_compressed(path, x=np.arange(1000))
    elif path.suffix in (".png", ".jpg"):
        path.write_bytes(cv2.imencode(path.suffix, np.random.default_rng(0).integers(0, 255, (40, 40, 3)))[1].tobytes())


@pytest.mark.parametrize(
    ("cause", "is_broken"),
    [(PermissionError(errno.EACCES, "no"), False), (MemoryError(), False), (OSError("truncated"), True)],
)
def test_a_model_that_cannot_be_read_now_is_not_set_aside(
    cause: Exception, is_broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise UserError(f"{path} is not a model.") from cause

    (tmp_path / MODEL_FILE).touch()
    monkeypatch.setattr(checkpoints, "load_model", refuse)
    with pytest.raises(UserError):
        checkpoints.load_trained(tmp_path, "a run")
    assert (tmp_path / MODEL_FILE).exists() != is_broken


@damages
@pytest.mark.parametrize("name", ["a.parquet", "a.json", "a.keras", "a.npz", "a.png", "a.jpg"])
def test_a_file_without_its_end_is_not_whole(tmp_path: Path, name: str, damage: Damage) -> None:
    path = tmp_path / name
    assert not is_whole(path)
    write_kind(path)
    assert is_whole(path)
    assert broken_files(tmp_path) == []
    damage(path)
    assert not is_whole(path)
    assert broken_files(tmp_path) == [path]
    set_aside(path)
    assert broken_files(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [f"broken-{name}"]


@damages
def test_a_broken_table_or_record_is_set_aside(tmp_path: Path, damage: Damage, capsys: Any) -> None:
    for name, find in (("a.parquet", find_frame), ("a.json", lambda path: find_json(path, Words))):
        path = tmp_path / name
        assert find(path) is None
        write_kind(path)
        assert find(path) is not None
        damage(path)
        assert find(path) is None
        assert not path.exists()
        assert (tmp_path / f"broken-{name}").is_file()
        assert f"{name} has lost its content; it is set aside as broken-{name}" in capsys.readouterr().err
        write_kind(path)
        assert find(path) is not None


def test_a_hole_in_a_table_is_found(tmp_path: Path) -> None:
    """Its end is there, so that only its checksums tell."""
    path = tmp_path / "a.parquet"
    write_table(path, pa.table({"x": np.random.default_rng(0).bytes(8)[:1] * 50_000, "y": range(50_000)}))
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(content)
    assert is_whole(path)
    assert find_frame(path) is None


@pytest.mark.parametrize("name", ["a.keras", "a.npz"])
def test_a_hole_in_an_archive_is_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_kind(path)
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    assert is_whole(path)
    assert broken_files(tmp_path) == [path]


def test_a_disk_that_cannot_be_read_breaks_no_file(tmp_path: Path) -> None:
    """What is there may come back with the disk, so nothing is made anew."""
    path = tmp_path / "a.parquet"
    write_kind(path)
    with pytest.raises(OSError, match="input/output"), whole_shard(path):
        raise OSError(errno.EIO, "input/output error", str(path))
    assert is_whole(path)


@damages
def test_a_broken_shard_is_due_again(tmp_path: Path, damage: Damage, capsys: Any) -> None:
    videos = [{"video_id": name, "sha256": name * 64, "status": "ok"} for name in "abc"]
    manifest = pd.DataFrame([dict.fromkeys(MANIFEST.names, "") | video for video in videos])
    reports = {sha256: VideoReport(sha256=sha256, outcome=Outcome.OK) for sha256 in manifest["sha256"]}
    for sha256, report in reports.items():
        write_shard(shard_path(tmp_path / "shards", sha256), [], report)
    ledger = write_ledger(tmp_path / "ledger.parquet", manifest, reports, {})
    assert plan_preparation(manifest, ledger, tmp_path / "shards").due.empty
    damage(shard_path(tmp_path / "shards", "b" * 64))
    for previous in (ledger, None):
        plan = plan_preparation(manifest, previous, tmp_path / "shards")
        assert plan.due["video_id"].tolist() == ["b"]
        assert plan.done.keys() == {"a" * 64, "c" * 64}
    assert "is set aside as broken-bbb" in capsys.readouterr().err


@pytest.mark.parametrize("length", [1, 2**31 - 1], ids=["cut", "beyond the file"])
def test_all_shards_with_a_broken_footer_are_due_again_at_once(tmp_path: Path, length: int, capsys: Any) -> None:
    """Their ends are there, so that only reading them tells; the others keep their reports."""
    videos = [{"video_id": name, "sha256": name * 64, "status": "ok"} for name in "abcde"]
    manifest = pd.DataFrame([dict.fromkeys(MANIFEST.names, "") | video for video in videos])
    for sha256 in manifest["sha256"]:
        write_shard(shard_path(tmp_path, sha256), [], VideoReport(outcome=Outcome.OK))
    for name in "bd":
        path = shard_path(tmp_path, name * 64)
        path.write_bytes(path.read_bytes()[:-8] + length.to_bytes(4, "little") + b"PAR1")
        assert is_whole(path)
    plan = plan_preparation(manifest, None, tmp_path)
    assert plan.due["video_id"].tolist() == ["b", "d"]
    assert plan.done.keys() == {"a" * 64, "c" * 64, "e" * 64}
    said = capsys.readouterr().err
    assert said.count("is set aside as broken-") == 2
    assert "not what their names say" not in said
    assert sorted(path.name[:10] for path in tmp_path.rglob("broken-*")) == ["broken-bbb", "broken-ddd"]


def test_who_is_slower_to_set_a_file_aside_says_nothing(tmp_path: Path, capsys: Any) -> None:
    write_text(tmp_path / "broken-a.json", "{")
    set_aside(tmp_path / "a.json")
    assert capsys.readouterr().err == ""
    assert (tmp_path / "broken-a.json").read_text() == "{"


def test_a_record_that_goes_while_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", Words(words=[]))
    read = Path.read_bytes

    def go(path: Path) -> bytes:
        path.unlink()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", go)
    assert find_json(tmp_path / "a.json", Words) is None


def test_a_broken_shard_is_made_again(tmp_path: Path, moving_face: Path) -> None:
    video = video_file(moving_face)
    shard = shard_path(tmp_path / "shards", video.sha256)
    shard.parent.mkdir(parents=True)
    shard.touch()
    report = prepare_file(video, shard, PrepareSettings(segment_stride=2))
    assert report.outcome is Outcome.OK
    assert report_of(shard) == report


@damages
def test_a_shard_that_breaks_before_it_is_read(tmp_path: Path, damage: Damage) -> None:
    path = shard_path(tmp_path / "shards", "a" * 64)
    write_shard(path, [], VideoReport(outcome=Outcome.OK))
    damage(path)
    with pytest.raises(BrokenFile, match=r"aaa\.parquet has lost its content .* Run `fer prepare` again"):
        list(read_tables([path]))
    assert not path.exists()


@damages
def test_a_broken_manifest_is_made_again(tmp_path: Path, damage: Damage) -> None:
    for subject in "abc":
        path = tmp_path / "videos" / "anger" / subject / "1.mp4"
        path.parent.mkdir(parents=True)
        path.write_text(subject)
    corpus = CorpusSettings(root=tmp_path / "videos", emotions=("anger", "fear"))
    manifest = build_manifest(corpus, tmp_path / "manifest.parquet")
    damage(tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(build_manifest(corpus, tmp_path / "manifest.parquet"), manifest)
    damage(tmp_path / "manifest.parquet")
    with pytest.raises(UserError, match="There is no manifest at"):
        read_manifest(tmp_path / "manifest.parquet")


@damages
def test_a_broken_ledger_or_journal_begins_anew(tmp_path: Path, damage: Damage) -> None:
    write_ledger(tmp_path / "ledger.parquet", pd.DataFrame(columns=MANIFEST.names), {}, {})
    damage(tmp_path / "ledger.parquet")
    assert find_previous(tmp_path / "ledger.parquet") is None
    with pytest.raises(UserError, match="run `fer prepare` first"):
        read_ledger(tmp_path / "ledger.parquet", ("anger", "fear"))
    changes = pd.DataFrame({"change": ["new"], "video_id": ["a"], "previous": [""]})
    record_changes(tmp_path / "changes.parquet", changes)
    damage(tmp_path / "changes.parquet")
    record_changes(tmp_path / "changes.parquet", changes)
    assert read_changes(tmp_path / "changes.parquet")["video_id"].tolist() == ["a"]


@damages
def test_a_broken_split_is_taken_from_its_copy(tmp_path: Path, damage: Damage, capsys: Any) -> None:
    path = tmp_path / "splits" / "one.parquet"
    settings, emotions = SplitSettings(), ("anger", "fear", "sadness")
    update_split(make_ledger(subjects(12)), emotions, settings, path)
    before = read_split(path)
    damage(path)
    pd.testing.assert_frame_equal(read_split(path), before)
    assert "The split is taken from its copy, one.parquet.copy." in capsys.readouterr().err
    damage(path)
    update_split(make_ledger(subjects(20)), emotions, settings, path)
    grown = read_split(path)
    assert len(grown.merge(before)) == len(before), "nobody moved"
    damage(path)
    pd.testing.assert_frame_equal(read_split(path), grown, obj="the copy grows along")
    copy = path.with_name("one.parquet.copy")
    damage(copy)
    pd.testing.assert_frame_equal(read_split(path), grown)
    damage(path)
    with pytest.raises(UserError, match=r"has lost .* Its copy is no better, .* backup, or set another split\.seed"):
        read_split(path)
    with pytest.raises(UserError, match="has lost its content"):
        update_split(make_ledger(subjects(20)), emotions, settings, path)
    path.unlink()
    update_split(make_ledger(subjects(12)), emotions, settings, path)
    pd.testing.assert_frame_equal(read_split(path), before)


def test_a_split_without_a_copy(tmp_path: Path) -> None:
    """As an older version left it."""
    path = tmp_path / "one.parquet"
    settings, emotions = SplitSettings(), ("anger", "fear", "sadness")
    update_split(make_ledger(subjects(12)), emotions, settings, path)
    before = read_split(path)
    path.with_name("one.parquet.copy").unlink()
    pd.testing.assert_frame_equal(read_split(path), before)
    half(path)
    with pytest.raises(
        UserError, match=r"one\.parquet has lost .* Its copy is not there, and who was in the test subset"
    ):
        read_split(path)


@pytest.mark.slow
def test_a_broken_clip_of_the_sample_is_drawn_again(tmp_path: Path) -> None:
    corpus = SampleCorpus(subjects=1, clips=2, seconds=0.1, size=(80, 60))
    num_drawn = write_corpus(tmp_path / "corpus", corpus, workers=1)
    clip = next((tmp_path / "corpus").rglob("*.mp4"))
    content = clip.read_bytes()
    empty(clip)
    assert (num_drawn > 0, write_corpus(tmp_path / "corpus", corpus, workers=1)) == (True, 1)
    assert clip.read_bytes() == content


SETTINGS = """
preset: sample
name: tiny
data_root: data
corpus: {root: corpus, draw_sample: false, emotions: [anger, happiness, sadness]}
model: {width: 4, head_units: 16}
training: {epochs: 2, keep_epochs: true}
arms: [gap-sum]
"""


def fer(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which remembers nothing of the one before."""
    code = "from flows.cli import main; main()"
    command = [sys.executable, "-c", code, *words, "--config", "study.yaml"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [empty, half])
def test_a_study_goes_on_when_every_file_of_its_data_root_is_broken(tmp_path: Path, damage: Damage) -> None:
    """All but the copy of the split: the same command makes everything again, and every subject keeps their side."""
    write_corpus(tmp_path / "corpus", SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180)))
    (tmp_path / "study.yaml").write_text(SETTINGS)
    first = fer(tmp_path, "study")
    assert first.returncode == 0, first.stderr
    (split,) = (tmp_path / "data" / "splits").glob("*.parquet")
    (run,) = (tmp_path / "data" / "studies" / "tiny" / "runs").iterdir()
    before, scores = read_split(split), json.loads(next(run.glob("test-*/evaluation.json")).read_text())["scores"]
    kept = (".copy", ".lock")  # locks hold nothing
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix not in kept]
    for path in files:
        damage(path)
    second = fer(tmp_path, "study")
    assert second.returncode == 0, second.stderr
    assert "Trained 1 of 1 runs" in second.stderr
    pd.testing.assert_frame_equal(read_split(split), before)
    assert [path for path in files if not is_whole(path) and "mlartifacts" not in path.parts] == []
    again = json.loads(next(run.glob("test-*/evaluation.json")).read_text())["scores"]
    assert again == pytest.approx(scores, abs=0.2)

    damage(run / MODEL_FILE)
    (predictions,) = run.glob("test-*/predictions.parquet")
    damage(predictions)
    evaluated = fer(tmp_path, "evaluate")
    assert evaluated.returncode == 1
    assert "1 of 1 runs are not trained, for example gap-sum, seed 1: " in evaluated.stderr
    assert "Traceback" not in evaluated.stderr
    third = fer(tmp_path, "study")
    assert third.returncode == 0, third.stderr
    assert is_whole(predictions)


def test_content_is_on_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in which the system is asked; that it keeps its word is seen by `test_power_cut.py`."""
    asked: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def spy_on_sync(descriptor: int) -> None:
        asked.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.rpartition("-")[2]))
        sync(descriptor)

    def spy_on_replace(source: Path, target: Path) -> None:
        asked.append(("name", target.name))
        replace(source, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", spy_on_sync)
    monkeypatch.setattr(os, "replace", spy_on_replace)
    write_text(tmp_path / "new" / "folder" / "a.txt", "whole")
    made = [("sync", tmp_path.name.rpartition("-")[2]), ("sync", "new")]
    assert asked == [*made, ("sync", "a.txt"), ("name", "a.txt"), ("sync", "folder")]
    asked.clear()
    with atomic_write(tmp_path / "b.txt", name_lasts=False) as temporary:
        shutil.copy(tmp_path / "new" / "folder" / "a.txt", temporary)
    assert asked == [("sync", "b.txt"), ("name", "b.txt")]
