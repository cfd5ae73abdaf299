"""What a lab survives: workers killed in the middle of preparation and of training, and a server that goes away."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import FPS, draw_moving_face
from lab import Lab, wait_for
from test_lab_day import CONFIG, SUBJECTS

from fer_models.training.progress import Progress
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import write_video
from tasks.study.checkpoints import read_progress

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CLIPS = 16
EPOCHS = 30
FAULTS = CONFIG | {
    "prepare": {"segment_stride": 1},
    "training": {"epochs": EPOCHS, "batch_size": 32, "precision": "float32"},
    "execution": {"workers": 1},
}
SERVER = "flows.servers prefect"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six subjects with many clips each, so that there is a middle."""
    folder = tmp_path_factory.mktemp("faults")
    for number, subject in enumerate(SUBJECTS):
        frames = draw_moving_face(0.8, 40 + CLIPS, subject=number)
        for clip in range(CLIPS):
            path = folder / "videos" / ("anger", "fear")[clip % 2] / subject / f"{clip}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, frames[clip:], FPS)
    return folder


@pytest.fixture(scope="module")
def lab(corpus: Path) -> Iterator[Lab]:
    with Lab(corpus, FAULTS, watched=False) as lab:
        yield lab


class Study:
    """A study of its own data root, as a run of the deployment, and what it leaves."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        overrides = {"data_root": name}
        config = str(lab.folder / "study.yaml")
        self.layout = Layout.of(resolve_settings(None, config, {"data_root": lab.folder / name}))
        given = ["--param", f"config={config}", "--param", f"overrides={json.dumps(overrides)}"]
        started = lab.run("prefect", "deployment", "run", "fer/full-study", *given)
        assert started.returncode == 0, started.stderr
        self.id = started.stdout.partition("UUID: ")[2].split()[0]

    def shards(self) -> dict[str, int]:
        """When each shard was written, by name."""
        return {path.name: path.stat().st_mtime_ns for path in self.layout.shards.glob("*/[0-9a-f]*.parquet")}

    def progress(self, arm: str) -> Progress | None:
        folders = list(self.layout.runs.glob(f"{arm}-*"))
        return read_progress(folders[0]) if folders else None

    def half_trained(self, arm: str) -> Progress:
        """Wait until some epochs of an arm are done, and others are not."""
        found = wait_for(f"epochs of {arm}", lambda: (now := self.progress(arm)) and len(now.history) > 2 and now)
        assert not found.finished
        return found

    def half_prepared(self) -> dict[str, int]:
        """Wait until some videos are prepared, and others are not."""
        found = wait_for("shards", lambda: (now := self.shards()) and len(now) > 8 and now)
        assert len(found) < CLIPS * len(SUBJECTS) / 2
        return found

    def wait(self) -> None:
        state = wait_for("the study", self._final_state)
        assert state["type"] == "COMPLETED", state["message"]
        ledger = pd.read_parquet(self.layout.ledger)
        assert ledger["outcome"].tolist() == ["ok"] * CLIPS * len(SUBJECTS)
        assert ledger["attempts"].max() <= 1, "what is done is found done, and tried no second time"
        assert len(self.shards()) == CLIPS * len(SUBJECTS)
        assert (self.layout.report / "index.html").is_file()

    def _final_state(self) -> dict[str, str] | None:
        """None while it runs, and when it crashed: then it goes on."""
        (run,) = self.lab.prefect("flow_runs/filter", flow_runs={"id": {"any_": [self.id]}})
        return run["state"] if run["state"]["type"] in ("COMPLETED", "FAILED", "CANCELLED") else None


def kept(before: Progress, after: Progress | None) -> bool:
    """Whether training went on where it was: the epochs of before are the very same, their seconds included."""
    return after is not None and after.history[: len(before.history)] == before.history


def test_workers_are_killed(lab: Lab) -> None:
    study = Study(lab, "killed")
    shards = study.half_prepared()
    lab.process_of("--pool fer-cpu").kill()
    before = study.half_trained("spatial-only")
    lab.process_of("--pool fer-gpu").kill()
    study.wait()
    assert study.shards().items() >= shards.items()
    assert kept(before, study.progress("spatial-only"))
    assert "worker fer-cpu ended (exit code -9); it is started again" in lab.said


def test_a_training_process_is_killed(lab: Lab) -> None:
    study = Study(lab, "crashed")
    before = study.half_trained("spatial-only")
    trainers = [process for process in lab.process_of("--pool fer-gpu").children() if is_flow_run(process)]
    assert trainers
    trainers[0].kill()
    study.wait()
    assert kept(before, study.progress("spatial-only"))


def test_the_server_stands_still_and_is_killed(lab: Lab) -> None:
    study = Study(lab, "server")
    shards = study.half_prepared()
    server = lab.process_of(SERVER)
    server.suspend()
    time.sleep(30)
    server.resume()
    before = study.half_trained("spatial-only")
    lab.process_of(SERVER).kill()
    study.wait()
    assert study.shards().items() >= shards.items()
    assert kept(before, study.progress("spatial-only"))
    assert "Prefect server ended" in lab.said


def test_what_ctrl_c_broke_off_goes_on_with_the_next_services(corpus: Path, tmp_path: Path) -> None:
    config = FAULTS | {"corpus": FAULTS["corpus"] | {"root": str(corpus / "videos")}}
    with Lab(tmp_path, config, watched=False) as lab:
        study = Study(lab, "ended")
        before = study.half_trained("spatial-only")
    with Lab(tmp_path, config, watched=False) as study.lab:
        study.wait()
    assert kept(before, study.progress("spatial-only"))


def is_flow_run(process: psutil.Process) -> bool:
    return "prefect.engine" in " ".join(process.cmdline())
