"""Arms whose spatial stream is the mini-Xception of FER2013: what it sees, where its maps look, how it is fused."""

from pathlib import Path

import keras
import numpy as np
import pytest
from test_models_building import random_inputs
from test_models_mini_xception import draw_weights, write_weights

from fer_models.explanation.gradcam import GradCam
from fer_models.explanation.randomisation import check_randomisation, layers_from_the_top
from fer_models.models.arms import ARMS
from fer_models.models.backbones import mini_xception
from fer_models.models.building import build_model, load_model, model_network, streams_of, weights_of
from fer_models.models.equivalence import find_equivalences
from fer_models.models.families.two_stream import FAMILY, TwoStreamOptions
from fer_models.models.inputs import GreyFaces
from fer_models.models.resizing import ResizedMap
from fer_models.segments import SegmentShape, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings

pytestmark = pytest.mark.trains

NAMES = [name for name, arm in ARMS.items() if arm.options.get("spatial") == "mini-xception"]
SMALL = ModelSettings(form="modern", width=4, head_units=8)


def test_there_is_one_of_each_kind() -> None:
    fusions = {
        f"fer2013-{pooling}-{how}" for pooling in ("flatten", "gap") for how in ("concatenate", "sum", "average")
    }
    assert set(NAMES) == {"fer2013-spatial-only", *fusions}
    assert {weights_of(ARMS[name], SMALL) for name in NAMES} == {("fer2013-mini-xception",)}
    assert weights_of(ARMS["gap-sum"], SMALL) == ()
    assert streams_of(ARMS["fer2013-spatial-only"]) == ("spatial",)


def test_the_stream_is_the_published_network(tmp_path: Path) -> None:
    """In training too, but for augmentation: its normalisation stays as it is."""
    published = mini_xception.build_mini_xception()
    draw_weights(published)
    path = write_weights(tmp_path / "weights.hdf5", published)
    model = build_model(
        ARMS["fer2013-gap-sum"],
        SMALL.model_copy(update={"dropout": 0.0}),
        augmentation=AugmentationSettings(),
        weights={"fer2013-mini-xception": path},
    )
    faces, optical_flows = random_inputs(4)
    last = keras.Model(model.inputs, model.get_layer("spatial_add_4").output)
    wanted = published(GreyFaces(64)(faces))["features"]
    scale = float(np.abs(wanted).max())
    np.testing.assert_allclose(last([faces, optical_flows]), wanted, atol=1e-4 * scale)
    grey = model.get_layer("grey_faces").output
    body = keras.Model(grey, model.get_layer("spatial_add_4").output)
    np.testing.assert_allclose(body(GreyFaces(64)(faces), training=True), wanted, atol=1e-4 * scale)
    assert {weight.path.split("/")[0] for weight in body.trainable_weights} == {
        name for name in model_network(model).pretrained if "batch_normalization" not in name
    }


def test_maps_look_where_they_say() -> None:
    """One bright row at a time, kernels of ones: the rows that light a cell are its receptive field.

    Pictures of 192 px, whose maps are of odd side where those of 64 px are, and have cells whose field no edge cuts.
    """
    side = 192
    picture = keras.Input((side, 16, 1))
    network = keras.Model(picture, mini_xception.features(picture))
    for layer in network.layers:
        for variable in layer.trainable_weights:
            if variable.name.endswith("kernel"):
                variable.assign(np.full(variable.shape, 1 / np.prod(variable.shape[:3])))
    rows = np.zeros((side, side, 16, 1), np.float32)
    rows[np.arange(side), np.arange(side)] = 1.0
    told = mini_xception.feature_maps("", mini_xception.SIDE_PX)
    maps = keras.Model(picture, [network.get_layer(one.layer).output for one in told]).predict(rows, verbose=0)
    for one, cells in zip(told, maps, strict=True):
        lit = cells[:, :, 0].max(axis=-1) > 0
        first, last = lit.argmax(axis=0), side - 1 - lit[::-1].argmax(axis=0)
        inner = (first > 0) & (last < side - 1)
        assert inner.sum() >= 2
        np.testing.assert_array_equal(one.centres(len(inner))[inner], ((first + last) / 2)[inner])


