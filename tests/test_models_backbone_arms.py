"""Arms of published networks: parameters, two streams that begin alike, published weights, what is trained."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
from pydantic import ValidationError
from test_models_backbones import PARAMETERS, SMALL, build, write_notop
from test_models_building import needs_bfloat16, random_inputs
from test_models_mini_xception import draw_weights

from fer_models.errors import UserError
from fer_models.explanation.gradcam import GradCam
from fer_models.explanation.randomisation import check_randomisation, layers_from_the_top
from fer_models.models.arms import ARMS, ensemble_of
from fer_models.models.backbones.laying import NETWORKS
from fer_models.models.building import (
    build_ensemble,
    build_model,
    load_model,
    model_network,
    streams_of,
    weights_of,
)
from fer_models.models.equivalence import find_equivalences
from fer_models.models.families.backbone import FAMILY, BackboneOptions
from fer_models.models.inputs import BgrAboutMean
from fer_models.models.resizing import ResizedMap
from fer_models.models.sizes import size_of
from fer_models.segments import SegmentShape, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings

pytestmark = pytest.mark.trains

NAMES = [name for name, arm in ARMS.items() if arm.family == "backbone"]
SETTINGS = ModelSettings(form="modern", head_units=8, dropout=0.0, backbone_width=SMALL)
PUBLISHED = SETTINGS.model_copy(update={"backbone_weights": "imagenet"})
CHANNELS = {"vgg16": 512, "vgg19": 512, "resnet50": 2048, "mobilenet-v3-small": 576}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of small networks, by the name of the weights."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for name, network in NETWORKS.items():
        model = build(name, SMALL)
        draw_weights(model)
        files[network.weights] = write_notop(folder / f"{name}.h5", model)
    return files


def body_of(model: keras.Model, stream: str, last: str) -> keras.Model:
    """From what the network of a stream sees to a layer of it."""
    first = model.get_layer(f"{stream}_colours").output
    return keras.Model(first, model.get_layer(f"{stream}_{last}").output)


def test_there_is_one_stream_and_two_of_each_network() -> None:
    networks = ("vgg16", "vgg19", "resnet50", "mobilenet")
    assert [f"{name}-{kind}" for name in networks for kind in ("spatial", "concatenate")] == NAMES
    assert [streams_of(ARMS[name]) for name in NAMES[:2]] == [("spatial",), ("spatial", "temporal")]


@pytest.mark.parametrize("form", ["corrected", "modern"])
@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_the_published_size(name: str, form: str) -> None:
    """Of each stream the published number, then the layers that decide from the means of its last maps."""
    network = ARMS[name].options["network"]
    num_streams = len(streams_of(ARMS[name]))
    length = num_streams * CHANNELS[network]
    dense = [length, 1024, 1024, 6] if form == "corrected" else [length, 6]
    head = sum((before + 1) * after for before, after in itertools.pairwise(dense))
    settings = ModelSettings(form=form)
    assert size_of(ARMS[name], settings, 6).num_parameters == num_streams * PARAMETERS[network] + head


def test_counting_is_as_building_and_leaves_nothing_behind() -> None:
    for name in ("vgg16-spatial", "mobilenet-spatial", "gap-sum", "fer2013-spatial-only"):
        assert size_of(ARMS[name], SETTINGS, 6).num_parameters == build_model(ARMS[name], SETTINGS).count_params()


def test_both_streams_begin_alike_and_see_their_own() -> None:
    model = build_model(ARMS["vgg16-concatenate"], SETTINGS)
    for layer in model.layers:
        if layer.weights and layer.name.startswith("spatial_"):
            other = model.get_layer(layer.name.replace("spatial_", "temporal_"))
            for one, two in zip(layer.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_array_equal(one, two)
    assert not np.array_equal(*(model.get_layer(f"spatial_block1_conv{n}").kernel[0, 0, 0] for n in (1, 2)))
    faces, optical_flows = random_inputs(2)
    full = model.predict_on_batch([faces, optical_flows])
    for other in ([np.zeros_like(faces), optical_flows], [faces, np.zeros_like(optical_flows)]):
        assert np.abs(model.predict_on_batch(other) - full).max() > 1e-5


# Published weights


@pytest.mark.parametrize("name", ["vgg16-concatenate", "vgg19-spatial", "resnet50-spatial", "mobilenet-spatial"])
def test_published_weights_are_in_every_stream_and_stay_whole(name: str, weights: dict[str, Path]) -> None:
    """In training too, but for augmentation: normalisation stays as it is."""
    arm = ARMS[name]
    network = NETWORKS[arm.options["network"]]
    assert weights_of(arm, PUBLISHED) == (network.weights,)
    assert weights_of(arm, SETTINGS) == ()
    model = build_model(arm, PUBLISHED, weights=weights)
    side = model.get_layer("spatial_colours").output.shape[1]
    plain = build(arm.options["network"], SMALL, side)
    draw_weights(plain)
    pictures = np.random.default_rng(1).normal(0, 0.5, (2, side, side, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(plain(pictures))
    last = plain.layers[-1].name
    for stream in streams_of(arm):
        body = body_of(model, stream, last)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(body(pictures, training=True), expected, rtol=1e-4, atol=1e-4 * scale)
        trained = {weight.path.split("/")[0] for weight in body.trainable_weights}
        assert trained
        assert not {one for one in trained if one.endswith("_bn")}
    told = set(model_network(model).pretrained)
    assert {layer.name for layer in model.layers if layer.weights} - told == {"logits"}


def test_pictures_are_as_the_network_was_trained_on() -> None:
    """Colours of photos without standardisation; no motion is the middle, three times the scale the end."""
    model = build_model(ARMS["vgg16-concatenate"], PUBLISHED)
    faces, flows = np.full((1, 48, 48, 3), (10, 100, 250), np.uint8), np.zeros((1, 48, 48, 2), np.float32)
    flows[0, :24, :, 0] = 3 * PUBLISHED.optical_flow_scale_px
    names = ("spatial_colours", "optical_flow_values", "temporal_colours")
    face, motion, colours = keras.Model(model.inputs, [model.get_layer(name).output for name in names])([faces, flows])
    np.testing.assert_allclose(face[0, 0, 0], [250 - 103.939, 100 - 116.779, 10 - 123.68], atol=1e-3)
    np.testing.assert_allclose(motion[0, 0, 0], [255.0, 127.5, 255.0])
    np.testing.assert_allclose(motion[0, -1, 0], [127.5, 127.5, 127.5])
    assert (face.shape, motion.shape, colours.shape) == ((1, 64, 64, 3), (1, 48, 48, 3), (1, 64, 64, 3))
    np.testing.assert_allclose(colours[0, 0, 0], BgrAboutMean()(motion)[0, 0, 0], atol=1e-3)
    mobile = build_model(ARMS["mobilenet-spatial"], PUBLISHED)
    assert [layer.name for layer in mobile.layers if isinstance(layer, ResizedMap)] == []
    small = keras.Model(mobile.inputs, mobile.get_layer("spatial_colours").output)([faces, flows])
    np.testing.assert_allclose(small[0, 0, 0], np.array([10, 100, 250]) / 127.5 - 1, atol=1e-5)
    published = build_model(ARMS["vgg16-concatenate"], PUBLISHED.model_copy(update={"form": "published"}))
    drawn = keras.Model(published.inputs, published.get_layer("optical_flow_values").output)([faces, flows])
    assert (float(drawn.numpy().min()), float(drawn.numpy().max())) == (0.0, 255.0)


def test_fresh_weights_see_what_other_families_see() -> None:
    model = build_model(ARMS["vgg16-concatenate"], SETTINGS)
    names = {layer.name for layer in model.layers}
    assert "face_standardisation" in names
    assert not {"spatial_colours", "face_values", "optical_flow_values"} & names
    assert model_network(model).pretrained == ()
    assert len(model.trainable_weights) == len(model.weights)


@pytest.mark.parametrize(
    ("name", "unfreeze_from", "first"),
    [
        ("vgg16-concatenate", "block5_conv2", "block5_conv2"),
        ("vgg16-concatenate", "block4", "block4_conv1"),
        ("resnet50-spatial", "block4,conv5", "conv5_block1_1_conv"),
    ],
)
def test_what_comes_before_a_layer_is_not_trained(name: str, unfreeze_from: str, first: str) -> None:
    model = build_model(ARMS[name], PUBLISHED.model_copy(update={"unfreeze_from": unfreeze_from}))
    for stream in streams_of(ARMS[name]):
        layers = [layer for layer in model.layers if layer.weights and layer.name.startswith(f"{stream}_")]
        kernels = [layer for layer in layers if not layer.name.endswith("_bn")]
        names = [layer.name for layer in kernels if layer.trainable]
        assert names[0] == f"{stream}_{first}"
        assert names == [layer.name for layer in kernels][-len(names) :]
        assert len(names) < len(kernels)


def test_a_layer_that_is_not_there_is_one_sentence() -> None:
    settings = PUBLISHED.model_copy(update={"unfreeze_from": "block6_conv1"})
    with pytest.raises(
        UserError, match=r"VGG16 has no layer 'block6_conv1' \(did you mean 'block\d_conv1'\?\); it has"
    ):
        build_model(ARMS["vgg16-spatial"], settings)
    with pytest.raises(ValidationError, match="fresh weights are all trained"):
        ModelSettings(unfreeze_from="block5")


def test_weights_of_another_width_are_one_sentence(weights: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"does not hold the weights of VGG16: its block1_conv1 .*width 1\."):
        build_model(ARMS["vgg16-spatial"], PUBLISHED.model_copy(update={"backbone_width": 2 * SMALL}), weights=weights)


# Houses' own


def test_saved_models_and_ensembles(weights: dict[str, Path], tmp_path: Path) -> None:
    arm = ARMS["vgg16-concatenate"]
    settings = PUBLISHED.model_copy(update={"unfreeze_from": "block4"})
    members = [
        build_model(arm, settings, augmentation=AugmentationSettings(), weights=weights, seed=seed) for seed in (1, 2)
    ]
    members[0].save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    inputs = random_inputs(2)
    said = [model.predict_on_batch(inputs) for model in members]
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), said[0])
    assert model_network(loaded) == model_network(members[0])
    assert len(loaded.trainable_weights) == len(members[0].trainable_weights) < len(members[0].weights)
    together = build_ensemble(ensemble_of(arm, 2), [loaded, members[1]])
    np.testing.assert_allclose(together.predict_on_batch(inputs), np.mean(said, axis=0), atol=1e-6)


@needs_bfloat16
@pytest.mark.parametrize("name", ["vgg16-spatial", pytest.param("mobilenet-spatial", marks=pytest.mark.slow)])
def test_half_precision(name: str, weights: dict[str, Path]) -> None:
    model = build_model(ARMS[name], PUBLISHED, weights=weights, precision="mixed_bfloat16")
    last = model_network(model).feature_maps["spatial"][-1].layer
    assert keras.backend.standardize_dtype(model.get_layer(last).output.dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in model.trainable_weights} == {"float32"}
    probabilities = model.predict_on_batch(random_inputs(2))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("side_px", [48, 96])
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("spatial")])
def test_maps_are_of_the_stored_face(name: str, side_px: int) -> None:
    model = build_model(ARMS[name], SETTINGS, shape=SegmentShape(side_px=side_px))
    (maps,) = model_network(model).feature_maps.values()
    assert len(maps) == 5
    for one in maps:
        centres = one.centres(model.get_layer(one.layer).output.shape[1])
        assert len(centres) > 1
        assert -0.5 <= centres[0] < centres[-1] < side_px + one.step_px / 2


def test_it_can_be_explained_and_the_explanation_checked(weights: dict[str, Path]) -> None:
    model = build_model(ARMS["vgg16-concatenate"], PUBLISHED, weights=weights)
    explainer = GradCam(model, 2)
    segments = pair_inputs(*random_inputs(2))
    rows, classes = np.arange(2), np.array([0, 1])
    assert {one.shape for one in explainer.cells(segments, rows, classes).values()} == {(2, 16, 16)}
    assert {one.shape for one in explainer.maps(segments, rows, classes).values()} == {(2, 48, 48)}
    before = model.get_weights()
    check = check_randomisation(explainer, segments, rows, classes, seed=1, num_draws=1)
    assert set(check.num_maps) == {"spatial", "temporal"}
    assert check.steps == (
        "logits",
        *(f"block{block}_conv{count}" for block, count in zip("54321", "33322", strict=True)),
    )
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_check_of_explanations_draws_every_layer_anew() -> None:
    model = build_model(ARMS["mobilenet-spatial"], SETTINGS)
    cascade = layers_from_the_top(model)
    assert list(cascade)[:3] == ["logits", "conv_1_act", "expanded_conv_7_add"]
    drawn = {layer.name for layers in cascade.values() for layer in layers}
    assert drawn == {layer.name for layer in model.layers if layer.weights}


def test_no_arm_is_another_one() -> None:
    assert find_equivalences([ARMS[name] for name in NAMES[:4]], ModelSettings()) == ()


def test_methods_say_what_the_networks_are() -> None:
    one, both, other = (
        BackboneOptions.model_validate(ARMS[name].options)
        for name in ("vgg16-spatial", "vgg16-concatenate", "resnet50-spatial")
    )
    assert FAMILY.methods([one], ModelSettings()) == "VGG16 over the face, of the published size, with fresh weights,"
    several = "VGG16 and ResNet50 over the face or the face and its motion, of 0.0625 of their filters"
    assert FAMILY.methods([one, both, other], PUBLISHED) == f"{several}, begun with weights of ImageNet,"
    assert "weights of a file" in FAMILY.methods([one], PUBLISHED.model_copy(update={"backbone_weights": "a.h5"}))
