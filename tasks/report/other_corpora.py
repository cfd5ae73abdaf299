"""What the report says of other corpora."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from fer_models.models.arms import get_arm
from fer_models.models.card import Score
from tasks.report.input import ReportInput
from tasks.study.other_corpora.matrix import Matrix, matrices
from tasks.study.other_corpora.record import OtherCorporaRecord, TestedCorpus
from tasks.study.other_corpora.scores import Cell


@dataclass(frozen=True)
class OnOthers:
    """What the templates say of other corpora.

    Args:
        headlines: of the best arm, a sentence for each corpus.
        rows: one per arm and corpus, texts and numbers in %.
        figures: by arm the matrix as a figure.
        confusions: by the name of a corpus, by arm, the figure of the confusions there.
        missing: which commands fill the rows of the best arm's matrix that are not there.
    """

    record: OtherCorporaRecord
    headlines: tuple[str, ...]
    rows: list[dict[str, Any]]
    figures: dict[str, str]
    confusions: dict[str, dict[str, str]]
    missing: tuple[str, ...]


def describe_others(source: ReportInput) -> OnOthers | None:
    """What is said of other corpora; None where a study was tested on none."""
    record = source.others
    if record is None:
        return None
    best = source.best.arm.name
    found = matrices(source.settings, record)
    return OnOthers(
        record=record,
        headlines=tuple(_headline(source, tested, record.cell(best, tested.corpus)) for tested in record.tested),
        rows=[_row(record, cell) for matrix in found for cell in record.cells if cell.arm == matrix.arm],
        figures={matrix.arm: matrix_file(matrix.arm) for matrix in found},
        confusions={
            tested.name: {
                cell.arm: confusion_file(cell.arm, place)
                for cell in record.cells
                if cell.corpus == tested.corpus and cell.confusion
            }
            for place, tested in enumerate(record.tested, start=1)
        },
        missing=next((matrix.missing for matrix in found if matrix.arm == best), ()),
    )


def matrix_file(arm: str) -> str:
    """What the figure of an arm's matrix is called."""
    return f"{arm}_other_corpora.png"


def confusion_file(arm: str, place: int) -> str:
    """What the figure of an arm's confusions on another corpus is called; `place` is its number in the settings."""
    return f"{arm}_confusion_other_corpus_{place}.png"


def _headline(source: ReportInput, tested: TestedCorpus, cell: Cell | None) -> str:
    if cell is None or cell.uar is None:
        return (cell.reason if cell else tested.reason) or f"{tested.name} was not tested."
    chance = 100 / len(cell.classes)
    what = (
        f"On {tested.name} {source.best.arm.title} has a UAR of {_with_interval(cell.uar)} in {cell.num_videos} "
        f"videos of {cell.num_people} people, over {len(cell.classes)} shared classes (chance {chance:.1f} %)"
    )
    if cell.home is None or cell.fall is None:
        return f"{what}."
    home = f"on the study's own test people, over the same classes, {_with_interval(cell.home)}"
    return f"{what}; {home}. {_fall(cell.fall)}"


def _fall(fall: Score) -> str:
    points, low, high = (100 * (value or 0.0) for value in (fall.estimate, fall.low, fall.high))
    if low > 0:
        return f"It falls by {points:.1f} points (95 % interval {low:.1f} to {high:.1f})."
    if high < 0:
        return f"It rises by {-points:.1f} points (95 % interval {-high:.1f} to {-low:.1f})."
    return f"No fall is shown: {points:+.1f} points, with a 95 % interval of {low:.1f} to {high:.1f}."


def _with_interval(score: Score) -> str:
    return f"{100 * score.estimate:.1f} % (95 % interval {_interval(score)})"


def _interval(score: Score | None) -> str:
    if score is None or score.low is None or score.high is None:
        return ""
    return f"{100 * score.low:.1f} to {100 * score.high:.1f}"


def _percent(score: Score | None, sd: float | None = None) -> str:
    if score is None:
        return ""
    return f"{100 * score.estimate:.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def _row(record: OtherCorporaRecord, cell: Cell) -> dict[str, Any]:
    names = {tested.corpus: tested.name for tested in record.tested}
    is_own = cell.corpus == record.corpus
    return {
        "arm": get_arm(cell.arm).title,
        "corpus": f"{record.name}, at home" if is_own else names[cell.corpus],
        "classes": len(cell.classes) or "",
        "videos": f"{cell.num_videos} ({cell.num_people})" if cell.num_videos else "",
        "uar": _percent(cell.uar, cell.sd),
        "interval": _interval(cell.uar),
        "accuracy": _percent(cell.accuracy),
        "home": _percent(cell.home),
        "fall": "" if cell.fall is None else f"{100 * cell.fall.estimate:+.1f} ({_interval(cell.fall)})",
        "reason": cell.reason,
    }


def others_table(record: OtherCorporaRecord) -> pd.DataFrame:
    """One row per arm and corpus, for other programs; scores in 0..1."""
    names = {record.corpus: record.name, **{tested.corpus: tested.name for tested in record.tested}}
    rows = []
    for cell in record.cells:
        row: dict[str, Any] = {"arm": cell.arm, "trained_on": record.name, "tested_on": names[cell.corpus]}
        row |= {"classes": " ".join(cell.classes), "num_videos": cell.num_videos, "num_people": cell.num_people}
        for name in ("uar", "accuracy", "home", "fall"):
            score: Score | None = getattr(cell, name)
            for end in ("estimate", "low", "high"):
                row[name if end == "estimate" else f"{name}_{end}"] = None if score is None else getattr(score, end)
        rows.append(row | {"uar_sd": cell.sd, "to_others": cell.to_others, "reason": cell.reason})
    return pd.DataFrame(rows)


def matrix_table(source: ReportInput) -> pd.DataFrame:
    """One row per arm and cell of the matrices, those of other studies included; scores in 0..1."""
    if source.others is None:
        return pd.DataFrame()
    return pd.DataFrame([row for matrix in matrices(source.settings, source.others) for row in _cells(matrix)])


def _cells(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "arm": matrix.arm,
            "trained_on": row.name,
            "tested_on": column,
            "classes": len(cell.classes) if cell else 0,
            "uar": cell.uar.estimate if cell and cell.uar else None,
            "uar_low": cell.uar.low if cell and cell.uar else None,
            "uar_high": cell.uar.high if cell and cell.uar else None,
        }
        for row in matrix.rows
        for column, cell in zip(matrix.columns, row.cells, strict=True)
    ]
