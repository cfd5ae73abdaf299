"""Train, validation and test side of every video, by subject.

No person is ever on two sides. The split is append-only: a video keeps its side, a new video of a known person follows
that person, a new person joins training or validation. The test side is fixed when it is first drawn: later videos of a
test person, and new content under the name of a test video, wait in `reserve`, so that a running comparison never
changes under one's feet. A video that was only renamed keeps its side.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fer_models.errors import UseError
from tasks.files import write_table
from tasks.outcomes import Outcome
from tasks.settings import SplitSettings

TRAIN, VALIDATION, TEST, RESERVE = "train", "validation", "test", "reserve"
SIDES = (TRAIN, VALIDATION, TEST)

SCHEMA = pa.schema([(name, pa.string()) for name in ("video_id", "sha256", "subject", "side")])
#: What a row of the split is about: a name alone could get another content.
KEY = ["video_id", "sha256"]
_CANDIDATES = 4000


def update_split(ledger: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings, path: Path) -> pd.DataFrame:
    """Assign every labelled video of the ledger to a side, keeping what `path` already says, and write it there.

    Videos that could not be used keep a side too: on the test side they count as uncovered.

    Raises:
        UseError: fewer than three people, or a side would lack videos or a class, naming the counts.
    """
    labelled = ledger[ledger["emotion"].isin(list(emotions)) & (ledger["subject"] != "") & _was_meant(ledger)]
    if labelled.empty:
        raise UseError("No video has a label and a subject, so there is nothing to split; check corpus.adapter.")
    known = pd.read_parquet(path) if path.is_file() else None
    split = _extend(known, labelled, settings) if known is not None else _draw(labelled, emotions, settings)
    _check(split, ledger, emotions, path if known is not None else None)
    write_table(path, pa.Table.from_pandas(split, schema=SCHEMA, preserve_index=False))
    return split


def read_split(path: Path) -> pd.DataFrame:
    """The side of every video; raises `UseError` when there is none."""
    if not path.is_file():
        raise UseError(f"There is no split at {str(path)!r}; run `fer split` first.")
    return pd.read_parquet(path)


def _was_meant(ledger: pd.DataFrame) -> pd.Series:
    """Videos that belong to the study whether or not they could be used."""
    return ~ledger["outcome"].isin([Outcome.OUT_OF_SCOPE, Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT])


def _is_usable(ledger: pd.DataFrame) -> pd.Series:
    return (ledger["outcome"] == Outcome.OK) & (ledger["num_covered"] > 0)


def _draw(videos: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings) -> pd.DataFrame:
    """Of many random assignments of people to sides, the one whose sides are most alike in size and classes.

    Unlike StratifiedGroupKFold this fixes the number of people a side and works with as few as three.
    """
    subjects = sorted(videos["subject"].unique())
    usable = videos[_is_usable(videos)]
    counts = pd.crosstab(usable["subject"], usable["emotion"]).reindex(
        index=subjects, columns=list(emotions), fill_value=0
    )
    num_subjects = len(subjects)
    num_test = max(1, round(settings.test_share * num_subjects))
    num_validation = max(1, round(settings.validation_share * num_subjects))
    if num_test + num_validation >= num_subjects:
        raise UseError(
            f"{num_subjects} people are too few for separate sides "
            f"({num_test} for test, {num_validation} for validation, the rest for training); at least 3 are needed."
        )
    rng = np.random.default_rng(settings.seed)
    orders = rng.permuted(np.tile(np.arange(num_subjects), (_CANDIDATES, 1)), axis=1)
    sides = np.zeros((_CANDIDATES, num_subjects), np.int64)
    np.put_along_axis(sides, orders[:, :num_test], 2, axis=1)
    np.put_along_axis(sides, orders[:, num_test : num_test + num_validation], 1, axis=1)
    best = sides[int(np.argmin(_imbalance(sides, counts.to_numpy(np.float64))))]
    of_subject = dict(zip(counts.index, (SIDES[side] for side in best), strict=True))
    return videos[[*KEY, "subject"]].assign(side=videos["subject"].map(of_subject))


def _imbalance(sides: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How far the classes of each candidate's sides are from their fair share; empty classes weigh heavily.

    Args:
        sides: (candidates, subjects), 0 train, 1 validation, 2 test.
        counts: (subjects, classes), videos.
    """
    totals = counts.sum(axis=0)
    cost = np.zeros(len(sides))
    for side in range(3):
        on_side = (sides == side).astype(np.float64)
        share = on_side.mean(axis=1, keepdims=True)
        have, fair = on_side @ counts, share * totals
        cost += ((have - fair) ** 2 / np.maximum(fair, 1.0)).sum(axis=1)
        cost += 1000.0 * ((have == 0) & (totals > 0)).sum(axis=1)
    return cost


