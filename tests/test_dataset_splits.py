"""The split keeps subjects apart and never moves what it has placed."""

import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import CLASSES, Video, make_ledger, subjects, subsets_of_subjects

from fer_models.errors import UserError
from tasks.config.split_settings import SplitSettings
from tasks.dataset.splits import SUBSETS, read_split, update_split
from tasks.outcomes import Outcome


def random_subjects(rng: np.random.Generator, most: int = 30) -> list[Video]:
    """3 to `most` subjects with 1 to 12 videos each, of which at least one shows each of two classes."""
    videos = subjects(int(rng.integers(3, most + 1)), CLASSES[:2])
    for subject in {subject for subject, _ in videos}:
        videos += [(subject, str(rng.choice(CLASSES[:2]))) for _ in range(rng.integers(0, 11))]
    return videos


def sides_of_videos(split: pd.DataFrame) -> dict[str, str]:
    assert split["video_id"].is_unique
    return dict(zip(split["video_id"], split["side"], strict=True))


def draw(folder: Path, ledger: pd.DataFrame, classes: Sequence[str] = CLASSES, **settings: float) -> pd.DataFrame:
    return update_split(ledger, classes, SplitSettings(**settings), folder / "split.parquet")


def test_no_subject_is_on_two_sides_whatever_the_corpus_and_the_seed(tmp_path: Path) -> None:
    for seed in range(15):
        videos = random_subjects(np.random.default_rng(seed))
        folder = tmp_path / str(seed)
        split = draw(folder, make_ledger(videos), CLASSES[:2], seed=seed)
        assert all(len(subsets) == 1 for subsets in subsets_of_subjects(split).values()), f"corpus and seed {seed}"
        assert set(split["side"]) == set(SUBSETS)
        assert sorted(split["video_id"]) == sorted(f"v{number}" for number in range(len(videos)))


def test_no_subject_is_on_two_sides_however_a_corpus_grows(tmp_path: Path) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ledger = make_ledger(random_subjects(rng, most=10))
        split = draw(tmp_path / str(seed), ledger, CLASSES[:2], seed=seed)
        for step in range(3):
            grown = make_ledger(random_subjects(rng, most=20), prefix=f"step{step}-")
            ledger = pd.concat([ledger, grown], ignore_index=True)
            before = sides_of_videos(split)
            split = draw(tmp_path / str(seed), ledger, CLASSES[:2], seed=seed)
            after = sides_of_videos(split)
            assert {name: after[name] for name in before} == before
            assert len(after) == len(ledger)
            for subject, subsets in subsets_of_subjects(split).items():
                assert len(subsets - {"reserve"}) == 1, f"corpus {seed}: {subject} is on {subsets}"
                assert "reserve" not in subsets or "test" in subsets


def possible(videos: list[Video], classes: Sequence[str]) -> bool:
    """Whether one subject for test, one for validation and the rest for training can each show every class."""
    shown: dict[str, set[str]] = {}
    for subject, emotion in videos:
        shown.setdefault(subject, set()).add(emotion)
    for first, second in combinations(shown, 2):
        rest = set().union(*(shown[subject] for subject in shown if subject not in (first, second)))
        if shown[first] >= set(classes) and shown[second] >= set(classes) and rest >= set(classes):
            return True
    return False


def test_every_class_is_on_every_side_where_that_is_possible(tmp_path: Path) -> None:
    """Five subjects at shares of 0.2: one for test, one for validation; all assignments are tried here."""
    found = {True: 0, False: 0}
    for seed in range(25):
        rng = np.random.default_rng(seed)
        videos = [(f"p{i}", emotion) for i in range(5) for emotion in CLASSES if rng.random() < 0.6]
        videos += [(f"p{i}", "anger") for i in range(5)]
        expected = possible(videos, CLASSES)
        found[expected] += 1
        folder = tmp_path / str(seed)
        if expected:
            split = draw(folder, make_ledger(videos), seed=seed)
            table = split.merge(make_ledger(videos), on="video_id")
            assert (pd.crosstab(table["side"], table["emotion"]).loc[list(SUBSETS), list(CLASSES)] > 0).all(axis=None)
        else:
            with pytest.raises(UserError, match="has no usable video of"):
                draw(folder, make_ledger(videos), seed=seed)
            assert not (folder / "split.parquet").exists()
    assert min(found.values()) >= 5  # both cases were met


