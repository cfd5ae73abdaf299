"""The two ends of a preparation: what there is to do, and what it came to. Between them videos are decoded."""

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.prepare_settings import FIRST_LAST, NO_MOTION
from tasks.config.settings import StudySettings
from tasks.corpus.changes import echo_changes, find_changes, record_changes
from tasks.corpus.manifest import build_manifest, check_labels
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.corpus.scope import ledger_of_study, manifest_of_study
from tasks.corpus.subject_names import echo_look_alikes, look_alikes
from tasks.outcomes import UNWANTED, Outcome
from tasks.preparation.batches import Attempts
from tasks.preparation.ledger import (
    Plan,
    check_failed_share,
    count_outcomes,
    failed_videos,
    find_previous,
    plan_preparation,
    reasons,
    write_ledger,
)
from tasks.preparation.shards import shard_path
from tasks.preparation.workers import Job
from tasks.progress import echo
from tasks.storage.disk import make_folder
from tasks.storage.files import remove_temporary_files
from tasks.storage.locations import as_remote
from tasks.video.detectors import load_detector
from tasks.video.fingerprint import VideoFile


@dataclass(frozen=True)
class Scan:
    """A corpus as it is now, whatever classes a study wants of it.

    Args:
        again: names the videos that are due whether or not they have a shard.
        only: no other videos are due.
    """

    manifest: pd.DataFrame
    plan: Plan
    changes: pd.DataFrame
    again: frozenset[str]
    only: bool


def scan_corpus(settings: StudySettings, only: Collection[str] | None = None, since: str = "") -> Scan:
    """Read the corpus and tell what is done, what is due and what changed, without decoding anything.

    Args:
        only: ids of the videos that are due, and no others are, whatever became of them before.
        since: a time as in the ledger; those that failed since then are due again, faults of their data included.

    Raises:
        UserError: the corpus cannot become a study, or holds no video of such an id.
    """
    _check_preparation(settings)
    load_detector(settings.prepare)  # a fault of its file ends the run here
    layout = Layout.of(settings)
    if settings.corpus.draw_sample:
        write_corpus(settings.corpus.root, SampleCorpus())
    emotions = settings.corpus.emotions
    check = None if settings.corpus.adapter == "videos" else functools.partial(check_labels, emotions=emotions)
    manifest = build_manifest(settings.corpus, layout.manifest, settings.execution.settle_s, check)
    if check:
        own = manifest_of_study(manifest, emotions)
        echo_look_alikes(own[own["status"] == Outcome.OK])
    remove_temporary_files(layout.shards, older_than_s=60.0)
    before = find_previous(layout.ledger)
    _echo_alike_labels(manifest, emotions)
    again = frozenset(only or ())
    if since and before is not None:
        failed = _failed_since(ledger_of_study(before, emotions), since, manifest)
        again = failed if only is None else again & failed
    plan = plan_preparation(manifest, before, layout.shards, again, only is None, emotions)
    return Scan(manifest, plan, find_changes(before, manifest), again, only is not None)


def _check_preparation(settings: StudySettings) -> None:
    """Raise `UserError` when single images are to be prepared as if they moved, or pairs as if they were films."""
    prepare = settings.prepare
    if settings.corpus.is_of_pairs and (prepare.segment_length != 2 or prepare.pair not in (FIRST_LAST, NO_MOTION)):
        raise UserError(
            "Each video of this corpus is a pair of images, onset and apex: add --set prepare.segment_length=2 "
            "--set prepare.segment_stride=2 --set prepare.pair=first_last, or choose other frames with corpus.frames."
        )
    if settings.corpus.is_of_stills and (prepare.has_optical_flow or prepare.segment_length > 1):
        raise UserError(
            "A single image is one frame without motion: add --set prepare.pair=none --set prepare.segment_length=1, "
            "or begin with the preset images."
        )


