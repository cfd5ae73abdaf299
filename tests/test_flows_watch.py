"""`fer watch`: prepares what is new, is quiet when nothing is, waits for files that may grow, and starts studies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import FPS, draw_moving_face
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.changes import read_changes
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.dataset.drift import read_drift
from tasks.storage.files import try_lock

TINY = {
    "training": {"epochs": 1, "batch_size": 8},
    "model": {"width": 4, "head_units": 8},
    "arms": ["temporal-only"],
}


@pytest.fixture(autouse=True)
def _interrupt_as_before() -> Iterator[None]:
    """The command takes Ctrl-C for itself; pytest wants it back."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module", autouse=True)
def _server_is_theirs() -> Iterator[None]:
    """The command lets Prefect find a server of its own; tests of other modules have theirs."""
    names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


class Corpus:
    """A corpus in a folder of its own, and what `fer watch` is told about it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.videos, self.config = folder, folder / "videos", folder / "study.yaml"
        corpus = {"adapter": "folder", "root": str(self.videos), "emotions": ["anger", "fear"]}
        values = {"data_root": str(folder / "data"), "corpus": corpus, "prepare": {"segment_stride": 2}}
        self.config.write_text(yaml.safe_dump(values | settings))
        self.num_drawn = 0

    @property
    def layout(self) -> Layout:
        return Layout.of(resolve_settings(None, self.config))

    @property
    def ledger(self) -> pd.DataFrame:
        return pd.read_parquet(self.layout.ledger).set_index("video_id")

    def add(self, name: str, frames: list | None = None, age_s: float = 3600.0) -> Path:
        """A video that was last written to so long ago."""
        path = self.videos / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_drawn += 1
        write_video(path, frames or draw_moving_face(1.0, 20, start=0.3 + 0.005 * self.num_drawn), FPS)
        date(path, age_s)
        return path

    def stamps(self, pattern: str = "prepared/*/shards/*/*.parquet") -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.folder.glob(f"data/{pattern}")}

    def poll(self, *arguments: str) -> tuple[str, list[str]]:
        """One look: what it writes to standard output, and the lines that it says beside."""
        result = CliRunner().invoke(app, ["watch", "--once", "--config", str(self.config), *arguments])
        if result.exception:
            raise result.exception
        return result.stdout, result.stderr.splitlines()


def date(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twelve prepared videos of four subjects."""
    corpus = Corpus(tmp_path_factory.mktemp("watched"), watch={"study_after": 100, "interval_s": 0.2})
    for index in range(3):
        for subject, emotion in enumerate(("anger", "fear", "anger", "fear")):
            corpus.add(f"{emotion}/person{subject}/{index}")
    _, said = corpus.poll()
    assert said[-1].endswith("12 videos: 12 ok; 12 of 100 for the next study.")
    assert not corpus.layout.drift.exists(), "there was nothing to compare the first videos with"
    return corpus


@pytest.mark.slow
def test_looks_with_new_clips_between(corpus: Corpus) -> None:
    first = corpus.stamps()
    assert len(first) == 12
    table, said = corpus.poll()
    assert (table, len(said)) == ("", 1), "one line when nothing is new"
    assert corpus.stamps() == first

    for index in range(8):
        corpus.add(f"fear/person{5 + index % 2}/{index}", draw_moving_face(1.0, 20, (640, 480), start=0.3 + index / 99))
    table, said = corpus.poll()
    assert "8 new: fear/person5/0.mp4" in "\n".join(said)
    assert said[-1].endswith("20 videos: 20 ok; 20 of 100 for the next study.")
    assert corpus.stamps().items() >= first.items()
    assert len(corpus.stamps()) == 20

    assert table.startswith("8 new videos of 2 people beside 12 that were prepared earlier")
    drift = read_drift(corpus.layout.drift, resolve_settings(None, corpus.config).name).set_index("measure")
    assert drift.loc["resolution", ["before", "new"]].tolist() == [
        "320x240 100 %, 640x480 0 %",
        "320x240 0 %, 640x480 100 %",
    ]
    assert drift.loc["emotion", "distance"] == 0.5
    assert drift.loc["length, s", "remark"] == ""
    assert drift.loc["resolution", "remark"] == "more 640x480"

    (corpus.videos / "fear/person6/7.mp4").rename(corpus.videos / "fear/person6/renamed.mp4")
    table, said = corpus.poll()
    assert table == ""
    assert said[0] == "1 renamed: fear/person6/7.mp4 -> fear/person6/renamed.mp4"
    assert read_changes(corpus.layout.changes)["change"].tolist() == ["new"] * 8 + ["renamed"]
    assert len(read_drift(corpus.layout.drift, resolve_settings(None, corpus.config).name)) == len(drift)


