"""A day in a lab: services up, a study, new clips of which one is broken, a study by itself, the broken one mended."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import FPS, draw_moving_face
from lab import Lab, wait_for

from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import write_video

pytestmark = pytest.mark.slow

SUBJECTS = ("anna", "ben", "carl", "dora", "emil", "fred")
CONFIG = {
    "name": "day",
    "data_root": "data",
    "corpus": {"adapter": "folder", "root": "videos", "emotions": ["anger", "fear"]},
    "prepare": {"segment_stride": 4},
    "model": {"width": 4, "head_units": 8},
    "training": {"epochs": 2, "batch_size": 8, "precision": "float32"},
    "arms": ["spatial-only", "gap-sum"],
    "execution": {"settle_s": 1.0, "retry_pause_s": 0.0},
    "watch": {"interval_s": 15.0, "study_after": 2},
}


def write_clip(folder: Path, name: str, subject: int, start: float = 0.3) -> Path:
    path = folder / "videos" / f"{name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, draw_moving_face(1.0, 24, subject=subject, start=start), FPS)
    return path


class Files:
    """What the lab's studies left on disk."""

    def __init__(self, folder: Path) -> None:
        layout = Layout.of(resolve_settings(None, folder / "study.yaml"))
        self.ledger_path, self.split_path = folder / layout.ledger, folder / layout.split

    @property
    def outcomes(self) -> dict[str, str]:
        if not self.ledger_path.is_file():
            return {}
        ledger = pd.read_parquet(self.ledger_path)
        return dict(zip(ledger["video_id"], ledger["outcome"], strict=True))

    def subset(self, name: str) -> set[tuple[str, str]]:
        split = pd.read_parquet(self.split_path)
        rows = split[split["side"] == name]
        return set(zip(rows["video_id"], rows["sha256"], strict=True))


def test_a_day(tmp_path: Path) -> None:
    for number, subject in enumerate(SUBJECTS):
        write_clip(tmp_path, f"anger/{subject}/a", number)
        write_clip(tmp_path, f"fear/{subject}/b", number, start=0.4)
    with Lab(tmp_path, CONFIG) as lab:
        second = lab.run(*map(str, ["fer", *lab.command[1:]]))
        assert second.returncode == 0, second.stderr
        assert "`fer up` runs here already" in second.stdout

        files = Files(tmp_path)
        wait_for("the first look", lambda: files.outcomes)
        lab.pause("new-videos")
        wait_for("the study that it starts", lambda: studies_done(lab))
        study = lab.run("prefect", "deployment", "run", "fer/full-study", "--watch")
        assert study.returncode == 0, study.stdout + study.stderr
        (experiment,) = [
            one for one in lab.mlflow("experiments/search", max_results=10)["experiments"] if one["name"] == "day"
        ]
        runs = lab.mlflow("runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]
        assert {run["info"]["status"] for run in runs} == {"FINISHED"}
        assert {run["info"]["run_name"] for run in runs} >= {"spatial-only, seed 1", "gap-sum, seed 1"}
        trained = lab.flow_runs("gpu")
        assert {run["name"] for run in trained} >= {"train spatial-only, seed 1 (day)", "train gap-sum, seed 1 (day)"}
        keys = {artifact["key"] for artifact in lab.prefect("artifacts/filter")}
        assert keys >= {f"day-{name}" for name in ("ledger", "comparison", "confusion", "mlflow", "report", "summary")}
        test_subset = files.side("test")
        studies = studies_done(lab)

        for name in ("anger/gina/a", "fear/gina/b"):
            write_clip(tmp_path, name, 7)
        broken = tmp_path / "videos/fear/gina/broken.mp4"
        broken.write_bytes(b"this is no film" * 100)
        lab.pause("new-videos", False)
        ok = {"anger/gina/a.mp4", "fear/gina/b.mp4"}
        wait_for("the schedule", lambda: len(files.outcomes) == 15 and {files.outcomes[name] for name in ok} == {"ok"})
        assert files.outcomes["fear/gina/broken.mp4"] == "undecodable"
        failed = wait_for("the failed look", lambda: newest_failed(lab))
        assert "undecodable such as fear/gina/broken.mp4" in failed["state"]["message"]

        wait_for("the study that starts by itself", lambda: studies_done(lab) > studies)
        assert files.side("test") == test_subset
        assert {name for name, _ in files.side("train") | files.side("validation")} >= ok

        lab.pause("new-videos")
        wait_for("the last look", lambda: not lab.unfinished("new-videos"))
        broken.unlink()
        write_clip(tmp_path, "fear/gina/broken", 7, start=0.5)
        again = lab.run("prefect", "flow-run", "retry", failed["id"])
        assert again.returncode == 0, again.stderr
        wait_for("the retried look", lambda: state_of(lab, failed["id"]) == "COMPLETED")
        assert files.outcomes["fear/gina/broken.mp4"] == "ok"
        assert files.side("test") == test_subset


def studies_done(lab: Lab) -> int:
    """How many studies are done; 0 while one is not."""
    runs = lab.flow_runs("full-study")
    assert not {run["state_type"] for run in runs} & {"FAILED", "CRASHED", "CANCELLED"}
    return 0 if lab.unfinished("full-study") else len(runs)


def newest_failed(lab: Lab) -> dict[str, Any] | None:
    return next((run for run in lab.flow_runs("new-videos") if run["state_type"] == "FAILED"), None)


def state_of(lab: Lab, flow_run_id: str) -> str:
    (run,) = lab.prefect("flow_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
    return str(run["state_type"])
