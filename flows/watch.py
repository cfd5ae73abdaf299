"""Watching a corpus without a server: prepare what is new, tell what changed, run the study when enough has come in."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx
import pandas as pd

from fer_models.errors import FerError
from flows.cli.answers import Answers
from flows.drift import print_drift
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.changes import echo_changes
from tasks.dataset.drift import read_drift
from tasks.dataset.pending import pending_videos, worth_a_try
from tasks.preparation.batches import Attempts
from tasks.preparation.ledger import count_outcomes, find_previous, read_ledger
from tasks.preparation.scan import conclude, scan_corpus
from tasks.progress import collected, echo
from tasks.storage.files import try_lock, write_text

#: Runs the flow of that name, `prepare` or `study`, on the settings that are watched.
RunFlow = Callable[[str], Any]


def watch_corpus(settings: StudySettings, run: RunFlow, out: Answers) -> None:
    """Look at the corpus at every interval until the process is ended; a look that fails is followed by the next."""
    echo(f"Looking at {settings.corpus.places} every {settings.watch.interval_s:g} s; Ctrl-C ends it.")
    said = ""
    while True:
        try:
            said = poll(settings, run, out, said)
        except (FerError, OSError, httpx.HTTPError) as error:
            if str(error) != said:
                echo(f"{_clock()} This look failed: {error}")
            said = str(error)
        time.sleep(settings.watch.interval_s)


def poll(settings: StudySettings, run: RunFlow, out: Answers, said: str = "") -> str:
    """Look at the corpus once: prepare what is due and start a study if that is due.

    Args:
        said: what the look before came to; nothing is printed when this one comes to the same.

    Returns:
        What this look came to.
    """
    layout = Layout.of(settings)
    with try_lock(layout.watch_lock) as alone:
        found = _work(settings, run, out) if alone else f"Another `fer watch` is at work in {layout.root}."
    if found != said:
        echo(f"{_clock()} {found}")
    return found


def _work(settings: StudySettings, run: RunFlow, out: Answers) -> str:
    layout = Layout.of(settings)
    before = find_previous(layout.ledger)
    quietly: AbstractContextManager[list[str]] = collected() if layout.manifest.is_file() else nullcontext([])
    with quietly as notes:
        scan = scan_corpus(settings)
    if worth_a_try(scan.plan.due, before, settings.watch.interval_s):
        notes, drift = [], read_drift(layout.drift, settings.name)  # the flow says its own
        try:
            run("prepare")
        finally:
            _tell_drift(drift, settings, out)
    else:
        with collected():
            conclude(scan, settings, Attempts())
        echo_changes(scan.changes)
    num_pending = len(pending_videos(settings))
    if num_pending >= settings.watch.study_after or layout.unfinished.is_file():
        _run_study(settings, run, num_pending, out)
        num_pending = len(pending_videos(settings))
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    return " ".join([*notes, _sum_up(ledger, num_pending, settings.watch.study_after)])


def _tell_drift(drift_before: pd.DataFrame, settings: StudySettings, out: Answers) -> None:
    drift = read_drift(Layout.of(settings).drift, settings.name)
    print_drift(drift[~drift["time"].isin(drift_before["time"])], out)


def _run_study(settings: StudySettings, run: RunFlow, num_pending: int, out: Answers) -> None:
    """Run the study; one that is broken off, after its split was extended perhaps, is due until it ends well."""
    unfinished = Layout.of(settings).unfinished
    goes_on = unfinished.is_file()
    echo(f"{_clock()} The study goes on." if goes_on else f"{_clock()} {num_pending} new videos: a study begins.")
    write_text(unfinished, "")
    report = run("study")
    unfinished.unlink(missing_ok=True)
    from flows.status import print_results  # which imports Keras, as the study did

    print_results(settings, report, out)


def _sum_up(ledger: pd.DataFrame, num_pending: int, study_after: int) -> str:
    outcomes = ", ".join(f"{count} {name}" for name, count in count_outcomes(ledger).items())
    return f"{len(ledger)} videos: {outcomes}; {num_pending} of {study_after} for the next study."


def _clock() -> str:
    return time.strftime("%H:%M")
