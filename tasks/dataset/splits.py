"""Train, validation and test subset of every video in every fold, by subject.

In no fold is a subject in two subsets; a hold-out is one fold. The split is append-only: a video keeps its subset, a
new video of a known subject follows that subject, a new subject joins training or validation. The test subset is fixed
when it is first drawn: later videos of a test subject, and new content under the name of a test video, wait in
`reserve`, so that a running comparison never changes under one's feet. A video that was only renamed keeps its subset.

The split is shared by all studies of a data root with the same split settings. A subject has one subset in all of them;
each adds the videos of its own classes, and reads those with `split_of_study`. Of a class that no study had before,
the videos of test subjects join the test subset, and subjects who show nothing else are dealt out: nobody compared
anything on them yet.

A split is a promise that nothing else could tell again, so a copy of its file lies beside it (`<name>.parquet.copy`)
and takes its place should the file lose its content. Who removes the file itself gets a new split.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fer_models.errors import BrokenFile, UserError
from tasks.config.split_settings import SplitSettings
from tasks.dataset.folds import TEST, TRAIN, VALIDATION, draw_folds, fold_of_subjects, with_corpora
from tasks.dataset.official import has_one_split, of_all
from tasks.dataset.split_names import NEW_SPLIT, RESERVE, as_named_now, check_subjects, follow_names, with_names
from tasks.outcomes import Outcome
from tasks.preparation.ledger import is_usable
from tasks.progress import echo
from tasks.storage.expected import Expected
from tasks.storage.files import atomic_write, is_file, read_frame, set_aside, write_table

SUBSETS = (TRAIN, VALIDATION, TEST)

SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("video_id", pa.string()),
        ("sha256", pa.string()),
        ("subject", pa.string()),
        ("side", pa.string()),
        ("fold_name", pa.string()),
    ]
)
#: Earlier versions gave folds no names.
_EXPECTED = Expected(
    SCHEMA,
    core=[name for name in SCHEMA.names if name != "fold_name"],
    key=("fold", "video_id", "sha256"),
    words={"side": (*SUBSETS, RESERVE)},
)
#: The name of the fold of a split without folds.
_ONLY_FOLD = "0"
#: What a row of the split is about: a name alone could get another content.
KEY = ["video_id", "sha256"]


def update_split(
    ledger: pd.DataFrame,
    emotions: Sequence[str],
    settings: SplitSettings,
    path: Path,
    official: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Assign every labelled video of the ledger to a subset, keeping what `path` already says, and write it there.

    Videos that could not be used keep a subset too: in the test subset they count as uncovered.

    Args:
        ledger: with the column `corpus` where there are several (`tasks.corpus.scope.with_corpus`): subsets are alike
            in these too.
        official: of subjects, as from `tasks.dataset.official`; for the protocol `official`.

    Returns:
        The study's part of the split.

    Raises:
        UserError: fewer than three subjects, or a subset would lack videos or a class, naming the counts.
    """
    videos = ledger[ledger["emotion"].isin(list(emotions)) & (ledger["subject"] != "") & _was_meant(ledger)]
    if videos.empty:
        raise UserError("No video has a label and a subject, so there is nothing to split; check corpus.adapter.")
    drawn = not path.is_file()
    known = _draw(videos, emotions, settings, official) if drawn else with_names(read_split(path), videos, settings)
    if changed := not _are_all_there(known, videos):
        known = _renamed(known, videos)
    if changed or (known.groupby("fold").size() != len(videos)).any():
        known = _extended(known, videos, emotions, settings, official)
    split = known.astype({"fold": "int32"})[SCHEMA.names]
    part = split_of_study(split, ledger, emotions)
    _echo_never_tested(part, settings)
    _check(part, _is_one_of_several(part, settings), ledger, emotions, drawn)
    table = pa.Table.from_pandas(split, schema=SCHEMA, preserve_index=False)
    for place in (path, _copy_of(path)):
        write_table(place, table)
    return part


def _are_all_there(known: pd.DataFrame, videos: pd.DataFrame) -> bool:
    """Whether all that is known stands among the videos, under the same names and subjects."""
    names = [*KEY, "subject"]
    return len(known[names].merge(videos[names], on=names)) == len(known)


