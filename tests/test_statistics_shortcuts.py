"""A label that can be guessed from the files is found; few subjects, habits and chance are not taken for one."""

import numpy as np
import pandas as pd
import pytest

from fer_models.statistics.shortcuts import find_shortcut
from tasks.dataset.file_properties import check_properties
from tasks.dataset.findings import Check, Severity

CLASSES = ("anger", "disgust", "fear", "happiness")


def corpus(num_subjects: int, each: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels and subjects, of whom each shows every class so often."""
    labels = np.tile(np.repeat(CLASSES, each), num_subjects)
    return labels, np.repeat([f"person {number}" for number in range(num_subjects)], each * len(CLASSES))


def test_a_class_with_a_camera_of_its_own_is_found() -> None:
    labels, subjects = corpus(8)
    fps = np.where(labels == "anger", 50.0, 25.0)
    width = np.full(len(labels), 640.0)
    shortcut = find_shortcut({"fps": fps, "width": width, "codec": np.arange(len(labels)) % 2.0}, labels, subjects)
    assert shortcut
    assert shortcut.best == "fps"
    assert shortcut.score >= 0.45
    assert shortcut.chance == 0.25


def test_classes_from_corpora_of_their_own_are_found() -> None:
    """Each subject shows one class, and each class was filmed with another camera."""
    subjects = np.repeat([f"person {number}" for number in range(16)], 3)
    labels = np.repeat(np.tile(CLASSES, 4), 3)
    shortcut = find_shortcut({"size": np.searchsorted(CLASSES, labels).astype(float)}, labels, subjects)
    assert shortcut
    assert shortcut.score == 1.0


def test_what_only_two_properties_together_tell_is_found() -> None:
    rng = np.random.default_rng(3)
    labels, subjects = np.tile(["anger", "fear"], 60), np.repeat(np.arange(20).astype(str), 6)
    fps = rng.integers(0, 2, 120).astype(float)
    codec = np.where(labels == "anger", fps, 1 - fps)
    assert find_shortcut({"fps": fps, "codec": codec}, labels, subjects)


def test_a_camera_a_subject_is_no_shortcut() -> None:
    labels, subjects = corpus(12, 2)
    camera = np.unique(subjects, return_inverse=True)[1] % 3
    assert find_shortcut({"fps": camera * 10.0}, labels, subjects) is None


def test_chance_is_hardly_ever_taken_for_a_shortcut() -> None:
    """In small corpora too, and where everybody shows one class only and has a camera of their own."""
    rng = np.random.default_rng(7)
    found = 0
    for number in range(60):
        labels, subjects = corpus(int(rng.integers(4, 9)))
        if number % 2:
            subjects = np.repeat(np.arange(10).astype(str), 4)
            labels = np.repeat(rng.choice(CLASSES, 10), 4)
        of_subject = {subject: rng.choice([24.0, 25.0, 30.0, 50.0]) for subject in np.unique(subjects)}
        by_video = rng.choice([24.0, 25.0, 30.0], len(labels))
        by_subject = np.array([of_subject[subject] for subject in subjects])
        found += find_shortcut({"fps": by_video, "size": by_subject}, labels, subjects) is not None
    assert found <= 2


@pytest.mark.parametrize("num_subjects", [1, 3])
def test_too_few_subjects_tell_nothing(num_subjects: int) -> None:
    labels, subjects = corpus(num_subjects, 4)
    assert find_shortcut({"fps": np.searchsorted(CLASSES, labels).astype(float)}, labels, subjects) is None


def videos(**facts: object) -> pd.DataFrame:
    labels, subjects = corpus(8, 2)
    rows = {"emotion": labels, "subject": subjects, "width": 640, "height": 360, "fps": 25.0, "codec": "h264"}
    return pd.DataFrame({**rows, "repeated_share": 0.0, **facts})


def sides(rows: pd.DataFrame) -> pd.DataFrame:
    """Two of eight subjects are tested."""
    return pd.DataFrame({0: np.where(rows["subject"].isin(["person 6", "person 7"]), "test", "train")})


def test_files_that_are_all_of_one_make_are_no_finding() -> None:
    assert list(check_properties(videos(), sides(videos()))) == []


@pytest.mark.parametrize(
    ("column", "value", "best"),
    [
        ("fps", 50.0, "frames per second"),
        ("width", 320, "resolution"),
        ("codec", "mpeg4", "codec"),
        ("repeated_share", 0.5, "repeated frames, %"),
    ],
)
def test_a_class_that_its_files_give_away_is_a_warning(column: str, value: object, best: str) -> None:
    rows = videos()
    rows[column] = rows[column].where(rows["emotion"] != "fear", value)
    (finding,) = check_properties(rows, sides(rows))
    assert (finding.check, finding.severity) == (Check.PROPERTIES, Severity.WARNING)
    assert finding.what.startswith("the label can be guessed from the file's properties (fps, size, codec): balanced")
    assert f"against chance 0.25; {best} tells most" in finding.what
    assert [place.partition(":")[0] for place in finding.where] == list(CLASSES)
    assert str(value).removesuffix(".0").replace("0.5", "50") in finding.where[2]


def test_a_test_side_of_another_camera_is_a_note() -> None:
    rows = videos()
    where = sides(rows)
    rows["fps"] = rows["fps"].where((where[0] == "train").to_numpy(), 50.0)
    (finding,) = check_properties(rows, where)
    assert finding.severity is Severity.NOTE
    assert finding.what == "the test subset differs from the training subset in frames per second: 50 against 25"


def test_a_ledger_of_an_older_version_is_looked_at_as_far_as_it_goes() -> None:
    rows = videos().drop(columns=["codec", "repeated_share"])
    rows["fps"] = rows["fps"].where(rows["emotion"] != "fear", 50.0)
    assert len(list(check_properties(rows, sides(rows)))) == 1
    assert list(check_properties(rows.drop(columns=["fps", "width", "height"]), sides(rows))) == []
