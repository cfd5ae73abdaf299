"""The manifest: every video that the corpus names, whatever becomes of it.

Columns: video_id, dataset, uri, sha256, size_bytes, mtime_ns, subject, emotion, label_raw, status, reason, official. It
is shared by all studies of a data root, so that nothing in it depends on the classes of one (`tasks.corpus.scope`).
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fer_models.errors import UserError, VideoFault
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.reading import read_corpus
from tasks.corpus.scope import manifest_of_study
from tasks.corpus.threads import map_in_threads
from tasks.outcomes import Outcome
from tasks.progress import echo, progress
from tasks.storage.expected import Expected
from tasks.storage.files import find_frame, write_table
from tasks.video.fingerprint import content_sha256, content_state
from tasks.video.image_sequences import describe_gaps, is_image_sequence, sequence_images

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("dataset", pa.string()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("subject", pa.string()),
        ("emotion", pa.string()),
        ("label_raw", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("official", pa.string()),
    ]
)
_EXPECTED = Expected(SCHEMA, words={"status": list(Outcome)}, may_be_empty=True)


def build_manifest(
    corpus: CorpusSettings, path: Path, settle_s: float = 0.0, check: Callable[[pd.DataFrame], None] | None = None
) -> pd.DataFrame:
    """Read the corpus and write its manifest to `path`; files that did not change since are not hashed again.

    Args:
        settle_s: a file that was written to within so many seconds may still grow: it keeps its former row, or gets
            none yet.
        check: raises what speaks against the manifest before it is written: a corpus that is refused claims nothing.
    """
    sources = read_corpus(corpus)
    previous = find_frame(path, _EXPECTED)
    previous = pd.DataFrame(columns=SCHEMA.names) if previous is None else previous
    known = {(row.uri, row.size_bytes, row.mtime_ns): row.sha256 for row in previous.itertuples() if row.sha256}
    growing = [source for source in sources if settle_s and _may_grow(source.path, known, settle_s)]
    settled = [source for source in sources if source not in growing] if growing else sources
    if growing:
        echo(f"{len(growing)} of {len(sources)} videos may still be growing; the next run takes them.")
    if not settled:
        raise UserError(
            f"All videos were written to within the last {settle_s:g} s (execution.settle_s); wait for that long."
        )
    subjects = {as_text(str(source.path.absolute())): as_text(source.subject) for source in growing}
    former = previous[previous["uri"].isin(list(subjects))]
    former = former.assign(subject=former["uri"].map(subjects))
    manifest = pd.DataFrame([*_add_files(settled, known), *former.to_dict("records")], columns=SCHEMA.names)
    _refuse_other_corpus(previous, manifest, path)
    if check:
        check(manifest)
    write_table(path, pa.Table.from_pandas(manifest, schema=SCHEMA, preserve_index=False))
    return manifest


def _may_grow(path: Path, known: Collection[tuple[str, int, int]], settle_s: float) -> bool:
    """Whether a file was written to a moment ago and is not as it was when it was last looked at."""
    with suppress(OSError, VideoFault, ValueError):  # which its row will tell of
        size_bytes, mtime_ns = content_state(path)
        age_s = time.time() - mtime_ns / 1e9
        return abs(age_s) < settle_s and (str(path.absolute()), size_bytes, mtime_ns) not in known
    return False


def check_labels(manifest: pd.DataFrame, emotions: Sequence[str]) -> None:
    """Raise `UserError` before any video is decoded when the corpus cannot become a study of these classes."""
    manifest = manifest_of_study(manifest, emotions)
    usable = manifest[manifest["status"] == Outcome.OK]
    labelled = manifest[manifest["status"].isin([Outcome.OK, Outcome.OUT_OF_SCOPE]) & (manifest["emotion"] != "")]
    found = ", ".join(f"{label} {count}" for label, count in labelled["emotion"].value_counts().items())
    if usable.empty:
        first = manifest.iloc[0]
        labels = f" (the labels are: {found})" if found else ""
        raise UserError(
            f"None of the {len(manifest)} videos can be used; for example "
            f"{first['video_id']}: {first['reason']}{labels}."
        )
    absent = [emotion for emotion in emotions if emotion not in set(usable["emotion"])]
    if absent:
        raise UserError(
            f"No video is labelled {', '.join(absent)} (the labels are: {found}); add some, or name the classes in "
            "corpus.emotions."
        )
    subjects = usable["subject"].nunique()
    if subjects < 3:
        raise UserError(f"The videos show {subjects} people; three subsets without a common person need at least 3.")


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest as a data frame; raises `UserError` when there is none."""
    manifest = find_frame(path, _EXPECTED)
    if manifest is None:
        raise UserError(f"There is no manifest at {str(path)!r}; run `fer prepare` first.")
    return manifest


def _add_files(sources: list[SourceVideo], known: dict[tuple[str, int, int], str]) -> list[dict[str, object]]:
    with progress("Reading the corpus", len(sources)) as advance:
        rows = []
        for row in map_in_threads(lambda source: _row(source, known), sources):
            rows.append(row)
            advance("")
    return rows


def _row(source: SourceVideo, known: dict[tuple[str, int, int], str]) -> dict[str, object]:
    status, reason = source.status, source.reason
    sha256, size_bytes, mtime_ns = "", 0, 0
    uri = str(source.path.absolute())
    fault: tuple[Outcome, str] | None = None
    try:
        size_bytes, mtime_ns = content_state(source.path)
        sha256 = known.get((uri, size_bytes, mtime_ns)) or content_sha256(source.path)
        if is_image_sequence(source.path):
            reason = reason or describe_gaps(source.path, sequence_images(source.path))
        if as_text(uri) != uri:
            fault = Outcome.UNDECODABLE, "its name or folder is not text in UTF-8; rename it"
    except VideoFault as error:
        fault = Outcome(error.outcome), error.message
    except FileNotFoundError:
        fault = Outcome.FILE_MISSING, _why_missing(source.path)
    except OSError as error:
        fault = Outcome.UNREADABLE, f"the file cannot be read: {error.strerror}"
    except ValueError:  # a character that no name can hold
        fault = Outcome.FILE_MISSING, "no file can have that name"
    if fault and status is Outcome.OK:
        status, reason = fault
    return {
        "video_id": as_text(source.video_id),
        "dataset": source.dataset,
        "uri": as_text(uri),
        "sha256": sha256,
        "size_bytes": size_bytes,
        "mtime_ns": mtime_ns,
        "subject": as_text(source.subject),
        "emotion": as_text(source.emotion),
        "label_raw": as_text(source.label_raw),
        "status": str(status),
        "reason": as_text(reason),
        "official": source.official,
    }


def _why_missing(path: Path) -> str:
    if path.is_symlink():
        return "it is a link to a file that is not there"
    if "\\" in str(path):
        return "there is no such file; write its path with / and relative to the table, not as on Windows"
    return "there is no such file"


def as_text(name: str) -> str:
    """A file's name as a table can hold it; bytes that are not UTF-8 are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _refuse_other_corpus(previous: pd.DataFrame, manifest: pd.DataFrame, path: Path) -> None:
    """A data root belongs to the corpus that was prepared in it: its subjects keep their subsets there."""
    before, now = set(previous["sha256"]) - {""}, set(manifest["sha256"]) - {""}
    if before and now and not before & now and (path.parent / "prepared").is_dir():
        raise UserError(
            f"{str(path.parent)!r} holds another corpus ({len(before)} videos, none of them in this one); "
            "give this corpus its own folder with --data-root."
        )
