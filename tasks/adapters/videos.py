"""Every video below a folder, without labels: to prepare or to predict, not to train on."""

from tasks.adapters.source import SourceVideo, require_folder, videos_below
from tasks.settings import CorpusSettings


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record a video file below the root; emotion and subject are empty."""
    root = require_folder(corpus.root)
    return [SourceVideo(path.relative_to(root).as_posix(), "videos", path, "", "", "") for path in videos_below(root)]
