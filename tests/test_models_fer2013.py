"""The published network with its own head as a model of the project: same numbers, what it sees, what it carries."""

from pathlib import Path

import keras
import numpy as np
import pytest
from test_models_mini_xception import draw_weights, write_weights

from fer_models.explanation.gradcam import gradcam
from fer_models.models.arms import Arm
from fer_models.models.backbones import mini_xception
from fer_models.models.building import build_model, load_model, model_network, needs_of, streams_of, weights_of
from fer_models.models.inputs import GreyFaces
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict

SIDE_PX, BORDER_PX = 76, 6
ARM = Arm("published", "Published", "fer2013", {"seen_share": 64 / 76})


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """The network with drawn weights, and a file of them."""
    network = mini_xception.build_mini_xception()
    draw_weights(network)
    return network, write_weights(tmp_path_factory.mktemp("weights") / "weights.hdf5", network)


@pytest.fixture(scope="module")
def model(published: tuple[keras.Model, Path]) -> keras.Model:
    shape = SegmentShape(side_px=SIDE_PX, has_optical_flow=False)
    weights = {mini_xception.WEIGHTS: published[1]}
    return build_model(ARM, ModelSettings(views="mirror"), mini_xception.CLASSES, shape=shape, weights=weights)


def faces(num: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (num, SIDE_PX, SIDE_PX, 3), np.uint8)


def segments(pictures: np.ndarray) -> FrameInputs:
    windows = np.arange(len(pictures))[:, None]
    return FrameInputs(pictures, None, windows, np.ones(windows.shape, bool))


def test_it_gives_the_numbers_of_the_published_network(model: keras.Model, published: tuple[keras.Model, Path]) -> None:
    assert model.count_params() == 58_423
    pictures = faces()
    middle = pictures[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    expected = [
        published[0].predict_on_batch(keras.ops.convert_to_numpy(GreyFaces(64)(one)))["probabilities"]
        for one in (middle, middle[:, :, ::-1])
    ]
    np.testing.assert_allclose(model.predict_on_batch(pictures), expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predict(model, segments(pictures)), sum(expected) / 2, rtol=1e-5, atol=1e-6)


def test_what_lies_beside_the_middle_is_not_seen(model: keras.Model) -> None:
    pictures = faces()
    inside, outside = pictures.copy(), pictures.copy()
    inside[:, BORDER_PX, 30] ^= 255
    outside[:, BORDER_PX - 1, 30] ^= 255
    before, changed, same = (model.predict_on_batch(one) for one in (pictures, inside, outside))
    assert (before != changed).any()
    np.testing.assert_array_equal(before, same)


def test_it_comes_back_from_a_file(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(faces()), model.predict_on_batch(faces()))
    network = model_network(again)
    assert network == model_network(model)
    assert (network.family, network.views, network.shape.side_px) == ("fer2013", "mirror", SIDE_PX)
    assert {layer.name for layer in model.layers if layer.weights} == set(network.pretrained)


def test_its_maps_stand_where_it_looks(model: keras.Model) -> None:
    """The cell of a feature map that a bright dot changes most is the one whose centre is nearest to the dot."""
    for one in model_network(model).feature_maps["spatial"][:3]:
        dark, dotted = np.zeros((2, 1, SIDE_PX, SIDE_PX, 3), np.uint8)
        maps = keras.Model(model.inputs, model.get_layer(one.layer).output)
        centres = one.centres(maps.output_shape[1])
        row, column = round(centres[len(centres) // 3]), round(centres[len(centres) // 2])
        dotted[0, row, column] = 255
        change = np.abs(maps.predict_on_batch(dotted) - maps.predict_on_batch(dark)).sum(axis=-1)[0]
        weights = change / change.sum()
        found = weights.sum(axis=1) @ centres, weights.sum(axis=0) @ centres
        np.testing.assert_allclose(found, (row, column), atol=1.5 * one.step_px)


@pytest.mark.trains
def test_grad_cam_explains_it(model: keras.Model) -> None:
    maps = gradcam(model, segments(faces()), np.arange(3), np.array([0, 3, 6]))
    assert {stream: one.shape for stream, one in maps.items()} == {"spatial": (3, SIDE_PX, SIDE_PX)}
    assert maps["spatial"].max() <= 1


def test_it_has_its_own_classes_and_no_others() -> None:
    with pytest.raises(ValueError, match="7 classes of its own, not 6"):
        build_model(ARM, ModelSettings(), mini_xception.CLASSES[:6])
    assert (streams_of(ARM), needs_of(ARM)) == (("spatial",), SegmentShape(1, has_optical_flow=False))
    assert weights_of(ARM, ModelSettings()) == (mini_xception.WEIGHTS,)
