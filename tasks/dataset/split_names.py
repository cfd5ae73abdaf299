"""A split goes on under the present names of videos, subjects and folds."""

from pathlib import Path

import pandas as pd

from fer_models.errors import UserError
from tasks.config.split_settings import SplitSettings
from tasks.corpus.subject_names import one_spelling
from tasks.dataset.folds import TEST, fold_of_subjects

RESERVE = "reserve"
#: Never to remove a split: other studies may stand on it.
NEW_SPLIT = "set another split.seed, which draws a new split and leaves this one to the studies that use it"


def with_names(known: pd.DataFrame, videos: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """A split with the names that a table of folds gives its folds, where there is one.

    Those that are drawn now carry them; earlier ones were drawn without.

    Raises:
        UserError: the table puts subjects into other folds than those that they are tested in.
    """
    path = Path(settings.folds_file or "")
    if settings.protocol != "file" or not path.is_file():
        return known
    is_tested = (known["side"] == TEST) & known["subject"].isin(videos["subject"])
    tested = known.loc[is_tested, ["subject", "fold"]].drop_duplicates()
    tested["named"] = tested["subject"].map(fold_of_subjects(path, tested["subject"]))
    names = tested.groupby("fold")["named"].agg(lambda named: named.iloc[0])
    other = tested[(tested["named"] != tested["fold"].map(names)) | tested["named"].map(names.value_counts()).gt(1)]
    if len(other):
        first = other.iloc[0]
        raise UserError(
            f"{path} is not the table that this split was drawn from: it puts {first['subject']} into fold "
            f"{first['named']}, with others than before; {NEW_SPLIT}."
        )
    return known.assign(fold_name=known["fold"].map(names).fillna(known["fold_name"]))


def check_subjects(known: pd.DataFrame, videos: pd.DataFrame) -> None:
    """Raise `UserError` when a video belongs to another person than when the split was drawn."""
    renamed = known.merge(videos[["video_id", "subject"]], on="video_id", suffixes=("", "_now"))
    renamed = renamed[renamed["subject"] != renamed["subject_now"]]
    if len(renamed):
        first = renamed.iloc[0]
        raise UserError(
            f"{renamed['video_id'].nunique()} videos belong to another person than when the split was drawn "
            f"({first['video_id']}: {first['subject']}, now {first['subject_now']}), which could put a person in two "
            f"subsets; {NEW_SPLIT}."
        )


def follow_names(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """The known rows under the present names of their contents."""
    now = videos[~videos["video_id"].isin(known["video_id"]) & (videos["sha256"] != "")]
    names = dict(zip(now["sha256"], now["video_id"], strict=True))
    gone = ~known["video_id"].isin(videos["video_id"]) & known["sha256"].isin(list(names))
    gone &= ~known["sha256"].duplicated()
    return known.assign(video_id=known["video_id"].where(~gone, known["sha256"].map(names)))


def as_named_now(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """The known rows with subjects as they are spelled now; raises `UserError` for two who are one, in two subsets."""
    spelling = one_spelling([*known["subject"], *videos["subject"]])
    present = set(videos["subject"])
    now = {spelling[name]: name for name in present}
    subjects = known["subject"].map(lambda name: name if name in present else now.get(spelling[name], name))
    subsets = known["side"].replace({RESERVE: TEST}).groupby(subjects).nunique()
    for subject in subsets.index[subsets > 1]:
        names = sorted(known.loc[subjects == subject, "subject"].unique())
        if len(names) > 1:
            raise UserError(
                f"The split was drawn with {' and '.join(map(repr, names))} as several people, in two subsets, who are "
                f"one ({subject}); {NEW_SPLIT}."
            )
    return known.assign(subject=subjects)
