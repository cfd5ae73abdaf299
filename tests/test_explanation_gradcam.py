"""Grad-CAM against exact gradients."""

import keras
import numpy as np
import pytest

from fer_models.explanation import gradcam as gradcam_module
from fer_models.explanation.gradcam import GradCam, gradcam
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.models.float32 import computes_bfloat16
from fer_models.models.network import FeatureMap, model_inputs
from fer_models.segments import FrameInputs, SegmentInputs, SegmentShape, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the reference is TensorFlow's"),
]

CLASSES = np.array([0, 5, 2, 2, 3])
#: The px at which the cells of a convolution's map have their centres.
CELLS = {3: slice(8, 39, 2), 5: slice(18, 27, 4)}

STREAMS = {
    "flatten-concatenate": ["spatial", "temporal"],
    "gap-average": ["spatial", "temporal"],
    "spatial-only": ["spatial"],
    "temporal-only": ["temporal"],
}


def small(arm: str, **arguments) -> keras.Model:
    form, dropout = arguments.pop("form", "corrected"), arguments.pop("dropout", 0.0)
    settings = ModelSettings(form=form, width=4, head_units=16, dropout=dropout)
    return build_model(ARMS[arm], settings, augmentation=AugmentationSettings(), **arguments)


def random_inputs(num: int = len(CLASSES)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (num, 48, 48, 3), np.uint8)
    return faces, rng.normal(0, 0.2, (num, 48, 48, 2)).astype(np.float16)


def explained() -> tuple[pair_inputs, np.ndarray, np.ndarray]:
    """The segments, those of them that are explained, and the class of each."""
    return pair_inputs(*random_inputs()), np.arange(len(CLASSES)), CLASSES


def exact_maps(model: keras.Model, segments: SegmentInputs, streams: list[str], convolution: int) -> list[np.ndarray]:
    """Grad-CAM on the feature maps' own grids, by TensorFlow's tape, one sample at a time."""
    import tensorflow as tf

    outputs = [model.get_layer(f"{stream}_conv{convolution}").output for stream in streams]
    body, head = keras.Model(model.inputs, outputs), keras.Model(outputs, model.get_layer("logits").output)
    rows = []
    for number, chosen in enumerate(CLASSES):
        maps = body(model_inputs(model, segments.batch(np.array([number]))))
        maps = [tf.identity(one) for one in (maps if isinstance(maps, list | tuple) else [maps])]
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logit = head(maps, training=False)[0, chosen]
        weights = [
            tf.reduce_mean(gradient, axis=tuple(range(1, gradient.ndim - 1))) for gradient in tape.gradient(logit, maps)
        ]
        cams = [
            np.maximum((one[0] * weight[0]).numpy().sum(axis=-1), 0) for one, weight in zip(maps, weights, strict=True)
        ]
        rows.append([cam / cam.max() if cam.max() > 0 else cam for cam in cams])
    return [np.stack(stream) for stream in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("arm", "form", "convolution"),
    [
        ("flatten-concatenate", "corrected", 3),
        ("flatten-concatenate", "corrected", 5),
        ("gap-average", "published", 3),
        ("spatial-only", "corrected", 3),
        ("temporal-only", "published", 5),
    ],
)
def test_maps_are_those_of_exact_gradients(arm, form, convolution):
    model = small(arm, form=form)
    maps = gradcam(model, *explained(), convolution)
    assert list(maps) == STREAMS[arm]
    for stream, exact in zip(maps, exact_maps(model, explained()[0], STREAMS[arm], convolution), strict=True):
        assert maps[stream].shape == (len(CLASSES), 48, 48)
        assert maps[stream].dtype == np.float32
        assert maps[stream].min() >= 0
        assert maps[stream].max() <= 1 + 1e-6
        assert exact.max(axis=(1, 2)).sum() >= 2  # not all of them empty
        cells = maps[stream][:, CELLS[convolution], CELLS[convolution]]
        np.testing.assert_allclose(cells, exact, atol=1e-4)


