"""Every corpus against every other: what was trained on in rows, what was tested on in columns.

A study is trained on one corpus. The rows of the others come from the studies in their data roots that were tested on
this one.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.config.settings import StudySettings
from tasks.study.other_corpora.record import OtherCorporaRecord, TestedCorpus, records_below
from tasks.study.other_corpora.scores import Cell


@dataclass(frozen=True)
class Row:
    """What was trained on one corpus.

    Args:
        name: of the corpus.
        cells: in the order of the columns; None where nothing is known.
    """

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Matrix:
    """The scores of one arm.

    Args:
        columns: names of the corpora, the study's own first.
        rows: the study's own first, then those that other studies fill, in the order of the columns.
        missing: for each row that is not there, which command fills it.
    """

    arm: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    missing: tuple[str, ...]


def matrices(settings: StudySettings, record: OtherCorporaRecord) -> list[Matrix]:
    """The matrix of each arm of a study that was tested on other corpora."""
    others = {
        tested.corpus: records_below(other.data_root)
        for other, tested in zip(settings.test_on, record.tested, strict=True)
    }
    arms = dict.fromkeys(cell.arm for cell in record.cells)
    return [_matrix(settings, record, others, arm) for arm in arms]


def _matrix(
    settings: StudySettings,
    record: OtherCorporaRecord,
    others: Mapping[str, Sequence[OtherCorporaRecord]],
    arm: str,
) -> Matrix:
    corpora = [record.corpus, *(tested.corpus for tested in record.tested)]
    rows = [Row(record.name, tuple(record.cell(arm, corpus) for corpus in corpora))]
    missing = []
    for other, tested in zip(settings.test_on, record.tested, strict=True):
        found = [one for one in others[tested.corpus] if one.corpus == tested.corpus and one.cell(arm, record.corpus)]
        found.sort(key=lambda one: one.study != record.study)  # stable: the newest of those of another name
        if found:
            rows.append(Row(tested.name, tuple(found[0].cell(arm, corpus) for corpus in corpora)))
        else:
            missing.append(_how_to_fill(settings, record.name, tested, str(other.data_root), arm))
    columns = (record.name, *(tested.name for tested in record.tested))
    return Matrix(arm, columns, tuple(rows), tuple(missing))


def _how_to_fill(settings: StudySettings, here: str, tested: TestedCorpus, root: str, arm: str) -> str:
    options = [f"test_on=[{settings.data_root}]", f"arms=[{', '.join(settings.arms)}]"]
    given = " ".join(f"--set {shlex.quote(one)}" for one in options)
    return (
        f"No study of {tested.name} has tested {arm} on {here} as it is now: "
        f"`fer study --data-root {shlex.quote(root)} {given}`, with that corpus's own settings, fills the row."
    )
