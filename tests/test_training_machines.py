"""Linear machines in place of a model's last layer, above all those that learn from whole videos."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.svm import LinearSVC

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model, model_network
from fer_models.segments import JoinedSegments, Mirrored, SegmentArrays, pair_arrays
from fer_models.settings import AugmentationSettings, ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.statistics.metrics import by_video, score
from fer_models.training import engine
from fer_models.training.engine import outputs, predict
from fer_models.training.fitting import fit
from fer_models.training.machines import COSTS, Rows, fit_machine, learning_rows, video_features
from fer_models.training.progress import Progress
from fer_models.training.solving import solve
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints, read_validation

LABELS = ("anger", "fear", "happiness")
SETTINGS = TrainingSettings(augmentation=None, monitor="val_uar")


def noisy(videos: int, segments: int, seed: int) -> SegmentArrays:
    """Videos of a motion in a direction of their class, in whose segments a larger motion of the head hides it."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(videos) % 3, segments)
    angles = 2 * np.pi * labels / 3
    motion = 0.2 * np.stack([np.cos(angles), np.sin(angles)], axis=-1) + rng.normal(0, 0.25, (len(labels), 2))
    flows = np.broadcast_to(motion[:, None, None], (len(labels), 48, 48, 2)).astype(np.float16)
    faces = np.full((len(labels), 48, 48, 3), 100, np.uint8)
    videos = np.array([f"{seed}-{number // segments:03}" for number in range(len(labels))])
    names = np.array([f"{video}#{number % segments}" for number, video in enumerate(videos)])
    return pair_arrays(faces, flows, labels, videos, names)


