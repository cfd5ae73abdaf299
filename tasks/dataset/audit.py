"""Looks for leaks in a study's data: what stands in two subsets of the split though it should not.

The checks are functions over data frames. The ledger is that of `tasks.preparation.ledger`; the split has the columns
video_id, sha256, subject, side and may have `fold`, one row per fold and video. Each fold is looked at on its own: to
be in the test subset of one and the training subset of another is how cross-validation works. `reserve` counts as test,
for its videos wait there because they show test subjects.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.subject_names import look_alikes
from tasks.dataset.earlier_training import check_earlier_training, lineage_of
from tasks.dataset.file_properties import check_properties
from tasks.dataset.findings import Check, Finding, Severity
from tasks.dataset.folds import TEST
from tasks.dataset.near_duplicates import candidate_pairs, hash_videos, sample_faces, show_the_same
from tasks.dataset.other_corpora.opening import open_corpora
from tasks.dataset.other_corpora.people import check_other_corpus, check_other_faces
from tasks.dataset.splits import KEY, RESERVE, fold_names, read_split, rows_of_classes
from tasks.outcomes import Outcome
from tasks.preparation.in_use import using_shards
from tasks.preparation.ledger import is_usable, read_ledger
from tasks.preparation.shards import list_shards, named_shard
from tasks.progress import progress

#: Never to remove a split: other studies may stand on it.
_NEW_SPLIT = "`fer prepare`, set another split.seed (which leaves this split to the studies that use it), `fer split`."
_ADVICE = {
    Check.SUBJECTS: f"A new split keeps every person in one subset: {_NEW_SPLIT}",
    Check.NAMELESS: "Scores may be too high. Name the people where you can; official folds go by clip too.",
    Check.FILES: f"Remove one from the corpus, or give both the right person and label; then {_NEW_SPLIT}",
    Check.FACES: f"Look at both with `fer inspect`. If they show one person, give both one name; then {_NEW_SPLIT}",
    Check.NAMES: f"If they are one person, write the name in one way; then {_NEW_SPLIT}",
    Check.LABELS: "Decide which label is right and correct the corpus; then `fer prepare`.",
}
_ORDER = list(Severity)


def audit(settings: StudySettings, earlier: Mapping[Path, Sequence[str]] = MappingProxyType({})) -> list[Finding]:
    """All findings about a study that is prepared and split, the worst first.

    Args:
        earlier: saved models, and which arms of the study begin with each.

    Raises:
        UserError: there is no ledger yet, or no split of its videos; or a corpus of `test_on` is not prepared.
    """
    layout = Layout.of(settings)
    emotions = settings.corpus.emotions
    ledger = read_ledger(layout.ledger, emotions)
    split = present_split(ledger, read_split(layout.split), emotions)
    with using_shards(settings, "audit"):
        findings = audit_tables(ledger, split, layout.prepared)
        findings += [
            finding
            for other in open_corpora(settings)
            for finding in (
                *check_other_corpus(other, split),
                *check_other_faces(other, split, ledger, layout.prepared),
            )
        ]
    for model, arms in earlier.items():
        findings += check_earlier_training(lineage_of(model), ledger, split, arms)
    return _worst_first(findings)


def _worst_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def present_split(ledger: pd.DataFrame, split: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """The split's rows of a study's videos that the ledger still has, with their subjects.

    Raises:
        UserError: there are none.
    """
    subjects = ledger[[*KEY, "subject"]].drop_duplicates(KEY)
    present = rows_of_classes(split, ledger, emotions).drop(columns="subject").merge(subjects, on=KEY)
    if present.empty:
        raise UserError("The split has none of the prepared videos; run `fer split` first.")
    return present


def audit_tables(ledger: pd.DataFrame, split: pd.DataFrame, prepared: Path) -> list[Finding]:
    """The same for tables in memory; `prepared` is the folder above the shards, `split` that of `present_split`."""
    subsets = split.pivot(index=KEY, columns="fold", values="side").rename(columns=fold_names(split))
    split = split.assign(fold=split["fold_name"])
    usable = ledger[is_usable(ledger)]
    has_subset = _keys(usable).isin(subsets.index)
    used = usable[has_subset]
    has_shard = used["sha256"].isin(list_shards(prepared)).to_numpy()
    comparable = used[has_shard].reset_index(drop=True)
    pairs = find_face_pairs(comparable, subsets, prepared)
    findings = [
        *check_subjects(split, subsets),
        *check_nameless(split),
        *check_contents(ledger, used, subsets),
        *check_faces(pairs, comparable, subsets, prepared),
        *check_names(split, subsets, _subjects_of(pairs, comparable)),
        *check_labels(ledger),
        *check_properties(used, subsets.loc[_keys(used)]),
        *_left_out(
            Check.SUBJECTS, "not in the split yet", usable[~has_subset], "Run `fer split`, then `fer audit` again."
        ),
        *_left_out(Check.FACES, "without a shard", used[~has_shard], "Run `fer prepare`, then `fer audit` again."),
    ]
    return _worst_first(findings)


def check_subjects(split: pd.DataFrame, subsets: pd.DataFrame) -> Iterator[Finding]:
    """Subjects with videos in two subsets of a fold."""
    for subject, videos in split[[*KEY, "subject"]].drop_duplicates().groupby("subject"):
        own = subsets.loc[_keys(videos)]
        if folds := _folds_apart(own):
            counts = own[folds[0]].value_counts()
            spread = ", ".join(f"{count} on {subset}" for subset, count in counts.items())
            fewest_first = own.loc[own[folds[0]].map(counts).sort_values(kind="stable").index]
            what = f"videos of {subject}: {spread}{_in_folds(folds, subsets)}"
            yield _finding(Check.SUBJECTS, Severity.ERROR, what, _places(fewest_first.index, subsets, folds))


def check_nameless(split: pd.DataFrame) -> Iterator[Finding]:
    """Videos of which nothing says who is seen, so that each counts as a person of its own."""
    nameless = split.loc[split["subject"] == split["video_id"], "video_id"].unique()
    if len(nameless):
        what = f"{len(nameless)} videos name nobody: people may stand in train and test"
        yield _finding(Check.NAMELESS, Severity.WARNING, what, tuple(sorted(nameless)))


def check_contents(ledger: pd.DataFrame, used: pd.DataFrame, subsets: pd.DataFrame) -> Iterator[Finding]:
    """Files with the same content: in two subsets, under two subjects' names, with two labels, or just twice.

    It is an error when the study uses the files that differ, a warning when it uses at most one of them.
    """
    copies = ledger[(ledger["sha256"] != "") & ledger["sha256"].duplicated(keep=False)]
    for _, group in copies.groupby("sha256"):
        in_study = group[group["video_id"].isin(used["video_id"])]
        folds = _folds_apart(subsets.loc[_keys(in_study)])
        subjects, labels = ([name for name in group[column].unique() if name] for column in ("subject", "emotion"))
        where = _places(_keys(group), subsets, folds)
        if folds or len(subjects) > 1:
            leaks = bool(folds) or in_study["subject"].nunique() > 1
            what = "one file in two subsets" if folds else "one file"
            what += f", as videos of {_listed(subjects)}" if len(subjects) > 1 else ""
            severity = Severity.ERROR if leaks else Severity.WARNING
            yield _finding(Check.FILES, severity, what + _in_folds(folds, subsets), where)
        elif len(labels) < 2:
            yield _finding(Check.FILES, Severity.NOTE, f"one file, {len(group)} times", where)
        if len(labels) > 1:
            severity = Severity.ERROR if in_study["emotion"].nunique() > 1 else Severity.WARNING
            yield _finding(Check.LABELS, severity, f"one file, labelled {_listed(labels)}", where)


def find_face_pairs(videos: pd.DataFrame, subsets: pd.DataFrame, prepared: Path) -> np.ndarray:
    """Pairs of rows of `videos`, int64 (n, 2): other subjects and files, in two subsets of a fold, alike in hash."""
    hashes = hash_videos([named_shard(prepared, shard) for shard in videos["shard"]])
    pairs = candidate_pairs(hashes, pd.factorize(videos["subject"])[0])
    contents = pd.factorize(videos["sha256"])[0]
    pairs = pairs[contents[pairs[:, 0]] != contents[pairs[:, 1]]]
    own = subsets.loc[_keys(videos)].replace({RESERVE: TEST})
    codes = np.array([pd.factorize(own[fold])[0] for fold in own]).T  # (videos, folds), -1: not in that fold
    first, second = codes[pairs[:, 0]], codes[pairs[:, 1]]
    return pairs[((first != second) & (first >= 0) & (second >= 0)).any(axis=1)]


def check_faces(pairs: np.ndarray, videos: pd.DataFrame, subsets: pd.DataFrame, prepared: Path) -> Iterator[Finding]:
    """Of the pairs of `find_face_pairs`, those that are one recording, or one subject in one place, pixel by pixel."""
    if not len(pairs):
        return
    read = lru_cache(maxsize=1024)(lambda row: sample_faces(named_shard(prepared, videos.at[row, "shard"])))
    with progress("Looking at similar faces", len(pairs)) as advance:
        for first, second in pairs.tolist():
            if show_the_same(read(first), read(second)):
                pair = videos.loc[[first, second]]
                folds = _folds_apart(subsets.loc[_keys(pair)])
                subjects = _listed(pair["subject"].tolist())
                what = f"the same faces in two subsets, as videos of {subjects}{_in_folds(folds, subsets)}"
                yield _finding(Check.FACES, Severity.ERROR, what, _places(_keys(pair), subsets, folds))
            advance("")


def check_names(split: pd.DataFrame, subsets: pd.DataFrame, alike: set[frozenset[str]]) -> list[Finding]:
    """Names that may mean one subject: first those whose faces are alike too, then those in two subsets.

    Args:
        alike: pairs of subjects who are alike in a video of each, in two subsets.
    """
    ranked = []
    for names in look_alikes(split["subject"].unique()):
        own = split[split["subject"].isin(names)]
        folds = _folds_apart(subsets.loc[_keys(own).unique()])
        have_faces = any(pair <= set(names) for pair in alike)
        what = f"{_listed(map(repr, names))} may be one person" + (", in two subsets" if folds else "")
        what += _in_folds(folds, subsets) + ("; their faces are alike" if have_faces else "")
        shown = own[own["fold"] == (folds or [own["fold"].min()])[0]]
        places = (f"{name} ({', '.join(sorted(rows['side'].unique()))})" for name, rows in shown.groupby("subject"))
        ranked.append(((not have_faces, not folds), _finding(Check.NAMES, Severity.WARNING, what, tuple(places))))
    return [finding for _, finding in sorted(ranked, key=lambda entry: entry[0])]


def check_labels(ledger: pd.DataFrame) -> Iterator[Finding]:
    """Videos whose labels contradict each other, and how many have none; the study uses neither."""
    for video in ledger[ledger["outcome"] == Outcome.LABEL_CONFLICT].itertuples():
        yield _finding(Check.LABELS, Severity.WARNING, f"not used: {video.message}", (str(video.video_id),))
    without = ledger.loc[ledger["outcome"] == Outcome.LABEL_MISSING, "video_id"]
    if len(without):
        what = f"not used, because a label or a person is missing: {len(without)}"
        yield _finding(Check.LABELS, Severity.NOTE, what, tuple(sorted(without)))


def _left_out(check: Check, why: str, videos: pd.DataFrame, advice: str) -> Iterator[Finding]:
    """Says which videos a check could not look at."""
    if len(videos):
        what = f"not looked at, {why}: {len(videos)}"
        yield Finding(check, Severity.NOTE, what, tuple(sorted(videos["video_id"])), advice)


def _subjects_of(pairs: np.ndarray, videos: pd.DataFrame) -> set[frozenset[str]]:
    subjects = videos["subject"].to_numpy()
    return {frozenset(subjects[pair]) for pair in pairs}


def _finding(check: Check, severity: Severity, what: str, where: tuple[str, ...]) -> Finding:
    return Finding(check, severity, what, where, _ADVICE[check])


def _keys(videos: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(videos[KEY])


def _folds_apart(subsets: pd.DataFrame) -> list[str]:
    """The names of the folds in which these videos stand in more than one subset.

    Args:
        subsets: one row per video, one column per fold.
    """
    num_sides = subsets.replace({RESERVE: TEST}).nunique()
    return [str(fold) for fold in num_sides.index[num_sides > 1]]


def _in_folds(folds: Sequence[str], subsets: pd.DataFrame) -> str:
    """Says in which folds, where there are several to tell apart."""
    if not folds or subsets.shape[1] == 1:
        return ""
    return f" in fold{'s' if len(folds) > 1 else ''} {', '.join(folds)}"


def _places(keys: pd.MultiIndex, subsets: pd.DataFrame, folds: Sequence[str]) -> tuple[str, ...]:
    """Each video with its subset in the first of the folds (or of all)."""
    of_fold = subsets[folds[0] if folds else subsets.columns[0]].dropna().to_dict()
    return tuple(f"{key[0]} ({of_fold.get(key, 'not used')})" for key in keys)


def _listed(names: Sequence[str] | Iterator[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
