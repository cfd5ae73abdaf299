"""What a flow run shows on its page in Prefect: progress, tables, the confusion matrix, links.

None of it decides anything, so a server that does not answer costs a line in the log and no more.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import pandas as pd
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging import get_logger

from tasks.config.settings import StudySettings
from tasks.dataset.drift import drift_rows
from tasks.escaping import markdown, markdown_cell
from tasks.inference.batch.results import Results
from tasks.preparation.scan import Conclusion
from tasks.report.facts import describe
from tasks.report.input import ReportInput
from tasks.report.writing import read_summary
from tasks.study.scoring import confusions
from tasks.tracking import mlflow_log

#: The event of the flow `fer-prepare` that tells of newly prepared videos.
VIDEOS_PREPARED = "fer.videos.prepared"
_MOST_ROWS = 500
_BETWEEN_UPDATES_S = 2.0


class ProgressArtifact:
    """How far a run is, in per cent; entered and left as a context, and told of every step."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._done = 0
        self._id: UUID | None = None
        self._last_s = 0.0

    def __enter__(self) -> Self:
        with _optional():
            self._id = create_progress_artifact(0.0, key=_key(self._title, "progress"), description=self._text())
        return self

    def advance(self, steps: int = 1) -> None:
        """Count further steps as done."""
        self.reach(self._done + steps)

    def reach(self, done: int) -> None:
        """Tell how many steps are done; shown every few seconds at most."""
        self._done = done
        if time.monotonic() - self._last_s >= _BETWEEN_UPDATES_S or self._done >= self._total:
            self._last_s = time.monotonic()
            self._show()

    def __exit__(self, *_: object) -> None:
        self._show()

    def _show(self) -> None:
        if self._id:
            percent = 100.0 * min(self._done, self._total) / self._total if self._total else 100.0
            with _optional():
                update_progress_artifact(self._id, percent, description=self._text())

    def _text(self) -> str:
        return f"{self._title}: {self._done} of {self._total}"


def show_preparation(
    settings: StudySettings, conclusion: Conclusion, changes: pd.DataFrame, drift: pd.DataFrame
) -> None:
    """The ledger, failures first; what changed in the corpus since the run before; how the new videos differ."""
    ledger = conclusion.ledger.sort_values("outcome", key=lambda outcome: outcome == "ok", kind="stable")
    names = {"video_id": "video", "outcome": "outcome", "message": "why", "attempts": "attempts"}
    names |= {"num_covered": "segments with a face", "subject": "person", "emotion": "emotion", "uri": "file"}
    counts = ", ".join(f"{count} {name}" for name, count in conclusion.counts.items())
    _show_table(settings, "ledger", ledger[list(names)].rename(columns=names), f"{len(ledger)} videos: {counts}")
    if len(changes):
        counted = ", ".join(f"{count} {name}" for name, count in changes["change"].value_counts().items())
        _show_table(settings, "what-changed", changes, f"Changes of the corpus: {counted}")
    if len(drift):
        rows = pd.DataFrame(drift_rows(drift))
        _show_table(settings, "drift", rows, f"{drift['num_new'].max()} new videos beside {drift['num_before'].max()}")


def announce_videos(settings: StudySettings, conclusion: Conclusion, num_pending: int) -> None:
    """Emit `fer.videos.prepared`; its resource says whether enough videos wait for a study.

    Args:
        num_pending: usable labelled videos that no study has seen yet.
    """
    enough = num_pending >= settings.watch.study_after
    emit_event(
        VIDEOS_PREPARED,
        resource={
            "prefect.resource.id": f"fer.corpus.{settings.name}",
            "prefect.resource.name": f"the corpus of {settings.name}",
            "fer.enough": "yes" if enough else "no",
        },
        payload={
            "prepared": len(conclusion.tried),
            "failed": len(conclusion.failed),
            "pending": num_pending,
            "study_after": settings.watch.study_after,
        },
    )


