"""Recurrent networks: what they are made of, what they pass over, and that they know the order of frames."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from moving_squares import LABELS, moving_squares
from test_training_fitting import make_quick

from fer_models.explanation.gradcam import gradcam
from fer_models.explanation.randomisation import layers_from_the_top
from fer_models.models.arms import ARMS, ensemble_of
from fer_models.models.building import build_ensemble, build_model, load_model, model_network
from fer_models.models.families.recurrent import RecurrentOptions, methods
from fer_models.models.float32 import computes_bfloat16
from fer_models.models.network import feature_outputs, layer_output, model_inputs
from fer_models.segments import SegmentArrays, SegmentInputs, SegmentShape, mirrored, shifted
from fer_models.settings import AugmentationSettings, ConstantSchedule, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.training.engine import Engine, predict
from fer_models.training.fitting import fit
from tasks.study.checkpoints import RunCheckpoints

pytestmark = pytest.mark.trains

SMALL = ModelSettings(form="modern", width=2, head_units=8, dropout=0.0)
MEMORIES = ("lstm", "gru", "convlstm")
#: Of tests that train, one is fast enough for every day.
ONE_DAILY = ["lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in MEMORIES[1:])]


def small(arm: str, num_frames: int = 3, settings: ModelSettings = SMALL, **arguments) -> keras.Model:
    return build_model(ARMS[arm], settings, shape=SegmentShape(num_frames=num_frames), **arguments)


def segments(num: int = 6, num_frames: int = 3, seed: int = 0) -> SegmentArrays:
    """Noise, of which about a third of the frames is missing."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 256, (num * num_frames, 48, 48, 3), np.uint8)
    optical_flows = rng.normal(0, 0.2, (len(faces), 48, 48, 2)).astype(np.float16)
    windows = np.arange(len(faces)).reshape(num, num_frames)
    names = np.array([f"video{row}#0" for row in range(num)])
    seen = rng.random(windows.shape) > 0.3
    return SegmentArrays(faces, optical_flows, windows, seen, np.arange(num) % 6, np.arange(num), names)


def inputs_of(model: keras.Model, rows: SegmentInputs) -> list[np.ndarray]:
    return model_inputs(model, rows.batch(np.arange(len(rows))))


def outputs_of(model: keras.Model, rows: SegmentInputs) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs_of(model, rows)))


# What they are made of


def test_parameters_of_lstm() -> None:
    encoder = 9 * 3 * 4 + 9 * 4 * 8 + 9 * 8 * 16 + 9 * 16 * 16 + 4 * (4 + 8 + 16 + 16)  # kernels, then normalisation
    vector, units = 6 * 6 * 16, 4 * 4
    gates = 4 * (vector * units + units * units + units)
    head = units * 6 + 6
    assert (encoder, gates, head) == (4_028, 37_952, 102)
    assert small("lstm-spatial", settings=ModelSettings(form="modern", width=4)).count_params() == 42_082


def test_parameters_of_gru() -> None:
    encoder = 25 * 3 * 4 + 4 + 2 * (9 * 4 * 4 + 4) + 9 * 4 * 8 + 8 + 9 * 8 * 8 + 8
    vector, units = 3 * 3 * 8, 4 * 4
    gates = 3 * (vector * units + units * units + 2 * units)  # one bias before the reset gate, one behind it
    head = (units * 10 + 10) + (10 * 10 + 10) + (10 * 6 + 6)
    assert (encoder, gates, head) == (1_480, 4_320, 346)
    settings = ModelSettings(form="corrected", width=4, head_units=10)
    assert small("gru-temporal", settings=settings).count_params() == 6_146


def test_parameters_of_convlstm() -> None:
    encoders = 2 * 4_028  # as of LSTM
    channels, filters = 2 * 16, 2 * 4
    gates = 4 * (9 * channels * filters + 9 * filters * filters + filters)
    head = 6 * 6 * filters * 6 + 6
    assert (encoders, gates, head) == (8_056, 11_552, 1_734)
    assert small("convlstm-fused", settings=ModelSettings(form="modern", width=4)).count_params() == 21_342


