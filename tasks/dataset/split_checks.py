"""What has to be true of a split, and what is said of it."""

from collections.abc import Sequence

import pandas as pd

from fer_models.errors import UserError
from tasks.config.settings import SplitSettings
from tasks.corpus.adapters.source import TEST, TRAIN, VALIDATION
from tasks.preparation.ledger import is_usable
from tasks.progress import echo

SUBSETS = (TRAIN, VALIDATION, TEST)
#: What a row of the split is about: a name alone could get another content.
KEY = ["video_id", "sha256"]
#: Never to remove a split: other studies may stand on it.
NEW_SPLIT = "set another split.seed, which draws a new split and leaves this one to the studies that use it"


def check_classes(
    split: pd.DataFrame, one_of_several: bool, ledger: pd.DataFrame, emotions: Sequence[str], drawn: bool
) -> None:
    """Every subset needs usable videos of every class, only the test subset of one fold of several need not have all.

    Args:
        split: the study's rows.
        drawn: the split is a new one.
    """
    usable = ledger.loc[is_usable(ledger), [*KEY, "emotion"]]
    table = split[["fold", "side", *KEY]].merge(usable, on=KEY)
    counts = table.groupby(["fold", "side", "emotion"], observed=True).size()
    folds = pd.MultiIndex.from_product([sorted(split["fold"].unique()), SUBSETS])
    counted = counts.unstack(fill_value=0).reindex(index=folds, columns=list(emotions), fill_value=0)
    for (fold, subset), row in zip(counted.index, counted.to_numpy(), strict=True):
        empty = [emotion for emotion, number in zip(emotions, row, strict=True) if number == 0]
        if empty and (not one_of_several or subset != TEST or len(empty) == len(emotions)):
            have = ", ".join(f"{emotion} {number}" for emotion, number in zip(emotions, row, strict=True))
            rows = split[split["fold"] == fold]
            subjects = rows.loc[rows["side"] == subset, "subject"].nunique()
            where = f" of fold {rows['fold_name'].iloc[0]}" if one_of_several else ""
            advice = "try another split.seed" if drawn else NEW_SPLIT
            raise UserError(
                f"The {subset} subset{where} ({subjects} people) has no usable video of {', '.join(empty)} "
                f"(it has {have}); add videos, name fewer classes in corpus.emotions, or {advice}."
            )


def is_one_of_several(split: pd.DataFrame, settings: SplitSettings) -> bool:
    """Whether the folds of a split share its classes out, so that one of them need not test all."""
    if settings.protocol == "official":
        return split["fold"].nunique() > 1
    return settings.protocol != "holdout"


def check_subjects(known: pd.DataFrame, videos: pd.DataFrame) -> None:
    """Raise `UserError` where a video belongs to another person than before."""
    renamed = known.merge(videos[["video_id", "subject"]], on="video_id", suffixes=("", "_now"))
    renamed = renamed[renamed["subject"] != renamed["subject_now"]]
    if len(renamed):
        first = renamed.iloc[0]
        raise UserError(
            f"{renamed['video_id'].nunique()} videos belong to another person than when the split was drawn "
            f"({first['video_id']}: {first['subject']}, now {first['subject_now']}), which could put a person in two "
            f"subsets; {NEW_SPLIT}."
        )


def echo_never_tested(split: pd.DataFrame, settings: SplitSettings) -> None:
    """Folds test everybody once, except those who came after the folds were drawn."""
    subjects = set(split["subject"].unique())
    never = subjects - set(split.loc[split["side"] == TEST, "subject"].unique())
    if never and split["fold"].nunique() > 1:
        echo(
            f"{len(never)} of {len(subjects)} people came after the folds were drawn and are never tested "
            f"({min(never)}, for example); with another split.seed, folds of all of them are drawn."
        )
