"""Train, validation and test side of every video in every fold, by subject.

In no fold is a person on two sides; a hold-out is one fold. The split is append-only: a video keeps its side, a new
video of a known person follows that person, a new person joins training or validation. The test side is fixed when it
is first drawn: later videos of a test person, and new content under the name of a test video, wait in `reserve`, so
that a running comparison never changes under one's feet. A video that was only renamed keeps its side.

A split is a promise that nothing else could tell again, so a copy of its file lies beside it (`<name>.parquet.copy`)
and takes its place should the file lose its content. Who removes the file itself gets a new split.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from fer_models.errors import BrokenFile, UseError
from tasks.files import read_frame, set_aside, write_table
from tasks.folds import TEST, TRAIN, VALIDATION, draw_folds
from tasks.outcomes import Outcome
from tasks.progress import say
from tasks.settings import SplitSettings
from tasks.subject_names import one_spelling

RESERVE = "reserve"
SIDES = (TRAIN, VALIDATION, TEST)

SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("video_id", pa.string()),
        ("sha256", pa.string()),
        ("subject", pa.string()),
        ("side", pa.string()),
    ]
)
#: What a row of the split is about: a name alone could get another content.
KEY = ["video_id", "sha256"]


def update_split(ledger: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings, path: Path) -> pd.DataFrame:
    """Assign every labelled video of the ledger to a side, keeping what `path` already says, and write it there.

    Videos that could not be used keep a side too: on the test side they count as uncovered.

    Raises:
        UseError: fewer than three people, or a side would lack videos or a class, naming the counts.
    """
    labelled = ledger[ledger["emotion"].isin(list(emotions)) & (ledger["subject"] != "") & _was_meant(ledger)]
    if labelled.empty:
        raise UseError("No video has a label and a subject, so there is nothing to split; check corpus.adapter.")
    known = _find_split(path)
    if known is None:
        split = _draw(labelled, emotions, settings)
    else:
        folds = [_extend(rows, labelled, settings, path).assign(fold=fold) for fold, rows in known.groupby("fold")]
        split = pd.concat(folds, ignore_index=True)
    split = split.astype({"fold": "int32"})[SCHEMA.names]
    for fold, rows in split.groupby("fold"):
        _check(rows, None if settings.protocol == "holdout" else fold, ledger, emotions, known is not None and path)
    _write_split(path, split)
    return split


def read_split(path: Path) -> pd.DataFrame:
    """The side of every video; raises `UseError` when there is none."""
    split = _find_split(path)
    if split is None:
        raise UseError(f"There is no split at {str(path)!r}; run `fer prepare` and `fer split` first.")
    return split


def _write_split(path: Path, split: pd.DataFrame) -> None:
    for place in (path, _copy_of(path)):
        write_table(place, pa.Table.from_pandas(split[SCHEMA.names], schema=SCHEMA, preserve_index=False))


def _find_split(path: Path) -> pd.DataFrame | None:
    """What the file of a split says, or its copy where that is broken; None when there is no file.

    Raises:
        UseError: both have lost their content.
    """
    if not path.is_file():
        return None
    try:
        return read_frame(path)
    except BrokenFile as error:
        fault = error
    try:
        split = read_frame(_copy_of(path))
    except (BrokenFile, FileNotFoundError) as error:
        raise UseError(
            f"{fault} So has its copy, and who was on the test side is not known any more: put the file back from a "
            f"backup, or remove {path} to draw a new split, with which no earlier score can be compared."
        ) from error
    set_aside(path)
    say(f"The split is taken from its copy, {_copy_of(path).name}.")
    _write_split(path, split)
    return split


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copy")


def _was_meant(ledger: pd.DataFrame) -> pd.Series:
    """Videos that belong to the study whether or not they could be used."""
    return ~ledger["outcome"].isin([Outcome.OUT_OF_SCOPE, Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT])


def _is_usable(ledger: pd.DataFrame) -> pd.Series:
    return (ledger["outcome"] == Outcome.OK) & (ledger["num_covered"] > 0)


def _draw(videos: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings) -> pd.DataFrame:
    subjects = sorted(videos["subject"].unique())
    usable = videos[_is_usable(videos)]
    counts = pd.crosstab(usable["subject"], usable["emotion"]).reindex(
        index=subjects, columns=list(emotions), fill_value=0
    )
    folds = [
        videos[[*KEY, "subject"]].assign(fold=fold, side=videos["subject"].map(of_subject))
        for fold, of_subject in enumerate(draw_folds(counts, settings))
    ]
    return pd.concat(folds, ignore_index=True)


def _extend(known: pd.DataFrame, videos: pd.DataFrame, settings: SplitSettings, path: Path) -> pd.DataFrame:
    """Add new videos to a fold; nothing that is known moves."""
    known = _as_named_now(follow_names(known, videos), videos, path)
    renamed = known.merge(videos[["video_id", "subject"]], on="video_id", suffixes=("", "_now"))
    renamed = renamed[renamed["subject"] != renamed["subject_now"]]
    if len(renamed):
        first = renamed.iloc[0]
        raise UseError(
            f"{len(renamed)} videos belong to another person than when the split was drawn ({first['video_id']}: "
            f"{first['subject']}, now {first['subject_now']}), which could put a person on two sides; "
            f"remove {path} to draw a new split."
        )
    new = videos[~_keys(videos).isin(_keys(known))]
    of_subject = dict(zip(known["subject"], known["side"], strict=True))
    for subject, count in new["subject"].value_counts().items():
        if subject not in of_subject:
            sizes = known["side"].value_counts()
            tested = settings.test_share if settings.protocol == "holdout" else 0.0
            training = sizes.get(TRAIN, 0) / (1 - settings.validation_share - tested)
            validation = sizes.get(VALIDATION, 0) / settings.validation_share
            of_subject[subject] = VALIDATION if validation < training else TRAIN
            known = pd.concat([known, pd.DataFrame({"side": [of_subject[subject]] * int(count)})])
    known = known.dropna(subset=["video_id"])
    replaced = known["video_id"].isin(new["video_id"]) & (known["side"] != TEST)  # by new content of the same name
    sides = new["subject"].map(of_subject).replace({TEST: RESERVE})
    return pd.concat([known[~replaced], new[[*KEY, "subject"]].assign(side=sides)], ignore_index=True)


def follow_names(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """The known rows under the present names of their contents."""
    now = videos[~videos["video_id"].isin(known["video_id"]) & (videos["sha256"] != "")]
    names = dict(zip(now["sha256"], now["video_id"], strict=True))
    gone = ~known["video_id"].isin(videos["video_id"]) & known["sha256"].isin(list(names))
    gone &= ~known["sha256"].duplicated()
    return known.assign(video_id=known["video_id"].where(~gone, known["sha256"].map(names)))


def _as_named_now(known: pd.DataFrame, videos: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The known rows with people as they are spelled now; raises `UseError` when two that are one are on two sides."""
    spelling = one_spelling([*known["subject"], *videos["subject"]])
    people = set(videos["subject"])
    now = {spelling[name]: name for name in people}
    subjects = known["subject"].map(lambda name: name if name in people else now.get(spelling[name], name))
    sides = known["side"].replace({RESERVE: TEST}).groupby(subjects).nunique()
    for subject in sides.index[sides > 1]:
        names = sorted(known.loc[subjects == subject, "subject"].unique())
        if len(names) > 1:
            raise UseError(
                f"The split was drawn with {' and '.join(map(repr, names))} as several people, on two sides, who are "
                f"one ({subject}); remove {path} to draw a new split."
            )
    return known.assign(subject=subjects)