def _renamed(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """What is known, in the present names."""
    types = known.dtypes
    known, videos = _with_plain_texts(known), _with_plain_texts(videos)
    folds = [as_named_now(follow_names(rows, videos), videos) for _, rows in known.groupby("fold")]
    known = pd.concat(folds, ignore_index=True).astype(types)
    check_subjects(known, videos)
    return known


def _extended(
    known: pd.DataFrame,
    videos: pd.DataFrame,
    emotions: Sequence[str],
    settings: SplitSettings,
    official: Mapping[str, str] | None,
) -> pd.DataFrame:
    """What is known, with what is new added."""
    types = known.dtypes
    known, videos = _with_plain_texts(known), _with_plain_texts(videos)
    tested = known[known["side"] == TEST]
    is_tested = videos["video_id"].isin(tested["video_id"]) | videos["sha256"].isin(tested["sha256"])
    compared = frozenset(videos.loc[is_tested, "emotion"])
    dealt = _deal_newcomers(videos, set(known["subject"].unique()), compared, emotions, settings, official)
    keys = _keys(videos)
    folds = [
        _extend(rows, videos[~keys.isin(_keys(rows))], compared, dealt, settings) for _, rows in known.groupby("fold")
    ]
    return pd.concat(folds, ignore_index=True)[list(types.index)].astype(types)


def _with_plain_texts(table: pd.DataFrame) -> pd.DataFrame:
    """With texts as Python's: pandas looks for one among others several times as fast, and there are many folds."""
    return table.astype({name: object for name in table.columns if pd.api.types.is_string_dtype(table[name])})


def read_split(path: Path) -> pd.DataFrame:
    """The subset of every video, for no study in particular; raises `UserError` when there is none.

    Where the file has lost its content, its copy takes its place; where that has too, this raises `UserError`.
    """
    if not is_file(path):
        raise UserError(f"There is no split at {str(path)!r}; run `fer prepare` and `fer split` first.")
    try:
        split = read_frame(path, _EXPECTED)
    except BrokenFile as fault:
        split = _restore(path, fault)
    return split if "fold_name" in split else split.assign(fold_name=split["fold"].astype(str))


def _restore(path: Path, fault: BrokenFile) -> pd.DataFrame:
    copy = _copy_of(path)
    try:
        split = read_frame(copy, _EXPECTED)
    except (BrokenFile, FileNotFoundError) as error:
        lost = "Its copy is no better" if copy.is_file() else "Its copy is not there"
        raise UserError(
            f"{fault} {lost}, and who was in the test subset is not known any more: put the file back from a "
            "backup, or set another split.seed, which draws a new split; no earlier score can be compared with it."
        ) from error
    set_aside(path, fault.fault)
    echo(f"The split is taken from its copy, {copy.name}.")
    content = copy.read_bytes()
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return split


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copy")


def rows_of_classes(split: pd.DataFrame, videos: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """The rows of the videos of some classes; `videos` is the ledger or the manifest."""
    return split.merge(videos.loc[videos["emotion"].isin(list(emotions)), KEY].drop_duplicates(), on=KEY)


def split_of_study(split: pd.DataFrame, videos: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """The same of a study's classes, in the folds that test some of its videos."""
    own = rows_of_classes(split, videos, emotions)
    return own[own["fold"].isin(own.loc[own["side"] == TEST, "fold"])].reset_index(drop=True)


def fold_names(split: pd.DataFrame) -> dict[int, str]:
    """The names of a split's folds by their numbers, in order."""
    folds = split[["fold", "fold_name"]].drop_duplicates("fold").sort_values("fold")
    return dict(zip(folds["fold"].tolist(), folds["fold_name"].tolist(), strict=True))


def _was_meant(ledger: pd.DataFrame) -> pd.Series:
    """Videos that belong to a study whether or not they could be used."""
    return ~ledger["outcome"].isin([Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT])


def _draw(
    videos: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings, official: Mapping[str, str] | None
) -> pd.DataFrame:
    folds = [
        videos[[*KEY, "subject"]].assign(
            fold=fold.number, fold_name=fold.name, side=videos["subject"].map(fold.subsets)
        )
        for fold in draw_folds(_counts(videos, emotions), settings, official)
    ]
    return pd.concat(folds, ignore_index=True)


def _counts(videos: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """Usable videos of each subject (rows, sorted) and class, and of each class of each of several corpora."""
    usable = videos[is_usable(videos)]
    counts = pd.crosstab(usable["subject"], usable["emotion"]).reindex(
        index=sorted(videos["subject"].unique()), columns=list(emotions), fill_value=0
    )
    if "corpus" not in usable:
        return counts
    return with_corpora(counts, usable["subject"], usable["corpus"], usable["emotion"])


def _deal_newcomers(
    videos: pd.DataFrame,
    known: Collection[str],
    compared: Collection[str],
    emotions: Sequence[str],
    settings: SplitSettings,
    official: Mapping[str, str] | None,
) -> dict[str, str]:
    """The fold that tests each of the new subjects who show only classes that no study compared anything on.

    Official lists say of everybody who is tested in which fold, or in which part; those who are to be tested wait where
    their classes were compared already.
    """
    newcomers = videos[~videos["subject"].isin(list(known))]
    if settings.protocol == "official":
        words = of_all(official or {}, newcomers["subject"].unique())
        is_one = has_one_split(words.values())
        return {name: _ONLY_FOLD if is_one and word == TEST else word for name, word in words.items()}
    late = newcomers.loc[newcomers["emotion"].isin(list(compared)), "subject"]
    fresh = newcomers[~newcomers["subject"].isin(late)]
    if fresh.empty or settings.protocol == "loso":
        return {}
    if settings.protocol == "file":
        return fold_of_subjects(Path(settings.folds_file or ""), fresh["subject"].unique())
    try:
        folds = draw_folds(_counts(fresh, emotions), settings)
    except UserError:
        return {}  # too few to deal out; they train and validate
    return {subject: fold.name for fold in folds for subject, subset in fold.subsets.items() if subset == TEST}


def _echo_never_tested(split: pd.DataFrame, settings: SplitSettings) -> None:
    """Folds test everybody once, except those who came after the folds were drawn."""
    subjects = set(split["subject"].unique())
    never = subjects - set(split.loc[split["side"] == TEST, "subject"].unique())
    if never and split["fold"].nunique() > 1:
        echo(
            f"{len(never)} of {len(subjects)} people came after the folds were drawn and are never tested "
            f"({min(never)}, for example); with another split.seed, folds of all of them are drawn."
        )


def _is_one_of_several(split: pd.DataFrame, settings: SplitSettings) -> bool:
    """Whether the folds of a split share its classes out, so that one of them need not test all."""
    if settings.protocol == "official":
        return split["fold"].nunique() > 1
    return settings.protocol != "holdout"


def _extend(
    known: pd.DataFrame,
    new: pd.DataFrame,
    compared: Collection[str],
    dealt: Mapping[str, str],
    settings: SplitSettings,
) -> pd.DataFrame:
    """Add new videos to a fold; nothing that is known moves.

    Args:
        compared: the classes with test videos, which no others join.
        dealt: as from `_deal_newcomers`.
    """
    fold = {name: known[name].iloc[0] for name in ("fold", "fold_name")}
    of_subject = dict(zip(known["subject"], known["side"].replace({RESERVE: TEST}), strict=True))
    for subject, count in new["subject"].value_counts().items():
        if subject not in of_subject and dealt.get(str(subject)) == fold["fold_name"]:
            of_subject[subject] = TEST
        elif subject not in of_subject and settings.protocol == "official" and dealt[str(subject)] in SUBSETS:
            of_subject[subject] = dealt[str(subject)]
        elif subject not in of_subject:
            sizes = known["side"].value_counts()
            tested = settings.test_share if settings.protocol == "holdout" else 0.0
            training = sizes.get(TRAIN, 0) / (1 - settings.validation_share - tested)
            validation = sizes.get(VALIDATION, 0) / settings.validation_share
            of_subject[subject] = VALIDATION if validation < training else TRAIN
            known = pd.concat([known, pd.DataFrame({"side": [of_subject[subject]] * int(count)})])
    known = known.dropna(subset=["video_id"])
    replaced = known["video_id"].isin(new["video_id"]) & (known["side"] != TEST)  # by new content of the same name
    subsets = new["subject"].map(of_subject)
    subsets = subsets.mask((subsets == TEST) & new["emotion"].isin(list(compared)), RESERVE)
    return pd.concat([known[~replaced], new[[*KEY, "subject"]].assign(side=subsets, **fold)], ignore_index=True)


def _keys(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(list(zip(rows["video_id"], rows["sha256"], strict=True)), index=rows.index, dtype=object)


def _check(
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
