"""What has gathered since the last study: labelled videos that no subset holds yet, and failures worth another try."""

import datetime

import pandas as pd

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.splits import KEY, follow_names, read_split
from tasks.outcomes import TRANSIENT
from tasks.preparation.ledger import find_previous, is_usable


def pending_videos(settings: StudySettings) -> pd.DataFrame:
    """The usable labelled videos that came in since the split was last extended; all of them when there is none.

    A renamed video is none of them, nor is one of a subject who is only ever tested: the test subset never grows, so a
    study would not use it.

    Returns:
        Rows of the ledger; none when nothing was prepared yet.
    """
    layout = Layout.of(settings)
    ledger = find_previous(layout.ledger)
    if ledger is None:
        return pd.DataFrame(columns=["video_id", "sha256", "subject", "emotion"])
    labelled = ledger["emotion"].isin(settings.corpus.emotions) & (ledger["subject"] != "")
    usable = ledger[labelled & is_usable(ledger)]
    if not layout.split.is_file():
        return usable.reset_index(drop=True)
    split = read_split(layout.split)
    learnt = split.loc[split["side"].isin([TRAIN, VALIDATION]), "subject"]
    only_tested = set(split["subject"]) - set(learnt)
    one_fold = follow_names(split[split["fold"] == split["fold"].min()], ledger)
    placed = pd.MultiIndex.from_frame(one_fold[KEY])
    is_new = ~pd.MultiIndex.from_frame(usable[KEY]).isin(placed) & ~usable["subject"].isin(only_tested)
    return usable[is_new].reset_index(drop=True)


def worth_a_try(due: pd.DataFrame, ledger: pd.DataFrame | None, interval_s: float) -> bool:
    """Whether one of the due videos is new, or failed and has waited for an interval per attempt since.

    Args:
        due: as in `tasks.preparation.ledger.Plan`.
        ledger: as the last run left it.
    """
    if ledger is None or due.empty:
        return not due.empty
    failed = ledger[ledger["outcome"].isin(TRANSIENT) & (ledger["attempts"] > 0)]
    tried_at = pd.to_datetime(failed["tried_at"], utc=True)
    next_try = tried_at + pd.to_timedelta(failed["attempts"] * interval_s, unit="s")
    waiting = failed.loc[next_try > datetime.datetime.now(datetime.UTC), "sha256"]
    return not due["sha256"].isin(waiting).all()
