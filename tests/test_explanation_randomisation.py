"""The model-randomisation check tells maps that depend on the model from maps that do not; the model stays as it is."""

import keras
import numpy as np
import pytest
from keras import layers
from moving_squares import LABELS, moving_squares
from scipy.stats import spearmanr

from fer_models.explanation.gradcam import GradCam
from fer_models.explanation.randomisation import (
    MAX_SIMILARITY,
    Randomisation,
    _draw_anew,
    check_randomisation,
    layers_from_the_top,
    rank_correlation,
)
from fer_models.models.arms import ARMS
from fer_models.models.building import EmotionProbabilities, build_model, model_network
from fer_models.models.inputs import input_layers
from fer_models.models.network import FeatureMap, Network
from fer_models.segments import SegmentShape, pair_inputs
from fer_models.settings import ModelSettings

pytestmark = pytest.mark.trains

STEPS = ["logits", "dense2", "dense1", "conv5", "conv4", "conv3", "conv2", "conv1"]
NUM = 9


def inputs() -> tuple[pair_inputs, np.ndarray, np.ndarray]:
    """Segments, rows and classes: a bright patch on noise, and motion within it; where it is tells the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(NUM) % 3
    faces = rng.integers(0, 60, (NUM, 48, 48, 3), np.uint8)
    optical_flows = rng.normal(0, 0.02, (NUM, 48, 48, 2)).astype(np.float32)
    for row, label in enumerate(labels):
        place = slice(6 + 13 * label, 18 + 13 * label)
        faces[row, place, place] += 150
        optical_flows[row, place, place] += 0.5
    return pair_inputs(faces, optical_flows), np.arange(NUM), labels


def tiny(arm: str = "gap-sum", form: str = "corrected") -> keras.Model:
    settings = ModelSettings(form=form, width=4, head_units=16, dropout=0.0)
    return build_model(ARMS[arm], settings, ("anger", "fear", "joy"))


@pytest.fixture(scope="module")
def trained() -> GradCam:
    """The maps of a model that has learned where the patch is."""
    segments, _, labels = inputs()
    pictures = [segments.faces, segments.optical_flows]
    model = tiny()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    for _ in range(20):
        for _ in range(40):
            model.train_on_batch(pictures, labels)
        if (model.predict_on_batch(pictures).argmax(axis=1) == labels).all():
            return GradCam(model, NUM)
    return pytest.fail("it has not learned the place after 800 steps")


@pytest.mark.slow
def test_forgetting_destroys_the_maps_of_a_trained_model(trained: GradCam) -> None:
    result = check_randomisation(trained, *inputs(), seed=1)
    assert list(result.steps) == STEPS
    assert set(result.means) == {"spatial", "temporal"}
    for stream, means in result.means.items():
        assert result.similarity[stream].shape == (5, 8)
        assert result.num_maps[stream] >= NUM / 3
        assert abs(means[-1]) < 0.8  # 0.0 to 0.35 was seen, as the last digits of the training fall
    assert result.passed == all(abs(means[-1]) <= MAX_SIMILARITY for means in result.means.values())


def test_the_model_has_its_weights_again(trained: GradCam) -> None:
    before = [weight.copy() for weight in trained.model.get_weights()]
    maps = trained.maps(*inputs())
    check_randomisation(trained, *inputs(), seed=1, num_draws=1)
    for weight, other in zip(trained.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)
    for stream, again in trained.maps(*inputs()).items():
        np.testing.assert_array_equal(again, maps[stream])


class Breaking(GradCam):
    """Gives up at the third look."""

    looks = 0

    def cells(self, segments: pair_inputs, rows: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        self.looks += 1
        if self.looks == 3:
            raise KeyboardInterrupt
        return super().cells(segments, rows, classes)


def test_it_has_them_when_the_check_is_broken_off(trained: GradCam) -> None:
    before = [weight.copy() for weight in trained.model.get_weights()]
    with pytest.raises(KeyboardInterrupt):
        check_randomisation(Breaking(trained.model, NUM), *inputs(), seed=1)
    for weight, other in zip(trained.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_seed_decides(trained: GradCam) -> None:
    first, again, other = (check_randomisation(trained, *inputs(), seed, num_draws=2) for seed in (1, 1, 2))
    for stream in ("spatial", "temporal"):
        np.testing.assert_array_equal(first.similarity[stream], again.similarity[stream])
        assert np.abs(first.similarity[stream] - other.similarity[stream]).max() > 0.01
        assert np.abs(np.diff(first.similarity[stream], axis=0)).max() > 0.01, "each draw is another one"


class Watching(GradCam):
    """Remembers the kernels at each look; its maps are the brightness of the picture, whatever the model."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model, NUM)
        self.seen: list[dict[str, np.ndarray]] = []

    def cells(self, segments: pair_inputs, rows: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        layers = [layer for layers in layers_from_the_top(self.model).values() for layer in layers]
        self.seen.append({layer.name: layer.get_weights()[0].copy() for layer in layers})
        return {stream: segments.faces[rows].mean(axis=-1)[:, ::3, ::3] for stream in self.streams}


def test_layers_are_drawn_anew_from_the_top_each_with_its_own_spread(trained: GradCam) -> None:
    for_watching = Watching(trained.model)
    check_randomisation(for_watching, *inputs(), seed=1, num_draws=1)
    original = for_watching.seen[0]
    assert len(for_watching.seen) == 1 + len(STEPS)
    for number, kernels in enumerate(for_watching.seen):
        changed = {name for name in kernels if not np.array_equal(kernels[name], original[name])}
        drawn = set(STEPS[:number])
        assert changed == {name for name in kernels if name.removeprefix("spatial_").removeprefix("temporal_") in drawn}
    last = for_watching.seen[-1]
    assert not np.array_equal(last["spatial_conv1"], last["temporal_conv1"])
    fan_in = np.prod(last["spatial_conv4"].shape[:3])
    assert last["spatial_conv4"].std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.15), "He et al. 2015"


