"""The official folds of a corpus, as its own lists give them: in which fold, or part of one, each subject stands."""

from collections.abc import Iterable, Mapping

import pandas as pd

from fer_models.errors import UserError
from tasks.corpus.adapters.source import TEST, TRAIN, VALIDATION

#: The words of a corpus with one official split; other words are the names of folds, each of which tests its own.
PARTS = frozenset((TRAIN, VALIDATION, TEST))


def official_of_subjects(manifest: pd.DataFrame, adapter: str) -> dict[str, str]:
    """The official fold or part of each subject who has one.

    Args:
        manifest: as `tasks.corpus.manifest.read_manifest` returns it.
        adapter: of the corpus, for messages.

    Raises:
        UserError: the corpus has no official folds, or they put somebody into two.
    """
    known = manifest[(manifest["subject"] != "") & (manifest["official"] != "")] if "official" in manifest else None
    if known is None or known.empty:
        raise UserError(
            f"The corpus ({adapter}) has no official folds, or was prepared before they were read: run `fer prepare` "
            "again, look with `fer corpora check` whether its lists are there, or choose another split.protocol."
        )
    of_subject = known.groupby("subject")["official"].agg(lambda words: sorted(set(words)))
    if len(twice := of_subject[of_subject.map(len) > 1]):
        raise UserError(f"The official folds put {twice.index[0]} into {' and '.join(twice.iloc[0])}.")
    return {str(subject): words[0] for subject, words in of_subject.items()}


def of_all(official: Mapping[str, str], subjects: Iterable[str]) -> dict[str, str]:
    """The official words of these subjects; raises `UserError` where one has none, or words of both kinds are mixed."""
    subjects = list(subjects)
    if missing := [subject for subject in subjects if subject not in official]:
        raise UserError(
            f"The official folds lack {len(missing)} of {len(subjects)} people or clips ({missing[0]}); look with "
            "`fer corpora check` whether all lists are there, or choose another split.protocol."
        )
    words = {official[subject] for subject in subjects}
    if words & PARTS and not words <= PARTS:
        raise UserError(f"The official folds are parts and folds at once: {', '.join(sorted(words))}.")
    return {subject: official[subject] for subject in subjects}


def has_one_split(official: Iterable[str]) -> bool:
    """Whether official words are those of one split."""
    return set(official) <= PARTS
