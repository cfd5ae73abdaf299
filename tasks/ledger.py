"""The ledger: every video of the manifest with its one outcome. Nothing is dropped in silence.

What is done is decided by what is on disk: a video is due when no shard stands for its content and the preparation
settings, and its last attempt, if any, ended in a transient fault or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fer_models.errors import UseError
from tasks.files import write_table
from tasks.outcomes import TRANSIENT, Outcome
from tasks.shards import VideoReport, read_report, shard_path

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("subject", pa.string()),
        ("emotion", pa.string()),
        ("outcome", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
        ("num_frames", pa.int32()),
        ("num_segments", pa.int32()),
        ("num_covered", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("seconds", pa.float64()),
        ("shard", pa.string()),
    ]
)


@dataclass(frozen=True)
class Plan:
    """What a run has to do: the rows that are settled, and the manifest rows that are due (one per content)."""

    settled: dict[str, VideoReport]
    due: pd.DataFrame


def plan_preparation(manifest: pd.DataFrame, ledger: Path, shards: Path) -> Plan:
    """Tell what is done from what is due, without opening a video."""
    previous = _previous_reports(ledger)
    existing = {path.stem: path for path in shards.glob("*/*.parquet")}
    wanted = manifest[manifest["status"] == Outcome.OK]
    settled: dict[str, VideoReport] = {}
    for sha256 in wanted["sha256"].unique():
        if sha256 in existing:
            known = previous.get(sha256)
            settled[sha256] = known if known and known.outcome not in TRANSIENT else read_report(existing[sha256])
    due = wanted[~wanted["sha256"].isin(list(settled))].drop_duplicates("sha256")
    return Plan(settled, due.reset_index(drop=True))


def write_ledger(
    path: Path, manifest: pd.DataFrame, reports: Mapping[str, VideoReport], tried: set[str], shards: Path
) -> pd.DataFrame:
    """Write the outcome of every video of the manifest.

    Args:
        reports: by sha256; a video that is not among them and whose status is ok is left out of `tried` and counts as
            `crashed` (the run was broken off before its turn).
        tried: sha256 of what this run attempted.
    """
    attempts = _previous_attempts(path)
    rows = []
    for video in manifest.to_dict("records"):
        sha256 = video["sha256"]
        report = _report_on(video, reports)
        has_shard = video["status"] == Outcome.OK and sha256 in reports and report.outcome not in TRANSIENT
        rows.append(
            {
                **{key: video[key] for key in ("video_id", "uri", "sha256", "subject", "emotion")},
                **report.model_dump(include=set(SCHEMA.names) - {"sha256"}),
                "outcome": str(report.outcome),
                "attempts": attempts.get(sha256, 0) + (sha256 in tried),
                "shard": shard_path(Path(shards.name), sha256).as_posix() if has_shard else "",
            }
        )
    ledger = pd.DataFrame(rows, columns=SCHEMA.names)
    write_table(path, pa.Table.from_pandas(ledger, schema=SCHEMA, preserve_index=False))
    return ledger


def read_ledger(path: Path) -> pd.DataFrame:
    """The ledger as a data frame; raises `UseError` when nothing was prepared with these settings."""
    if not path.is_file():
        raise UseError(f"Nothing was prepared with these settings ({path} is not there); run `fer prepare` first.")
    return pd.read_parquet(path)


def count_outcomes(ledger: pd.DataFrame) -> dict[str, int]:
    """Videos per outcome, most frequent first; the counts add up to the manifest."""
    return {str(name): int(count) for name, count in ledger["outcome"].value_counts().items()}


def check_failed_share(ledger: pd.DataFrame, limit: float) -> None:
    """Raise `UseError` when more than `limit` of the videos that should have worked did not."""
    meant = ledger[~ledger["outcome"].isin([Outcome.OUT_OF_SCOPE, Outcome.LABEL_MISSING])]
    failed = meant[meant["outcome"] != Outcome.OK]
    if len(meant) and (len(failed) == len(meant) or len(failed) > limit * len(meant)):
        counts = ", ".join(f"{count} {name}" for name, count in count_outcomes(failed).items())
        raise UseError(
            f"{len(failed)} of {len(meant)} videos could not be used ({counts}); `fer status` lists them. "
            f"Mend them, or allow more with --set execution.max_failed_share=..."
        )


def _report_on(video: dict[str, str], reports: Mapping[str, VideoReport]) -> VideoReport:
    if video["status"] != Outcome.OK:
        return VideoReport(outcome=Outcome(video["status"]), message=video["reason"])
    never = VideoReport(outcome=Outcome.CRASHED, message="the run ended before its turn")
    report = reports.get(video["sha256"], never)
    return report.model_copy(update={"message": video["reason"]}) if report.outcome is Outcome.OK else report


def _previous_reports(ledger: Path) -> dict[str, VideoReport]:
    if not ledger.is_file():
        return {}
    rows = pd.read_parquet(ledger)
    rows = rows[rows["shard"] != ""]
    fields = [name for name in VideoReport.model_fields if name in rows.columns]
    return {row["sha256"]: VideoReport(**row) for row in rows[fields].to_dict("records")}


def _previous_attempts(ledger: Path) -> dict[str, int]:
    if not ledger.is_file():
        return {}
    rows = pd.read_parquet(ledger, columns=["sha256", "attempts"])
    return dict(zip(rows["sha256"], rows["attempts"], strict=True))