def test_three_rare_subjects_are_spread_over_three_sides(tmp_path: Path) -> None:
    rare = ("p003", "p007", "p011")
    videos = subjects(15, CLASSES[:2]) + [(subject, "sadness") for subject in rare]
    for seed in range(5):
        split = draw(tmp_path / str(seed), make_ledger(videos), seed=seed)
        subsets = subsets_of_subjects(split)
        assert set().union(*(subsets[subject] for subject in rare)) == set(SUBSETS)


def test_a_class_that_only_seems_to_be_there_is_not_counted(tmp_path: Path) -> None:
    """Three subjects show sadness in a usable video; the others' sad videos hold no face."""
    rare = [("p000", "sadness"), ("p001", "sadness"), ("p002", "sadness")]
    good = make_ledger(subjects(9, CLASSES[:2]) + rare)
    bad = make_ledger([(f"p{i:03d}", "sadness") for i in range(3, 9)], "no_face", "bad")
    for seed in range(10):
        split = draw(tmp_path / str(seed), pd.concat([good, bad], ignore_index=True), seed=seed)
        subsets = subsets_of_subjects(split)
        assert set().union(*(subsets[subject] for subject, _ in rare)) == set(SUBSETS)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.2, 0.2), [6, 2, 2]), ((0.1, 0.3), [6, 1, 3]), ((0.01, 0.01), [8, 1, 1]), ((0.4, 0.5), [1, 4, 5])],
)
def test_sides_have_their_share_of_the_subjects(
    tmp_path: Path, shares: tuple[float, float], expected: list[int]
) -> None:
    split = draw(tmp_path, make_ledger(subjects(10)), validation_share=shares[0], test_share=shares[1])
    assert [split.loc[split["side"] == subset, "subject"].nunique() for subset in SUBSETS] == expected


def test_classes_are_shared_fairly(tmp_path: Path) -> None:
    """Ten subjects with a class each in excess: no subset gets all the subjects of one class."""
    videos = subjects(30, CLASSES) + [(f"p{i:03d}", CLASSES[i % 3]) for i in range(30) for _ in range(10)]
    split = draw(tmp_path, make_ledger(videos)).merge(make_ledger(videos), on="video_id")
    shares = pd.crosstab(split["side"], split["emotion"], normalize="index")
    assert (shares - 1 / 3).abs().max(axis=None) < 0.05


def test_the_same_corpus_and_seed_give_the_same_split(tmp_path: Path) -> None:
    ledger = make_ledger(random_subjects(np.random.default_rng(1)))
    first = draw(tmp_path / "1", ledger, CLASSES[:2])
    again = draw(tmp_path / "2", ledger, CLASSES[:2])
    shuffled = draw(tmp_path / "3", ledger.sample(frac=1, random_state=0), CLASSES[:2])
    pd.testing.assert_frame_equal(first, again)
    assert sides_of_videos(first) == sides_of_videos(shuffled)


def test_another_seed_gives_another_split(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(20))
    splits = [sides_of_videos(draw(tmp_path / str(seed), ledger, seed=seed)) for seed in range(3)]
    assert splits[0] != splits[1]
    assert splits[1] != splits[2]


