"""One table for the labels of several corpora: corpus, label, class. Nothing is guessed; an empty class is left out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fer_models.errors import UserError
from fer_models.labels import canonical_emotion
from fer_models.suggest import nearest
from tasks.config.yaml_text import read_yaml
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome
from tasks.progress import echo
from tasks.storage.tables import read_rows

_COLUMNS = ("corpus", "label", "class")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class _Entry:
    place: str
    corpus: str
    label: str
    to: str


def map_labels(
    table: Path | None, found: Mapping[str, list[SourceVideo]], emotions: Sequence[str]
) -> dict[str, list[SourceVideo]]:
    """The records of each corpus with the classes that a table gives their labels; without a table as they are.

    Args:
        found: records by the name of their corpus.
        emotions: the classes of the study; a line tells of others that the table names.

    Raises:
        UserError: the table cannot be read, names a corpus or label that is not there, or one twice.
    """
    if table is None:
        return dict(found)
    classes: dict[tuple[str, str], str] = {}
    for entry in _entries(table):
        key = _checked(table, entry, found)
        if classes.setdefault(key, entry.to) != entry.to:
            raise UserError(f"{table} gives {entry.label!r} of {entry.corpus} two classes; give it one.")
    mapped = {name: [_mapped(source, name, classes) for source in sources] for name, sources in found.items()}
    _tell(classes, found, emotions)
    return mapped


def _mapped(source: SourceVideo, corpus: str, classes: Mapping[tuple[str, str], str]) -> SourceVideo:
    to = classes.get((corpus, source.emotion))
    if to is None:
        return source
    if to or source.status is not Outcome.OK:
        return replace(source, emotion=to)
    reason = f"corpus.label_map leaves {source.emotion!r} of {corpus} out"
    return replace(source, emotion="", status=Outcome.OUT_OF_SCOPE, reason=reason)


def _entries(table: Path) -> list[_Entry]:
    if not table.is_file():
        raise UserError(f"There is no table of labels at {str(table)!r} (corpus.label_map).")
    if table.suffix.lower() in _YAML:
        return _of_yaml(table)
    rows = [(row.place, row.cells) for row in read_rows(table, _COLUMNS)]
    if empty := [place for place, cells in rows if not (cells["corpus"] and cells["label"])]:
        raise UserError(f"{table}, {empty[0]}, lacks a corpus or a label; the columns are {', '.join(_COLUMNS)}.")
    return [
        _Entry(place, cells["corpus"], canonical_emotion(cells["label"]), canonical_emotion(cells["class"]))
        for place, cells in rows
    ]


def _of_yaml(table: Path) -> list[_Entry]:
    try:
        values = read_yaml(table.read_text(encoding="utf-8-sig"), str(table))
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{table} cannot be read as text in UTF-8: {error}") from error
    form = isinstance(values, dict) and all(isinstance(labels, dict) for labels in values.values())
    if not form or any(isinstance(to, list | dict) for labels in values.values() for to in labels.values()):
        raise UserError(f"{table} should say corpus by corpus which class a label is, such as {{ravdess: {{calm: }}}}.")
    return [
        _Entry(f"{corpus}.{label}", str(corpus), canonical_emotion(str(label)), canonical_emotion(str(to or "")))
        for corpus, labels in values.items()
        for label, to in labels.items()
    ]


def _checked(table: Path, entry: _Entry, found: Mapping[str, list[SourceVideo]]) -> tuple[str, str]:
    """Corpus and label of an entry; raises `UserError` when there is no such."""
    if entry.corpus not in found:
        raise UserError(
            f"{table}, {entry.place}: there is no corpus {entry.corpus!r}{nearest(entry.corpus, found)}; there are "
            f"{', '.join(found)}."
        )
    labels = {source.emotion for source in found[entry.corpus] if source.emotion}
    if entry.label not in labels:
        raise UserError(
            f"{table}, {entry.place}: {entry.corpus} has no label {entry.label!r}{nearest(entry.label, labels)}; it "
            f"has {', '.join(sorted(labels)) or 'none'}."
        )
    return entry.corpus, entry.label


def _tell(
    classes: Mapping[tuple[str, str], str], found: Mapping[str, list[SourceVideo]], emotions: Sequence[str]
) -> None:
    """Say how many videos are left out, and how many get a class that is none of the study's."""
    counts = Counter(
        (name, one.emotion) for name, sources in found.items() for one in sources if one.status is Outcome.OK
    )
    dropped = [f"{counts[key]} {key[1]} of {key[0]}" for key, to in classes.items() if not to]
    if dropped:
        echo(f"Left out by corpus.label_map: {', '.join(dropped)}.")
    for key, to in classes.items():
        if to and to not in emotions:
            echo(
                f"corpus.label_map calls {counts[key]} {key[1]} of {key[0]} {to!r}, which is no class of this study"
                f"{nearest(to, emotions)}."
            )