def test_a_file_that_may_grow_waits(corpus: Corpus) -> None:
    before = corpus.ledger
    path = corpus.add("fear/person7/growing", age_s=0.0)
    known = corpus.videos / "anger/person0/0.mp4"
    content = known.read_bytes()
    known.write_bytes(content[: len(content) // 2])
    _, said = corpus.poll("--set", "execution.settle_s=300")
    assert f"2 of {len(before) + 1} videos may still be growing; the next run takes them." in said[-1]
    now = corpus.ledger
    assert sorted(now.index) == sorted(before.index)
    assert now["outcome"].to_dict() == before["outcome"].to_dict()

    known.write_bytes(content)
    for file in (path, known):
        date(file, 3600.0)
    _, said = corpus.poll("--set", "execution.settle_s=300")
    assert "growing" not in said[-1]
    assert corpus.ledger["attempts"].to_dict() == before["attempts"].to_dict() | {"fear/person7/growing.mp4": 1}


def test_a_video_that_cannot_be_used_ends_no_watch(corpus: Corpus) -> None:
    path = corpus.add("fear/person8/damaged")
    path.write_bytes(b"no film")
    date(path, 3600.0)
    _, said = corpus.poll()
    assert " ok, 1 undecodable; " in said[-1]
    path.unlink()
    _, said = corpus.poll()
    assert said[0] == "1 removed: fear/person8/damaged.mp4"


def test_two_do_not_work_at_once(corpus: Corpus) -> None:
    corpus.add("fear/person8/0")
    with try_lock(corpus.layout.watch_lock):
        _, said = corpus.poll()
        assert said[-1].endswith(f"Another `fer watch` is at work in {corpus.layout.root}.")
        assert "fear/person8/0.mp4" not in corpus.ledger.index
    corpus.poll()
    assert "fear/person8/0.mp4" in corpus.ledger.index


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """A folder that is not there, as a share that is not mounted."""
    folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        folder.with_name("away").rename(folder)


def test_a_look_that_fails_changes_nothing(corpus: Corpus) -> None:
    before = corpus.ledger
    with away(corpus.videos), pytest.raises(UserError, match=r"videos"):
        corpus.poll()
    pd.testing.assert_frame_equal(corpus.ledger, before)
    corpus.poll()
    pd.testing.assert_frame_equal(corpus.ledger, before)


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_it_goes_on_after_a_look_that_failed_until_ctrl_c(corpus: Corpus) -> None:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "watch", "--config", str(corpus.config)]
    log = corpus.folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, start_new_session=True)

    def lines(words: str) -> int:
        return sum(words in line for line in log.read_text().splitlines())

    try:
        wait_until(lambda: lines("for the next study.") == 1)
        with away(corpus.videos):
            wait_until(lambda: lines("This look failed: ") == 1)
        wait_until(lambda: lines("for the next study.") == 2)
        for _ in range(3):  # looks that find nothing new
            written_ns = corpus.layout.ledger.stat().st_mtime_ns
            wait_until(lambda: corpus.layout.ledger.stat().st_mtime_ns != written_ns)  # noqa: B023
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert lines("fer: stopped; the same command continues from here.") == 1
    assert lines("") == 6, "four lines of its own, an empty one and the last: " + log.read_text()


@pytest.mark.slow
def test_a_study_starts_when_enough_has_come_in_and_the_test_side_stays(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, **TINY, watch={"study_after": 20})
    drawn = SampleCorpus(size=(240, 180), seconds=0.8)

    def add(subjects: range, clips: range) -> None:
        for subject in subjects:
            for number in clips:
                emotion = ("anger", "fear")[number % 2]
                corpus.add(f"{emotion}/p{subject}/{number}", render_clip(drawn, Clip(subject, number, emotion)))

    def models() -> dict[Path, int]:
        return corpus.stamps("studies/*/runs/*/model.keras")

    def split() -> pd.DataFrame:
        return pd.read_parquet(corpus.layout.split)

    add(range(1, 6), range(1, 4))
    corpus.poll()
    assert not corpus.layout.split.exists(), "fifteen are too few"
    assert not models()

    add(range(1, 6), range(4, 5))
    results, said = corpus.poll()
    assert "UAR" in results
    assert said[-1].endswith("; 0 of 20 for the next study.")
    assert len(models()) == 1
    assert corpus.layout.report.joinpath("index.html").is_file()
    before, tested = models(), split()[split()["side"] == "test"]

    corpus.poll()
    assert models() == before, "nothing came in"
    corpus.layout.unfinished.touch()
    _, said = corpus.poll()
    assert any("The study goes on." in line for line in said)
    assert not corpus.layout.unfinished.exists()
    assert models() == before, "all of it was done"

    add(range(6, 11), range(1, 5))
    table, _ = corpus.poll()
    assert "of the training subset" in table
    assert models().items() > before.items(), "more data, another model"
    assert len(models()) == 2
    now = split()
    pd.testing.assert_frame_equal(now[now["side"] == "test"].reset_index(drop=True), tested.reset_index(drop=True))
    assert set(now.loc[now["subject"].str.contains("p(?:[6-9]|10)$"), "side"]) <= {"train", "validation"}
