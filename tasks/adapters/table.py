"""A CSV or Parquet table with the columns `path`, `subject` and `emotion`; paths are relative to the table.

A path is a video file, or a folder or pattern of numbered images (see `tasks.image_sequences`).
"""

from pathlib import Path

import pandas as pd

from fer_models.errors import UseError
from tasks.adapters.source import SourceVideo, label_status
from tasks.outcomes import Outcome
from tasks.settings import CorpusSettings

_COLUMNS = ("path", "subject", "emotion")


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record a path of the table; rows that repeat a path with another label are a conflict."""
    table = _read_table(corpus.root)
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        hint = " (separate columns by commas)" if ";" in str(table.columns[0]) else ""
        raise UseError(
            f"{corpus.root} has no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)} "
            f"and has {', '.join(map(str, table.columns))}{hint}."
        )
    paths = table["path"].str.strip()
    if (paths == "").any():
        raise UseError(f"{corpus.root} has no path in row {int((paths == '').argmax()) + 2}.")
    return [_source(corpus, str(path), rows) for path, rows in table.groupby(paths, sort=False)]


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UseError(f"There is no table {str(path)!r}; set corpus.root to a CSV or Parquet file.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pd.read_parquet(path)
            return table.astype(str).where(table.notna(), "")
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False, usecols=lambda name: True
        )
    except UnicodeDecodeError as error:
        raise UseError(f"{path} is not text in UTF-8; save it as CSV UTF-8.") from error
    except (ValueError, OSError) as error:
        raise UseError(f"{path} cannot be read as a table: {error}") from error


def _source(corpus: CorpusSettings, path: str, rows: pd.DataFrame) -> SourceVideo:
    subject, label_raw = (str(value).strip() for value in rows[["subject", "emotion"]].iloc[0])
    emotion, status, reason = label_status(label_raw)
    if len(rows[["subject", "emotion"]].drop_duplicates()) > 1:
        status, reason = Outcome.LABEL_CONFLICT, "the table has several rows for it that differ"
    elif status is Outcome.OK and not subject:
        status, reason = Outcome.LABEL_MISSING, "the table names no subject for it"
    return SourceVideo(path, "table", corpus.root.parent / path, subject, emotion, label_raw, status, reason)