TRAIN, VALIDATION, TEST = noisy(18, 16, 0), noisy(9, 16, 1), noisy(18, 16, 2)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Small predictions, and steps that run as they stand."""
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "PREDICT_BATCH", 32)
        tf.config.run_functions_eagerly(True)
        yield
    tf.config.run_functions_eagerly(False)


def untrained(settings: TrainingSettings, video_classifier: str = "linear_svm") -> keras.Model:
    model = ModelSettings(width=8, head_units=32, dropout=0.0, video_classifier=video_classifier)
    return build_model(get_arm("temporal-only"), model, LABELS, settings.augmentation, seed=3)


def solved(folder: Path, settings: TrainingSettings = SETTINGS, **subsets: SegmentArrays) -> keras.Model:
    model = ModelSettings(video_classifier="linear_svm")
    build = partial(build_model, get_arm("hof-svm"), model, LABELS, settings.augmentation)
    train, validation = subsets.get("train", TRAIN), subsets.get("validation", VALIDATION)
    solve(build, train, validation, settings, RunCheckpoints(folder), 1)
    return load_model(folder / MODEL_FILE)


def encoder_of(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs, model.get_layer("logits").input)


def means_of(model: keras.Model, segments: SegmentArrays) -> np.ndarray:
    """The features of videos, worked out the long way: float (v, d)."""
    features = outputs(encoder_of(model), segments)
    return np.stack([features[segments.videos == name].mean(axis=0) for name in np.unique(segments.videos)])


def of_videos(model: keras.Model, segments: SegmentArrays) -> tuple[np.ndarray, np.ndarray]:
    """Labels (v,) and probabilities (v, classes), made as everywhere."""
    _, labels, probabilities = by_video(
        segments.videos, segments.labels, predict(model, segments), model_network(model).pooling
    )
    return labels, probabilities


def machine_in(model: keras.Model, rows: Rows) -> tuple[np.ndarray, np.ndarray, float]:
    """Kernel, bias and temperature of the machine in a model, which must be one of the possible ones of these rows."""
    kernel, bias = model.get_layer("logits").get_weights()
    for cost in COSTS:
        expected = fit_machine(rows.features, rows.labels, rows.weights, cost)
        temperature = float((expected[0] * kernel).sum() / (kernel**2).sum())
        if np.abs(kernel * temperature - expected[0]).max() < 1e-5 * np.abs(expected[0]).max():
            np.testing.assert_allclose(bias * temperature, expected[1], rtol=1e-4)
            return *expected, temperature
    raise AssertionError("it is none of them")


@pytest.mark.trains
def test_a_video_is_decided_by_a_machine_on_its_mean_features(tmp_path: Path) -> None:
    model = solved(tmp_path)
    kernel, bias, temperature = machine_in(model, Rows(means_of(model, TRAIN), TRAIN.labels[::16], np.ones(3)))
    decisions = means_of(model, TEST) @ kernel + bias
    found = of_videos(model, TEST)[1]
    np.testing.assert_allclose(found, softmax(decisions / temperature, axis=1), atol=1e-4)
    assert (found.argmax(axis=1) == decisions.argmax(axis=1)).all()


def test_features_of_videos_are_means_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_models.training.machines.MOST_VALUES", 200)  # a few segments at a time
    model = build_model(get_arm("hof-svm"), ModelSettings(), LABELS)
    rows = np.array([4, 0, 4, 17])
    found = video_features(encoder_of(model), TRAIN, TRAIN.videos, rows)
    np.testing.assert_allclose(found, means_of(model, TRAIN)[rows], rtol=1e-5)
    shuffled = video_features(encoder_of(model), TRAIN, np.random.default_rng(0).permutation(TRAIN.videos), rows)
    assert not np.allclose(shuffled, found, rtol=1e-2)


def test_videos_are_the_rows_that_are_drawn_weighted_and_mirrored() -> None:
    few = JoinedSegments(TRAIN, noisy(1, 16, 4))  # the first class has a seventh video
    model = build_model(get_arm("hof-svm"), ModelSettings(video_classifier="linear_svm"), LABELS)
    plain = learning_rows(model, few, SETTINGS)
    assert np.bincount(plain.labels).tolist() == [7, 6, 6]
    assert plain.weights.tolist() == [1, 1, 1]
    weighted = learning_rows(model, few, SETTINGS.model_copy(update={"treatment": "class_weights"}))
    assert weighted.weights == pytest.approx([19 / 21, 19 / 18, 19 / 18])
    drawn = learning_rows(model, few, SETTINGS.model_copy(update={"treatment": "downsample"}))
    assert np.bincount(drawn.labels).tolist() == [6, 6, 6]
    turned = learning_rows(model, few, SETTINGS.model_copy(update={"augmentation": AugmentationSettings()}))
    assert len(turned.features) == len(turned.labels) == 38
    np.testing.assert_allclose(turned.features[:19], plain.features)
    by_hand = outputs(encoder_of(model), Mirrored(few))[:16].mean(axis=0)
    np.testing.assert_allclose(turned.features[19], by_hand, rtol=1e-5)


SHORT = TrainingSettings(
    epochs=2,
    batch_size=48,
    learning_rate=2e-3,
    augmentation=None,
    schedule=ConstantSchedule(),
    treatment="class_weights",
)


def trained(folder: Path, settings: TrainingSettings = SHORT, **arguments: str) -> tuple[keras.Model, Progress]:
    checkpoints = RunCheckpoints(folder, settings.keep_epochs)
    progress = fit(partial(untrained, settings, **arguments), TRAIN, VALIDATION, settings, checkpoints, 1)
    return load_model(folder / MODEL_FILE), progress


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Progress]:
    return trained(tmp_path_factory.mktemp("once"))


@pytest.mark.trains
def test_videos_are_told_apart_where_segments_are_not(once: tuple[keras.Model, Progress], tmp_path: Path) -> None:
    model, progress = once
    plain, _ = trained(tmp_path, video_classifier="mean_probability")
    for layer in plain.layers:
        if layer.name != "logits":
            for one, other in zip(layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
    assert [epoch.epoch for epoch in progress.history] == [1, 2]
    segments = score(TEST.labels, predict(model, TEST), LABELS)
    videos = score(*of_videos(model, TEST), LABELS)
    assert segments.uar < 0.75
    assert videos.uar > 0.95
    assert videos.loss < 0.4, "its probabilities are calibrated"


@pytest.mark.slow
@pytest.mark.trains
def test_the_machine_is_found_again_from_both_subsets(once: tuple[keras.Model, Progress], tmp_path: Path) -> None:
    settings = SHORT.model_copy(update={"refit": "train_and_validation"})
    again, progress = trained(tmp_path, settings)
    assert progress.num_refitted == progress.best_epoch
    np.testing.assert_array_equal(read_validation(tmp_path, VALIDATION.names), predict(once[0], VALIDATION))
    rows = learning_rows(again, JoinedSegments(TRAIN, VALIDATION), settings)
    assert len(rows.labels) == 27
    machine_in(again, rows)


@pytest.mark.slow
@pytest.mark.trains
def test_a_run_that_was_killed_before_its_machine_was_left_finds_the_same(
    once: tuple[keras.Model, Progress], tmp_path: Path
) -> None:
    settings = SHORT.model_copy(update={"keep_epochs": True})
    checkpoints = RunCheckpoints(tmp_path, True)
    checkpoints.finish = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit(partial(untrained, settings), TRAIN, VALIDATION, settings, checkpoints, 1)
    resumed, _ = trained(tmp_path, settings)
    for one, other in zip(once[0].get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.trains
def test_no_segment_is_so_sure_that_its_probabilities_are_lost(tmp_path: Path) -> None:
    """Videos that are all told apart ask for a temperature of next to nothing, at which segments would say 0 and 1."""
    model = solved(tmp_path, validation=TRAIN)
    kernel, bias = model.get_layer("logits").get_weights()
    decisions = outputs(encoder_of(model), TRAIN) @ kernel + bias
    assert np.ptp(decisions, axis=1).max() == pytest.approx(60, abs=1e-2)
    expected = softmax(means_of(model, TRAIN) @ kernel + bias, axis=1)
    np.testing.assert_allclose(of_videos(model, TRAIN)[1], expected, atol=1e-4)


def test_a_machine_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    features = rng.normal(0, 1, (90, 5)) * [1, 10, 100, 1, 0] + labels[:, None]
    kernel, bias = fit_machine(features, labels, np.ones(3), 0.01)
    scale = features.std(axis=0)
    inputs = (features - features.mean(axis=0)) / scale
    expected = LinearSVC(C=0.01, tol=1e-8, max_iter=100_000).fit(inputs, labels).decision_function(inputs)
    np.testing.assert_allclose(features @ kernel + bias, expected, atol=1e-2)


def test_weights_and_absent_classes_count() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [80, 20])
    features = rng.normal(0, 1, (100, 2)) + 0.8 * labels[:, None]
    kernel, bias = fit_machine(features, labels, np.ones(3), 0.01)
    even = fit_machine(features, labels, np.array([0.6, 2.5, 0.0]), 0.01)
    chosen, balanced = ((features @ one[0] + one[1]).argmax(axis=1) for one in ((kernel, bias), even))
    assert not (chosen == 2).any()
    assert (balanced == 1).sum() > (chosen == 1).sum()


def test_one_class_is_always_said() -> None:
    kernel, bias = fit_machine(np.random.default_rng(0).normal(0, 1, (9, 2)), np.full(9, 1), np.ones(3), 1.0)
    assert not kernel.any()
    assert bias.argmax() == 1
