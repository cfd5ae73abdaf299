"""What a study looks like in a terminal: its table of arms, and the state of everything it made.

Keras and MLflow take seconds to load, so what needs them is imported where it is used.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import Answers
from flows.environment import check_keras, silent_imports
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.changes import read_changes
from tasks.dataset.drift import TOO_FEW, read_drift
from tasks.outcomes import TRANSIENT, Outcome
from tasks.preparation.ledger import count_outcomes, failed_videos, read_ledger
from tasks.report.remarks import motion_remarks
from tasks.storage.addresses import hide_secrets
from tasks.tracking.mlflow_database import DATABASE_FILE

if TYPE_CHECKING:
    from tasks.report.facts import Facts
    from tasks.report.input import ReportInput
    from tasks.study.comparison import ArmResult

_MOST_FAILURES = 20


def print_results(settings: StudySettings, report: Path, out: Answers) -> None:
    """The comparison table and where to look next."""
    from tasks.report.facts import describe
    from tasks.report.input import collect
    from tasks.tracking.connection import tracking_uri

    source = collect(settings)
    facts = describe(source)
    out.print(f"{settings.name}: scores on unseen people, % (UAR: mean recall of the classes)")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("\narm", no_wrap=True)
    for head in ("videos\nUAR", "95 %\ninterval", "videos\nacc."):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("against\nthe best", no_wrap=True)
    rows = []
    for result in source.results:
        interval = f"{100 * result.interval.low:.0f}-{100 * result.interval.high:.0f}"
        cells = [result.text("video_uar"), interval, f"{100 * result.mean('video_accuracy'):.1f}"]
        is_best = result is source.best
        verdict = (
            "the best"
            if is_best
            else facts.against_best[result.arm.name].removesuffix(" shown").partition(" within")[0]
        )
        table.add_row(result.arm.title, *cells, verdict, style="bold" if is_best else None)
        rows.append(_result_row(result, verdict))
    out.show("results", rows, table)
    on_others = facts.others.headlines if facts.others else ()
    for sentence in filter(None, (facts.against_classic, *_remarks(source, facts), *on_others)):
        out.print(escape(sentence), highlight=False)
    layout = Layout.of(settings)
    store = hide_secrets(tracking_uri(layout))
    mlflow = store if store.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(store)}"
    for line in (f"MLflow: {mlflow}", f"Report: {report}"):
        out.print(escape(line), soft_wrap=True, highlight=False)


def _result_row(result: "ArmResult", verdict: str) -> dict[str, Any]:
    """An arm for programs; scores are shares of 1."""
    return {
        "arm": result.arm.name,
        "title": result.arm.title,
        "seeds": len(result.seeds),
        "video_uar": result.mean("video_uar"),
        "video_uar_sd": result.sd("video_uar"),
        "video_uar_low": result.interval.low,
        "video_uar_high": result.interval.high,
        "video_accuracy": result.mean("video_accuracy"),
        "against_the_best": verdict,
    }


def _remarks(source: "ReportInput", facts: "Facts") -> list[str]:
    seeds, null_band = len(source.settings.seeds), facts.null_band
    if null_band is None:
        return facts.trained and [
            "One seed does not show how far chance alone moves a score, so no arm is called better (use --seeds 5)."
        ]
    remarks = [f"The same arm with other seeds differs by up to {100 * null_band:.1f} points (means of {seeds} seeds)."]
    if source.equivalences:
        remarks.append(f"{len(source.equivalences)} pairs of arms are the same function; the report names them.")
    return remarks


def _print_failures(lost: pd.DataFrame, out: Answers) -> None:
    most = f", the newest {_MOST_FAILURES}" if len(lost) > _MOST_FAILURES else ""
    failures = Table(title=f"Not used ({len(lost)}{most})")
    for name in ("video", "outcome", "why", "tries", "last tried", "file"):
        failures.add_column(name, overflow="fold")
    columns = ["video_id", "outcome", "message", "attempts", "tried_at", "uri"]
    for row in lost.head(_MOST_FAILURES).itertuples():
        when = str(row.tried_at)[:16].replace("T", " ")
        cells = (row.video_id, row.outcome, row.message, row.attempts, when, row.uri)
        failures.add_row(*(escape(str(cell)) for cell in cells))
    out.show("not_used", lost[columns].to_dict("records"), failures)
    num_transient = int(lost["outcome"].isin(TRANSIENT).sum())
    if num_transient:
        out.print(f"`fer retry` tries {num_transient} of them again (timeout, crashed, unreadable).")
    out.print(
        "The next `fer prepare` takes up files that you repaired; `fer retry --video ID` prepares one video again."
    )


def _print_changes(changes: pd.DataFrame, out: Answers) -> None:
    if changes.empty:
        return
    newest = changes["time"].iloc[-1]
    latest = changes[changes["time"] == newest]
    counts = ", ".join(f"{count} {name}" for name, count in latest["change"].value_counts().items())
    out.print(f"Last change of the corpus, {newest[:16].replace('T', ' ')} UTC: {counts}.")


def _print_drift(drift: pd.DataFrame, out: Answers) -> None:
    if drift.empty:
        return
    newest = drift["time"].iloc[-1]
    latest = drift[(drift["time"] == newest) & ~drift["remark"].isin(["", TOO_FEW])]
    differs = "; ".join(f"{row.measure}: {row.remark}" for row in latest.itertuples()) or "nothing notable"
    out.print(f"How the newest videos differ, {newest[:16].replace('T', ' ')} UTC: {escape(differs)}.", highlight=False)


def print_status(settings: StudySettings, out: Answers) -> None:
    """The ledger's counts, what failed and why, and the training runs."""
    layout = Layout.of(settings)
    _follow(layout)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    out.print(escape(f"Videos of {layout.manifest}"), soft_wrap=True, highlight=False)
    counts = Table()
    counts.add_column("outcome")
    counts.add_column("videos", justify="right")
    outcomes = count_outcomes(ledger)
    for name, count in outcomes.items():
        counts.add_row(name, str(count))
    counts.add_row("all", str(len(ledger)), style="bold")
    out.show("outcomes", [{"outcome": name, "videos": count} for name, count in outcomes.items()], counts)
    lost = failed_videos(ledger)
    if len(lost):
        _print_failures(lost, out)
    if num_waiting := int((ledger["outcome"] == Outcome.NOT_TRIED).sum()):
        out.print(f"{num_waiting} videos were not tried yet; `fer prepare` tries them.")
    for remark in motion_remarks(ledger, settings.prepare):
        out.print(escape(remark), highlight=False)
    _print_changes(read_changes(layout.changes), out)
    _print_drift(read_drift(layout.drift, settings.name), out)
    trained = _show_runs(settings, out) if layout.index.is_dir() else "no run is planned"
    out.print(f"{outcomes.get(Outcome.OK, 0)} of {len(ledger)} videos can be used; {trained}.", highlight=False)


def _follow(layout: Layout) -> None:
    """Lead MLflow's database after a data root that was moved; where there is none, MLflow need not be loaded."""
    if (layout.root / DATABASE_FILE).is_file():
        from tasks.tracking.connection import follow_data_root

        follow_data_root(layout)


def _show_runs(settings: StudySettings, out: Answers) -> str:
    """The runs, and how many of them are trained. Their names tell of Keras, which takes seconds to load."""
    check_keras()
    with silent_imports():
        from tasks.study.runs import plan_runs

    runs = [{"run": run.name, "trained": run.trained} for run in plan_runs(settings)]
    table = Table(title=f"Runs of {settings.name!r}")
    for name in ("run", "trained"):
        table.add_column(name)
    for run in runs:
        table.add_row(str(run["run"]), "yes" if run["trained"] else "no")
    out.show("runs", runs, table)
    return f"{sum(bool(run['trained']) for run in runs)} of {len(runs)} runs are trained"
