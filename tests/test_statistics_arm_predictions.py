"""Scores from counts, against the metrics of the rest of the project and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from fer_models.errors import UserError
from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.metrics import score

LABELS = np.array([0, 0, 0, 1, 1, 2])
SUBJECTS = np.array(["ann", "ann", "bob", "bob", "cid", "cid"])


def random_arm(num_subjects: int = 7, num_seeds: int = 3, seed: int = 0) -> ArmPredictions:
    """Five classes of which the last is predicted but never true."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 9 * num_subjects)
    return ArmPredictions(
        labels, np.repeat(np.arange(num_subjects), 9), rng.integers(0, 5, (num_seeds, 9 * num_subjects))
    )


def test_scores_of_a_hand_computed_case_by_seed():
    arm = ArmPredictions(LABELS, SUBJECTS, np.array([[0, 0, 1, 1, 0, 2], [0, 0, 0, 1, 1, 3]]))
    assert arm.scores("accuracy") == pytest.approx([4 / 6, 5 / 6])
    assert arm.scores("uar") == pytest.approx([(2 / 3 + 1 / 2 + 1) / 3, (1 + 1 + 0) / 3])
    assert arm.scores("macro_f1") == pytest.approx([(2 / 3 + 1 / 2 + 1) / 3, (1 + 1 + 0) / 3])


def test_scores_agree_with_scikit_learn_and_with_the_metrics():
    arm = random_arm()
    for row, predicted in enumerate(arm.predicted):
        scores = score(arm.labels, np.eye(5)[predicted], tuple("abcde"))
        assert arm.scores("accuracy")[row] == pytest.approx(accuracy_score(arm.labels, predicted)) == scores.accuracy
        uar = recall_score(arm.labels, predicted, labels=range(4), average="macro")
        assert arm.scores("uar")[row] == pytest.approx(uar) == scores.uar
        f1 = f1_score(arm.labels, predicted, labels=range(4), average="macro")
        assert arm.scores("macro_f1")[row] == pytest.approx(f1) == scores.macro_f1


@pytest.mark.parametrize("metric", ["accuracy", "uar", "macro_f1"])
def test_a_weighting_of_subjects_scores_as_their_items_repeated_that_often(metric: str):
    arm = random_arm()
    times = np.array([0, 2, 0, 1, 3, 0, 1])
    chosen = np.repeat(np.arange(len(arm.labels)), times[arm.subjects])
    repeated = ArmPredictions(arm.labels[chosen], arm.subjects[chosen], arm.predicted[:, chosen])
    weighted = arm.counts.weighted(times[None].astype(float)).scores(metric)
    np.testing.assert_allclose(weighted[0], repeated.scores(metric))


def test_classes_that_a_weighting_lacks_do_not_count():
    arm = ArmPredictions(LABELS, SUBJECTS, np.array([[0, 1, 0, 1, 2, 2]]))
    only_ann = arm.counts.weighted(np.array([[1.0, 0, 0]]))
    assert only_ann.scores("uar")[0, 0] == pytest.approx(1 / 2)
    assert only_ann.scores("macro_f1")[0, 0] == pytest.approx(2 / 3)


def test_subjects_are_the_units_and_items_where_there_is_one_subject():
    arm = ArmPredictions(LABELS, SUBJECTS, LABELS[None])
    assert arm.units.tolist() == [0, 0, 1, 1, 2, 2]
    assert ArmPredictions(LABELS, np.full(6, "ann"), LABELS[None]).units.tolist() == [0, 1, 2, 3, 4, 5]


def test_predictions_that_do_not_fit_their_labels_are_refused():
    with pytest.raises(UserError, match=r"6 labels, 6 subjects and predicted classes of shape \(6,\)"):
        ArmPredictions(LABELS, SUBJECTS, LABELS)
    with pytest.raises(UserError, match="1 labels"):
        ArmPredictions(LABELS[:1], SUBJECTS[:1], LABELS[None, :1])