def test_centres_are_px_of_the_stored_face() -> None:
    """A px of 64 is three quarters of a px of 48."""
    (half, *_, last), (first, *_) = (mini_xception.feature_maps("", side) for side in (48, 64))
    assert (first.first_px, first.step_px) == (2, 1)
    assert (half.first_px, half.step_px) == (1.375, 0.75)
    assert last.centres(4).tolist() == [9.625, 21.625, 33.625, 45.625]


@pytest.mark.parametrize("form", ["published", "corrected", "modern"])
@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(("only", "concatenate"))])
def test_summed_streams_are_of_one_size(name: str, form: str) -> None:
    model = build_model(ARMS[name], SMALL.model_copy(update={"form": form}), shape=SegmentShape(side_px=64))
    spatial, temporal = (one.shape for one in model.get_layer("fusion").input)
    assert spatial == temporal


def test_a_resized_map_keeps_a_slope_and_its_mean() -> None:
    slope = np.tile(np.arange(4, dtype=np.float32)[:, None, None], (2, 1, 4, 3))
    for side in (1, 2, 3, 6, 8):
        found = keras.ops.convert_to_numpy(ResizedMap(side)(slope))
        assert found.shape == (2, side, side, 3)
        assert found.mean() == pytest.approx(1.5, abs=1e-6)
        assert side == 1 or (np.diff(found[0, :, 0, 0]) >= 0).all()
    np.testing.assert_array_equal(ResizedMap(4)(slope), slope)


def test_a_saved_model_says_the_same(tmp_path: Path) -> None:
    model = build_model(ARMS["fer2013-flatten-average"], SMALL, augmentation=AugmentationSettings())
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(random_inputs(3), verbose=0), model.predict(random_inputs(3), verbose=0)
    )
    assert model_network(loaded) == model_network(model)
    assert len(model_network(loaded).pretrained) == 28
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def test_it_can_be_explained_and_the_explanation_checked() -> None:
    model = build_model(ARMS["fer2013-gap-concatenate"], SMALL)
    explainer = GradCam(model, 4)
    segments = pair_inputs(*random_inputs(4))
    rows, classes = np.arange(4), np.array([0, 1, 2, 3])
    cells = explainer.cells(segments, rows, classes)
    assert {stream: one.shape for stream, one in cells.items()} == {"spatial": (4, 15, 15), "temporal": (4, 12, 12)}
    assert {one.shape for one in explainer.maps(segments, rows, classes).values()} == {(4, 48, 48)}
    spatial = ["add_4", "add_3", "add_2", "add_1", "activation_2"]
    cascade = layers_from_the_top(model)
    assert next(iter(cascade)) == "logits"
    assert [step for step in cascade if step in spatial] == spatial
    assert {layer.name for layer in cascade["add_4"]} == {
        f"spatial_{name}"
        for name in (
            "conv2d_6",
            "separable_conv2d_7",
            "separable_conv2d_8",
            "batch_normalization_12",
            "batch_normalization_13",
            "batch_normalization_14",
        )
    }
    before = model.get_weights()
    check = check_randomisation(explainer, segments, rows, classes, seed=1, num_draws=1)
    assert set(check.num_maps) == {"spatial", "temporal"}
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_sum_and_average_are_scalings_of_each_other() -> None:
    found = find_equivalences([ARMS[name] for name in (*NAMES, "gap-sum")], ModelSettings())
    assert [(one.first, one.second, one.kind) for one in found] == [
        (f"fer2013-{pooling}-sum", f"fer2013-{pooling}-average", "scaled") for pooling in ("flatten", "gap")
    ]


def test_methods_say_which_arms_begin_with_it() -> None:
    own, backbone = (TwoStreamOptions.model_validate(ARMS[name].options) for name in ("gap-sum", "fer2013-gap-sum"))
    words = " with a mini-Xception that was trained on FER2013 as the spatial stream,"
    start = "Two-stream convolutional networks of width 4, in modern form,"
    assert FAMILY.methods([own], SMALL) == start
    assert FAMILY.methods([own, backbone], SMALL) == f"{start} some of them{words}"
    assert FAMILY.methods([backbone], SMALL) == f"{start}{words}"