@pytest.mark.parametrize("memory", MEMORIES)
def test_first_weights_come_from_the_seed_alone(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the global generator was asked")

    monkeypatch.setattr(random, "randint", refuse)
    first, again, other = (small(f"{memory}-fused", seed=seed).get_layer(memory).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    kernel, recurrent_kernel, _ = first
    assert not np.allclose(kernel, other[0])
    assert not np.allclose(recurrent_kernel, other[1])
    matrix = recurrent_kernel.reshape(-1, recurrent_kernel.shape[-1])
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1, atol=1e-5)


def test_the_report_says_what_they_are() -> None:
    arms = [RecurrentOptions.model_validate(ARMS[name].options) for name in ("gru-temporal", "lstm-fused")]
    assert methods(arms, SMALL) == (
        "Recurrent networks (LSTM, GRU) that read optical flow or faces with their optical flow frame by frame, "
        "of width 2, in modern form,"
    )


# Frames


@pytest.mark.parametrize("memory", MEMORIES)
def test_what_stands_in_missing_frames_makes_no_difference(memory: str) -> None:
    model = small(f"{memory}-fused", num_frames=4)
    patterns = ([0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1])
    seen = np.array(patterns, bool)
    rows = replace(segments(5, num_frames=4), seen=seen)
    noise, hidden = segments(5, num_frames=4, seed=1), ~seen.ravel()
    faces, optical_flows = rows.faces.copy(), rows.optical_flows.copy()
    faces[hidden], optical_flows[hidden] = noise.faces[hidden], noise.optical_flows[hidden]
    plain = outputs_of(model, rows)
    np.testing.assert_array_equal(outputs_of(model, replace(rows, faces=faces, optical_flows=optical_flows)), plain)
    everything = outputs_of(model, replace(rows, seen=np.ones_like(seen)))
    assert (np.abs(everything - plain).max(axis=1)[:4] > 1e-5).all()
    shorter = replace(rows, windows=rows.windows[:, 2:], seen=seen[:, 2:])
    np.testing.assert_allclose(plain[0], outputs_of(small(f"{memory}-fused", num_frames=2), shorter)[0], atol=1e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_segment_without_any_face_has_an_answer(memory: str) -> None:
    rows = replace(segments(2), seen=np.zeros((2, 3), bool))
    probabilities = outputs_of(small(f"{memory}-spatial"), rows)
    assert np.isfinite(probabilities).all()
    np.testing.assert_array_equal(probabilities[0], probabilities[1])


@pytest.mark.parametrize("form", ["corrected", "modern"])
def test_the_encoder_is_the_stream_of_single_frames_and_shows_a_map_a_frame(form: str) -> None:
    settings, rows = SMALL.model_copy(update={"form": form}), segments(2)
    model, single = small("lstm-fused", settings=settings, seed=3), build_model(ARMS["gap-sum"], settings, seed=3)
    for stream in ("spatial", "temporal"):
        told, of_single = (model_network(one).feature_maps[stream] for one in (model, single))
        maps = keras.Model(model.inputs, feature_outputs(model, told))(inputs_of(model, rows))
        for frame in range(3):
            frames = replace(rows, windows=rows.windows[:, [frame]])
            same = keras.Model(single.inputs, feature_outputs(single, of_single))(inputs_of(single, frames))
            for one, other in zip(maps, same, strict=True):
                np.testing.assert_allclose(one[:, frame], other, atol=1e-5)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import tensorflow as tf

    make_quick(monkeypatch)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("memory", MEMORIES)
def test_explanations_have_a_map_a_frame_and_an_empty_one_of_a_missing_frame(memory: str) -> None:
    model, seen = small(f"{memory}-fused"), np.array([[1, 0, 1], [0, 1, 1]], bool)
    maps = gradcam(model, replace(segments(2), seen=seen), np.arange(2), np.arange(2))
    for stream in ("spatial", "temporal"):
        assert maps[stream].shape == (2, 3, 48, 48)
        assert (maps[stream].max(axis=(2, 3))[~seen] == 0).all()
        assert (maps[stream].max(axis=(2, 3))[seen] > 0).any()
    assert list(layers_from_the_top(model)) == ["logits", memory, "conv4", "conv3", "conv2", "conv1"]


# The house


@pytest.mark.parametrize("arm", ["lstm-spatial", "gru-fused", "convlstm-temporal"])
def test_models_and_their_ensemble_come_back_from_their_files(arm: str, tmp_path: Path) -> None:
    members, rows = [small(arm, seed=seed, augmentation=AugmentationSettings()) for seed in (1, 2)], segments()
    members.append(build_ensemble(ensemble_of(ARMS[arm], 2), members))
    for number, model in enumerate(members):
        model.save(tmp_path / f"{number}.keras")
        loaded = load_model(tmp_path / f"{number}.keras")
        np.testing.assert_array_equal(outputs_of(loaded, rows), outputs_of(model, rows))
        assert model_network(loaded) == model_network(model)
    network = model_network(members[0])
    assert (network.family, network.shape) == ("recurrent", SegmentShape(num_frames=3))
    assert layer_output(members[0], network.logits).shape == (None, 6)
    np.testing.assert_allclose(
        outputs_of(members[2], rows), sum(outputs_of(one, rows) for one in members[:2]) / 2, atol=1e-6
    )


@pytest.mark.usefixtures("_quick")
@pytest.mark.slow
def test_a_prediction_is_the_mean_over_views_that_move_all_frames_alike() -> None:
    model, rows = small("gru-fused", settings=SMALL.model_copy(update={"views": "mirror_and_shifts"})), segments(2)
    both = [rows.batch(np.arange(2)), mirrored(rows.batch(np.arange(2)))]
    seen = both + [shifted(one, *move) for one in both for move in ((2, 0), (-2, 0), (0, 2), (0, -2))]
    expected = [keras.ops.convert_to_numpy(model(model_inputs(model, one))) for one in seen]
    np.testing.assert_allclose(predict(model, rows), np.mean(expected, axis=0), atol=1e-6)


class Interrupted(Exception):
    """What stops a run in this test."""


@pytest.mark.slow
@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("memory", ONE_DAILY)
def test_a_run_with_all_of_the_recipe_resumes_exactly(memory: str, tmp_path: Path) -> None:
    settings = TrainingSettings(
        epochs=2,
        steps=2,
        batch_size=6,
        optimizer="adamw",
        learning_rate=1e-2,
        ema=0.8,
        mixup=0.2,
        cutmix=1.0,
        label_smoothing=0.1,
        schedule=ConstantSchedule(),
        choose="last",
        refit="train_and_validation",
    )
    train, validation = segments(num_frames=2), segments(num_frames=2, seed=1)

    def build() -> keras.Model:
        dropout = SMALL.model_copy(update={"dropout": 0.1})
        return small(f"{memory}-spatial", 2, dropout, augmentation=settings.augmentation, seed=1)

    def stop(_: object) -> None:
        raise Interrupted

    folders = tmp_path / "whole", tmp_path / "resumed"
    whole = fit(build, train, validation, settings, RunCheckpoints(folders[0]), 1)
    for interruption in ({"on_epoch": stop}, {"on_refit": stop}):
        with pytest.raises(Interrupted):
            fit(build, train, validation, settings, RunCheckpoints(folders[1]), 1, **interruption)
    resumed = fit(build, train, validation, settings, RunCheckpoints(folders[1]), 1)
    one, other = ([epoch.model_dump(exclude={"seconds"}) for epoch in run.history] for run in (whole, resumed))
    assert one == other
    assert resumed.num_refitted == 2
    models = [load_model(folder / "model.keras") for folder in folders]
    for weight, same in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here")
@pytest.mark.parametrize("memory", MEMORIES)
def test_mixed_precision_trains_all_layers(memory: str) -> None:
    model, rows = small(f"{memory}-fused", precision="mixed_bfloat16"), segments()
    assert keras.backend.standardize_dtype(model.get_layer(memory).output.dtype) == "bfloat16"
    before = model.get_weights()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", run_eagerly=True)
    model.train_on_batch(inputs_of(model, rows), rows.labels)
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        assert new.dtype == np.float32
        assert not np.array_equal(old, new), weight.path
    assert outputs_of(model, rows).dtype == np.float32


# Time


def accuracy_after_training(arm: str, train: SegmentArrays, unseen: SegmentArrays, seed: int = 0) -> float:
    settings = TrainingSettings(
        epochs=1,
        steps=96,
        batch_size=32,
        optimizer="adamw",
        learning_rate=3e-3,
        schedule=CosineSchedule(),
        augmentation=None,
    )
    model = build_model(ARMS[arm], SMALL.model_copy(update={"width": 4}), LABELS, seed=seed, shape=train.shape)
    Engine(model, train.labels, settings).train_epoch(train, seed, [])
    return float((predict(model, unseen).argmax(axis=1) == unseen.labels).mean())


def told_by_a_still_frame(segments: SegmentArrays) -> SegmentArrays:
    """The same under new labels, of which no movement tells; where they are 1, light is dark in all frames."""
    labels = np.arange(len(segments)) // 2 % 2
    dark = np.repeat(labels, segments.shape.num_frames).astype(bool)[:, None, None, None]
    return replace(segments, faces=np.where(dark, 255 - segments.faces, segments.faces), labels=labels)


@pytest.mark.parametrize("memory", ONE_DAILY)
def test_classes_that_differ_in_the_order_of_frames_are_told_apart(memory: str) -> None:
    train, unseen = (moving_squares(num, num, side_px=24) for num in (1536, 256))
    assert accuracy_after_training(f"{memory}-spatial", train, unseen) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORIES)
def test_classes_that_one_still_frame_tells_are_told_apart(memory: str) -> None:
    train, unseen = (told_by_a_still_frame(moving_squares(num, num, side_px=24)) for num in (1536, 256))
    assert accuracy_after_training(f"{memory}-spatial", train, unseen) >= 0.95
