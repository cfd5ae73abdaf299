"""What is logged of a study are its finished files, whatever else lies beside them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

from fer_models.arms import get_arm
from fer_models.training import PROGRESS_FILE, Progress
from tasks import tracking
from tasks.files import write_json, write_text
from tasks.runs import Run
from tasks.settings import StudySettings

#: Set aside, of a writer that was killed, and hidden.
OTHERS = ("broken-gradcam.jpg", ".part-0123abcd-report.md", ".DS_Store")
STUDY_RUN = tracking.StudyRun(tracking_uri="", experiment_id="1", run_id="2", digest="")


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Takes everything, and remembers it."""
    mlflow = MagicMock()
    monkeypatch.setattr(tracking, "mlflow", mlflow)
    monkeypatch.setattr(tracking, "connect", lambda layout: MagicMock())
    monkeypatch.setattr(tracking, "_sync_artifacts", lambda *arguments: None)
    return mlflow


def logged(mlflow: Any, folder: Path) -> dict[str, str]:
    """Where the files of a folder were put."""
    calls = [call.args for call in mlflow.log_artifact.call_args_list]
    assert mlflow.log_artifacts.call_args_list == []
    return {Path(path).relative_to(folder).as_posix(): place for path, place in calls}


def test_files_of_an_evaluation(tmp_path: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(get_arm("gap-sum"), 1, None, tmp_path)
    child = tracking._ChildRun(parent_id="2", run_id="3")
    write_json(tmp_path / "mlflow.json", child)
    progress = Progress(history=[], last_checkpoint="a", best_checkpoint="b", best_epoch=1, finished=True)
    write_json(tmp_path / PROGRESS_FILE, progress)
    folder = tmp_path / "test-1"
    for name in ("gradcam.jpg", "evaluation.json", *OTHERS):
        write_text(folder / name, "{}")
    monkeypatch.setattr(tracking, "open_run", lambda *arguments: "3")
    monkeypatch.setattr(tracking, "_log_model", lambda *arguments: "4")
    evaluation = MagicMock(scores={})
    tracking.log_evaluation(StudySettings(data_root=tmp_path), STUDY_RUN, run, folder, evaluation)
    assert logged(mlflow, folder) == {"gradcam.jpg": "figures", "evaluation.json": "test"}
    tracking.log_evaluation(StudySettings(data_root=tmp_path), STUDY_RUN, run, folder, evaluation)
    assert len(logged(mlflow, folder)) == mlflow.log_artifact.call_count == 2, "once"


def test_files_of_a_report(tmp_path: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("index.html", "report.md", "figures/results.png", *OTHERS, *(f"figures/{name}" for name in OTHERS)):
        write_text(tmp_path / name, "{}")
    evaluation = SimpleNamespace(fold=None)
    best = MagicMock(seeds=[SimpleNamespace(evaluations=[evaluation])])
    monkeypatch.setattr(tracking, "best_result", lambda results: best)
    monkeypatch.setattr(tracking, "read_side", lambda *arguments: pd.DataFrame({"box": [0]}))
    monkeypatch.setattr(tracking, "index_digest", lambda index: "")
    monkeypatch.setattr(tracking, "_log_table", lambda *arguments: None)
    tracking.close_study(StudySettings(data_root=tmp_path), STUDY_RUN, [], tmp_path)
    assert logged(mlflow, tmp_path) == {
        "index.html": "report",
        "report.md": "report",
        "figures/results.png": "report/figures",
    }