def _extend(known: pd.DataFrame, videos: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Add new videos; nothing that is known moves."""
    known = _follow_names(known, videos)
    renamed = known.merge(videos[["video_id", "subject"]], on="video_id", suffixes=("", "_now"))
    renamed = renamed[renamed["subject"] != renamed["subject_now"]]
    if len(renamed):
        first = renamed.iloc[0]
        raise UseError(
            f"{len(renamed)} videos belong to another person than when the split was drawn ({first['video_id']}: "
            f"{first['subject']}, now {first['subject_now']}), which could put a person on two sides; "
            "remove split.parquet from the data root to draw a new split."
        )
    new = videos[~_keys(videos).isin(_keys(known))]
    of_subject = dict(zip(known["subject"], known["side"], strict=True))
    for subject, count in new["subject"].value_counts().items():
        if subject not in of_subject:
            sizes = known["side"].value_counts()
            training = sizes.get(TRAIN, 0) / (1 - settings.validation_share - settings.test_share)
            validation = sizes.get(VALIDATION, 0) / settings.validation_share
            of_subject[subject] = VALIDATION if validation < training else TRAIN
            known = pd.concat([known, pd.DataFrame({"side": [of_subject[subject]] * int(count)})])
    known = known.dropna(subset=["video_id"])
    replaced = known["video_id"].isin(new["video_id"]) & (known["side"] != TEST)  # by new content of the same name
    sides = new["subject"].map(of_subject).replace({TEST: RESERVE})
    return pd.concat([known[~replaced], new[[*KEY, "subject"]].assign(side=sides)], ignore_index=True)


def _follow_names(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """The known rows under the present names of their contents."""
    now = videos[~videos["video_id"].isin(known["video_id"]) & (videos["sha256"] != "")]
    names = dict(zip(now["sha256"], now["video_id"], strict=True))
    gone = ~known["video_id"].isin(videos["video_id"]) & known["sha256"].isin(list(names))
    gone &= ~known["sha256"].duplicated()
    return known.assign(video_id=known["video_id"].where(~gone, known["sha256"].map(names)))


def _keys(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(list(zip(rows["video_id"], rows["sha256"], strict=True)), index=rows.index, dtype=object)


def _check(split: pd.DataFrame, ledger: pd.DataFrame, emotions: Sequence[str], drawn: Path | None) -> None:
    usable = ledger[_is_usable(ledger)]
    table = usable.merge(split.drop(columns="subject"), on=KEY)
    counts = pd.crosstab(table["side"], table["emotion"]).reindex(
        index=list(SIDES), columns=list(emotions), fill_value=0
    )
    for side in SIDES:
        empty = [emotion for emotion in emotions if counts.loc[side, emotion] == 0]
        if empty:
            have = ", ".join(f"{emotion} {counts.loc[side, emotion]}" for emotion in emotions)
            people = split.loc[split["side"] == side, "subject"].nunique()
            advice = "add videos, name fewer classes in corpus.emotions, or try another split.seed"
            if drawn:
                advice = f"remove {drawn} to draw a new split, or use another --data-root"
            raise UseError(
                f"The {side} side ({people} people) has no usable video of {', '.join(empty)} (it has {have}); "
                f"{advice}."
            )
