"""What a study makes of what all studies of a data root share: videos of other classes are out of its scope.

Manifest and ledger know nothing of classes, so that two studies never read each other's counts; every study reads them
through here. Nothing of what these functions return is written there.
"""

from collections.abc import Sequence

import pandas as pd

from tasks.config.settings import CorpusSettings
from tasks.outcomes import Outcome

#: Of a usable video that no run has come to, for whatever reason.
NOT_TRIED = "no run has come to it yet"


def manifest_of_study(manifest: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """The manifest with the `status` and `reason` that its videos have for a study of these classes."""
    return _seen(manifest, emotions, "status", "reason")


def ledger_of_study(ledger: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """The ledger with the `outcome` and `message` that its videos have for a study of these classes.

    Ledgers were once written for the classes of the study that prepared last; what that one left out stands as
    `not_tried` for a study that wants it.
    """
    seen = _seen(ledger, emotions, "outcome", "message")
    former = (seen["outcome"] == Outcome.OUT_OF_SCOPE) & seen["emotion"].isin(list(emotions))
    if "attempts" in seen:  # a video that no run had come to counted as crashed
        former |= (seen["outcome"] == Outcome.CRASHED) & (seen["attempts"] == 0)
    return _told(seen, former, "outcome", Outcome.NOT_TRIED, "message", NOT_TRIED)


def with_corpus(table: pd.DataFrame, corpus: CorpusSettings) -> pd.DataFrame:
    """A table of videos with the column `corpus`: the name of each video's corpus, empty where there is one only."""
    names = table["video_id"].str.partition("/")[0] if len(corpus.parts) > 1 else ""
    return table.assign(corpus=names)


def _seen(table: pd.DataFrame, emotions: Sequence[str], outcome: str, why: str) -> pd.DataFrame:
    others = (table["emotion"] != "") & ~table["emotion"].isin(list(emotions))
    others &= table[outcome] != Outcome.LABEL_CONFLICT
    reason = table["emotion"].map(lambda emotion: f"{emotion!r} is not among the study's classes")
    return _told(table, others, outcome, Outcome.OUT_OF_SCOPE, why, reason)


def _told(
    table: pd.DataFrame, rows: pd.Series, outcome: str, value: Outcome, why: str, reason: str | pd.Series
) -> pd.DataFrame:
    told = {outcome: table[outcome].mask(rows, str(value))}
    if why in table:
        told[why] = table[why].mask(rows, reason)
    return table.assign(**told)
