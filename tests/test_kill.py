"""`kill -9` in the middle of a study, then the same command: nothing is lost and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import images_of

from tasks.corpus.sample.corpus import SampleCorpus, write_corpus

pytestmark = pytest.mark.slow

SETTINGS = """
preset: sample
name: killed
corpus: {draw_sample: false, emotions: [anger, happiness, sadness]}
model: {width: 4, head_units: 16}
training: {epochs: 8}
arms: [gap-sum, spatial-only]
"""


def start(folder: Path, data_root: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "study", "--config", "study.yaml"]
    return subprocess.Popen([*command, "--data-root", data_root], cwd=folder, start_new_session=True)


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """SIGKILL the process, and whatever it started, as soon as a condition holds."""
    deadline = time.monotonic() + 240
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def histories(data: Path) -> list[list[dict[str, float]]]:
    return [json.loads(path.read_text())["history"] for path in sorted(data.glob("studies/*/runs/*/progress.json"))]


def test_a_killed_study_goes_on_and_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    write_corpus(tmp_path / "sample-corpus", SampleCorpus(subjects=6, clips=7, seconds=0.8, size=(240, 180)))
    (tmp_path / "study.yaml").write_text(SETTINGS)
    data = tmp_path / "killed"
    kill_when(start(tmp_path, "killed"), lambda: len(list(data.glob("prepared/*/shards/*/*.parquet"))) >= 5)
    shards = {path: path.stat().st_mtime_ns for path in data.glob("prepared/*/shards/*/[0-9a-f]*.parquet")}
    kill_when(start(tmp_path, "killed"), lambda: any(len(history) >= 2 for history in histories(data)))
    done = max(histories(data), key=len)
    assert start(tmp_path, "killed").wait() == 0
    assert start(tmp_path, "undisturbed").wait() == 0

    assert {path: path.stat().st_mtime_ns for path in shards} == shards, "no shard was made twice"
    assert done in [history[: len(done)] for history in histories(data)], "no epoch was trained twice"
    assert all(len(history) == 8 for history in histories(data))
    assert len(list(data.glob("studies/*/runs/*/model.keras"))) == 2
    for path in (tmp_path / "undisturbed").glob("prepared/*/shards/*/[0-9a-f]*.parquet"):
        twin = data / path.relative_to(tmp_path / "undisturbed")
        for mine, theirs in zip(images_of(twin), images_of(path), strict=True):
            assert mine.tobytes() == theirs.tobytes()
