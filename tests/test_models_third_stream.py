"""Streams over all frames of a segment: of the right size, that see time, alone and as a third stream."""

from pathlib import Path

import keras
import numpy as np
import pytest
from moving_squares import LABELS, moving_squares

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model, model_network, needs_of, streams_of
from fer_models.models.float32 import computes_bfloat16
from fer_models.models.network import feature_outputs, layer_output, model_inputs
from fer_models.segments import SegmentInputs, SegmentShape
from fer_models.settings import AugmentationSettings, ModelSettings
from fer_models.training.engine import predict

pytestmark = pytest.mark.trains

ALONE = ("frame-stack", "c3d")
THIRD = tuple(f"{name}-{fusion}" for name in ALONE for fusion in ("concatenate", "sum", "average"))


def small(arm: str, form: str = "modern", num_frames: int = 4, **arguments) -> keras.Model:
    settings = ModelSettings(form=form, width=4, head_units=8, dropout=0.0)
    shape = SegmentShape(num_frames, arguments.pop("side_px", 48))
    return build_model(ARMS[arm], settings, shape=shape, **arguments)


def inputs_of(model: keras.Model, segments: SegmentInputs) -> list[np.ndarray]:
    return model_inputs(model, segments.batch(np.arange(len(segments))))


# Size


def plain_stream(channels: int, width: int, frames: int = 1) -> int:
    """Weights of the five convolutions of the published form, kernels of so many frames, and their offsets."""
    kernels = [
        frames * 5 * 5 * channels * width,
        frames * 3 * 3 * width * width,
        frames * 3 * 3 * width * width,
        frames * 3 * 3 * width * 2 * width,
        frames * 3 * 3 * 2 * width * 2 * width,
    ]
    return sum(kernels) + width + width + width + 2 * width + 2 * width


def modern_stream(channels: int, width: int, frames: int = 1) -> int:
    """Weights of the four convolutions of the form `modern`; for each filter normalisation has four numbers."""
    kernels = [
        frames * 3 * 3 * channels * width,
        frames * 3 * 3 * width * 2 * width,
        frames * 3 * 3 * 2 * width * 4 * width,
        frames * 3 * 3 * 4 * width * 4 * width,
    ]
    return sum(kernels) + 4 * (width + 2 * width + 4 * width + 4 * width)


