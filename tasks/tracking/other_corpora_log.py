"""Logs to MLflow what a study came to on other corpora: each run on its own page, the arms on that of the study."""

from collections.abc import Sequence

import mlflow

from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.storage.files import find_json, finished_files, write_json
from tasks.storage.local_copies import local_copy
from tasks.study.other_corpora.record import OtherCorporaRecord
from tasks.study.other_corpora.scores import TestedOnOther
from tasks.study.runs import Run
from tasks.tracking.champion_run import RECORD
from tasks.tracking.connection import connect, sync_artifacts
from tasks.tracking.metric_names import metric_names
from tasks.tracking.mlflow_log import ChildRun, StudyRun, key_of, open_run

_SCORES = ("video_uar", "video_accuracy", "video_macro_f1")


def log_run(settings: StudySettings, study_run: StudyRun, run: Run, tested: Sequence[TestedOnOther]) -> None:
    """Log the scores and predictions of a run on other corpora, unless they are logged already.

    Metrics are called `on_<corpus>_video_uar` and so on; the files lie in the folder `other_corpora/<corpus>`.
    """
    if not tested:
        return
    run_id = open_run(settings, study_run, run)
    child = find_json(run.folder / RECORD, ChildRun)
    assert child
    known_as = digest({other.name: folder.name for other, folder, _ in tested})
    if child.others == known_as:
        return
    connect(Layout.of(settings))
    scores = {
        f"on_{other.name}_{score}": result.scores[score]
        for other, _, result in tested
        for score in _SCORES
        if result.scores
    }
    logged_as = metric_names(scores)
    with mlflow.start_run(run_id=run_id, nested=True):
        mlflow.log_metrics({logged_as[name]: value for name, value in scores.items()})
        places = metric_names(other.name for other, _, _ in tested)
        for other, folder, _ in tested:
            with local_copy(folder) as copy:
                for path in finished_files(copy):
                    mlflow.log_artifact(str(path), f"other_corpora/{places[other.name]}")
    mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
    sync_artifacts(Layout.of(settings), run_id)
    write_json(run.folder / RECORD, child.model_copy(update={"others": known_as}))


def log_study(settings: StudySettings, study_run: StudyRun, record: OtherCorporaRecord | None) -> None:
    """Log the UAR of each arm on each other corpus with its interval, and all of the record."""
    if record is None:
        return
    connect(Layout.of(settings))
    names = {tested.corpus: tested.name for tested in record.tested}
    scores: dict[str, float] = {}
    for cell in record.cells:
        if cell.uar and cell.corpus in names:
            base, arm = f"on_{names[cell.corpus]}_video_uar", key_of(cell.arm)
            bounds = {"": cell.uar.estimate, "_low": cell.uar.low, "_high": cell.uar.high}
            scores |= {f"{base}{end}/{arm}": value for end, value in bounds.items() if value is not None}
    logged_as = metric_names(name.partition("/")[0] for name in scores)
    with mlflow.start_run(run_id=study_run.run_id, nested=True):
        mlflow.log_metrics({f"{logged_as[n.partition('/')[0]]}/{n.partition('/')[2]}": v for n, v in scores.items()})
        mlflow.log_dict(record.model_dump(mode="json"), "other_corpora.json")
    sync_artifacts(Layout.of(settings), study_run.run_id)