def _keys(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(list(zip(rows["video_id"], rows["sha256"], strict=True)), index=rows.index, dtype=object)


def _check(
    split: pd.DataFrame, fold: int | None, ledger: pd.DataFrame, emotions: Sequence[str], drawn: Path | Literal[False]
) -> None:
    """Every side needs usable videos of every class, only the test side of one fold of several need not have all."""
    usable = ledger[_is_usable(ledger)]
    table = usable.merge(split.drop(columns="subject"), on=KEY)
    counts = pd.crosstab(table["side"], table["emotion"]).reindex(
        index=list(SIDES), columns=list(emotions), fill_value=0
    )
    for side in SIDES:
        empty = [emotion for emotion in emotions if counts.loc[side, emotion] == 0]
        if empty and (fold is None or side != TEST or len(empty) == len(emotions)):
            have = ", ".join(f"{emotion} {counts.loc[side, emotion]}" for emotion in emotions)
            people = split.loc[split["side"] == side, "subject"].nunique()
            where = "" if fold is None else f" of fold {fold}"
            advice = "add videos, name fewer classes in corpus.emotions, or try another split.seed"
            if drawn:
                advice = f"remove {drawn} to draw a new split, or use another --data-root"
            raise UseError(
                f"The {side} side{where} ({people} people) has no usable video of {', '.join(empty)} (it has {have}); "
                f"{advice}."
            )
