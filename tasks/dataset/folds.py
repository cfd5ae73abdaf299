"""Deals subjects out to folds and subsets, so that these are alike in size and classes.

Nested: in every fold some subjects are tested, some of the others validate, and the rest train. A fold has a number, by
which files are called, and a name: where a table of folds gives the names, these are kept, and numbers too where the
names are numbers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer_models.errors import UserError
from fer_models.names import whole_number
from fer_models.suggest import nearest
from tasks.config.split_settings import SplitSettings
from tasks.corpus.adapters.source import TEST, TRAIN, VALIDATION
from tasks.corpus.subject_names import one_spelling
from tasks.dataset.official import has_one_split, of_all
from tasks.storage.tables import read_rows

#: Random assignments that are looked at, and subjects in all of them and in all folds: many thousands, such as single
#: images of which nothing says who is seen, are alike in any.
_CANDIDATES, _MOST_DRAWN = 4000, 20_000_000
#: The greatest number that the split's column of folds holds.
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Fold:
    """One fold: `subsets` holds the subset of every subject."""

    number: int
    name: str
    subsets: dict[str, str]


def draw_folds(counts: pd.DataFrame, settings: SplitSettings, official: Mapping[str, str] | None = None) -> list[Fold]:
    """The folds, in order, with the subset of every subject.

    Args:
        counts: (subjects, classes), usable videos, as from `with_corpora` too; the index names the subjects, in sorted
            order.
        official: of subjects, as from `tasks.dataset.official`; for the protocol `official`.

    Raises:
        UserError: too few subjects, or a table of folds or official ones that do not fit them.
    """
    rng = np.random.default_rng(settings.seed)
    numbers = counts.to_numpy(np.float64)
    num_subjects = len(counts)
    if settings.protocol == "holdout":
        num_test = max(1, round(settings.test_share * num_subjects))
        num_validation = max(1, round(settings.validation_share * num_subjects))
        _check_number(num_subjects, num_test, num_validation)
        groups = assign_groups(numbers, [num_test, num_validation, num_subjects - num_test - num_validation], rng)
        return [Fold(0, "0", dict(zip(counts.index, np.array([TEST, VALIDATION, TRAIN])[groups], strict=True)))]
    if settings.protocol in ("file", "official"):
        if settings.protocol == "official":
            where, of_subject = "The official list", of_all(official or {}, counts.index)
            if has_one_split(of_subject.values()):
                return [Fold(0, "0", _subsets_of_parts(counts, of_subject, settings, rng))]
        else:
            path = Path(settings.folds_file or "")
            where, of_subject = str(path), fold_of_subjects(path, counts.index)
        names = sorted(set(of_subject.values()), key=_natural)
        if len(names) < 2:
            raise UserError(f"{where} puts everybody into one fold; there must be two or more.")
        tested = np.array([names.index(of_subject[subject]) for subject in counts.index])
    else:
        tested = _test_folds(counts, settings, rng)
        names = [str(fold) for fold in range(tested.max() + 1)]
    values = [number for name in names if (number := whole_number(name)) is not None and number <= _MOST]
    numbers = values if len(values) == len(names) else range(len(names))
    most = max(1, _MOST_DRAWN // (len(names) * len(counts)))
    return [
        Fold(number, name, _subsets_of_fold(counts, tested == at, settings, rng, most))
        for at, (number, name) in enumerate(zip(numbers, names, strict=True))
    ]


def with_corpora(counts: pd.DataFrame, subjects: pd.Series, corpora: pd.Series, emotions: pd.Series) -> pd.DataFrame:
    """Counts with a column more for each class of each corpus, where there are several: subsets are alike in these too.

    Args:
        counts: (subjects, classes).
        subjects, corpora, emotions: of the videos that are counted.
    """
    if corpora.nunique() < 2:
        return counts
    of_corpora = pd.crosstab(subjects, [corpora, emotions]).reindex(index=counts.index, fill_value=0)
    of_corpora.columns = [" of ".join(reversed(names)) for names in of_corpora.columns]
    return pd.concat([counts, of_corpora], axis=1)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts names so that `fold 9` stands before `fold 10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _test_folds(counts: pd.DataFrame, settings: SplitSettings, rng: np.random.Generator) -> np.ndarray:
    """The fold in which each subject is tested, int (subjects,)."""
    num_subjects = len(counts)
    if settings.protocol == "loso":
        usable = counts.sum(axis=1).to_numpy() > 0
        return np.where(usable, usable.cumsum() - 1, 0)  # who has no usable video needs no fold of his own
    if num_subjects < settings.folds:
        raise UserError(f"{num_subjects} people are too few for split.folds={settings.folds}; every fold needs one.")
    sizes = [len(part) for part in np.array_split(np.arange(num_subjects), settings.folds)]
    return assign_groups(counts.to_numpy(np.float64), sizes, rng)


def _subsets_of_fold(
    counts: pd.DataFrame, tested: np.ndarray, settings: SplitSettings, rng: np.random.Generator, most: int
) -> dict[str, str]:
    """As `Fold.subsets`; of at most so many random assignments the best."""
    rest = counts[~tested]
    num_validation = max(1, round(settings.validation_share * len(rest)))
    _check_number(len(counts), int(tested.sum()), num_validation)
    groups = assign_groups(rest.to_numpy(np.float64), [num_validation, len(rest) - num_validation], rng, most)
    subsets = dict.fromkeys(counts.index, TEST)
    return subsets | dict(zip(rest.index, np.array([VALIDATION, TRAIN])[groups], strict=True))


def _subsets_of_parts(
    counts: pd.DataFrame, of_subject: Mapping[str, str], settings: SplitSettings, rng: np.random.Generator
) -> dict[str, str]:
    """One official split; where it has no validation part, a share of its training part is drawn for that."""
    parts = np.array([of_subject[subject] for subject in counts.index])
    if absent := [part for part in (TRAIN, TEST) if part not in parts]:
        raise UserError(f"The corpus's official split has nobody in {absent[0]}; is all of it there?")
    subsets = dict(zip(counts.index, parts, strict=True))
    most = max(1, _MOST_DRAWN // len(counts))
    if VALIDATION in parts:
        return subsets
    return subsets | {
        subject: subset
        for subject, subset in _subsets_of_fold(counts, parts == TEST, settings, rng, most).items()
        if subset != TEST
    }


def _check_number(num_subjects: int, num_test: int, num_validation: int) -> None:
    if num_test + num_validation >= num_subjects:
        raise UserError(
            f"{num_subjects} people are too few for separate subsets "
            f"({num_test} for test, {num_validation} for validation, the rest for training); at least 3 are needed."
        )


def assign_groups(
    counts: np.ndarray, sizes: list[int], rng: np.random.Generator, most: int = _CANDIDATES
) -> np.ndarray:
    """Of many random assignments of subjects to groups, the one whose groups are most alike in classes.

    Unlike StratifiedGroupKFold this fixes the number of subjects a group and works with as few as three.

    Args:
        counts: (subjects, classes), videos.
        sizes: subjects a group; they add up to the number of subjects.
        most: assignments that are looked at, if not fewer.

    Returns:
        The group of each subject, int (subjects,).
    """
    candidates = min(_CANDIDATES, most, max(1, _MOST_DRAWN // len(counts)))
    orders = rng.permuted(np.tile(np.arange(len(counts)), (candidates, 1)), axis=1)
    groups = np.zeros((candidates, len(counts)), np.int64)
    np.put_along_axis(groups, orders, np.repeat(np.arange(len(sizes)), sizes)[None, :], axis=1)
    return groups[int(np.argmin(_unlikeness(groups, counts, len(sizes))))]


def _unlikeness(groups: np.ndarray, counts: np.ndarray, num_groups: int) -> np.ndarray:
    """How far the classes of each candidate's groups are from their fair share; empty classes weigh heavily."""
    totals = counts.sum(axis=0)
    cost = np.zeros(len(groups))
    for group in range(num_groups):
        in_group = (groups == group).astype(np.float64)
        share = in_group.mean(axis=1, keepdims=True)
        have, fair = in_group @ counts, share * totals
        cost += ((have - fair) ** 2 / np.maximum(fair, 1.0)).sum(axis=1)
        cost += 1000.0 * ((have == 0) & (totals > 0)).sum(axis=1)
    return cost


def fold_of_subjects(path: Path, subjects: Iterable[str]) -> dict[str, str]:
    """The name of each subject's fold in a table of folds; raises `UserError` when it does not fit these subjects."""
    if not path.is_file():
        raise UserError(f"There is no table of folds at {str(path)!r} (split.folds_file).")
    rows = (row.cells for row in read_rows(path, ("subject", "fold")))
    table = pd.DataFrame([row for row in rows if row["fold"]], columns=["subject", "fold"])
    spelling = one_spelling([*subjects, *table["subject"]])
    table = table.assign(subject=table["subject"].map(spelling), fold=table["fold"].map(one_spelling(table["fold"])))
    table = table.drop_duplicates()
    if twice := table.loc[table["subject"].duplicated(), "subject"].tolist():
        raise UserError(f"{path} puts {twice[0]} into two folds; a person is tested once.")
    fold_of = dict(zip(table["subject"], table["fold"], strict=True))
    if missing := [subject for subject in subjects if spelling[subject] not in fold_of]:
        raise UserError(f"{path} has no fold for {len(missing)} people ({missing[0]}{nearest(missing[0], fold_of)}).")
    return {subject: fold_of[spelling[subject]] for subject in subjects}