def plain_head(length: int) -> int:
    """Two dense layers of 1024 units and the logits of six classes."""
    return (length + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 6


@pytest.mark.parametrize(
    ("arm", "form", "width", "num_frames", "parameters"),
    [
        # the first of the streams of the study, 1,190,144, has 25 * 3 * 128 more weights for each further frame
        ("frame-stack", "published", 128, 4, 1_190_144 + 3 * 25 * 3 * 128 + 263_168 + 1_049_600 + 6_150),
        ("frame-stack", "published", 128, 16, plain_stream(48, 128) + plain_head(256)),
        ("frame-stack-concatenate", "corrected", 128, 4, 2 * 1_190_144 + plain_stream(12, 128) + plain_head(3 * 256)),
        ("frame-stack-sum", "corrected", 64, 4, 2 * plain_stream(3, 64) + plain_stream(12, 64) + plain_head(128)),
        ("frame-stack", "modern", 16, 4, modern_stream(12, 16) + (64 + 1) * 6),
        # 3 frames a kernel: 28,800 + 2 * 442,368 + 884,736 + 1,769,472 weights, and 896 offsets
        ("c3d", "published", 128, 4, 3_568_640 + 263_168 + 1_049_600 + 6_150),
        ("c3d", "corrected", 128, 16, plain_stream(3, 128, 3) + plain_head(256)),
        ("c3d-average", "corrected", 128, 4, 2 * 1_190_144 + 3_568_640 + plain_head(256)),
        ("c3d", "modern", 16, 4, modern_stream(3, 16, 3) + (64 + 1) * 6),
        ("c3d-concatenate", "modern", 16, 2, 2 * modern_stream(3, 16) + modern_stream(3, 16, 3) + (3 * 64 + 1) * 6),
    ],
)
def test_parameter_counts(arm: str, form: str, width: int, num_frames: int, parameters: int) -> None:
    settings = ModelSettings(form=form, width=width, head_units=1024)
    assert build_model(ARMS[arm], settings, shape=SegmentShape(num_frames)).count_params() == parameters


def test_the_counts_above_are_those_of_the_study_where_they_can_be() -> None:
    assert plain_stream(3, 128) == 1_190_144
    assert 2 * plain_stream(3, 128) + plain_head(512) == 3_961_350
    assert plain_stream(3, 128, 3) == 28_800 + 2 * 442_368 + 884_736 + 1_769_472 + 896 == 3_568_640


@pytest.mark.parametrize(
    ("form", "num_frames", "frames"),
    [
        ("corrected", 2, [2, 2, 2, 1, 1]),
        ("corrected", 3, [3, 3, 3, 2, 2]),
        ("published", 16, [16, 16, 16, 8, 8]),
        ("modern", 2, [2, 2, 1, 1]),
        ("modern", 5, [5, 5, 3, 2]),
        ("modern", 16, [16, 16, 8, 4]),
    ],
)
def test_time_is_halved_with_the_picture_while_it_is_left(form: str, num_frames: int, frames: list[int]) -> None:
    model = small("c3d", form, num_frames)
    flat = small("spatial-only", form)
    maps = [one.shape for one in feature_outputs(model, model_network(model).feature_maps["frames"])]
    assert [shape[1] for shape in maps] == frames
    spatial = [one.shape for one in feature_outputs(flat, model_network(flat).feature_maps["spatial"])]
    assert [shape[2:] for shape in maps] == [shape[1:] for shape in spatial]


# What they see


@pytest.mark.parametrize("arm", [*ALONE, *THIRD])
def test_an_arm_needs_what_its_streams_look_at(arm: str) -> None:
    has_motion = arm in THIRD
    assert needs_of(ARMS[arm]) == SegmentShape(num_frames=2, has_optical_flow=has_motion)
    assert streams_of(ARMS[arm]) == (("spatial", "temporal", "frames") if has_motion else ("frames",))
    shapes = {one.name: one.shape[1:] for one in small(arm).inputs}
    motion = {"optical_flow": (48, 48, 2)} if has_motion else {}
    assert shapes == {"face": (4, 48, 48, 3)} | motion


@pytest.mark.parametrize("arm", ["frame-stack-sum", "c3d-sum"])
def test_two_streams_see_the_first_pair_and_the_third_all_faces(arm: str) -> None:
    model = small(arm)
    names = [model_network(model).feature_maps[stream][-1].layer for stream in streams_of(ARMS[arm])]
    looked = keras.Model(model.inputs, [layer_output(model, name) for name in names])
    faces, optical_flow = inputs_of(model, moving_squares(3, 0))
    before = looked.predict_on_batch([faces, optical_flow])
    later = faces.copy()
    later[:, 1:] = faces[:, :0:-1]
    for value, other, same in zip(before, looked.predict_on_batch([later, optical_flow]), (1, 1, 0), strict=True):
        assert np.array_equal(value, other) == bool(same)
    found = looked.predict_on_batch([faces, -optical_flow])
    for value, other, same in zip(before, found, (1, 0, 1), strict=True):
        assert np.array_equal(value, other) == bool(same)


@pytest.mark.parametrize(("arm", "form"), [("frame-stack-average", "modern"), ("c3d-concatenate", "corrected")])
def test_gradients_reach_all_streams(arm: str, form: str) -> None:
    model = small(arm, form, augmentation=AugmentationSettings())
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", run_eagerly=True)
    before = {weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights}
    model.train_on_batch(inputs_of(model, moving_squares(6, 0)), np.arange(6))
    kernels = [path for path in before if path.endswith("kernel")]
    assert {f"{stream}_conv{number}/kernel" for stream in streams_of(ARMS[arm]) for number in (1, 4)} <= set(kernels)
    after = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
    assert not [path for path in kernels if np.array_equal(before[path], after[path])]


def test_one_draw_moves_all_frames_and_the_first_pair() -> None:
    augmentation = AugmentationSettings(rotation_deg=20, shift=0.1)
    model = small("frame-stack-sum", augmentation=augmentation)
    drawn = [model.get_layer("frames_stack").output, model.get_layer("spatial_conv1").input]
    segments = moving_squares(4, 0)
    faces, optical_flow = inputs_of(model, segments)
    still = np.repeat(faces[:, :1], 4, axis=1)
    stack, first = keras.Model(model.inputs, drawn)([still, optical_flow], training=True)
    for number in range(4):
        np.testing.assert_allclose(stack[..., 3 * number : 3 * number + 3], first, atol=1e-5)
    plain = keras.Model(model.inputs, drawn[1])([still, optical_flow], training=False)
    assert np.abs(first - plain).max() > 0.5


@pytest.mark.parametrize(("form", "fields"), [("corrected", [3, 5, 7, 12, 16]), ("modern", [3, 5, 10, 20])])
def test_centres_in_time_are_those_of_the_receptive_fields(form: str, fields: list[int]) -> None:
    """One bright frame at a time, kernels of ones: the frames that light a cell are its receptive field."""
    num_frames = 32
    model = small("c3d", form, num_frames)
    maps = model_network(model).feature_maps["frames"]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3D):
            layer.kernel.assign(np.ones(layer.kernel.shape))
    body = keras.Model(model.get_layer("face_standardisation").output, feature_outputs(model, maps))
    frames = np.zeros((num_frames, num_frames, 48, 48, 3), np.float32)
    frames[np.arange(num_frames), np.arange(num_frames)] = 1.0
    found = []
    for one, cells in zip(maps, body.predict(frames, batch_size=4, verbose=0), strict=True):
        middle = cells.shape[2] // 2
        lit = cells[:, :, middle, middle, 0] > 0  # (bright frame, cell)
        first, last = lit.argmax(axis=0), num_frames - 1 - lit[::-1].argmax(axis=0)
        inner = (first > 0) & (last < num_frames - 1)
        assert inner.any()
        np.testing.assert_array_equal(one.frame_centres(lit.shape[1])[inner], ((first + last) / 2)[inner])
        found.append(int(lit.sum(axis=0).max()))
    assert found == fields


