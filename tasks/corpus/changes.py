"""What is different in a corpus since it was last prepared, told by content and not by name alone."""

from enum import StrEnum
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tasks.progress import echo
from tasks.storage.append_log import append_rows, read_journal

SCHEMA = pa.schema(
    [("time", pa.string()), ("change", pa.string()), ("video_id", pa.string()), ("previous", pa.string())]
)
_MOST_NAMED = 5


class Change(StrEnum):
    """How a video of the corpus differs from before."""

    NEW = "new"
    CHANGED = "changed"  # other content under the same name
    RENAMED = "renamed"  # the same content under another name
    RELABELLED = "relabelled"  # another emotion or subject
    REMOVED = "removed"


def find_changes(before: pd.DataFrame | None, manifest: pd.DataFrame) -> pd.DataFrame:
    """Compare the manifest with the ledger of the last run.

    Args:
        before: the ledger, or `None` when nothing was prepared yet: then there is nothing to compare with.

    Returns:
        A row a change: change, video_id, previous (the former name or label, where there is one).
    """
    if before is None:
        return pd.DataFrame(columns=["change", "video_id", "previous"])
    old, now = before.set_index("video_id"), manifest.set_index("video_id")
    gone = old.loc[~old.index.isin(now.index)]
    added = now.loc[~now.index.isin(old.index)]
    rows: list[tuple[Change, str, str]] = []
    former = {sha256: str(name) for name, sha256 in gone["sha256"].items() if sha256}
    for name, sha256 in added["sha256"].items():
        origin = former.pop(sha256, None)
        rows.append((Change.RENAMED, str(name), origin) if origin is not None else (Change.NEW, str(name), ""))
    renamed = {previous for _, _, previous in rows}
    rows += [(Change.REMOVED, str(name), "") for name in gone.index if name not in renamed]
    columns = ["video_id", "sha256", "emotion", "subject"]
    both = before[columns].merge(manifest[columns], on="video_id", suffixes=("_old", ""))
    for video in both.itertuples():
        if video.sha256 != video.sha256_old:
            rows.append((Change.CHANGED, str(video.video_id), ""))
        if (video.emotion, video.subject) != (video.emotion_old, video.subject_old):
            rows.append((Change.RELABELLED, str(video.video_id), f"{video.emotion_old}, {video.subject_old}"))
    return pd.DataFrame(rows, columns=["change", "video_id", "previous"])


def echo_changes(changes: pd.DataFrame) -> None:
    """Print how many videos changed in which way, and the first of them by name."""
    for change in Change:
        of_kind = changes[changes["change"] == change]
        if of_kind.empty:
            continue
        names = [
            f"{row.previous} -> {row.video_id}" if change is Change.RENAMED else str(row.video_id)
            for row in of_kind.head(_MOST_NAMED).itertuples()
        ]
        more = f" and {len(of_kind) - _MOST_NAMED} more" if len(of_kind) > _MOST_NAMED else ""
        echo(f"{len(of_kind)} {change}: {', '.join(names)}{more}")


def record_changes(path: Path, changes: pd.DataFrame) -> None:
    """Append changes, with the present time, to those recorded at `path`."""
    append_rows(path, SCHEMA, changes)


def read_changes(path: Path) -> pd.DataFrame:
    """All recorded changes, oldest first; columns time, change, video_id, previous."""
    return read_journal(path, SCHEMA)