def test_maps_are_read_at_the_centres_of_receptive_fields_and_run_on_at_the_border():
    model = small("gap-average")
    spatial = gradcam(model, *explained())["spatial"]
    np.testing.assert_allclose(spatial[:, 9, 8:39], (spatial[:, 8, 8:39] + spatial[:, 10, 8:39]) / 2, atol=1e-6)
    np.testing.assert_allclose(spatial[:, :8], np.broadcast_to(spatial[:, 8:9], (5, 8, 48)), atol=1e-6)
    np.testing.assert_allclose(spatial[:, :, 39:], np.broadcast_to(spatial[:, :, 38:39], (5, 48, 9)), atol=1e-6)
    assert np.ptp(spatial) > 0.5


def test_maps_follow_the_weights_and_come_in_batches_of_any_size():
    model, other = small("gap-sum"), small("gap-sum", seed=1)
    explainer = GradCam(model, batch_size=2)
    for _ in range(2):
        expected = gradcam(model, *explained())
        for stream, found in explainer.maps(*explained()).items():
            np.testing.assert_allclose(found, expected[stream], atol=1e-4)
        model.set_weights(other.get_weights())


def test_the_class_matters_and_the_batch_does_not():
    model = small("flatten-concatenate")
    segments, rows, classes = explained()
    whole = gradcam(model, segments, rows, classes)
    alone = gradcam(model, segments, rows[3:4], classes[3:4])
    other = gradcam(model, segments, rows, (classes + 1) % 6)
    for stream in whole:
        np.testing.assert_allclose(whole[stream][3:4], alone[stream], atol=1e-4)
        assert np.abs(whole[stream] - other[stream]).max() > 0.1


def test_a_bright_spot_that_alone_drives_the_logit_is_found():
    """A stream that passes brightness on, and a head that likes brightness: the map peaks at the spot."""
    model = build_model(ARMS["spatial-only"], ModelSettings(form="published", width=1, head_units=1, dropout=0.0))
    for weight in model.trainable_weights:
        weight.assign(np.ones(weight.shape) if weight.path.endswith("kernel") else np.zeros(weight.shape))
    faces = np.zeros((1, 48, 48, 3), np.uint8)
    faces[0, 13:16, 29:32] = 255
    segments = pair_inputs(faces, np.zeros((1, 48, 48, 2), np.float32))
    found = gradcam(model, segments, np.array([0]), np.array([0]))["spatial"][0]
    rows, columns = np.nonzero(found > 0.9)
    assert rows.mean() == pytest.approx(14, abs=1.5)
    assert columns.mean() == pytest.approx(30, abs=1.5)
    assert found[30:, :20].max() == 0