# On disk


@pytest.mark.parametrize(
    ("arm", "form", "num_frames", "precision"),
    [
        ("frame-stack", "published", 2, "float32"),
        ("c3d", "corrected", 3, "float32"),
        ("frame-stack-concatenate", "modern", 3, "float32"),
        pytest.param(
            "c3d-average",
            "modern",
            4,
            "mixed_bfloat16",
            marks=pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here"),
        ),
    ],
)
def test_save_and_load_give_the_same_numbers(arm: str, form: str, num_frames: int, precision: str, tmp_path: Path):
    model = small(arm, form, num_frames, precision=precision, augmentation=AugmentationSettings(), side_px=64)
    inputs = inputs_of(model, moving_squares(3, 0, num_frames, 64))
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    probabilities = model.predict_on_batch(inputs)
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), probabilities)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    network = model_network(loaded)
    assert network == model_network(model)
    assert network.shape == SegmentShape(num_frames, 64)
    assert tuple(network.feature_maps) == streams_of(ARMS[arm])


# Learning


@pytest.mark.parametrize(
    "arm",
    ["frame-stack", pytest.param("c3d", marks=pytest.mark.slow), pytest.param("spatial-only", marks=pytest.mark.slow)],
)
def test_the_order_of_frames_is_learned_by_who_sees_it_and_by_nobody_else(arm: str) -> None:
    train, unseen = moving_squares(256, seed=1), moving_squares(400, seed=2)
    model = small(arm, labels=LABELS)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(inputs_of(model, train), train.labels, batch_size=32, epochs=6, verbose=0)
    accuracy = (predict(model, unseen).argmax(axis=1) == unseen.labels).mean()
    if arm == "spatial-only":
        assert abs(accuracy - 0.5) <= 3 * np.sqrt(0.25 / len(unseen))
    else:
        assert accuracy >= 0.95


def test_3d_convolutions_are_not_left_to_bfloat16_on_tensorflow() -> None:
    """There the gradients of their kernels were NaN for maps as small as the last ones here."""
    model = build_model(
        ARMS["c3d"], ModelSettings(form="modern", width=4), precision="mixed_bfloat16", shape=SegmentShape(8)
    )
    kinds = {layer.compute_dtype for layer in model.layers if isinstance(layer, keras.layers.Conv3D)}
    assert kinds == {"float32" if keras.backend.backend() == "tensorflow" else "bfloat16"}
