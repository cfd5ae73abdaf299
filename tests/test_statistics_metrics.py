"""Scores against cases worked by hand, and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from fer_models.statistics.metrics import by_video, count_confusions, pooled, score, scores_by_group

CLASSES = ("a", "b", "c")


def probabilities_of(predicted: list[int], sure: float = 0.8) -> np.ndarray:
    """Probabilities (n, 3) whose winner is `predicted`, with `sure` on it."""
    rows = np.full((len(predicted), 3), (1 - sure) / 2)
    rows[np.arange(len(predicted)), predicted] = sure
    return rows


def test_hand_computed_case():
    # a: 2 of 3 found; b: 1 of 2; c: 1 of 1. Predicted a: 2 of 3 right; b: 1 of 2; c: 1 of 1.
    scores = score(np.array([0, 0, 0, 1, 1, 2]), probabilities_of([0, 0, 1, 1, 0, 2]), CLASSES)
    assert scores.num_items == 6
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.recall == pytest.approx({"a": 2 / 3, "b": 1 / 2, "c": 1.0})
    assert scores.precision == pytest.approx({"a": 2 / 3, "b": 1 / 2, "c": 1.0})
    assert scores.uar == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.loss == pytest.approx(-(4 * math.log(0.8) + 2 * math.log(0.1)) / 6)


def test_one_class_only():
    scores = score(np.array([1, 1, 1, 1]), probabilities_of([1, 1, 1, 0]), CLASSES)
    assert scores.accuracy == scores.uar == pytest.approx(3 / 4)
    assert scores.macro_f1 == pytest.approx(2 * 1.0 * 0.75 / 1.75)
    assert scores.recall == pytest.approx({"a": 0.0, "b": 0.75, "c": 0.0})
    assert scores.precision == pytest.approx({"a": 0.0, "b": 1.0, "c": 0.0})


def test_an_absent_class_does_not_count_but_its_false_alarms_do():
    labels, predicted = np.array([0, 0, 2, 2]), [0, 1, 2, 2]
    scores = score(labels, probabilities_of(predicted), CLASSES)
    assert scores.uar == pytest.approx((1 / 2 + 1) / 2)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert scores.recall["b"] == scores.precision["b"] == 0.0


def test_a_class_that_is_never_predicted_has_precision_0():
    scores = score(np.array([0, 1, 2]), probabilities_of([0, 0, 0]), CLASSES)
    assert scores.precision == pytest.approx({"a": 1 / 3, "b": 0.0, "c": 0.0})
    assert scores.uar == pytest.approx(1 / 3)


def test_all_wrong_and_certain_gives_a_finite_loss():
    scores = score(np.array([0, 1]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), CLASSES)
    assert scores.accuracy == scores.uar == scores.macro_f1 == 0.0
    assert scores.loss == pytest.approx(-math.log(1e-7))


def test_the_first_of_equal_probabilities_wins():
    scores = score(np.array([0, 1]), np.full((2, 3), 1 / 3), CLASSES)
    assert scores.recall == {"a": 1.0, "b": 0.0, "c": 0.0}


def test_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 300)
    probabilities = rng.dirichlet(np.ones(6), 300)
    predicted = probabilities.argmax(axis=1)
    scores = score(labels, probabilities, tuple("abcdef"))
    assert scores.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert scores.uar == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores.loss == pytest.approx(log_loss(labels, probabilities, labels=range(6)))


def test_flat_names_every_score():
    flat = score(np.array([0, 1]), probabilities_of([0, 0]), ("a", "b", "c")).flat("test")
    assert set(flat) == {"test_accuracy", "test_uar", "test_macro_f1", "test_loss"} | {
        f"test_{name}_{emotion}" for name in ("precision", "recall") for emotion in CLASSES
    }
    assert flat["test_recall_a"] == 1.0
    assert flat["test_precision_a"] == 0.5


def test_confusions_are_true_by_row_and_keep_absent_classes():
    counts = count_confusions(np.array([0, 0, 2]), np.array([1, 0, 0]), 4)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


def test_mean_by_video_sorts_names_and_averages_segments_that_are_not_neighbours():
    videos = np.array(["v2", "v1", "v2", "v10", "v1", "v2"])
    labels = np.array([2, 1, 2, 0, 1, 2])
    probabilities = np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.4], [0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
    names, video_labels, means = by_video(videos, labels, probabilities)
    assert names.tolist() == ["v1", "v10", "v2"]
    assert video_labels.tolist() == [1, 0, 2]
    np.testing.assert_allclose(means, [[0.75, 0.25], [0.3, 0.7], [0.5, 0.5]])


def test_mean_by_video_adds_in_double_precision():
    probabilities = np.full((30_000, 1), 0.1, np.float32)
    _, _, means = by_video(np.zeros(30_000, int), np.zeros(30_000, int), probabilities)
    assert means.dtype == np.float64
    assert means[0, 0] == pytest.approx(float(np.float32(0.1)), rel=1e-9)


def test_by_video_counts_votes_or_weighs_logits():
    videos, labels = np.array(["b", "a", "b", "b"]), np.array([1, 0, 1, 1])
    probabilities = np.array([[0.4, 0.6], [0.7, 0.3], [0.9, 0.1], [0.4, 0.6]])
    names, video_labels, votes = by_video(videos, labels, probabilities, "majority")
    assert names.tolist() == ["a", "b"]
    assert video_labels.tolist() == [0, 1]
    # b: one vote against two, and the mean (1.7 / 3, 1.3 / 3) as a fourth.
    np.testing.assert_allclose(votes, [[1.7 / 2, 0.3 / 2], [(1 + 1.7 / 3) / 4, (2 + 1.3 / 3) / 4]])
    geometric = np.array([0.4 * 0.9 * 0.4, 0.6 * 0.1 * 0.6]) ** (1 / 3)
    _, _, weighed = by_video(videos, labels, probabilities, "logit_mean")
    np.testing.assert_allclose(weighed, [[0.7, 0.3], geometric / geometric.sum()])
    _, _, means = by_video(videos, labels, probabilities)
    np.testing.assert_allclose(means, by_video(videos, labels, probabilities)[2])
    assert means[1].argmax() != votes[1].argmax()


def test_the_mean_breaks_a_tie_of_votes():
    probabilities = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    _, _, votes = by_video(np.zeros(2, int), np.ones(2, int), probabilities, "majority")
    np.testing.assert_allclose(votes, [[1.35 / 3, 1.65 / 3, 0.0]])


def test_a_probability_of_0_leaves_mean_logits_finite():
    _, _, weighed = by_video(np.zeros(2, int), np.zeros(2, int), np.array([[1.0, 0.0], [0.0, 1.0]]), "logit_mean")
    np.testing.assert_allclose(weighed, [[0.5, 0.5]])


def test_mean_logits_know_every_probability_that_float32_can_hold():
    """A linear machine's decision on a video is the mean of those on its segments, however sure it is of some."""
    logits = np.array([[0.0, -80.0], [-75.0, 0.0]])
    probabilities = np.exp(logits).astype(np.float32)
    found = pooled(probabilities, np.zeros(2, int), "logit_mean")
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-2.5)), 1 / (1 + np.exp(2.5))]], rtol=1e-6)


def test_groups_are_scored_over_the_classes_they_have():
    subjects = np.array(["s2", "s1", "s2", "s1", "s3"])
    scores = scores_by_group(subjects, np.array([0, 0, 1, 0, 2]), probabilities_of([0, 0, 0, 1, 2]), CLASSES)
    assert list(scores) == ["s1", "s2", "s3"]
    assert [scores[name].uar for name in scores] == [0.5, 0.5, 1.0]
    assert [scores[name].num_items for name in scores] == [2, 2, 1]
    assert scores["s2"].accuracy == balanced_accuracy_score([0, 1], [0, 0])
