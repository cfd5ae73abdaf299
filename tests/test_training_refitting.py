"""Second stages against the steps they are made of."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.linear_model import LogisticRegression

from fer_models.training.refitting import balance_by_smote, fit_softmax, refit_to_logits, refit_to_smote
from fer_models.treatments import TREATMENTS

COUNTS = (60, 12, 8)


def blobs(counts: tuple[int, ...] = COUNTS, units: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds, one a class, far from 0 and of unequal scale; the last unit is silent."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = 1.5 * np.eye(len(counts), units)[labels] + rng.normal(0, 1, (len(labels), units))
    features = (features + 3) * np.logspace(0, 2, units)
    features[:, -1] = 0
    return features.astype(np.float32), labels


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def regress(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities of scikit-learn's own regression on standardised features."""
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    regression = LogisticRegression(C=1000 / len(labels), class_weight="balanced", max_iter=1000)
    return regression.fit(scaled, labels).predict_proba(scaled)


def random_layer(units: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.1, (units, classes)).astype(np.float32), rng.normal(0, 1, classes).astype(np.float32)


# SMOTE


def test_smote_lifts_every_class_to_the_largest():
    features, labels = blobs()
    more, more_labels = balance_by_smote(features, labels, seed=3)
    assert np.bincount(more_labels).tolist() == [60, 60, 60]
    np.testing.assert_array_equal(more[:80], features)
    np.testing.assert_array_equal(more_labels[:80], labels)
    assert more.dtype == np.float32


def test_of_two_classes_it_is_that_of_imbalanced_learn():
    features, labels = blobs((40, 9))
    expected = SMOTE(random_state=3).fit_resample(features, labels)
    for found, one in zip(balance_by_smote(features, labels, seed=3), expected, strict=True):
        np.testing.assert_array_equal(found, one)


def test_new_rows_lie_between_two_of_their_class():
    features, labels = blobs((20, 3, 7))
    more, more_labels = balance_by_smote(features, labels, seed=0)
    for row, label in zip(more[30:], more_labels[30:], strict=True):
        own = features[labels == label].astype(np.float64)
        direct = np.linalg.norm(own[:, None] - own, axis=-1)
        by_way = np.linalg.norm(own - row, axis=-1)
        detour = by_way[:, None] + by_way - direct
        assert detour.min() < 1e-3


@pytest.mark.parametrize("few", [1, 2, 3, 5, 6])
def test_tiny_classes_make_do_with_the_neighbours_they_have(few):
    features, labels = blobs((20, few, 0, 9))
    more, more_labels = balance_by_smote(features, labels, seed=0)
    assert np.bincount(more_labels).tolist() == [20, 20, 0, 20]
    if few == 1:
        assert len(np.unique(more[more_labels == 1], axis=0)) == 1


def test_smote_of_equal_classes_changes_nothing():
    features, labels = blobs((7, 7))
    np.testing.assert_array_equal(balance_by_smote(features, labels, seed=0)[0], features)


# Regression


@pytest.mark.parametrize("counts", [(60, 12, 8), (40, 9)], ids=["three classes", "two classes"])
def test_the_regression_is_scikit_learns_on_features_as_they_come(counts):
    features, labels = blobs(counts)
    kernel, bias = fit_softmax(features, labels, len(counts))
    np.testing.assert_allclose(softmax(features @ kernel + bias), regress(features, labels), atol=1e-4)


def test_all_classes_have_equal_say():
    """The mean probability of each class is that of balanced classes, not of the rows."""
    features, labels = blobs()
    kernel, bias = fit_softmax(features, labels, 3)
    probabilities = softmax(features @ kernel + bias)
    by_class = np.stack([probabilities[labels == label].mean(axis=0) for label in range(3)])
    np.testing.assert_allclose(by_class.mean(axis=0), 1 / 3, atol=1e-3)


def test_a_class_without_rows_is_never_predicted():
    features, labels = blobs((30, 0, 10))
    kernel, bias = fit_softmax(features, labels, 4)
    probabilities = softmax(features @ kernel + bias)
    assert probabilities[:, [1, 3]].max() == 0
    expected = fit_softmax(features, labels // 2, 2)
    np.testing.assert_allclose(probabilities[:, [0, 2]], softmax(features @ expected[0] + expected[1]), atol=1e-6)


# Both stages


def test_the_folded_layer_is_the_two_stages_one_after_another():
    features, labels = blobs()
    kernel, bias = random_layer(5, 3)
    folded_kernel, folded_bias = refit_to_logits(kernel, bias, features, labels, 0)
    assert folded_kernel.shape == (5, 3)
    np.testing.assert_allclose(
        softmax(features @ folded_kernel + folded_bias), regress(features @ kernel + bias, labels), atol=1e-4
    )


def test_smote_refits_on_the_balanced_rows_whatever_the_layer_was():
    features, labels = blobs()
    found = refit_to_smote(*random_layer(5, 3), features, labels, seed=4)
    for one, other in zip(found, fit_softmax(*balance_by_smote(features, labels, 4), 3), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("treatment", ["smote", "one_vs_rest"])
def test_a_repetition_gives_the_same_weights(treatment):
    features, labels = blobs()
    first, again = (TREATMENTS[treatment].refit(*random_layer(5, 3), features, labels, 7) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("treatment", ["smote", "one_vs_rest"])
def test_rows_of_one_class_leave_the_layer_as_it_is(treatment):
    features, labels = blobs((9,))
    kernel, bias = random_layer(5, 3)
    found = TREATMENTS[treatment].refit(kernel, bias, features, labels, 0)
    assert found[0] is kernel
    assert found[1] is bias
