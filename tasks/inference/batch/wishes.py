"""What is to be made of each video, and which files that are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fer_models.settings import PositiveInt, Settings
from tasks.config.digests import digest
from tasks.inference.cutting import Faces
from tasks.inference.table_files import By
from tasks.video.image_sequences import is_still

#: Raised when the same model and wishes give other files than before.
_VERSION = 1
#: In the folder of a video, written last.
MARKER = "prediction.json"
TIMELINE, ANNOTATED, ANNOTATED_STILL = "timeline.png", "annotated.mp4", "annotated.png"
PICTURES = (TIMELINE, ANNOTATED, ANNOTATED_STILL)
Form = Literal["csv", "parquet", "jsonl"]
_TABLES: dict[By, str] = {"segment": "segments", "frame": "frames"}
#: All that can stand in the folder of a video.
FILES = (*(f"{name}.{form}" for name in _TABLES.values() for form in ("csv", "parquet", "jsonl")), *PICTURES)


class Wishes(Settings):
    """What is to be made of each video.

    Args:
        by: what the table in the folder of a video has rows for; `video` for no such table.
        form: of that table.
        timeline, annotate: also draw these pictures.
        stride, precropped, faces: see `tasks.inference.cutting.Preparing`.
    """

    by: By = "video"
    form: Form = "csv"
    timeline: bool = False
    annotate: bool = False
    stride: PositiveInt | None = None
    precropped: bool | None = None
    faces: Faces = "one"

    def table(self) -> str | None:
        """The name of the table, if there is to be one."""
        return f"{_TABLES[self.by]}.{self.form}" if self.by in _TABLES else None

    def pictures(self, video: Path) -> tuple[str, ...]:
        """The names of the pictures that are wanted of a video; a single image has no timeline."""
        still = is_still(video)
        wanted = {TIMELINE: self.timeline and not still, ANNOTATED_STILL if still else ANNOTATED: self.annotate}
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)

    def files(self, video: Path) -> tuple[str, ...]:
        """The names of all files that are wanted of a video, but for the marker."""
        table = self.table()
        return (*([table] if table else []), *self.pictures(video))

    def digest(self, models: Sequence[str]) -> str:
        """What decides the content of these files, and is the same whichever of them are wanted.

        Args:
            models: the SHA-256 of each model's file, and of whatever else predictions depend on.
        """
        asked = self.model_dump(include={"stride", "precropped"} | ({"faces"} if self.faces != "one" else set()))
        return digest({"version": _VERSION, "models": list(models), **asked})
