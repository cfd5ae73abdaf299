"""Anyone's own folder: `<root>/<emotion>/<subject>/<any name>.mp4`, or there a folder of numbered images."""

from pathlib import Path

from fer_models.names import plain_name
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo, label_status, require_folder
from tasks.corpus.adapters.walking import tell_of_passed, videos_below
from tasks.outcomes import Outcome


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per video below the root."""
    root = require_folder(corpus.root)
    passed: list[Path] = []
    sources = [_source(root, path) for path in videos_below(root, passed)]
    tell_of_passed(root, passed)
    return sources


def _source(root: Path, path: Path) -> SourceVideo:
    relative = path.relative_to(root)
    label_raw = relative.parts[0] if len(relative.parts) > 1 else ""
    subject = plain_name(relative.parts[1]) if len(relative.parts) > 2 else ""
    emotion, status, reason = label_status(label_raw)
    if status is Outcome.OK and not subject:
        status, reason = Outcome.LABEL_MISSING, "it is in no subject's folder (<emotion>/<subject>/<video>)"
    return SourceVideo(relative.as_posix(), "folder", path, subject, emotion, label_raw, status, reason)