def test_maps_that_show_the_picture_alone_fail(trained: GradCam) -> None:
    result = check_randomisation(Watching(trained.model), *inputs(), seed=1, num_draws=1)
    assert all(means == pytest.approx(np.ones(8)) for means in result.means.values())
    assert not result.passed


def test_a_stream_without_maps_does_not_pass(trained: GradCam) -> None:
    class Blind(GradCam):
        def cells(self, segments: pair_inputs, rows: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
            found = super().cells(segments, rows, classes)
            return found | {"temporal": np.zeros_like(found["temporal"])}

    result = check_randomisation(Blind(trained.model, NUM), *inputs(), seed=1, num_draws=1)
    assert list(result.similarity) == ["spatial"]
    assert result.num_maps["temporal"] == 0
    assert not result.passed


def test_draws_without_a_map_do_not_count() -> None:
    values = np.array([[0.5, np.nan, np.nan], [0.1, 0.2, np.nan]])
    result = Randomisation(("a", "b", "c"), {"spatial": values}, {"spatial": 4})
    assert result.means["spatial"] == pytest.approx([0.3, 0.2, 0.0])
    assert result.passed


def test_one_stream_has_its_own_layers() -> None:
    cascade = layers_from_the_top(tiny("temporal-only"))
    assert list(cascade) == STEPS
    assert [layer.name for layer in cascade["conv5"]] == ["temporal_conv5"]
    assert {layer.name for layer in layers_from_the_top(tiny())["conv2"]} == {"spatial_conv2", "temporal_conv2"}


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 6, (2, 4, 5, 5)).astype(np.float32)  # with ties
    first[3] = 2.0
    found = rank_correlation(first, second)
    for row in range(3):
        assert found[row] == pytest.approx(spearmanr(first[row].ravel(), second[row].ravel()).statistic)
    assert found[3] == 0, "a constant map has no order"
    assert rank_correlation(first[:3], np.exp(first[:3])) == pytest.approx(np.ones(3))
    assert rank_correlation(first[:3], -first[:3]) == pytest.approx(-np.ones(3))


@pytest.mark.slow
def test_normalisation_is_forgotten_with_its_convolution() -> None:
    """Statistics of the trained model would make maps of random ones."""
    segments, rows, labels = inputs()
    model = tiny("flatten-concatenate", "modern")
    assert list(layers_from_the_top(model)) == ["logits", "conv4", "conv3", "conv2", "conv1"]
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    for _ in range(30):
        model.train_on_batch([segments.faces, segments.optical_flows], labels)
    kept = model.get_weights()
    variances = []
    explainer = GradCam(model, NUM)

    class Watched:
        model = explainer.model
        cells = staticmethod(
            lambda *arguments: (
                variances.append(model.get_layer("spatial_conv4_norm").get_weights()[3].copy())
                or explainer.cells(*arguments)
            )
        )

    check = check_randomisation(Watched, segments, rows, labels, seed=0, num_draws=1)
    assert check.steps == ("logits", "conv4", "conv3", "conv2", "conv1")
    assert not np.allclose(variances[1], 1)
    np.testing.assert_array_equal(variances[2], 1)
    for one, other in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)


# Several frames


