"""Protocols of several folds: everybody is tested once, nested validation, nobody in two subsets of a fold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import CLASSES, make_ledger, subjects, subsets_of_subjects

from fer_models.errors import UserError
from tasks.config.split_settings import SplitSettings
from tasks.dataset.folds import assign_groups
from tasks.dataset.splits import fold_names, read_split, update_split


def draw(folder: Path, ledger: pd.DataFrame, classes: Sequence[str] = CLASSES, **settings: object) -> pd.DataFrame:
    split = SplitSettings(**settings)
    return update_split(ledger, classes, split, folder / f"{split.name}.parquet")


def subjects_tested(split: pd.DataFrame) -> pd.Series:
    """The subjects who are tested, by fold."""
    return split[split["side"] == "test"].groupby("fold")["subject"].unique()


def check_nested(split: pd.DataFrame, num_subjects: int) -> None:
    for _, rows in split.groupby("fold"):
        assert rows["subject"].nunique() == num_subjects
        assert all(len(subsets) == 1 for subsets in subsets_of_subjects(rows).values())
        assert set(rows["side"]) == {"train", "validation", "test"}
    names = np.concatenate(subjects_tested(split).to_list())
    assert len(names) == len(set(names)) == num_subjects, "everybody is tested in one fold"


def test_k_folds_test_everybody_once(tmp_path: Path) -> None:
    split = draw(tmp_path, make_ledger(subjects(11)), protocol="kfold", folds=4)
    check_nested(split, 11)
    assert sorted(map(len, subjects_tested(split))) == [2, 3, 3, 3]
    validating = split[split["side"] == "validation"].groupby("fold")["subject"].nunique()
    assert set(validating) == {2}, "a fifth of the eight or nine others"


def test_folds_are_alike_in_classes(tmp_path: Path) -> None:
    """Each of nine subjects shows one class often; no fold of three gets the three of one class."""
    videos = subjects(9) + [(f"p{i:03d}", CLASSES[i % 3]) for i in range(9) for _ in range(8)]
    split = draw(tmp_path, make_ledger(videos), protocol="kfold", folds=3)
    table = split[split["side"] == "test"].merge(make_ledger(videos)[["video_id", "emotion"]], on="video_id")
    assert (pd.crosstab(table["fold"], table["emotion"]) == 11).all(axis=None)


def test_leave_one_subject_out(tmp_path: Path) -> None:
    split = draw(tmp_path, make_ledger(subjects(5)), protocol="loso")
    check_nested(split, 5)
    assert subjects_tested(split).map(len).to_list() == [1] * 5


def test_who_has_no_usable_video_needs_no_fold(tmp_path: Path) -> None:
    lost = make_ledger([("lost", "anger")], "no_face", "lost")
    split = draw(tmp_path, pd.concat([make_ledger(subjects(5)), lost], ignore_index=True), protocol="loso")
    assert split["fold"].nunique() == 5
    assert sum("lost" in names for names in subjects_tested(split)) == 1, "but its videos count as errors once"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_folds_of_a_published_protocol(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"subject": [f"p{i:03d}" for i in range(7)], "fold": ["b", "a", "c", "a", "b", "c", "a"]})
    path = tmp_path / f"published.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    split = draw(tmp_path, make_ledger(subjects(7)), protocol="file", folds_file=path)
    check_nested(split, 7)
    assert [sorted(names) for names in subjects_tested(split)] == [
        ["p001", "p003", "p006"],
        ["p000", "p004"],
        ["p002", "p005"],
    ]
    assert (tmp_path / "file-published-validation0.2-seed7.parquet").is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("subject,fold\np000,1\np001,2\n", r"no fold for 3 people \(p002 \(did you mean 'p00"),
        ("subject,fold\np000,1\np001,2\np002,1\np003,1\np004,1\np004,2\n", "puts p004 into two folds"),
        ("subject,fold\np000,1\np001,1\np002,1\np003,1\np004,1\n", "everybody into one fold"),
        ("person,fold\np000,1\n", "has no column subject; it needs subject, fold and has person, fold"),
    ],
)
def test_a_table_of_folds_that_does_not_fit(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        draw(tmp_path, make_ledger(subjects(5)), protocol="file", folds_file=path)


def test_more_folds_than_subjects(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"4 people are too few for split.folds=5"):
        draw(tmp_path, make_ledger(subjects(4)), protocol="kfold", folds=5)


def test_new_videos_never_join_a_test_side(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(6))
    before = draw(tmp_path, ledger, protocol="kfold", folds=3)
    new = make_ledger([("p000", "fear"), ("newcomer", "fear")], prefix="new")
    after = draw(tmp_path, pd.concat([ledger, new], ignore_index=True), protocol="kfold", folds=3)
    pd.testing.assert_frame_equal(
        after[after["side"] == "test"].reset_index(drop=True), before[before["side"] == "test"].reset_index(drop=True)
    )
    of_known = after[after["video_id"] == "new0"]
    assert sorted(of_known["side"]) == sorted(
        before[before["video_id"] == "v0"]["side"].replace({"test": "reserve"})
    ), "it follows its subject"
    assert set(after.loc[after["video_id"] == "new1", "side"]) <= {"train", "validation"}


def test_every_protocol_has_a_split_of_its_own(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(6))
    for settings in ({"protocol": "holdout"}, {"protocol": "kfold", "folds": 3}, {"protocol": "loso"}, {"seed": 3}):
        draw(tmp_path, ledger, **settings)
    assert len(list(tmp_path.glob("*.parquet"))) == 4


def test_dealing_finds_the_only_fair_deal() -> None:
    """Two subjects with class 0 and two with class 1 into two groups of two."""
    counts = np.array([[5, 0], [5, 0], [0, 5], [0, 5]], float)
    groups = assign_groups(counts, [2, 2], np.random.default_rng(0))
    assert counts[groups == 0].sum(axis=0).tolist() == [5, 5]


def test_of_a_hundred_thousand_subjects_few_deals_are_tried() -> None:
    """Each shows one of ten classes, the rarest of them 500 times."""
    counts = np.eye(10)[np.repeat(np.arange(10), [55_000, *[5_000] * 8, 500])]
    sizes = [19_100, 19_100, 57_300]
    groups = assign_groups(counts, sizes, np.random.default_rng(0))
    assert np.bincount(groups).tolist() == sizes
    shares = np.array([counts[groups == group].mean(axis=0) for group in range(3)])
    assert np.abs(shares / shares.mean(axis=0) - 1).max() < 0.25


@pytest.mark.parametrize(
    "text",
    [
        "Subject;Fold \r\n7;1\r\n8.0;1.0\r\n9;2\r\n010;2\r\n;;\r\n",
        "\ufeffsubject,fold\n007,a\n08,a\n\uff19,b\n10\u200b,b\n",
    ],
)
def test_a_table_of_folds_spells_subjects_otherwise(tmp_path: Path, text: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text(text)
    ledger = make_ledger([(name, emotion) for name in ("07", "8", "9", "10") for emotion in CLASSES])
    split = draw(tmp_path, ledger, protocol="file", folds_file=path)
    assert [sorted(names) for names in subjects_tested(split)] == [["07", "8"], ["10", "9"]]


def test_a_subject_twice_in_a_table_of_folds(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    path.write_text("subject,fold\n1,a\n1.0,b\n2,a\n3,b\n4,\n")
    with pytest.raises(UserError, match="puts 1 into two folds"):
        draw(tmp_path, make_ledger([(name, e) for name in "1234" for e in CLASSES]), protocol="file", folds_file=path)
    path.write_text("subject,fold\n1,a\n2,a\n3,b\n4,\n")
    with pytest.raises(UserError, match=r"no fold for 1 people \(4"):
        draw(tmp_path, make_ledger([(name, e) for name in "1234" for e in CLASSES]), protocol="file", folds_file=path)


def draw_from(path: Path, folds: Sequence[object]) -> pd.DataFrame:
    """A split by a table that puts one subject after the other into these folds."""
    named = [f"p{number:03d}" for number in range(len(folds))]
    path.write_text("\n".join(["subject,fold", *(f"{name},{fold}" for name, fold in zip(named, folds, strict=True))]))
    return draw(path.parent, make_ledger(subjects(len(folds))), protocol="file", folds_file=path)


@pytest.mark.parametrize(
    ("folds", "names"),
    [
        (range(1, 12), {number: str(number) for number in range(1, 12)}),
        (["03", "01", "10", "02"], {1: "01", 2: "02", 3: "03", 10: "10"}),
        (["1.0", "2.0", "10.0"], {1: "1", 2: "2", 10: "10"}),
        (["fold 10", "fold 9", "fold 1"], {0: "fold 1", 1: "fold 9", 2: "fold 10"}),
        (["b2", "b10", "a"], {0: "a", 1: "b2", 2: "b10"}),
        (["1", "2", "rest"], {0: "1", 1: "2", 2: "rest"}),
        (["99999999999", "1", "2"], {0: "1", 1: "2", 2: "99999999999"}),
    ],
    ids=["numbers", "zeros", "a spreadsheet's", "words", "letters", "mixed", "beyond the column"],
)
def test_folds_are_called_as_their_table_calls_them(
    tmp_path: Path, folds: Sequence[object], names: dict[int, str]
) -> None:
    split = draw_from(tmp_path / "folds.csv", folds)
    assert fold_names(split) == names
    tested = split[split["side"] == "test"].drop_duplicates("subject").set_index("subject")["fold_name"]
    assert [tested[f"p{at:03d}"] for at in range(len(folds))] == [str(fold).removesuffix(".0") for fold in folds]


def test_a_split_from_before_gets_the_names_of_its_table(tmp_path: Path) -> None:
    """Its folds were numbered in the order of their names as texts; they keep their numbers."""
    split = draw_from(tmp_path / "folds.csv", range(1, 12))
    path = tmp_path / "file-folds-validation0.2-seed7.parquet"
    former = {name: number for number, name in enumerate(sorted(map(str, range(1, 12))))}
    before = read_split(path).assign(fold=split["fold_name"].map(former).astype("int32")).drop(columns="fold_name")
    before.to_parquet(path)
    assert fold_names(read_split(path))[9] == "9"
    assert fold_names(draw_from(tmp_path / "folds.csv", range(1, 12))) == {at: name for name, at in former.items()}


@pytest.mark.parametrize("folds", [["b"], ["b", "b"], ["a", "c"]])
def test_subjects_who_bring_a_class_are_tested_where_the_table_puts_them(tmp_path: Path, folds: Sequence[str]) -> None:
    """However few they are, and whether or not they are all of one fold."""
    newcomers = [f"q{number}" for number in range(len(folds))]
    table = {f"p{number:03d}": "abc"[number % 3] for number in range(9)} | dict(zip(newcomers, folds, strict=True))
    path = tmp_path / "folds.csv"
    path.write_text("\n".join(["subject,fold", *map(",".join, table.items())]))
    before = draw(tmp_path, make_ledger(subjects(9, CLASSES[:2])), CLASSES[:2], protocol="file", folds_file=path)
    videos = subjects(9, CLASSES[:2]) + [
        (name, CLASSES[2]) for name in (*(f"p{at:03d}" for at in range(9)), *newcomers)
    ]
    split = draw(tmp_path, make_ledger(videos), protocol="file", folds_file=path)
    check_nested(split, 9 + len(folds))
    tested = split[split["side"] == "test"].drop_duplicates("subject").set_index("subject")["fold_name"]
    assert tested.to_dict() == table
    assert len(split.merge(before)) == len(before), "nobody moved"


def test_a_study_of_subjects_of_one_fold_is_no_fault_of_the_table(tmp_path: Path) -> None:
    """They are a part of those that the split was drawn for."""
    draw_from(tmp_path / "folds.csv", ["a", "a", "a", "b", "c"])
    settings = {"protocol": "file", "folds_file": tmp_path / "folds.csv"}
    ledger = make_ledger(subjects(5))
    left = ledger[ledger["subject"].isin(["p000", "p001", "p002"])]
    with pytest.raises(UserError, match="has no usable video of"):
        draw(tmp_path, left, **settings)


def test_another_table_under_the_name_of_the_first_is_told(tmp_path: Path) -> None:
    draw_from(tmp_path / "folds.csv", [1, 1, 2, 2, 3, 3])
    for other in ([1, 2, 1, 2, 3, 3], [1, 1, 1, 1, 2, 2]):
        with pytest.raises(UserError, match=r"is not the table that this split was drawn from.*split\.seed"):
            draw_from(tmp_path / "folds.csv", other)
    draw_from(tmp_path / "folds.csv", ["a", "a", "b", "b", "c", "c"])  # the same under other names
