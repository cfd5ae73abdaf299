"""The ledger: every video of the manifest with its one outcome. Nothing is dropped in silence.

It is shared by all studies that prepare in the same way, so it says what became of a video whatever its class; a study
reads it with `read_ledger`, for its own classes.
What is done is decided by what is on disk: a video is due when no shard stands for its content and the preparation
settings, and its last attempt, if any, ended in a transient fault or not at all.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fer_models.errors import UserError
from fer_models.names import composed
from fer_models.suggest import nearest
from tasks.corpus.scope import NOT_TRIED, ledger_of_study, manifest_of_study
from tasks.outcomes import TRANSIENT, UNPREPARED, UNWANTED, Outcome
from tasks.preparation.shards import find_reports, shard_name
from tasks.progress import echo
from tasks.storage.expected import Expected
from tasks.storage.files import find_frame, is_whole, list_files, set_aside, write_table
from tasks.storage.locations import as_remote
from tasks.video.segments import VideoReport

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("subject", pa.string()),
        ("emotion", pa.string()),
        ("outcome", pa.string()),
        ("message", pa.string()),
        ("remark", pa.string()),
        ("attempts", pa.int32()),
        ("num_frames", pa.int32()),
        ("num_segments", pa.int32()),
        ("num_covered", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("codec", pa.string()),
        ("fps", pa.float64()),
        ("duration_s", pa.float64()),
        ("repeated_share", pa.float64()),
        ("interval_s", pa.float64()),
        ("num_far", pa.int32()),
        ("num_cuts", pa.int32()),
        ("num_cut_off", pa.int32()),
        ("num_searched", pa.int32()),
        ("num_found", pa.int32()),
        ("mean_score", pa.float64()),
        ("num_asked", pa.int32()),
        ("num_agreed", pa.int32()),
        ("seconds", pa.float64()),
        ("tried_at", pa.string()),
        ("shard", pa.string()),
    ]
)
#: Earlier versions wrote fewer columns.
_CORE = [*SCHEMA.names[:7], "attempts", "num_segments", "num_covered", "tried_at", "shard"]
_EXPECTED = Expected(SCHEMA, core=_CORE, words={"outcome": list(Outcome)})


@dataclass(frozen=True)
class Plan:
    """What a run has to do: the reports of what is done, by SHA-256, and the manifest rows that are due.

    Of several videos with one content one is due.
    """

    done: dict[str, VideoReport]
    due: pd.DataFrame


def plan_preparation(
    manifest: pd.DataFrame,
    previous: pd.DataFrame | None,
    shards: Path,
    again: Collection[str] = (),
    others: bool = True,
    emotions: Sequence[str] | None = None,
) -> Plan:
    """Tell what is done from what is due, without opening a video.

    Args:
        previous: the ledger of the last run; saves reading the reports out of the shards.
        again: ids of the videos that are due although they have a shard.
        others: the other videos may be due too.
        emotions: only videos of these classes are due, of any class if there are none; those of others that a study
            beside this one prepared are done all the same.

    Raises:
        UserError: `again` names a video that the manifest does not have, or one that is no use.
    """
    known = _reports(previous)
    usable = manifest[manifest["status"] == Outcome.OK]
    existing = _whole_shards(shards, set(usable["sha256"]))
    meant = manifest if emotions is None else manifest_of_study(manifest, emotions)
    wanted = meant[meant["status"] == Outcome.OK]
    _check_ids(again, meant, wanted)
    there = [sha256 for sha256 in usable["sha256"].unique() if sha256 in existing]
    done = {sha256: known[sha256] for sha256 in there if sha256 in known and known[sha256].outcome not in TRANSIENT}
    untold = [sha256 for sha256 in there if sha256 not in done]
    reports = dict(zip(untold, find_reports([existing[sha256] for sha256 in untold]), strict=True))
    done |= {sha256: report for sha256, report in reports.items() if report}
    if wrong := [sha256 for sha256, report in reports.items() if not report and existing[sha256].is_file()]:
        echo(f"Shards that are not what their names say are made again: {len(wrong)}, such as {existing[wrong[0]]}.")
    is_due = wanted["video_id"].isin(list(again))
    if others:
        is_due |= ~wanted["sha256"].isin(list(done))
    due = wanted[is_due]
    return Plan(done, due.drop_duplicates("sha256").reset_index(drop=True))


def write_ledger(
    path: Path, manifest: pd.DataFrame, reports: Mapping[str, VideoReport], attempts: Mapping[str, int]
) -> pd.DataFrame:
    """Write the outcome of every video of the manifest.

    A usable video of which nothing is known yet is `not_tried`: the run was broken off before its turn, or no study has
    wanted its class.

    Args:
        reports: by SHA-256; of a video that is not among them the ledger keeps what it says.
        attempts: by SHA-256, how often this run tried.
    """
    previous = find_previous(path)
    known = {**_reports(previous), **reports}
    rows_before = {} if previous is None else previous.drop_duplicates("sha256").set_index("sha256").to_dict("index")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    rows = []
    for video in manifest.to_dict("records"):
        sha256 = video["sha256"]
        report = _report_on(video, known)
        before = rows_before.get(sha256, {})
        has_shard = video["status"] == Outcome.OK and sha256 in known and report.outcome not in TRANSIENT
        rows.append(
            {
                **{key: video[key] for key in ("video_id", "uri", "sha256", "subject", "emotion")},
                **report.model_dump(include=set(SCHEMA.names) - {"sha256"}),
                "outcome": str(report.outcome),
                "message": _message(video, report),
                "remark": report.message if report.outcome is Outcome.OK else "",
                "attempts": before.get("attempts", 0) + attempts.get(sha256, 0),
                "tried_at": now if sha256 in attempts else before.get("tried_at", ""),
                "shard": shard_name(sha256) if has_shard else "",
            }
        )
    ledger = pd.DataFrame(rows, columns=SCHEMA.names)
    write_table(path, pa.Table.from_pandas(ledger, schema=SCHEMA, preserve_index=False))
    return ledger


def find_previous(path: Path) -> pd.DataFrame | None:
    """The ledger that the last run left, if there is one, for no study in particular."""
    return find_frame(path, _EXPECTED)


def read_ledger(path: Path, emotions: Sequence[str]) -> pd.DataFrame:
    """The ledger as it is for a study of these classes; raises `UserError` when nothing was prepared that way."""
    ledger = find_frame(path, _EXPECTED)
    if ledger is None:
        raise UserError(f"Nothing was prepared with these settings ({path} is not there); run `fer prepare` first.")
    return ledger_of_study(ledger, emotions)


def is_usable(ledger: pd.DataFrame) -> pd.Series:
    """Which videos a study can use: prepared well, with a face in a segment at least."""
    return (ledger["outcome"] == Outcome.OK) & (ledger["num_covered"] > 0)


def count_outcomes(ledger: pd.DataFrame) -> dict[str, int]:
    """Videos per outcome, most frequent first; the counts add up to the manifest."""
    return {str(name): int(count) for name, count in ledger["outcome"].value_counts().items()}


def select_videos(ledger: pd.DataFrame, outcome: str | None, video_ids: Collection[str]) -> list[str]:
    """Ids of the videos that are to be tried again.

    Args:
        outcome: those that ended so; any but a fault of the labels, which preparing again cannot correct.
        video_ids: these, by id or SHA-256, whatever became of them. With neither, those that failed for no fault of
            their data, or were not tried.

    Raises:
        UserError: there is no such outcome or video.
    """
    prepared = ledger[~ledger["outcome"].isin(UNPREPARED)]
    if outcome and outcome not in set(Outcome) - UNPREPARED:
        names = [str(name) for name in Outcome if name not in UNPREPARED]
        raise UserError(
            f"No video can be tried again as {outcome!r}{nearest(outcome, names)}; take one of {', '.join(names)}."
        )
    ids = ledger["video_id"].map(composed)
    for video_id in video_ids:
        if composed(video_id) not in {*ids, *ledger["sha256"]}:
            raise UserError(
                f"There is no video {video_id!r}{nearest(video_id, ledger['video_id'])}; `fer status` lists them."
            )
    if video_ids:
        wanted = list(map(composed, video_ids))
        return ledger.loc[ids.isin(wanted) | ledger["sha256"].isin(wanted), "video_id"].tolist()
    ends = [outcome] if outcome else [*TRANSIENT, Outcome.NOT_TRIED]
    return prepared.loc[prepared["outcome"].isin(ends), "video_id"].tolist()


def failed_videos(ledger: pd.DataFrame) -> pd.DataFrame:
    """The videos that the study wants and could not use, the newest attempts first; none that was not tried."""
    failed = ledger[~ledger["outcome"].isin([Outcome.OK, Outcome.NOT_TRIED, *UNWANTED])]
    return failed.sort_values(["tried_at", "outcome", "video_id"], ascending=[False, True, True])


def check_failed_share(ledger: pd.DataFrame, limit: float) -> None:
    """Raise `UserError` with the table of reasons when more than `limit` of the wanted videos could not be used."""
    num_wanted = int((~ledger["outcome"].isin(UNWANTED)).sum())
    failed = failed_videos(ledger)
    if num_wanted and (len(failed) == num_wanted or len(failed) > limit * num_wanted):
        raise UserError(
            f"{len(failed)} of {num_wanted} videos could not be used, more than execution.max_failed_share = {limit:g} "
            f"allows:\n{reasons(failed)}\n`fer status` lists them. Repair them and run the same command "
            "again, or allow more with --set execution.max_failed_share=..."
        )


def reasons(failed: pd.DataFrame) -> str:
    """A table in plain text: how many videos failed in which way, and one of each."""
    lines = []
    for outcome, count in count_outcomes(failed).items():
        first = failed[failed["outcome"] == outcome].iloc[0]
        example = " ".join(f"{first['video_id']}: {first['message']}".split())  # a name may hold a line feed
        lines.append(f"{count:>7}  {outcome:<15} such as {example}")
    return "\n".join(lines)


def _whole_shards(folder: Path, wanted: Collection[str]) -> dict[str, Path]:
    """The shards of these contents, by SHA-256; those that have lost their own are set aside."""
    listed = (path for path in list_files(folder, "*/*.parquet") if path.parent.name == path.stem[:2])
    shards = {path.stem: path for path in listed if path.stem in wanted}
    if as_remote(folder):
        return shards
    broken = [sha256 for sha256, path in shards.items() if not is_whole(path)]
    for sha256 in broken:
        set_aside(shards.pop(sha256))
    return shards


def _check_ids(again: Collection[str], manifest: pd.DataFrame, wanted: pd.DataFrame) -> None:
    for video_id in again:
        if video_id not in set(manifest["video_id"]):
            raise UserError(f"There is no video {video_id!r} in the corpus any more.")
        if video_id not in set(wanted["video_id"]):
            video = manifest[manifest["video_id"] == video_id].iloc[0]
            raise UserError(f"{video_id} cannot be prepared: {video['status']}, {video['reason']}.")


def _report_on(video: dict[str, str], reports: Mapping[str, VideoReport]) -> VideoReport:
    if video["status"] != Outcome.OK:
        return VideoReport(outcome=Outcome(video["status"]), message=video["reason"])
    never = VideoReport(outcome=Outcome.NOT_TRIED, message=NOT_TRIED)
    return reports.get(video["sha256"], never)


def _message(video: dict[str, str], report: VideoReport) -> str:
    """Why a video failed; of one that did not what the manifest and its preparation remark."""
    if report.outcome is not Outcome.OK:
        return report.message
    return "; ".join(filter(None, (video["reason"], report.message)))


def _reports(previous: pd.DataFrame | None) -> dict[str, VideoReport]:
    """What a ledger says of the contents that were tried."""
    if previous is None:
        return {}
    rows = previous[(previous["shard"] != "") | (previous["outcome"].isin(TRANSIENT) & (previous["attempts"] > 0))]
    if "remark" in rows:  # the manifest's remark stands in the message too, and is looked up again
        rows = rows.assign(message=rows["message"].where(rows["outcome"] != Outcome.OK, rows["remark"]))
    fields = [name for name in VideoReport.model_fields if name in rows.columns]
    known = ({name: value for name, value in row.items() if pd.notna(value)} for row in rows[fields].to_dict("records"))
    return {row["sha256"]: VideoReport(**row) for row in known}
