"""Every video below a folder, without labels: to prepare or to predict, not to train on."""

from pathlib import Path

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import tell_of_passed, videos_below


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per video in or below the root; emotion and subject are empty."""
    root = require_folder(corpus.root)
    passed: list[Path] = []
    sources = [SourceVideo(_name(root, path), "videos", path, "", "", "") for path in videos_below(root, passed)]
    tell_of_passed(root, passed)
    return sources


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else root.absolute().name