@pytest.mark.parametrize(
    ("arm", "form", "steps"),
    [
        ("c3d-sum", "corrected", STEPS),
        ("c3d", "modern", ["logits", "conv4", "conv3", "conv2", "conv1"]),
        ("frame-stack-average", "modern", ["logits", "conv4", "conv3", "conv2", "conv1"]),
    ],
)
def test_streams_over_frames_forget_with_the_others(arm: str, form: str, steps: list[str]) -> None:
    segments = moving_squares(6, 0)
    settings = ModelSettings(form=form, width=4, head_units=16, dropout=0.0)
    model = build_model(ARMS[arm], settings, LABELS, shape=segments.shape)
    kept = model.get_weights()
    cascade = layers_from_the_top(model)
    assert list(cascade) == steps
    streams = model_network(model).feature_maps
    convolutions = {layer.name for layer in cascade["conv1"] if layer.name.endswith("conv1")}
    assert convolutions == {f"{stream}_conv1" for stream in streams}
    with_weights = {layer.name for layer in model.layers if layer.weights}
    assert {layer.name for step in cascade.values() for layer in step} == with_weights
    result = check_randomisation(GradCam(model, 6), segments, np.arange(6), segments.labels, seed=1, num_draws=2)
    assert result.steps == tuple(steps)
    assert result.num_maps["frames"] > 0
    assert result.similarity["frames"].shape == (2, len(steps))
    assert np.abs(result.similarity["frames"][:, -1]).max() < 0.9
    for one, other in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)


def recurrent(layer: keras.Layer) -> keras.Model:
    """A convolution of each frame, whose map has frames, and a layer that goes through them."""
    shape = SegmentShape(num_frames=4, has_optical_flow=False)
    face = input_layers(shape, all_frames=True)["face"]
    weights = keras.initializers.HeNormal(seed=1)
    convolution = layers.Conv3D(
        4, (1, 5, 5), (1, 4, 4), activation="relu", kernel_initializer=weights, name="spatial_conv1"
    )
    x = convolution(layers.Rescaling(1 / 255)(face))  # (batch, 4, 11, 11, 4)
    if isinstance(layer, layers.ConvLSTM2D):
        x = layers.GlobalAveragePooling2D()(layer(x))
    else:
        x = layer(layers.Reshape((4, 11 * 11 * 4))(x))
    logits = layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(seed=2), name="logits")(x)
    maps = {"spatial": (FeatureMap(layer="spatial_conv1", first_px=2, step_px=4),)}
    network = Network(family="recurrent", shape=shape, head="logits", logits="logits", feature_maps=maps)
    last = EmotionProbabilities(LABELS, network=network.model_dump(mode="json"), name="probabilities")
    return keras.Model(face, last(logits))


RECURRENT = (layers.LSTM, layers.GRU, layers.ConvLSTM2D)


def recurrent_layer(kind: type[keras.Layer]) -> keras.Layer:
    kernels = {"kernel_size": 3} if kind is layers.ConvLSTM2D else {}
    initializers = keras.initializers.GlorotUniform(seed=3), keras.initializers.Orthogonal(seed=4)
    weights = dict(zip(("kernel_initializer", "recurrent_initializer"), initializers, strict=True))
    return kind(6, **kernels, **weights, name="spatial_memory")


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_are_forgotten_too(kind: type[keras.Layer]) -> None:
    segments = moving_squares(6, 0)
    model = recurrent(recurrent_layer(kind))
    kept = model.get_weights()
    assert list(layers_from_the_top(model)) == ["logits", "memory", "conv1"]
    explainer = GradCam(model, 6)
    assert explainer.cells(segments, np.arange(6), segments.labels)["spatial"].shape == (6, 4, 11, 11)
    result = check_randomisation(explainer, segments, np.arange(6), segments.labels, seed=1, num_draws=2)
    assert result.steps == ("logits", "memory", "conv1")
    steps = result.similarity["spatial"]
    assert np.abs(np.diff(steps, axis=1)).min() > 1e-3, "each step changes the maps"
    for one, other in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", RECURRENT)
def test_each_weight_of_a_recurrent_layer_is_drawn_by_its_own_initializer(kind: type[keras.Layer]) -> None:
    layer = recurrent_layer(kind)
    recurrent(layer)
    fresh = [weight.copy() for weight in layer.get_weights()]
    layer.set_weights([np.full_like(weight, 0.3) for weight in fresh])
    _draw_anew(layer, "1/0/spatial_memory")
    kernel, recurrent_kernel, bias = layer.get_weights()
    assert kernel.std() == pytest.approx(fresh[0].std(), rel=0.1)
    assert not np.array_equal(kernel, fresh[0])
    flat = recurrent_kernel.reshape(-1, recurrent_kernel.shape[-1])
    flat = flat if len(flat) < flat.shape[1] else flat.T
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-4)
    np.testing.assert_array_equal(bias, fresh[2])
    _draw_anew(layer, "1/1/spatial_memory")
    assert not np.array_equal(layer.get_weights()[0], kernel)
    _draw_anew(layer, "1/0/spatial_memory")
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_maps_with_frames_are_compared_over_all_cells() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 4, 3, 5, 5)).astype(np.float32)
    found = rank_correlation(first, second)
    for row in range(4):
        assert found[row] == pytest.approx(spearmanr(first[row].ravel(), second[row].ravel()).statistic)