def _echo_alike_labels(manifest: pd.DataFrame, emotions: Sequence[str]) -> None:
    counts = manifest["emotion"].value_counts().to_dict()
    for names in look_alikes([*emotions, *filter(None, counts)]):
        wanted = [name for name in names if name in emotions]
        others = [f"{name!r} ({counts[name]}x)" for name in names if name not in emotions]
        if wanted and others:
            echo(
                f"The label {' and '.join(others)} looks like the class {wanted[0]!r} and is not taken for it; "
                "if it is, write it in one way."
            )


def _failed_since(ledger: pd.DataFrame, since: str, manifest: pd.DataFrame) -> frozenset[str]:
    """Ids of the videos whose last attempt failed since a time, and which the corpus still has."""
    failed = failed_videos(ledger)
    there = manifest.loc[manifest["status"] == Outcome.OK, "video_id"]
    return frozenset(failed.loc[(failed["tried_at"] >= since) & failed["video_id"].isin(there), "video_id"])


def due_jobs(scan: Scan, settings: StudySettings) -> list[Job]:
    """What is to be prepared, in the manifest's order."""
    folder = Layout.of(settings).shards.absolute()
    if not (scan.plan.due.empty or as_remote(folder)):
        make_folder(folder)
    return [
        Job(
            str(row["video_id"]),
            VideoFile(Path(row["uri"]), row["sha256"], int(row["size_bytes"]), int(row["mtime_ns"])),
            shard_path(folder, row["sha256"]),
            replace=row["video_id"] in scan.again,
        )
        for row in scan.plan.due.to_dict("records")
    ]


def most_failures(scan: Scan, settings: StudySettings) -> float:
    """How many of the due videos may fail before the limit for the whole corpus is passed; any, if they were named."""
    if scan.only:
        return float("inf")
    manifest = manifest_of_study(scan.manifest, settings.corpus.emotions)
    status = manifest["status"]
    num_meant = int((~status.isin(UNWANTED)).sum())
    num_failed = int((~status.isin([*UNWANTED, Outcome.OK])).sum())
    meant = set(manifest.loc[status == Outcome.OK, "sha256"]) & scan.plan.done.keys()
    num_failed += sum(scan.plan.done[sha256].outcome is not Outcome.OK for sha256 in meant)
    return settings.execution.max_failed_share * num_meant - num_failed


@dataclass(frozen=True)
class Conclusion:
    """What a preparation came to.

    Args:
        ledger: as it is for the study.
        counts: videos per outcome, over the whole ledger.
        tried: rows of the ledger that this run prepared.
        failed: rows of the ledger that this run could not use: tried in vain, or new and faulty as they are.
    """

    ledger: pd.DataFrame
    counts: dict[str, int]
    tried: pd.DataFrame
    failed: pd.DataFrame

    @property
    def newly_prepared(self) -> set[str]:
        """SHA-256 of the videos that this run made a shard of."""
        return set(self.tried.loc[self.tried["shard"] != "", "sha256"])

    @property
    def sentence(self) -> str:
        """How many videos failed and why, with one of each kind; or how many were prepared."""
        if self.failed.empty:
            return f"{len(self.tried)} videos prepared, none failed."
        listed = "; ".join(" ".join(line.split()) for line in reasons(self.failed).splitlines())
        return f"{len(self.failed)} videos could not be used: {listed}."


def conclude(scan: Scan, settings: StudySettings, attempts: Attempts) -> Conclusion:
    """Write the ledger and say what it came to.

    Raises:
        UserError: too many videos failed; the message has the table of reasons.
    """
    layout = Layout.of(settings)
    written = write_ledger(layout.ledger, scan.manifest, scan.plan.done | attempts.reports, attempts.counts)
    ledger = ledger_of_study(written, settings.corpus.emotions)
    record_changes(layout.changes, scan.changes)
    counts = count_outcomes(ledger)
    echo_changes(scan.changes)
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    echo(f"{len(ledger)} videos, {len(attempts.counts)} of them prepared now: {listed}.")
    if not scan.only:
        check_failed_share(ledger, settings.execution.max_failed_share)
    tried = ledger["sha256"].isin(list(attempts.counts))
    failed = failed_videos(ledger[tried | ledger["video_id"].isin(scan.changes["video_id"])])
    return Conclusion(ledger, counts, ledger[tried], failed)
