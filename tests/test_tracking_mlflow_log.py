"""What is logged of a study are its finished files, whatever else lies beside them."""

from pathlib import Path

import mlflow

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.storage.files import write_text
from tasks.tracking.connection import connect
from tasks.tracking.mlflow_log import log_finished_files

#: Set aside, of a writer that was killed, and hidden.
OTHERS = ("broken-gradcam.jpg", ".part-0123abcd-report.md", ".DS_Store")


def test_only_finished_files_are_logged(tmp_path: Path) -> None:
    report = tmp_path / "report"
    for name in ("index.html", "report.md", "figures/results.png", *OTHERS, *(f"figures/{name}" for name in OTHERS)):
        write_text(report / name, "{}")
    client = connect(Layout.of(StudySettings(data_root=tmp_path)))
    with mlflow.start_run(experiment_id=client.create_experiment("one", (tmp_path / "mlartifacts").as_uri())) as run:
        log_finished_files(report, "report")
    logged = [
        file.path for folder in ("report", "report/figures") for file in client.list_artifacts(run.info.run_id, folder)
    ]
    assert sorted(logged) == ["report/figures", "report/figures/results.png", "report/index.html", "report/report.md"]
