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
from tasks.config.settings import SplitSettings
from tasks.corpus.subject_names import one_spelling
from tasks.dataset.folds import TEST, TRAIN, VALIDATION, draw_folds, fold_of_subjects
from tasks.outcomes import Outcome
from tasks.preparation.ledger import is_usable
from tasks.progress import echo
from tasks.storage.expected import Expected
from tasks.storage.files import atomic_write, is_file, read_frame, set_aside, write_table

RESERVE = "reserve"
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
#: Never to remove a split: other studies may stand on it.
_NEW_SPLIT = "set another split.seed, which draws a new split and leaves this one to the studies that use it"
#: What a row of the split is about: a name alone could get another content.
KEY = ["video_id", "sha256"]


def update_split(ledger: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings, path: Path) -> pd.DataFrame:
    """Assign every labelled video of the ledger to a subset, keeping what `path` already says, and write it there.

    Videos that could not be used keep a subset too: in the test subset they count as uncovered.

    Returns:
        The study's part of the split.

    Raises:
        UserError: fewer than three subjects, or a subset would lack videos or a class, naming the counts.
    """
    videos = ledger[ledger["emotion"].isin(list(emotions)) & (ledger["subject"] != "") & _was_meant(ledger)]
    if videos.empty:
        raise UserError("No video has a label and a subject, so there is nothing to split; check corpus.adapter.")
    drawn = not path.is_file()
    known = _draw(videos, emotions, settings) if drawn else _with_names(read_split(path), videos, settings)
    folds = [_as_named_now(follow_names(rows, videos), videos) for _, rows in known.groupby("fold")]
    known = pd.concat(folds, ignore_index=True)
    _check_subjects(known, videos)
    tested = known[known["side"] == TEST]
    is_tested = videos["video_id"].isin(tested["video_id"]) | videos["sha256"].isin(tested["sha256"])
    compared = frozenset(videos.loc[is_tested, "emotion"])
    dealt = _deal_newcomers(videos, set(known["subject"]), compared, emotions, settings)
    folds = [_extend(rows, videos, compared, dealt, settings) for _, rows in known.groupby("fold")]
    split = pd.concat(folds, ignore_index=True).astype({"fold": "int32"})[SCHEMA.names]
    part = split_of_study(split, ledger, emotions)
    _echo_never_tested(part, settings)
    for _, rows in part.groupby("fold"):
        _check(rows, settings.protocol != "holdout", ledger, emotions, drawn)
    for place in (path, _copy_of(path)):
        write_table(place, pa.Table.from_pandas(split, schema=SCHEMA, preserve_index=False))
    return part


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


def _draw(videos: pd.DataFrame, emotions: Sequence[str], settings: SplitSettings) -> pd.DataFrame:
    folds = [
        videos[[*KEY, "subject"]].assign(
            fold=fold.number, fold_name=fold.name, side=videos["subject"].map(fold.subsets)
        )
        for fold in draw_folds(_counts(videos, emotions), settings)
    ]
    return pd.concat(folds, ignore_index=True)