def test_the_model_stays_as_it_was():
    model = small("flatten-concatenate")
    model.get_layer("temporal_conv2").trainable = False
    model.get_layer("dense1").trainable = False
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    values = [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]
    flags = {layer.name: layer.trainable for layer in model.layers}
    trainable = [weight.path for weight in model.trainable_weights]
    optimizer = model.optimizer
    faces, optical_flows = random_inputs()
    before = faces.copy(), optical_flows.copy()
    gradcam(model, pair_inputs(faces, optical_flows), np.arange(len(CLASSES)), CLASSES)
    assert {layer.name: layer.trainable for layer in model.layers} == flags
    assert flags["dense1"] is flags["temporal_conv2"] is False
    assert flags["dense2"] is True
    assert [weight.path for weight in model.trainable_weights] == trainable
    assert model.trainable
    assert model.optimizer is optimizer
    for variable, value in zip(model.variables, values, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    np.testing.assert_array_equal(faces, before[0])
    np.testing.assert_array_equal(optical_flows, before[1])


def test_dropout_sleeps_while_explaining():
    model, sober = small("gap-average", dropout=0.5), small("gap-average", dropout=0.0)
    sober.set_weights(model.get_weights())
    expected = gradcam(sober, *explained())
    for stream, found in gradcam(model, *explained()).items():
        np.testing.assert_allclose(found, expected[stream], atol=1e-5)
    draws = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
    assert len(draws) == 3  # of the augmentation and both dropouts
    assert all(keras.ops.convert_to_numpy(variable)[1] == 0 for variable in draws)  # nothing was drawn


@pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here")
def test_mixed_precision():
    maps = gradcam(small("gap-average", precision="mixed_bfloat16"), *explained())
    for found in maps.values():
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert found.max() == pytest.approx(1, abs=1e-3)


# Several frames


def frames_explained(num_frames: int = 4) -> tuple[FrameInputs, np.ndarray, np.ndarray]:
    """As `explained`, of segments whose windows overlap."""
    windows = np.arange(len(CLASSES))[:, None] + np.arange(num_frames)
    segments = FrameInputs(*random_inputs(windows.max() + 1), windows, np.ones(windows.shape, bool))
    return segments, np.arange(len(CLASSES)), CLASSES


@pytest.mark.parametrize("convolution", [3, 5])
def test_maps_with_frames_are_those_of_exact_gradients_with_one_peak_a_segment(convolution: int) -> None:
    model = small("c3d-sum", shape=SegmentShape(num_frames=4))
    streams = ["spatial", "temporal", "frames"]
    segments, rows, classes = frames_explained()
    explainer = GradCam(model, len(rows), convolution)
    cells = explainer.cells(segments, rows, classes)
    for stream, exact in zip(streams, exact_maps(model, segments, streams, convolution), strict=True):
        np.testing.assert_allclose(cells[stream], exact, atol=1e-4)
    maps = explainer.maps(segments, rows, classes)
    assert {stream: one.shape[1:] for stream, one in maps.items()} == explainer.shapes(segments.shape)
    assert explainer.shapes(segments.shape) == {"spatial": (48, 48), "temporal": (48, 48), "frames": (4, 48, 48)}
    frames = maps["frames"]
    assert (frames.shape, frames.dtype) == ((len(CLASSES), 4, 48, 48), np.float32)
    inside = frames[..., CELLS[convolution], CELLS[convolution]]
    if convolution == 3:
        np.testing.assert_allclose(inside, cells["frames"], atol=1e-6)  # it has all frames
    else:
        first, second = cells["frames"][:, 0], cells["frames"][:, 1]  # which look at 0.5 and 2.5
        for number, share in enumerate((0, 0.25, 0.75, 1)):
            np.testing.assert_allclose(inside[:, number], first + share * (second - first), atol=1e-6)
    peaks = frames.max(axis=(2, 3))
    assert np.isin(peaks.max(axis=1).round(4), (0, 1)).all()
    assert (peaks.min(axis=1) < 0.99).any()


def test_a_single_cell_in_time_stands_for_all_frames() -> None:
    model = small("c3d", form="modern", shape=SegmentShape(num_frames=2))
    found = gradcam(model, *frames_explained(2))["frames"]
    assert found.shape == (len(CLASSES), 2, 48, 48)
    assert found.any()
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_cells_stand_in_time_and_space_where_they_look() -> None:
    looked_at = FeatureMap(layer="x", first_px=2, step_px=3, first_frame=1.0, step_frames=2.0)
    cells = np.zeros((1, 2, 2, 4), np.float32)
    cells[0, 1, 0, 2] = 1.0  # looks at frame 3, row 2, column 8
    placed = gradcam_module._place(cells, looked_at, SegmentShape(num_frames=5, side_px=12))[0]
    np.testing.assert_allclose(placed[:, 2, 8], [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(placed[3, :, 8], [1, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(placed[3, 2], [0, 0, 0, 0, 0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0], atol=1e-6)


def test_a_bright_spot_is_found_in_its_frame() -> None:
    """As with one frame: a stream that passes brightness on, and a head that likes it."""
    settings = ModelSettings(form="published", width=1, head_units=1, dropout=0.0)
    model = build_model(ARMS["c3d"], settings, shape=SegmentShape(num_frames=8))
    for weight in model.trainable_weights:
        weight.assign(np.ones(weight.shape) if weight.path.endswith("kernel") else np.zeros(weight.shape))
    faces = np.zeros((8, 48, 48, 3), np.uint8)
    faces[5, 13:16, 29:32] = 255
    segments = FrameInputs(faces, None, np.arange(8)[None], np.ones((1, 8), bool))
    (found,) = gradcam(model, segments, np.array([0]), np.array([0]))["frames"]
    assert found.max(axis=(1, 2)).argmax() == 5
    rows, columns = np.nonzero(found[5] > 0.9)
    assert (rows.mean(), columns.mean()) == pytest.approx((14, 30), abs=1.5)
    assert found[0].max() == 0


def test_a_stream_of_stacked_frames_has_one_map_for_all() -> None:
    model = small("frame-stack", shape=SegmentShape(num_frames=4))
    assert gradcam(model, *frames_explained())["frames"].shape == (len(CLASSES), 48, 48)
