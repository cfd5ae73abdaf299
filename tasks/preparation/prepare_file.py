"""One video in, one shard out. Runs in a worker process, which imports neither Prefect nor TensorFlow."""

import errno
import time
from pathlib import Path

from fer_models.errors import StorageError, VideoFault
from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import TRANSIENT, Outcome
from tasks.preparation.shards import find_reports, open_shard
from tasks.storage.files import is_whole
from tasks.video.cutting import cut_frames
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import VideoReport

#: Faults of writing that no second attempt can overcome.
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR})


def prepare_file(video: VideoFile, shard: Path, settings: PrepareSettings, replace: bool = False) -> VideoReport:
    """Prepare one video and write its shard; a fault of the data is an outcome, not an exception.

    Args:
        replace: also when there is a shard; else that is left as it is (another run may have written it meanwhile), if
            it holds what its name says.

    Raises:
        VideoFault: `unreadable` when the file could not be read, or is no longer what the manifest says.
        StorageError: the shard cannot be written, and no other could.
    """
    if not replace and is_whole(shard) and (known := next(find_reports([shard]))):
        return known
    start = time.monotonic()
    video.check_unchanged()
    try:
        with open_shard(shard, settings.face_size_px, settings.has_optical_flow) as writer:
            report = cut_frames(video.path, settings, writer.add)
            if report.outcome in TRANSIENT:
                raise VideoFault(report.outcome, report.message)
            if report.outcome in (Outcome.UNDECODABLE, Outcome.TRUNCATED):
                video.check_content()
            video.check_unchanged()
            report = report.model_copy(
                update={
                    "sha256": video.sha256,
                    "prepare_digest": prepare_digest(settings),
                    "seconds": round(time.monotonic() - start, 4),
                }
            )
            writer.close(report)
    except OSError as error:  # faults of reading have become `VideoFault`s by now
        words = f"{shard.parents[1]} cannot be written ({error.strerror or error})"
        if error.errno in _HOPELESS:
            raise StorageError(
                f"{words}; what is prepared stays, so correct that and run the same command again."
            ) from error
        raise VideoFault(Outcome.CRASHED, words) from error
    return report