def _counts(videos: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """Usable videos of each subject (rows, sorted) and class."""
    usable = videos[is_usable(videos)]
    return pd.crosstab(usable["subject"], usable["emotion"]).reindex(
        index=sorted(videos["subject"].unique()), columns=list(emotions), fill_value=0
    )


def _deal_newcomers(
    videos: pd.DataFrame,
    known: Collection[str],
    compared: Collection[str],
    emotions: Sequence[str],
    settings: SplitSettings,
) -> dict[str, str]:
    """The fold that tests each of the new subjects who show only classes that no study compared anything on."""
    newcomers = videos[~videos["subject"].isin(list(known))]
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
    subjects = set(split["subject"])
    never = subjects - set(split.loc[split["side"] == TEST, "subject"])
    if never and settings.protocol != "holdout":
        echo(
            f"{len(never)} of {len(subjects)} people came after the folds were drawn and are never tested "
            f"({min(never)}, for example); with another split.seed, folds of all of them are drawn."
        )


def _with_names(known: pd.DataFrame, videos: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
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
            f"{first['named']}, with others than before; {_NEW_SPLIT}."
        )
    return known.assign(fold_name=known["fold"].map(names).fillna(known["fold_name"]))


def _check_subjects(known: pd.DataFrame, videos: pd.DataFrame) -> None:
    renamed = known.merge(videos[["video_id", "subject"]], on="video_id", suffixes=("", "_now"))
    renamed = renamed[renamed["subject"] != renamed["subject_now"]]
    if len(renamed):
        first = renamed.iloc[0]
        raise UserError(
            f"{renamed['video_id'].nunique()} videos belong to another person than when the split was drawn "
            f"({first['video_id']}: {first['subject']}, now {first['subject_now']}), which could put a person in two "
            f"subsets; {_NEW_SPLIT}."
        )


def _extend(
    known: pd.DataFrame,
    videos: pd.DataFrame,
    compared: Collection[str],
    dealt: Mapping[str, str],
    settings: SplitSettings,
) -> pd.DataFrame:
    """Add new videos to a fold; nothing that is known moves.

    Args:
        compared: the classes with test videos, which no others join.
        dealt: as from `_deal_newcomers`.
    """
    new = videos[~_keys(videos).isin(_keys(known))]
    fold = {name: known[name].iloc[0] for name in ("fold", "fold_name")}
    of_subject = dict(zip(known["subject"], known["side"].replace({RESERVE: TEST}), strict=True))
    for subject, count in new["subject"].value_counts().items():
        if subject not in of_subject and dealt.get(str(subject)) == fold["fold_name"]:
            of_subject[subject] = TEST
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


def follow_names(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """The known rows under the present names of their contents."""
    now = videos[~videos["video_id"].isin(known["video_id"]) & (videos["sha256"] != "")]
    names = dict(zip(now["sha256"], now["video_id"], strict=True))
    gone = ~known["video_id"].isin(videos["video_id"]) & known["sha256"].isin(list(names))
    gone &= ~known["sha256"].duplicated()
    return known.assign(video_id=known["video_id"].where(~gone, known["sha256"].map(names)))


def _as_named_now(known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
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
                f"one ({subject}); {_NEW_SPLIT}."
            )
    return known.assign(subject=subjects)


def _keys(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(list(zip(rows["video_id"], rows["sha256"], strict=True)), index=rows.index, dtype=object)


def _check(
    split: pd.DataFrame, one_of_several: bool, ledger: pd.DataFrame, emotions: Sequence[str], drawn: bool
) -> None:
    """Every subset needs usable videos of every class, only the test subset of one fold of several need not have all.

    Args:
        split: the study's rows of a fold.
        drawn: the split is a new one.
    """
    usable = ledger[is_usable(ledger)]
    table = usable.merge(split.drop(columns="subject"), on=KEY)
    counts = pd.crosstab(table["side"], table["emotion"]).reindex(
        index=list(SUBSETS), columns=list(emotions), fill_value=0
    )
    for subset in SUBSETS:
        empty = [emotion for emotion in emotions if counts.loc[subset, emotion] == 0]
        if empty and (not one_of_several or subset != TEST or len(empty) == len(emotions)):
            have = ", ".join(f"{emotion} {counts.loc[subset, emotion]}" for emotion in emotions)
            subjects = split.loc[split["side"] == subset, "subject"].nunique()
            where = f" of fold {split['fold_name'].iloc[0]}" if one_of_several else ""
            advice = "try another split.seed" if drawn else _NEW_SPLIT
            raise UserError(
                f"The {subset} subset{where} ({subjects} people) has no usable video of {', '.join(empty)} "
                f"(it has {have}); add videos, name fewer classes in corpus.emotions, or {advice}."
            )
