"""How much of the machine the visitors of the web page may use."""

from pydantic import Field

from fer_models.settings import PositiveInt, Settings

_MB = 10**6


class Limits(Settings):
    """Limits of the web page.

    Args:
        upload_mb: size of a video.
        minutes: length of a video.
        waiting: how many videos wait their turn beside the one that is worked on.
        keep_minutes: how long a video and its answer are kept after somebody last looked at them.
        kept: how many answers are kept at most; the one that was not looked at for longest goes.
        silence_s: how long an upload may stand still.
        start_s: in which a process has to be ready.
        work_s: in which a video has to be done.
        moment_s: in which a moment has to be explained.
        memory_mb: what a process may take beside what it holds when it is ready, model included.
    """

    upload_mb: PositiveInt = 200
    minutes: float = Field(10.0, gt=0)
    waiting: int = Field(8, ge=0)
    keep_minutes: float = Field(15.0, gt=0)
    kept: PositiveInt = 20
    silence_s: float = Field(20.0, gt=0)
    start_s: float = Field(120.0, gt=0)
    work_s: float = Field(900.0, gt=0)
    moment_s: float = Field(60.0, gt=0)
    memory_mb: PositiveInt = 3000

    @property
    def upload_bytes(self) -> int:
        """Size of a video."""
        return self.upload_mb * _MB

    @property
    def file_bytes(self) -> int:
        """Size of any file that comes of a video, annotated copies and tables included."""
        return 3 * self.upload_bytes + 200 * _MB
