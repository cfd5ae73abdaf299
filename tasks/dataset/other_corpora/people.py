"""People, files and faces that stand in a study's training part and in a corpus that it is tested on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fer_models.models.lineage import video_mark
from tasks.corpus.subject_names import name_key
from tasks.dataset.findings import Check, Finding, Severity
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.near_duplicates import candidate_pairs, hash_videos, sample_faces, show_the_same
from tasks.dataset.other_corpora.opening import OpenedCorpus
from tasks.dataset.splits import KEY
from tasks.preparation.ledger import is_usable
from tasks.preparation.shards import list_shards, named_shard
from tasks.storage.files import only_reading

_LEFT_OUT = (
    "The evaluation leaves out everybody of whom a model has seen a file; copies that were encoded anew it keeps."
)
_LOOK_AT_FACES = "Look at both with `fer inspect`; if they are one recording, leave it out of one of the corpora."
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
        what = f"in the training part and in {other.name} too: {len(alike)} names that may mean the same people"
        where = tuple(f"{there!r} of {other.name}, {here!r} in training" for here, there in alike)
        yield Finding(Check.OTHER_CORPORA, Severity.WARNING, what, where, _LOOK)


def check_other_faces(other: OpenedCorpus, split: pd.DataFrame, ledger: pd.DataFrame, prepared: Path) -> list[Finding]:
    """Videos of another corpus with the faces of one of the training part, whatever was done to the file in between.

    Args:
        split: as in `check_other_corpus`.
        ledger: the study's.
        prepared: the folder above the study's shards.
    """
    keys = split.loc[split["side"].isin((TRAIN, VALIDATION)), KEY].drop_duplicates()
    here = _with_shard(ledger.merge(keys, on=KEY), prepared)
    there = _with_shard(other.videos, other.prepared)
    there = there[~there["sha256"].isin(here["sha256"])]
    videos = pd.concat([here.assign(folder=prepared), there.assign(folder=other.prepared)], ignore_index=True)
    shards = [named_shard(folder, shard) for folder, shard in zip(videos["folder"], videos["shard"], strict=True)]
    with only_reading():
        # the one may lie in a folder, the other in an object store
        hashes = np.concatenate([hash_videos(shards[: len(here)]), hash_videos(shards[len(here) :])])
        pairs = candidate_pairs(hashes, np.repeat([0, 1], [len(here), len(there)]))
        same = [(a, b) for a, b in pairs.tolist() if show_the_same(sample_faces(shards[a]), sample_faces(shards[b]))]
    if not same:
        return []
    names = videos["video_id"]
    where = tuple(f"{names[second]} of {other.name}, {names[first]} in training" for first, second in same)
    what = f"in the training part and in {other.name} too: the same faces, {len({b for _, b in same})} of its videos"
    return [Finding(Check.OTHER_CORPORA, Severity.ERROR, what, where, _LOOK_AT_FACES)]


def _with_shard(videos: pd.DataFrame, prepared: Path) -> pd.DataFrame:
    return videos[is_usable(videos) & videos["sha256"].isin(list_shards(prepared))].drop_duplicates("sha256")


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
