"""Power cuts at random moments: what was finished is there afterwards, and the same command goes on from it.

The data root lies on ext4 on a loop device. A cut is a copy of what the device holds at a moment, its file system not
synced: what the system kept in memory is not in it, as after a cut. The copy is mounted, which replays its journal, and
the work goes on there. While the copy is made the writers stand still, so that it is of one moment.
"""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Tally

from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.preparation.batches import prepare_all
from tasks.preparation.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.preparation.workers import prepare_videos

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CORPUS = SampleCorpus(subjects=6, clips=7, seconds=0.8, size=(240, 180))
NUM_CUTS = 50
KEPT = ["video_id", "sha256", "outcome", "message", "num_frames", "num_segments", "num_covered", "shard"]

Say = Callable[..., None]


# What is cut: the plain functions behind `fer prepare`, `fer split` and `fer train`. Whatever they say is promised.


def settings_of(corpus: str, data_root: str, number: int) -> StudySettings:
    overrides = {
        "name": f"cut{number}",
        "data_root": data_root,
        "corpus.root": corpus,
        "corpus.draw_sample": False,
        "corpus.emotions": ["anger", "happiness", "sadness"],
        "model.width": 2,
        "model.head_units": 4,
        "training.epochs": 6,
        "training.batch_size": 64,
        "training.keep_epochs": True,
        "split.seed": number,
        "arms": ["spatial-only"],
    }
    return resolve_settings("sample", None, overrides)


def prepare(settings: StudySettings, echo: Say) -> None:
    scan = scan_corpus(settings)

    def run(batches: Any) -> Iterator[Any]:
        for batch in batches:
            reports = prepare_videos(batch.jobs, settings.prepare, 2, 60.0)
            echo(prepared=list(reports))
            yield reports

    conclude(scan, settings, prepare_all(due_jobs(scan, settings), run, 0, 0.0, most_failures(scan, settings)))
    echo(done=True)


def train(settings: StudySettings, echo: Say) -> None:
    from tasks.dataset.index import build_index
    from tasks.dataset.splits import read_split, update_split
    from tasks.preparation.ledger import read_ledger
    from tasks.study.runs import plan_runs, train_run
    from tasks.tracking import mlflow_log

    layout = Layout.of(settings)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    split = update_split(ledger, settings.corpus.emotions, settings.split, layout.split)
    echo(split=read_split(layout.split).to_csv(index=False))
    build_index(ledger, split, layout.prepared, layout.index, settings.prepare.windows)
    echo(indexed=True)
    study_run = mlflow_log.open_study(settings)
    echo(study=study_run.run_id)
    (run,) = plan_runs(settings)
    run_id = mlflow_log.open_run(settings, study_run, run)
    echo(child=run_id)
    logged = mlflow_log.num_logged_epochs(run_id)

    def tell(epoch: Any) -> None:
        if epoch.epoch > logged:
            mlflow_log.log_epoch(run_id, epoch)
        echo(epoch=epoch.model_dump())

    train_run(settings, run, tell)
    echo(done=True)


def run_eagerly(eagerly: bool) -> None:
    """Steps of this little model take less time as they stand than it takes to trace one."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(eagerly)


def write_on_and_on(what: str, corpus: str, disk: str) -> None:
    """Do the work again and again: preparation each time in a data root of its own, training as a study of its own."""

    def echo(**words: Any) -> None:
        print(json.dumps(words), flush=True)

    if what == "train":
        run_eagerly(True)
    for number in range(10_000):
        echo(begun=number)
        if what == "prepare":
            prepare(settings_of(corpus, f"{disk}/{number}", number), echo)
            echo(gone=True)
            shutil.rmtree(f"{disk}/{number}")
        else:
            train(settings_of(corpus, f"{disk}/data", number), echo)


# The device.


@contextmanager
def mounted(image: Path, where: Path) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True, capture_output=True)
    try:
        yield where
    finally:
        if subprocess.run(["umount", where], check=False, capture_output=True).returncode:
            subprocess.run(["umount", "--lazy", where], check=True)


def make_disk(image: Path, size_mb: int) -> Path:
    with image.open("wb") as file:
        file.truncate(size_mb << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
    return image


@pytest.fixture
def eager_steps() -> Iterator[None]:
    run_eagerly(True)
    yield
    run_eagerly(False)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An image with an empty file system, where this machine allows to mount one."""
    try:
        image = make_disk(tmp_path / "disk", 96)
        with mounted(image, tmp_path / "mount"):
            return image
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"power cuts need root, mkfs.ext4 and loop devices: {why!r}")


