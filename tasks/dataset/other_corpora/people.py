"""People and files that stand in a study's training part and in a corpus that it is tested on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import pandas as pd

from fer_models.models.lineage import video_mark
from tasks.corpus.subject_names import name_key
from tasks.dataset.findings import Check, Finding, Severity
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.other_corpora.opening import OpenedCorpus

_LEFT_OUT = "The evaluation leaves out everybody of whom a model has seen a file; of other copies it cannot know."
_LOOK = (
    "If they are the same people, leave them out of one corpus; if two corpora only number their people alike, nothing "
    "is wrong."
)


def check_other_corpus(other: OpenedCorpus, split: pd.DataFrame) -> Iterator[Finding]:
    """Files and names of another corpus that stand in the training part of a study.

    Args:
        split: the study's, as of `tasks.dataset.audit.present_split`; whoever trains or validates in any of its folds
            counts.
    """
    seen = split[split["side"].isin((TRAIN, VALIDATION))].drop_duplicates("video_id")
    videos = other.videos
    both = videos.merge(seen, on="sha256", suffixes=("", "_seen"))
    both = both[both["sha256"] != ""].sort_values("video_id")
    if len(both):
        people = ", ".join(sorted(both["subject"].unique()))
        count = both["sha256"].nunique()
        files = "1 file" if count == 1 else f"{count} files"
        what = f"in the training part and in {other.name} too: {files}, there as videos of {people}"
        pairs = both[["video_id", "video_id_seen"]].itertuples(index=False)
        where = tuple(f"{there} of {other.name} is {here}" for there, here in pairs)
        yield Finding(Check.OTHER_CORPORA, Severity.ERROR, what, where, _LEFT_OUT)
    if alike := _alike(seen["subject"].unique(), videos["subject"].unique()):
        what = f"in the training part and in {other.name} too: {len(alike)} names of people that may mean the same"
        where = tuple(f"{there!r} of {other.name}, {here!r} in training" for here, there in alike)
        yield Finding(Check.OTHER_CORPORA, Severity.WARNING, what, where, _LOOK)


def _alike(seen: Iterable[str], tested: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of a name of either side that may mean one person, sorted."""
    by_key: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in seen:
        by_key[name_key(name)].append(name)
    return sorted((here, there) for there in tested if (key := name_key(there)) for here in by_key[key])


def seen_people(other: OpenedCorpus, marks: Iterable[str]) -> set[str]:
    """Subjects of another corpus of whom a model has seen a video.

    Args:
        marks: of the videos that it has seen, see `fer_models.models.lineage`.
    """
    known = other.ledger["sha256"].map(video_mark).isin(set(marks) - {""})
    return set(other.ledger.loc[known, "subject"]) - {""}
