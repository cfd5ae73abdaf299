"""Batches on threads, Dask and Ray: the same outcomes, whichever it is and whoever dies."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import FPS, draw_wall
from test_preparation_workers import process_that_reads

from fer_models.errors import UserError
from flows.prepare import prepare
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import ExecutionSettings
from tasks.corpus.sample.corpus import VIDEO_FOLDER, SampleCorpus, write_corpus, write_video
from tasks.steps import runners
from tasks.steps.runners import open_runner

ROOT = Path(__file__).parents[1]
#: What may differ: times, and how often a video was tried.
_VARIES = ["seconds", "tried_at", "attempts"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with (
        pytest.raises(UserError, match=r"pip install 'fer-pipeline\[dask\]'"),
        open_runner(ExecutionSettings(task_runner="dask")),
    ):
        pass


def test_an_address_needs_a_cluster_to_be_of() -> None:
    with pytest.raises(
        UserError, match=r"execution.task_runner_address: threads have no address; set .* \(it is 'x:1'"
    ):
        resolve_settings(overrides={"execution.task_runner_address": "x:1"})


def test_workers_elsewhere_need_a_server_that_they_reach() -> None:
    execution = ExecutionSettings(task_runner="dask", task_runner_address="tcp://192.0.2.1:8786")
    with pytest.raises(UserError, match="set PREFECT_API_URL"), open_runner(execution):
        pass


class Study:
    """A corpus of 24 small clips, some of them broken, and one that takes seconds; its preparations lie beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_corpus(folder / "corpus", SampleCorpus(subjects=5, clips=4, seconds=1.2))
        self.long = next(iter(sorted((folder / "corpus" / VIDEO_FOLDER).glob("s003/*.mp4"))))
        write_video(self.long, draw_wall(40, (1280, 960)) * 10, FPS)

    def overrides(self, name: str, **execution: Any) -> dict[str, Any]:
        return {
            "corpus.adapter": "baum1",
            "corpus.root": str(self.folder / "corpus"),
            "data_root": str(self.folder / name),
            "prepare.segment_stride": 4,
            "execution.retry_pause_s": 0.0,
            **{f"execution.{key}": value for key, value in execution.items()},
        }

    def prepare(self, name: str, **execution: Any) -> pd.DataFrame:
        """Prepare the corpus into a data root of that name; the ledger."""
        overrides = self.overrides(name, **execution)
        prepare(overrides=overrides, allow_failures=True)
        return pd.read_parquet(Layout.of(resolve_settings(overrides=overrides)).ledger).set_index("video_id")

    def check_same(self, name: str, ledger: pd.DataFrame, undisturbed: pd.DataFrame) -> None:
        """Same outcomes, same shards."""
        pd.testing.assert_frame_equal(ledger.drop(columns=_VARIES), undisturbed.drop(columns=_VARIES))
        for sha256 in ledger.loc[ledger["shard"] != "", "sha256"]:
            mine, theirs = (
                next((self.folder / root).glob(f"prepared/*/shards/*/{sha256}.parquet")) for root in (name, "threads")
            )
            assert pq.read_table(mine).equals(pq.read_table(theirs))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def undisturbed(study: Study) -> pd.DataFrame:
    """The ledger that threads leave."""
    ledger = study.prepare("threads")
    assert len(ledger) == 25
    assert set(ledger["outcome"]) == {"ok", "no_face", "truncated", "not_tried", "file_missing"}
    assert ledger["attempts"].max() == 1
    return ledger


class DaskCluster:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.file = folder / "scheduler.json"
        self.environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | environment
        self.processes = [self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
        deadline = time.monotonic() + 60
        while not self.file.is_file() or not self.file.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self.file), *options]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_worker(self, *options: str) -> None:
        self.processes.append(self.start("worker", "--nthreads", "1", "--no-dashboard", *options))

    def kill(self) -> None:
        for process in self.processes:
            process.kill()  # a Dask worker whose scheduler is gone may take for ever to end
        for process in self.processes:
            process.wait()