class Writer:
    """A process that writes to a mounted disk, and what it has promised."""

    def __init__(self, what: str, corpus: Path, mount: Path, log: Path) -> None:
        command = [sys.executable, __file__, what, str(corpus), str(mount)]
        root = str(Path(__file__).parents[1])
        environment = os.environ | {"PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": ""}
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        self.log = log
        self.number = 0
        self.said: list[dict[str, Any]] = []
        self._rest = b""

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def listen(self) -> None:
        """Take in what it said; what a finished round promised before does not count any more."""
        assert self.process.stdout
        assert self.process.poll() is None, self.log.read_text()
        while content := self.process.stdout.read():
            *lines, self._rest = (self._rest + content).split(b"\n")
            for words in map(json.loads, lines):
                if "begun" in words or "gone" in words:
                    self.said = []
                self.number = words.get("begun", self.number)
                self.said.append(words)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
            self.listen()

    def cut(self, image: Path, copy: Path) -> None:
        """Copy what the disk holds at this moment."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            time.sleep(0.01)  # what is on its way to the device arrives
            self.listen()
            shutil.copyfile(image, copy)
            while not filecmp.cmp(image, copy, shallow=False):  # the system wrote meanwhile
                shutil.copyfile(image, copy)
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def promised(self, key: str) -> list[Any]:
        return [words[key] for words in self.said if key in words]


def survive(
    writer: Writer, image: Path, check: Callable[[Path], None], longest_s: float, number: int = NUM_CUTS
) -> None:
    """Cut so often at random moments, and look at the disk after each."""
    random = Random(7)
    writer.wait_for(lambda: writer.number > 0)  # in its first round it imports what it needs
    for _ in range(number):
        until = time.monotonic() + random.uniform(0.0, longest_s)
        while time.monotonic() < until:
            time.sleep(0.005)
            writer.listen()
        copy = image.with_name("copy")
        writer.cut(image, copy)
        os.killpg(writer.process.pid, signal.SIGSTOP)  # the processors are for the check
        try:
            with mounted(copy, image.with_name("after")) as after:
                check(after)
        finally:
            os.killpg(writer.process.pid, signal.SIGCONT)


def shards_below(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in root.glob("prepared/*/shards/*/*.parquet") if not path.stem.startswith(".")}


def broken_below(root: Path) -> list[Path]:
    return list(root.rglob("broken-*"))


def quietly(**_: Any) -> None:
    pass


def test_preparation_survives_power_cuts(tmp_path: Path, disk: Path, tally: Tally) -> None:
    corpus = tmp_path / "corpus"
    write_corpus(corpus, CORPUS)
    undisturbed = tmp_path / "undisturbed"
    prepare(settings_of(str(corpus), str(undisturbed), 0), quietly)
    whole = {sha256: pq.read_table(path) for sha256, path in shards_below(undisturbed).items()}
    (ledger,) = undisturbed.glob("prepared/*/ledger.parquet")
    outcomes = pd.read_parquet(ledger)[KEPT]
    num_found: list[int] = []

    with (
        mounted(disk, tmp_path / "mount") as mount,
        Writer("prepare", corpus, mount, tmp_path / "log") as writer,
    ):

        def check(after: Path) -> None:
            root = after / str(writer.number)
            promised = {sha256 for reports in writer.promised("prepared") for sha256 in reports}
            stamps = {sha256: path.stat().st_mtime_ns for sha256, path in shards_below(root).items()}
            num_found.append(len(promised))
            assert promised <= stamps.keys(), "a finished video is lost"
            if writer.promised("done"):
                (now,) = root.glob("prepared/*/ledger.parquet")
                pd.testing.assert_frame_equal(pd.read_parquet(now)[KEPT], outcomes)
            prepare(settings_of(str(corpus), str(root), 0), quietly)
            assert not broken_below(root), "no name was there without its content"
            shards = shards_below(root)
            assert shards.keys() == whole.keys()
            assert {sha256: shards[sha256].stat().st_mtime_ns for sha256 in stamps} == stamps, "nothing is done twice"
            for sha256, path in shards.items():
                assert pq.read_table(path).equals(whole[sha256])
            (now,) = root.glob("prepared/*/ledger.parquet")
            pd.testing.assert_frame_equal(pd.read_parquet(now)[KEPT], outcomes)

        survive(writer, disk, check, longest_s=1.0)
    assert len(set(num_found)) > 5, "the cuts fell on different moments"
    tally.add("power cuts while preparing, then a rerun", tried=NUM_CUTS, survived=NUM_CUTS)


@pytest.mark.usefixtures("eager_steps")
def test_training_survives_power_cuts(tmp_path: Path, disk: Path, tally: Tally) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from tasks.dataset.splits import read_split
    from tasks.study.checkpoints import read_progress
    from tasks.study.runs import plan_runs
    from tasks.tracking import mlflow_log

    corpus = tmp_path / "corpus"
    write_corpus(corpus, CORPUS)
    num_found: list[int] = []
    with mounted(disk, tmp_path / "mount") as mount:
        prepare(settings_of(str(corpus), f"{mount}/data", 0), quietly)
        with Writer("train", corpus, mount, tmp_path / "log") as writer:

            def check(after: Path) -> None:
                settings = settings_of(str(corpus), str(after / "data"), writer.number)
                layout = Layout.of(settings)
                if promised := writer.promised("split"):
                    assert read_split(layout.split).to_csv(index=False) == promised[0]
                epochs = writer.promised("epoch")
                if writer.promised("indexed"):
                    (run,) = plan_runs(settings)
                    done = read_progress(run.folder)
                    history = [epoch.model_dump() for epoch in done.history] if done else []
                    assert history[: len(epochs)] == epochs, "a finished epoch is lost"
                if study := writer.promised("study"):
                    assert mlflow_log.open_study(settings).run_id == study[0]
                if child := writer.promised("child"):  # SQLite may have to undo its last transaction
                    assert mlflow_log.num_logged_epochs(child[0]) >= len(epochs) - 1
                num_found.append(len(epochs))
                train(settings, quietly)
                (run,) = plan_runs(settings)
                done = read_progress(run.folder)
                assert run.trained
                assert done
                assert [epoch.model_dump() for epoch in done.history][: len(epochs)] == epochs
                assert len(done.history) == settings.training.epochs
                child_run = mlflow_log.open_run(settings, mlflow_log.open_study(settings), run)
                assert mlflow_log.num_logged_epochs(child_run) == settings.training.epochs
                assert not broken_below(after), "no name was there without its content"
                for engine in SqlAlchemyStore._engine_map.values():
                    engine.dispose()  # which keep files of the disk open

            survive(writer, disk, check, longest_s=1.5)
    assert len(set(num_found)) > 3, "the cuts fell on different moments"
    tally.add("power cuts while training, then a rerun", tried=NUM_CUTS, survived=NUM_CUTS)


if __name__ == "__main__":
    write_on_and_on(*sys.argv[1:])
