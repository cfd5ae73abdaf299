"""A CSV or Parquet table with the columns `path`, `subject` and `emotion`; paths are relative to the table.

A path is a video file, a folder or pattern of numbered images, or an image (see `tasks.video.image_sequences`).
"""

import os
import unicodedata
from pathlib import Path

from fer_models.errors import UserError
from fer_models.names import plain_name
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo, label_status, require_table
from tasks.outcomes import Outcome
from tasks.storage.tables import Row, read_rows

_COLUMNS = ("path", "subject", "emotion")
#: What programs write into a cell that holds nothing; no subject's name.
_NOBODY = frozenset(("nan", "NaN", "NaT", "None", "NULL", "<NA>", "#N/A"))


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per row of the table."""
    return [_source(corpus, row) for row in read_rows(require_table(corpus.root), _COLUMNS)]


def _source(corpus: CorpusSettings, row: Row) -> SourceVideo:
    path, subject, label_raw = (row.cells[column] for column in _COLUMNS)
    if not path:
        raise UserError(f"{corpus.root} has no path in {row.place}.")
    path = as_on_this_disk(corpus.root.parent, path)
    subject = "" if subject in _NOBODY else plain_name(subject)
    emotion, status, reason = label_status(label_raw)
    if status is Outcome.OK and not subject:
        status, reason = Outcome.LABEL_MISSING, "the table names no subject for it"
    return SourceVideo(path, "table", corpus.root.parent / path, subject, emotion, label_raw, status, reason)


def as_on_this_disk(folder: Path, path: str) -> str:
    """A path that a table made elsewhere spells otherwise: `clips\\a.mp4`, or composed letters for decomposed ones."""
    if ("\\" not in path and path.isascii() and not path.startswith("~")) or os.path.lexists(folder / path):
        return path
    slashed = path.replace("\\", "/")
    spellings = [os.path.expanduser(slashed), *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))]
    found = (spelling for spelling in spellings if os.path.lexists(folder / spelling))
    return next(found, slashed if (folder / slashed).parent.is_dir() else path)