def show_comparison(source: ReportInput, report: Path, study_run: mlflow_log.StudyRun) -> None:
    """The table of arms, the confusion matrix of the best one, and links to MLflow and to the report."""
    settings, best = source.settings, source.best
    against_best = describe(source).against_best
    rows = [
        {
            "arm": result.arm.title,
            "UAR of videos, %": result.text("video_uar"),
            "95 % interval": f"{100 * result.interval.low:.1f} to {100 * result.interval.high:.1f}",
            "accuracy of videos, %": result.text("video_accuracy"),
            "UAR of segments, %": result.text("segment_uar"),
            "against the best": "the best" if result is best else against_best[result.arm.name],
        }
        for result in source.results
    ]
    _show_table(settings, "comparison", pd.DataFrame(rows), "Scores on people that no model saw")
    emotions = settings.corpus.emotions
    counts = confusions(pd.concat([seed.videos for seed in best.seeds]), emotions)
    text = f"Test videos of {best.arm.title}, all seeds; a row a true class, a column a recognised one.\n\n"
    with _optional():
        create_markdown_artifact(
            text + _markdown(["true", *emotions], [[name, *row] for name, row in zip(emotions, counts, strict=True)]),
            key=_key(settings.name, "confusion"),
            description=f"Confusion matrix of {best.arm.title}",
        )
    if page := mlflow_log.page_of(study_run):
        _show_link(settings, "mlflow", "The study in MLflow", page)
        _show_link(settings, "report", "The report", f"{page}/artifacts/report/index.html")
    else:
        _show_link(settings, "report", f"The report: {report}", report.absolute().as_uri())


def show_predictions(results: Results) -> None:
    """The rows of videos, how many ended in which way, and where all of it is."""
    name, table = f"predictions {results.path.parent.name}", results.table()
    shown = ["video", "track", "predicted", "confidence", "coverage", "outcome", "message", "folder"]
    shown = [column for column in shown if column in table]
    rows = table[shown].astype(object).where(table[shown].notna(), "")
    _show_rows(name, "rows", rows.rename(columns={"message": "remark"}), results.sentence())
    counts = _markdown(["outcome", "videos"], list(results.counts().items()))
    text = f"{markdown(results.sentence())}\n\n{counts}\n\nAll rows and the folder of each video: "
    with _optional():
        create_markdown_artifact(
            text + markdown(results.path),
            key=_key(name, "summary"),
            description=f"What became of {sum(results.counts().values())} videos",
        )
    with _optional():
        create_link_artifact(results.path.absolute().as_uri(), "predictions.csv", key=_key(name, "table"))


def show_summary(settings: StudySettings, report: Path) -> None:
    """The first part of the report, and where to find the rest."""
    text = read_summary(report.parent)
    page = mlflow_log.page_of(mlflow_log.open_study(settings))
    where = f"[report]({page}/artifacts/report/index.html), [MLflow]({page})" if page else f"report: {markdown(report)}"
    with _optional():
        create_markdown_artifact(
            f"{text}\n\n{where}\n", key=_key(settings.name, "summary"), description=f"What {settings.name} came to"
        )


def _show_link(settings: StudySettings, name: str, text: str, url: str) -> None:
    with _optional():
        create_link_artifact(url, text, key=_key(settings.name, name), description=markdown_cell(text))


def _show_table(settings: StudySettings, name: str, table: pd.DataFrame, description: str) -> None:
    _show_rows(settings.name, name, table, description)


def _show_rows(of: str, name: str, table: pd.DataFrame, description: str) -> None:
    more = f" (the first {_MOST_ROWS} shown)" if len(table) > _MOST_ROWS else ""
    rows: list[dict[Any, Any]] = table.head(_MOST_ROWS).to_dict("records")
    cells = [{name: markdown_cell(one) if isinstance(one, str) else one for name, one in row.items()} for row in rows]
    with _optional():
        create_table_artifact(cells, key=_key(of, name), description=markdown_cell(description + more))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[markdown(cell) for cell in line] for line in (head, *rows)]
    lines = [cells[0], ["---"] + ["---:"] * (len(head) - 1), *cells[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _key(*parts: str) -> str:
    """Lower-case letters, digits and dashes: all that the key of an artifact may have."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@contextmanager
def _optional() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        get_logger("fer").warning("Prefect's server took no artifact: %s", error)