@contextmanager
def dask_cluster(folder: Path, **environment: str) -> Iterator[DaskCluster]:
    cluster = DaskCluster(folder, **environment)
    try:
        yield cluster
    finally:
        cluster.kill()


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until_ended(process: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{process}").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text():
        assert time.monotonic() < deadline, f"{process} still runs"
        time.sleep(0.05)


@pytest.mark.services
def test_a_dask_cluster_of_the_run_gives_the_same(study: Study, undisturbed: pd.DataFrame) -> None:
    study.check_same("dask", study.prepare("dask", task_runner="dask", workers=2), undisturbed)


@pytest.mark.services
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("allowed_failures", ["0", "3"])
def test_a_dask_worker_that_is_killed_costs_nothing(
    tmp_path: Path, study: Study, undisturbed: pd.DataFrame, allowed_failures: str
) -> None:
    """With no allowed failures Dask gives the batch up, and it is tried again here; else Dask tries it again."""
    killed: list[int] = []

    def kill() -> None:
        child = process_that_reads(study.long)
        killed.extend([child, parent_of(child)])
        os.kill(killed[1], signal.SIGKILL)

    with dask_cluster(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=allowed_failures) as cluster:
        for _ in range(2):
            cluster.start_worker("--no-nanny")
        killer = threading.Thread(target=kill)
        killer.start()
        name = f"killed-{allowed_failures}"
        ledger = study.prepare(name, task_runner="dask", task_runner_address=cluster.address)
        killer.join()
        assert killed[1] in [process.pid for process in cluster.processes[1:]]
        wait_until_ended(killed[0])
    study.check_same(name, ledger, undisturbed)
    attempts = ledger.loc[ledger["uri"] == str(study.long), "attempts"].item()
    assert attempts == (2 if allowed_failures == "0" else 1)


@pytest.mark.services
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("victim", ["the only worker", "the scheduler"])
def test_a_cluster_that_is_gone_ends_the_run(
    tmp_path: Path, study: Study, undisturbed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    monkeypatch.setattr(runners, "_LOOK_S", 0.5)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "5s")  # how long a client looks for its scheduler
    importlib.import_module("dask").config.refresh()

    def kill() -> None:
        worker = parent_of(process_that_reads(study.long))
        monkeypatch.setattr(runners, "_WORKER_S", 3.0)
        os.kill(cluster.processes[0].pid if victim == "the scheduler" else worker, signal.SIGKILL)

    with dask_cluster(tmp_path) as cluster:
        cluster.start_worker("--no-nanny")
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(UserError, match=r"The cluster at tcp://\S+ has no workers .* What is prepared stays"):
            study.prepare(f"without {victim}", task_runner="dask", task_runner_address=cluster.address)
        killer.join()


@pytest.mark.services
def test_workers_that_may_not_start_processes_are_told_how_to(
    tmp_path: Path, study: Study, undisturbed: pd.DataFrame
) -> None:
    with dask_cluster(tmp_path) as cluster:
        cluster.start_worker("--nanny")
        with pytest.raises(UserError, match="DASK_DISTRIBUTED__WORKER__DAEMON=False"):
            study.prepare("daemonic", task_runner="dask", task_runner_address=cluster.address)


@pytest.mark.services
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense://127.0.0.1:1"])
def test_a_wrong_address_ends_the_run_with_one_sentence(
    study: Study, undisturbed: pd.DataFrame, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "_ANSWER_S", 1.0)
    with pytest.raises(UserError, match=rf"No Dask scheduler answers at execution.task_runner_address = {address} \("):
        study.prepare("nowhere", task_runner="dask", task_runner_address=address)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("prefect_ray") is None, reason="needs the extra ray")
def test_a_ray_cluster_of_the_run_gives_the_same(study: Study, undisturbed: pd.DataFrame) -> None:
    study.check_same("ray", study.prepare("ray", task_runner="ray", workers=2), undisturbed)
