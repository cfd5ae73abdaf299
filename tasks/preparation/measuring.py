"""What a preparation takes on this machine, by the pixels that it looks at, from what earlier ones took."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import av

from fer_models.errors import VideoFault
from tasks.config.digests import prepare_digest
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.manifest import read_manifest
from tasks.outcomes import TRANSIENT, Outcome
from tasks.preparation.ledger import find_previous
from tasks.preparation.shards import shard_path
from tasks.storage.locations import as_remote
from tasks.storage.measured import Measured, recall, remember
from tasks.video.containers import open_container, picture_stream
from tasks.video.segments import VideoReport

#: Videos that are opened to guess how long and large the others are.
_MOST_OPENED = 16


def due_videos(settings: StudySettings, videos: Sequence[SourceVideo]) -> list[Path]:
    """Those that would be prepared, as far as their names, sizes and times tell: no file is read for it."""
    layout = Layout.of(settings)
    wanted = [one.path for one in videos if one.status is Outcome.OK and one.emotion in settings.corpus.emotions]
    ledger = find_previous(layout.ledger)
    if ledger is None or not layout.manifest.is_file():
        return wanted
    done = set(ledger.loc[~ledger["outcome"].isin([*TRANSIENT, Outcome.NOT_TRIED]), "sha256"])
    known = {
        row.uri: (row.size_bytes, row.mtime_ns)
        for row in read_manifest(layout.manifest).itertuples()
        if row.sha256 in done
    }
    return [path for path in wanted if known.get(str(path.absolute())) != _stamp(path)]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def foresee_preparation(settings: StudySettings, videos: Sequence[Path]) -> Measured | None:
    """What the preparation of these videos will take; None where nobody can tell."""
    known = recall("prepare", settings.prepare.detector, prepare_digest(settings.prepare))
    work = _mean_megapixels(videos) * len(videos)
    return known.scaled(work / known.work) if known and known.work and work else None


def rows_of_a_video(settings: StudySettings) -> float:
    """Segments that show a face in a video that is prepared with these settings, on average; 0 where there is none."""
    ledger = find_previous(Layout.of(settings).ledger)
    usable = ledger[ledger["outcome"] == Outcome.OK] if ledger is not None else None
    return float(usable["num_covered"].mean()) if usable is not None and len(usable) else 0.0


def remember_preparation(settings: StudySettings, reports: Mapping[str, VideoReport], seconds: float) -> None:
    """Take note of what a preparation took, the reports of its videos by SHA-256."""
    done = {sha256: report for sha256, report in reports.items() if report.outcome is Outcome.OK}
    folder = Layout.of(settings).shards
    if not done or as_remote(folder):
        return
    new = Measured(
        work=sum(report.num_frames * report.width * report.height / 1e6 for report in done.values()),
        seconds=seconds,
        num_bytes=sum(shard_path(folder, sha256).stat().st_size for sha256 in done),
        rows=sum(report.num_rows for report in done.values()),
    )
    remember("prepare", settings.prepare.detector, prepare_digest(settings.prepare), new)


def _mean_megapixels(videos: Sequence[Path]) -> float:
    """Of all frames of a video, on average over some of the videos; 0 where none tells."""
    step = max(1, len(videos) // _MOST_OPENED)
    found = []
    for path in videos[::step]:
        try:
            with open_container(path) as container:
                stream = picture_stream(container)
                rate = float(stream.average_rate or 0)
                length_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
                found.append((stream.frames or length_s * rate) * stream.width * stream.height / 1e6)
        except (VideoFault, OSError, av.FFmpegError):
            continue  # the preparation says what is wrong with it
    return sum(found) / len(found) if found else 0.0
