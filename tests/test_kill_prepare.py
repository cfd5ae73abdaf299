"""Preparation under `kill -9` and beside a second run of itself: in the end every shard is what it would have been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Tally

from tasks.corpus.sample.corpus import SampleCorpus, write_corpus

FER = """
from flows.cli import main
if __name__ == "__main__":
    main()
"""
#: A run without Prefect, whose start would take longer than the work.
PLAIN = """
import sys
from tasks.config.resolving import resolve_settings
from tasks.preparation.batches import prepare_all
from tasks.preparation.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.preparation.workers import prepare_videos
if __name__ == "__main__":
    settings = resolve_settings(None, sys.argv[3], {"data_root": sys.argv[5]})
    scan = scan_corpus(settings)
    def run(batches):
        for batch in batches:
            yield prepare_videos(batch.jobs, settings.prepare, 2, 60.0)
    conclude(scan, settings, prepare_all(due_jobs(scan, settings), run, 0, 0.0, most_failures(scan, settings)))
"""
UNDISTURBED = "undisturbed"
SETTINGS = """
corpus: {adapter: baum1, root: corpus}
prepare: {segment_stride: 2}
"""


class Study:
    """A corpus, and runs of its preparation into data roots beside it; the first of them is left alone."""

    def __init__(self, folder: Path, clips: int, code: str, environment: dict[str, str]) -> None:
        self.folder, self.code, self.environment = folder, code, environment
        write_corpus(folder / "corpus", SampleCorpus(subjects=8, clips=clips, seconds=1.2, size=(240, 180)))
        (folder / "study.yaml").write_text(SETTINGS)
        assert self.start(UNDISTURBED).wait() == 0

    def start(self, data_root: str) -> subprocess.Popen[bytes]:
        script = self.folder / "run.py"
        script.write_text(self.code)
        command = [sys.executable, str(script), "prepare", "--config", "study.yaml", "--data-root", data_root]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | self.environment,
            stderr=(self.folder / f"{data_root}.log").open("ab"),
        )

    def kill_at(self, data_root: str, seconds: float, whole_group: bool) -> bool:
        """Kill a run so long after it began; False when it had ended by then."""
        process = self.start(data_root)
        try:
            return_code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if whole_group else process.kill()
            process.wait()
            return True
        assert return_code == 0
        return False

    def shards(self, data_root: str) -> dict[str, Path]:
        return {path.name: path for path in (self.folder / data_root).glob("prepared/*/shards/*/[0-9a-f]*.parquet")}

    def ledger(self, data_root: str) -> pd.DataFrame:
        (path,) = (self.folder / data_root).glob("prepared/*/ledger.parquet")
        return pd.read_parquet(path)

    def check_same(self, data_root: str) -> int:
        """A data root holds the same shards and outcomes as the undisturbed one; the number of shards."""
        mine, theirs = self.shards(data_root), self.shards(UNDISTURBED)
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert pq.read_table(mine[name]).equals(pq.read_table(theirs[name])), name
        kept = ["video_id", "sha256", "outcome", "message", "num_frames", "num_segments", "num_covered", "shard"]
        pd.testing.assert_frame_equal(self.ledger(data_root)[kept], self.ledger(UNDISTURBED)[kept])
        return len(mine)


def answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health").is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server beside the runs; the environment that points to it."""
    home = tmp_path_factory.mktemp("prefect-server")
    environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": "http://127.0.0.1:4277/api"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", "4277"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 300
        while not answers(environment["PREFECT_API_URL"]):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield environment
    finally:
        process.terminate()
        process.wait()


def kill_at_random_moments(study: Study, number: int, longest_s: float, tally: Tally) -> None:
    random = Random(7)
    killed = whole = 0
    while killed < number:
        if study.kill_at("killed", random.uniform(0.5, longest_s), whole_group=random.random() < 0.7):
            killed += 1
        else:  # it came to its end: check it and lose some shards, as if it had never got so far
            whole += study.check_same("killed") > 0
            for path in study.shards("killed").values():
                if random.random() < 0.7:
                    path.unlink()
    assert study.start("killed").wait() == 0
    study.check_same("killed")
    tally.add("kill -9 at a random moment, then a rerun", tried=killed, survived=killed)


def two_at_once(study: Study, tally: Tally) -> None:
    first, second = study.start("both"), study.start("both")
    assert (first.wait(), second.wait()) == (0, 0)
    assert study.check_same("both") > 0
    tally.add("two runs at once into one data root", tried=2, survived=2)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("short"), 2, PLAIN, {})


def test_kills_in_short(short: Study, tally: Tally) -> None:
    kill_at_random_moments(short, 1, 4.0, tally)


@pytest.mark.slow
def test_two_runs_at_once_in_short(short: Study, tally: Tally) -> None:
    two_at_once(short, tally)


@pytest.mark.faults
def test_fifty_kills(tmp_path: Path, server: dict[str, str], tally: Tally) -> None:
    kill_at_random_moments(Study(tmp_path, 16, FER, server), 50, 12.0, tally)


@pytest.mark.faults
def test_two_runs_at_once(tmp_path: Path, server: dict[str, str], tally: Tally) -> None:
    two_at_once(Study(tmp_path, 9, FER, server), tally)
