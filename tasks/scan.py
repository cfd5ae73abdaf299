"""The two ends of a preparation: what there is to do, and what it came to. Between them videos are decoded."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tasks.changes import find_changes, record_changes, say_changes
from tasks.contents import VideoFile
from tasks.detectors import load_detector
from tasks.fan_out import Attempts
from tasks.files import remove_leftovers
from tasks.layout import Layout
from tasks.ledger import Plan, check_failed_share, count_outcomes, find_previous, plan_preparation, write_ledger
from tasks.manifest import build_manifest, check_labels
from tasks.outcomes import UNWANTED, Outcome
from tasks.progress import say
from tasks.sample.corpus import SampleCorpus, write_corpus
from tasks.settings import StudySettings
from tasks.shards import shard_path
from tasks.workers import Job


@dataclass(frozen=True)
class Scan:
    """A corpus as it is now; `again` when videos were named that are due whether or not they have a shard."""

    manifest: pd.DataFrame
    plan: Plan
    changes: pd.DataFrame
    again: bool


def scan_corpus(settings: StudySettings, again: Collection[str] | None = None) -> Scan:
    """Read the corpus and tell what is done, what is due and what changed, without decoding anything.

    Args:
        again: ids of the videos that are due, and no others are, whatever became of them before.

    Raises:
        UseError: the corpus cannot become a study, or holds no video of such an id.
    """
    load_detector(settings.prepare)  # a fault of its file ends the run here
    layout = Layout.of(settings)
    if settings.corpus.draw_sample:
        write_corpus(settings.corpus.root, SampleCorpus())
    manifest = build_manifest(settings.corpus, layout.manifest, settings.execution.settle_s)
    if settings.corpus.adapter != "videos":
        check_labels(manifest, settings.corpus.emotions)
    remove_leftovers(layout.shards, older_than_s=60.0)
    before = find_previous(layout.ledger)
    plan = plan_preparation(manifest, before, layout.shards, again)
    return Scan(manifest, plan, find_changes(before, manifest), again is not None)


def due_jobs(scan: Scan, settings: StudySettings) -> list[Job]:
    """What is to be prepared, in the manifest's order."""
    folder = Layout.of(settings).shards.absolute()
    return [
        Job(
            str(row["video_id"]),
            VideoFile(Path(row["uri"]), row["sha256"], int(row["size_bytes"]), int(row["mtime_ns"])),
            shard_path(folder, row["sha256"]),
            replace=scan.again,
        )
        for row in scan.plan.due.to_dict("records")
    ]


def most_failures(scan: Scan, settings: StudySettings) -> float:
    """How many of the due videos may fail before the limit for the whole corpus is passed; any, if they were named."""
    if scan.again:
        return float("inf")
    status = scan.manifest["status"]
    num_meant = int((~status.isin(UNWANTED)).sum())
    num_failed = int((~status.isin([*UNWANTED, Outcome.OK])).sum())
    num_failed += sum(report.outcome is not Outcome.OK for report in scan.plan.settled.values())
    return settings.execution.max_failed_share * num_meant - num_failed


def conclude(scan: Scan, settings: StudySettings, attempts: Attempts) -> dict[str, int]:
    """Write the ledger, say what it came to and return its counts.

    Raises:
        UseError: too many videos failed; the message has the table of reasons.
    """
    layout = Layout.of(settings)
    ledger = write_ledger(layout.ledger, scan.manifest, scan.plan.settled | attempts.reports, attempts.counts)
    record_changes(layout.changes, scan.changes)
    counts = count_outcomes(ledger)
    say_changes(scan.changes)
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"{len(ledger)} videos, {len(attempts.counts)} of them prepared now: {listed}.")
    if not scan.again:
        check_failed_share(ledger, settings.execution.max_failed_share)
    return counts