def test_a_second_time_changes_nothing_whatever_the_seed(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    first = draw(tmp_path, ledger, seed=1)
    second = draw(tmp_path, ledger, seed=2)
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(read_split(tmp_path / "split.parquet"), first)


def test_new_videos_follow_their_subject_and_move_nothing(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    before = draw(tmp_path, ledger)
    (subject_on,) = ({subset: before.loc[before["side"] == subset, "subject"].iloc[0] for subset in SUBSETS},)
    new = make_ledger([(subject_on[subset], "fear") for subset in SUBSETS], prefix="new")
    after = sides_of_videos(draw(tmp_path, pd.concat([new, ledger], ignore_index=True)))
    assert [after.pop(f"new{number}") for number in range(3)] == ["train", "validation", "reserve"]
    assert after == sides_of_videos(before)


def test_a_video_in_reserve_stays_there_and_so_does_the_next(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    split = draw(tmp_path, ledger)
    subject = split.loc[split["side"] == "test", "subject"].iloc[0]
    for prefix in ("new", "newer"):
        ledger = pd.concat([ledger, make_ledger([(subject, "fear")], prefix=prefix)], ignore_index=True)
        split = draw(tmp_path, ledger)
    subsets = sides_of_videos(split)
    assert (subsets["new0"], subsets["newer0"]) == ("reserve", "reserve")


def test_new_subjects_join_training_and_validation_but_never_test(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    before = draw(tmp_path, ledger)
    new = make_ledger(subjects(30, first=10), prefix="new")
    split = draw(tmp_path, pd.concat([ledger, new], ignore_index=True))
    joined = split[split["video_id"].str.startswith("new")]
    assert all(len(subsets) == 1 for subsets in subsets_of_subjects(split).values())
    counts = joined.groupby("side")["subject"].nunique().to_dict()
    assert set(counts) == {"train", "validation"}
    assert counts["validation"] / counts["train"] == pytest.approx(1 / 3, abs=0.1)  # 0.2 to 0.6
    assert set(split.loc[split["side"] == "test", "video_id"]) == set(before.loc[before["side"] == "test", "video_id"])


def test_a_video_that_left_the_corpus_keeps_its_side(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    before = sides_of_videos(draw(tmp_path, ledger))
    draw(tmp_path, ledger.iloc[1:])
    assert sides_of_videos(draw(tmp_path, ledger)) == before


def test_a_corrected_subject_puts_no_subject_on_two_sides(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(10))
    split = draw(tmp_path, ledger)
    tested = split.loc[split["side"] == "test", "subject"].iloc[0]
    trained = split.loc[split["side"] == "train", "video_id"].iloc[0]
    corrected = ledger.assign(subject=ledger["subject"].where(ledger["video_id"] != trained, tested))
    try:
        split = draw(tmp_path, corrected)
    except UserError:
        return  # refusing is as good
    table = split[["video_id", "side"]].merge(corrected, on="video_id")
    assert set(table.loc[table["subject"] == tested, "side"]) <= {"test", "reserve"}


@pytest.mark.parametrize("outcome", [Outcome.NO_FACE, Outcome.CRASHED, Outcome.FILE_MISSING])
def test_a_video_that_could_not_be_used_has_a_side(tmp_path: Path, outcome: Outcome) -> None:
    lost = make_ledger([("p000", "anger")], outcome, "lost")
    subsets = draw(tmp_path, pd.concat([make_ledger(subjects(5)), lost], ignore_index=True))
    subject = subsets[subsets["subject"] == "p000"]
    assert "lost0" in set(subject["video_id"])
    assert subject["side"].nunique() == 1


@pytest.mark.parametrize("outcome", [Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT])
def test_a_video_that_is_no_part_of_the_study_has_none(tmp_path: Path, outcome: Outcome) -> None:
    strange = make_ledger([("p000", "anger")], outcome, "strange")
    nameless = make_ledger([("", "anger")], prefix="nameless")
    other = make_ledger([("p000", "boredom")], prefix="other")
    ledger = pd.concat([make_ledger(subjects(5)), strange, nameless, other], ignore_index=True)
    assert set(draw(tmp_path, ledger)["video_id"]) == {f"v{number}" for number in range(15)}


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_subjects(tmp_path: Path, number: int) -> None:
    with pytest.raises(UserError, match=rf"{number} people are too few .*1 for test, 1 for validation.*at least 3"):
        draw(tmp_path, make_ledger(subjects(number)))
    assert not (tmp_path / "split.parquet").exists()


def test_three_subjects_are_enough(tmp_path: Path) -> None:
    assert sorted(draw(tmp_path, make_ledger(subjects(3)))["side"].unique()) == ["test", "train", "validation"]


def test_nothing_to_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing to split; check corpus\.adapter"):
        draw(tmp_path, make_ledger([("", ""), ("", "")]))


def test_a_class_that_is_missing_on_a_side_is_named_with_the_counts(tmp_path: Path) -> None:
    """Only one of three subjects shows sadness."""
    ledger = make_ledger([*subjects(3, CLASSES[:2]), ("p000", "sadness")])
    with pytest.raises(
        UserError, match=r"subset \(1 people\) has no usable video of sadness \(it has anger 1, fear 1, sad"
    ):
        draw(tmp_path, ledger)
    assert not (tmp_path / "split.parquet").exists()


def test_videos_without_a_usable_segment_do_not_fill_a_side(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(3))
    ledger.loc[ledger["emotion"] == "sadness", "num_covered"] = 0
    with pytest.raises(UserError, match="no usable video of sadness"):
        draw(tmp_path, ledger)


def test_no_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`fer split` first"):
        read_split(tmp_path / "split.parquet")


def test_a_renamed_video_keeps_its_side(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(6))
    before = draw(tmp_path, ledger)
    renamed = ledger.assign(video_id="new/" + ledger["video_id"])
    after = draw(tmp_path, renamed)
    assert sides_of_videos(after) == {f"new/{video}": subset for video, subset in sides_of_videos(before).items()}


def test_new_content_under_an_old_name_never_joins_the_test_side(tmp_path: Path) -> None:
    ledger = make_ledger(subjects(8))
    before = draw(tmp_path, ledger)
    changed = [before.loc[before["side"] == subset, "video_id"].iloc[0] for subset in SUBSETS]
    other = ledger.assign(sha256=ledger["sha256"].where(~ledger["video_id"].isin(changed), "other"))
    draw(tmp_path, other)
    after = read_split(tmp_path / "split.parquet")
    rows = after[after["video_id"].isin(changed)].set_index(["video_id", "sha256"])["side"].to_dict()
    assert rows == {
        (changed[0], "other"): "train",
        (changed[1], "other"): "validation",
        (changed[2], f"content of {changed[2]}"): "test",
        (changed[2], "other"): "reserve",
    }
    tested = after[after["side"] == "test"]
    pd.testing.assert_frame_equal(
        tested.reset_index(drop=True), before[before["side"] == "test"].reset_index(drop=True)
    )


def respelled(ledger: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return ledger.assign(subject=ledger["subject"].replace(names))


@pytest.mark.parametrize(
    ("before", "after"),
    [("7.0", "7"), ("007", "7"), ("7", "007"), ("Jose\u0301", "Jos\u00e9"), ("Jos\u200b\u00e9 ", "Jos\u00e9")],
)
def test_a_split_that_was_drawn_with_other_spellings_goes_on(tmp_path: Path, before: str, after: str) -> None:
    """Numbers among numbers; a new video of that subject follows it."""
    others = [str(number) for number in range(10, 19)] if after.isdecimal() else [f"p{i}" for i in range(9)]
    videos = [(name, emotion) for name in (before, *others) for emotion in CLASSES]
    first = draw(tmp_path, make_ledger(videos))
    more = pd.concat([make_ledger(videos), make_ledger([(after, "fear")], prefix="new")], ignore_index=True)
    split = draw(tmp_path, respelled(more, {before: after}))
    assert before not in set(split["subject"])
    before_sides = sides_of_videos(first)
    assert {name: subset for name, subset in sides_of_videos(split).items() if name in before_sides} == before_sides
    assert len(subsets_of_subjects(split)[after] - {"reserve"}) == 1


def test_two_names_of_one_subject_on_two_sides_are_not_kept(tmp_path: Path) -> None:
    subjects = [str(number) for number in range(10)] + [f"{number}.0" for number in range(10)]
    videos = [(name, emotion) for name in subjects for emotion in CLASSES]
    subsets = subsets_of_subjects(draw(tmp_path, make_ledger(videos)))
    apart = next(name for name in subjects if subsets[name] != subsets.get(f"{name}.0", subsets[name]))
    now = make_ledger([(name.removesuffix(".0"), emotion) for name, emotion in videos])
    with pytest.raises(
        UserError, match=rf"with '{apart}' and '{apart}.0' as several people, in two subsets, who are one"
    ):
        draw(tmp_path, now)


def test_names_that_are_two_subjects_now_stay_two(tmp_path: Path) -> None:
    """`1` and `1.0` in a corpus where not all names are numbers, whose videos in the study are all of numbers."""
    videos = [(name, emotion) for name in ("1", "1.0", "2", "3", "4") for emotion in CLASSES]
    first = draw(tmp_path, make_ledger(videos))
    pd.testing.assert_frame_equal(draw(tmp_path, make_ledger(videos)), first)


@pytest.mark.slow
def test_hundreds_of_people_are_left_out_one_by_one_in_seconds(tmp_path: Path) -> None:
    """The table has a row for each video in each fold, 1.5 million; it grows with the square, the work no faster."""
    emotions = ("anger", "fear", "sadness")
    rows = [
        (f"v{subject}-{number}", f"{subject}-{number}", f"S{subject:03d}", emotions[number % 3])
        for subject in range(500)
        for number in range(6)
    ]
    videos = pd.DataFrame(rows, columns=["video_id", "sha256", "subject", "emotion"])
    videos = videos.assign(outcome="ok", num_covered=2)
    settings = SplitSettings(protocol="loso")
    start_s = time.process_time()
    split = update_split(videos, emotions, settings, tmp_path / "split.parquet")
    assert time.process_time() - start_s < 20, "4 s here, 92 s when each fold was looked at alone"
    assert len(split) == 500 * len(videos)
    assert (split[split["side"] == "test"].groupby("fold")["subject"].nunique() == 1).all()
    start_s = time.process_time()
    again = update_split(videos, emotions, settings, tmp_path / "split.parquet")
    assert time.process_time() - start_s < 20
    pd.testing.assert_frame_equal(again, split)
