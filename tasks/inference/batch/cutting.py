"""One video of many, cut for a model, in a child process or here. Without heavy imports."""

from dataclasses import dataclass
from pathlib import Path

from fer_models.errors import VideoFault
from tasks.inference.batch.blocks import BlockWriter
from tasks.inference.cutting import Cut, Keep, Preparing, Watch, cut_for_model
from tasks.outcomes import TRANSIENT, Outcome
from tasks.processes.calls import Call
from tasks.video.fingerprint import VideoFile


@dataclass(frozen=True)
class CutVideo:
    """What cutting a video came to, and what it was when it was cut."""

    video: VideoFile
    cut: Cut


def cut_video(path: Path, preparing: Preparing, keep: Keep, watch: Watch) -> CutVideo:
    """Cut a video as `tasks.inference.cutting.cut_for_model` does, and see to it that it is the same all the while.

    Raises:
        VideoFault: nothing can be said of the video now: `file_missing`, `unreadable`.
    """
    video = VideoFile.of(path)
    cut = cut_for_model(path, preparing, keep, watch)
    outcome = cut.report.outcome
    if outcome in TRANSIENT:
        raise VideoFault(outcome, cut.report.message)
    if outcome in (Outcome.UNDECODABLE, Outcome.TRUNCATED):
        video.check_content()
    video.check_unchanged()
    return CutVideo(video, cut)


def cut_into_blocks(path: Path, preparing: Preparing, folder: Path) -> CutVideo:
    """The same in a child process, which hands over blocks; see `tasks.inference.batch.blocks`."""
    with BlockWriter(folder, preparing.settings_of(path)) as writer:
        return cut_video(path, preparing, writer.keep, writer.watch)


def start_children(workers: int) -> None:
    """Have children start that cut videos, while this process does something else, such as loading a model."""
    for _ in range(workers):
        Call(_import_all, [], workers)


def _import_all() -> None:
    """What a child needs for a video was imported to find this."""
