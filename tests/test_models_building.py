"""Models of the right shape and size, that learn, and that come back from disk as they were."""

import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from fer_models.models.arms import ARMS, FUSION_ARMS, STUDY_ARMS, former_name, get_arm, present_name
from fer_models.models.building import (
    build_model,
    load_model,
    model_labels,
    model_network,
    model_prepare,
    needs_of,
    seeded_initializers,
    streams_of,
)
from fer_models.models.families import Recipe
from fer_models.models.families.two_stream import build_stream, recognise
from fer_models.models.float32 import computes_bfloat16, in_float32
from fer_models.models.network import layer_output, model_inputs
from fer_models.segments import FrameInputs, SegmentShape, pair_inputs
from fer_models.settings import AugmentationSettings, ModelSettings
from fer_models.training.engine import predict
from tasks.study.published import PUBLISHED

BIG_PARAMETERS = 3_961_350
SMALL_PARAMETERS = 3_699_206


pytestmark = pytest.mark.trains
needs_bfloat16 = pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here")


def small(arm: str, form: str = "corrected", **arguments) -> keras.Model:
    settings = ModelSettings(form=form, width=4, head_units=8, dropout=0.0, backbone_width=1 / 16)
    return build_model(ARMS[arm], settings, **arguments)


def recipe_of(form: str = "published") -> Recipe:
    initializers = seeded_initializers(form, 0)
    settings = ModelSettings(form=form)
    return Recipe(settings, SegmentShape(), 6, None, "float32", 0, initializers, initializers("logits"))


def random_inputs(num: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (num, 48, 48, 3), np.uint8)
    return [faces, rng.normal(0, 0.2, (num, 48, 48, 2)).astype(np.float32)]


def compiled(model: keras.Model, optimizer: keras.Optimizer, eagerly: bool = True) -> keras.Model:
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eagerly, jit_compile=False
    )
    return model


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in model.weights}


@pytest.mark.parametrize(
    ("arm", "parameters"),
    [
        ("published-listing", 1_919_238),
        ("flatten-concatenate", BIG_PARAMETERS),
        ("gap-concatenate", BIG_PARAMETERS),
        ("flatten-sum", SMALL_PARAMETERS),
        ("flatten-average", SMALL_PARAMETERS),
        ("gap-sum", SMALL_PARAMETERS),
        ("gap-average", SMALL_PARAMETERS),
    ],
)
def test_parameter_counts_of_the_study(arm, parameters):
    assert build_model(ARMS[arm], ModelSettings(form="published")).count_params() == parameters


def test_parameter_count_of_one_stream():
    picture = keras.Input((48, 48, 3))
    stream = keras.Model(picture, build_stream(picture, "spatial", 128, recipe_of()))
    assert stream.count_params() == 1_190_144
    assert stream.output_shape == (None, 3, 3, 256)


def test_map_sizes_of_the_study():
    model = small("flatten-concatenate")
    sides = [model.get_layer(f"temporal_{name}").output.shape[1] for name in ("conv1", "pool1", "conv2", "conv3")]
    sides += [model.get_layer(f"temporal_{name}").output.shape[1] for name in ("pool3", "conv4", "conv5")]
    assert sides == [44, 20, 18, 16, 7, 5, 3]


@pytest.mark.parametrize("form", ["published", "corrected", "modern"])
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_builds_in_all_forms_and_gives_probabilities(arm, form):
    frames = np.tile(np.arange(3)[:, None], needs_of(ARMS[arm]).num_frames)
    segments = FrameInputs(*random_inputs(3), frames, np.ones(frames.shape, bool))
    model = small(arm, form, shape=segments.shape)
    logits = model.get_layer("logits").output
    inputs = model_inputs(model, segments.batch(np.arange(3)))
    outputs = keras.Model(model.inputs, [model.output, logits])(inputs)
    probabilities, values = (keras.ops.convert_to_numpy(one) for one in outputs)
    assert model.output_shape == (None, 6)
    assert logits.shape == (None, 6)
    assert probabilities.shape == (3, 6)
    assert probabilities.dtype == np.float32
    matters = np.ptp(values, axis=0).max() > 1e-6 * np.abs(values).max()
    assert matters == (arm != "majority")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_registry_holds_the_study():
    fusions = ("concatenate", "sum", "average")
    assert list(FUSION_ARMS) == [f"{pooling}-{fusion}" for pooling in ("flatten", "gap") for fusion in fusions]
    assert set(STUDY_ARMS) == {*FUSION_ARMS, "spatial-only", "temporal-only", "hog-svm", "hof-svm", "majority"}
    assert [PUBLISHED["baum1", arm] for arm in FUSION_ARMS] == [57.7, 59.77, 57.71, 59.8, 56.48, 57.66]
    assert len(PUBLISHED) == len(FUSION_ARMS)
    assert all(name == arm.name for name, arm in ARMS.items())


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("optical-flow-only", "temporal-only"),
        ("listing", "published-listing"),
        ("listing+focal", "published-listing+focal"),
    ],
)
def test_an_arm_is_found_by_its_former_name_too(former, now):
    assert get_arm(former) == get_arm(now)
    assert get_arm(former).name == now
    assert (present_name(former), former_name(now), present_name(now)) == (now, former, now)


def test_an_unknown_arm_is_told_the_nearest():
    assert get_arm("gap-sum") is ARMS["gap-sum"]
    with pytest.raises(UserError, match="did you mean 'gap-average'"):
        get_arm("gap-avrage")


@pytest.mark.parametrize("arm", ["gap-sum+focal", "hog-svm"])
def test_an_arm_of_any_name_can_be_asked(arm):
    """TensorFlow is particular about the names of what it runs."""
    model = build_model(get_arm(arm), ModelSettings(width=2, head_units=4))
    segments = pair_inputs(np.zeros((2, 48, 48, 3), np.uint8), np.zeros((2, 48, 48, 2), np.float16))
    assert predict(model, segments).shape == (2, 6)


def test_a_seed_gives_one_model():
    first, again, other = (weights_of(small("gap-sum", seed=seed)) for seed in (1, 1, 2))
    kernel = "spatial_conv1/kernel"
    assert all(np.array_equal(first[path], again[path]) for path in first)
    assert not np.array_equal(first[kernel], other[kernel])


def test_single_stream_arms_use_their_own_input_only():
    faces, optical_flows = random_inputs(2)
    still = np.zeros_like(optical_flows)
    black = np.zeros_like(faces)
    for arm, same, other in (
        ("spatial-only", [faces, still], [black, optical_flows]),
        ("temporal-only", [black, optical_flows], [faces, still]),
    ):
        model = small(arm)
        full = model.predict_on_batch([faces, optical_flows])
        np.testing.assert_array_equal(model.predict_on_batch(same), full)
        assert np.abs(model.predict_on_batch(other) - full).max() > 1e-5


# Training


@pytest.mark.parametrize("augmentation", [None, AugmentationSettings()], ids=["plain", "augmented"])
@pytest.mark.parametrize(
    ("arm", "form"),
    [
        ("flatten-concatenate", "published"),
        ("flatten-concatenate", "corrected"),
        ("gap-average", "corrected"),
        ("gap-sum", "modern"),
    ],
)
def test_gradients_reach_both_streams(arm, form, augmentation):
    model = compiled(small(arm, form, augmentation=augmentation), keras.optimizers.RMSprop(1e-3))
    before = weights_of(model)
    model.train_on_batch(random_inputs(6), np.arange(6))
    after = weights_of(model)
    kernels = {path for path in before if path.endswith("kernel")}
    assert {"spatial_conv1/kernel", "temporal_conv1/kernel", "logits/kernel"} <= kernels
    assert not [path for path in kernels if np.array_equal(before[path], after[path])]
    assert all(np.isfinite(value).all() for value in after.values())


@pytest.mark.parametrize("form", ["published", "corrected", "modern"])
@pytest.mark.slow
def test_a_tiny_batch_can_be_overfitted(form):
    settings = ModelSettings(form=form, width=4, head_units=32, dropout=0.0)
    model = compiled(build_model(ARMS["flatten-concatenate"], settings), keras.optimizers.Adam(1e-2), eagerly=False)
    inputs, labels = random_inputs(6), np.arange(6)
    untrained = keras.ops.convert_to_numpy(model(inputs))[np.arange(6), labels]
    assert untrained.min() < 0.3
    for _ in range(40):  # where a training is after so many steps differs from processor to processor
        for _ in range(20):
            model.train_on_batch(inputs, labels)
        trained = keras.ops.convert_to_numpy(model(inputs))[np.arange(6), labels]
        if trained.min() > 0.6:
            return
    pytest.fail(f"after 800 steps it is not sure of all of them: {trained}")


@pytest.mark.slow
def test_a_machine_without_bfloat16_takes_a_model_in_float32(tmp_path):
    model = small("flatten-average", precision="mixed_bfloat16")
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", *random_inputs(2))
    code = (
        "import sys, numpy as np\n"
        "from fer_models import load_model\n"
        "from fer_models.models.float32 import computes_bfloat16, precision_of\n"
        "assert not computes_bfloat16()\n"
        "model = load_model('model.keras')\n"
        "assert precision_of(model) == 'float32'\n"
        "np.save('said.npy', model(list(np.load('inputs.npz').values())))\n"
    )
    limited = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=limited, check=True, timeout=120)
    expected = in_float32(model)(random_inputs(2))
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), expected, atol=1e-5)


@needs_bfloat16
def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32():
    model = small("flatten-average", precision="mixed_bfloat16", augmentation=AugmentationSettings())
    assert keras.backend.standardize_dtype(model.get_layer("spatial_conv3").output.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(model.get_layer("dense2").output.dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in model.trainable_weights} == {"float32"}
    inputs = random_inputs(4)
    compiled(model, keras.optimizers.RMSprop(1e-3)).train_on_batch(inputs, np.arange(4))
    probabilities = keras.ops.convert_to_numpy(model(inputs))
    assert probabilities.dtype == np.float32
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


# What is wrong with the study, and what is not


def test_in_the_study_flatten_and_gap_are_one_function():
    flatten, gap = small("flatten-concatenate", "published", seed=1), small("gap-concatenate", "published", seed=2)
    inputs = random_inputs(4)
    assert np.abs(flatten.predict_on_batch(inputs) - gap.predict_on_batch(inputs)).max() > 1e-3
    gap.set_weights(flatten.get_weights())
    np.testing.assert_allclose(flatten.predict_on_batch(inputs), gap.predict_on_batch(inputs), atol=1e-6)


def test_corrected_flatten_sees_all_nine_cells():
    flatten, gap = small("flatten-concatenate"), small("gap-concatenate")
    assert flatten.get_layer("fusion").output.shape == (None, 2 * 9 * 2 * 4)
    assert gap.get_layer("fusion").output.shape == (None, 2 * 2 * 4)


def test_modern_arms_keep_what_they_are_called_after():
    vectors = {name: small(name, "modern").get_layer("logits").input.shape[1] for name in FUSION_ARMS}
    assert vectors == {
        "flatten-concatenate": 2 * 36 * 16,
        "flatten-sum": 36 * 16,
        "flatten-average": 36 * 16,
        "gap-concatenate": 2 * 16,
        "gap-sum": 16,
        "gap-average": 16,
    }


@pytest.mark.parametrize(
    ("pooling", "form"), [("gap", "published"), ("flatten", "corrected"), ("gap", "modern"), ("flatten", "modern")]
)
def test_average_is_sum_with_half_the_first_dense_kernel(pooling, form):
    average, total = small(f"{pooling}-average", form), small(f"{pooling}-sum", form)
    inputs = random_inputs(4)
    total.set_weights(average.get_weights())
    assert np.abs(total.predict_on_batch(inputs) - average.predict_on_batch(inputs)).max() > 1e-4
    kernel = total.get_layer(model_network(total).head).kernel
    kernel.assign(kernel / 2)
    np.testing.assert_allclose(total.predict_on_batch(inputs), average.predict_on_batch(inputs), atol=1e-6)


# On disk


@pytest.mark.parametrize(
    ("arm", "form", "precision"),
    [
        ("flatten-concatenate", "published", "float32"),
        ("gap-average", "corrected", "float32"),
        ("spatial-only", "corrected", "float32"),
        ("temporal-only", "published", "float32"),
        ("flatten-average", "modern", "float32"),
        pytest.param("flatten-sum", "corrected", "mixed_bfloat16", marks=needs_bfloat16),
    ],
)
def test_save_and_load_give_the_same_numbers(arm, form, precision, tmp_path: Path):
    augmentation = AugmentationSettings(rotation_deg=5)
    model = small(arm, form, precision=precision, augmentation=augmentation)
    inputs = random_inputs(4)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), model.predict_on_batch(inputs))
    assert loaded.get_layer("augmentation").settings == augmentation
    assert loaded.get_layer("augmentation").move_vectors == (form != "published")


def test_a_saved_model_carries_its_label_order_and_preparation(tmp_path: Path):
    labels = ("surprise", "anger", "boredom")
    prepare = {"stride": 2, "face": {"margin": 0.25, "cascades": ["frontal", "profile"]}, "limit": None, "gray": True}
    model = small("gap-sum", labels=labels, prepare=prepare)
    assert model.output_shape == (None, 3)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert model_labels(loaded) == labels
    assert model_prepare(loaded) == prepare
    plain = small("gap-sum")
    assert model_labels(plain) == EMOTIONS
    assert model_prepare(plain) is None


@pytest.mark.parametrize("side_px", [48, 64])
@pytest.mark.parametrize("arm", ["gap-sum", "spatial-only", "temporal-only"])
def test_a_saved_model_carries_its_structure(arm, side_px, tmp_path: Path):
    model = small(arm, shape=SegmentShape(side_px=side_px))
    model.save(tmp_path / "model.keras")
    network = model_network(load_model(tmp_path / "model.keras"))
    assert network == model_network(model)
    assert network == recognise(model), "which models that carry none are told by"
    assert (network.family, network.shape) == ("two-stream", SegmentShape(side_px=side_px))
    assert layer_output(model, network.logits).shape == (None, 6)
    assert set(network.feature_maps) == set(streams_of(ARMS[arm]))
    for maps in network.feature_maps.values():
        for one in maps:
            size = layer_output(model, one.layer).shape[1]
            assert 0 < one.centres(size)[0] < one.centres(size)[-1] < side_px


def test_segments_become_the_inputs_of_a_model_in_its_order_and_types():
    faces, optical_flows = random_inputs(3)
    model = small("gap-sum")
    face, motion = model_inputs(model, pair_inputs(faces, optical_flows.astype(np.float16)).batch(np.array([2, 0])))
    np.testing.assert_array_equal(face, faces[[2, 0]])
    np.testing.assert_array_equal(motion, optical_flows[[2, 0]].astype(np.float16))
    assert (face.dtype, motion.dtype) == (np.uint8, np.float32)


def test_load_model_refuses_what_is_no_model_of_ours(tmp_path: Path):
    text = tmp_path / "text.keras"
    text.write_text("no model")
    foreign = tmp_path / "foreign.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(foreign)
    for path in (text, foreign, tmp_path / "missing.keras", tmp_path):
        with pytest.raises(UserError, match="not a model of this project") as caught:
            load_model(path)
        assert str(path) in str(caught.value)


LOADING = """
import sys
from pathlib import Path
from fer_models.models.building import load_model
from fer_models.training.progress import Progress
from fer_models.models.float32 import computes_bfloat16, in_float32
from tasks.study.checkpoints import RunCheckpoints
path = Path(sys.argv[1])
named = Progress(history=[], last_checkpoint=path.name, best_checkpoint=path.name, best_epoch=1)
print((load_model(path) if sys.argv[2] == "model" else RunCheckpoints(path.parent).load_last(named)).name)
"""


@pytest.mark.parametrize("kind", ["model", pytest.param("checkpoint", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_process_that_has_built_nothing_loads_a_model_of_any_family(kind, tmp_path: Path):
    small("hog-svm").save(tmp_path / "hog.keras")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [sys.executable, "-c", LOADING, str(tmp_path / "hog.keras"), kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "hog_svm", done.stderr


# Geometry


@pytest.mark.parametrize(("form", "fields"), [("published", [5, 13, 17, 29, 37]), ("modern", [3, 8, 18, 38])])
def test_convolution_centres_are_those_of_the_receptive_fields(form, fields):
    """One bright row at a time, kernels of ones: the rows that light a cell are its receptive field."""
    model = small("spatial-only", form)
    told = model_network(model).feature_maps["spatial"]
    assert len(told) == len(fields)
    picture = keras.Input((48, 48, 3))
    stream = keras.Model(picture, build_stream(picture, "spatial", 1, recipe_of(form)))
    for layer in stream.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.ones(layer.kernel.shape))
    rows = np.zeros((48, 48, 48, 3), np.float32)
    rows[np.arange(48), np.arange(48)] = 1.0
    maps = keras.Model(picture, [stream.get_layer(one.layer).output for one in told]).predict_on_batch(rows)
    found = []
    for one, cells in zip(told, maps, strict=True):
        lit = cells[:, :, 0, 0] > 0  # (bright row, cell)
        first, last = lit.argmax(axis=0), 47 - lit[::-1].argmax(axis=0)
        np.testing.assert_array_equal(lit.sum(axis=0), last - first + 1)
        inner = (first > 0) & (last < 47) | (form == "published")  # the edge cuts fields, where maps keep their size
        assert inner.any()
        np.testing.assert_array_equal(one.centres(lit.shape[1])[inner], ((first + last) / 2)[inner])
        found.append(int(lit.sum(axis=0).max()))
    assert found == fields


def test_nothing_is_drawn_from_the_generator_that_all_threads_share(monkeypatch):
    def refuse(*_):
        raise AssertionError("the global generator was asked")

    monkeypatch.setattr(random, "randint", refuse)
    builds = [small("gap-sum", augmentation=AugmentationSettings(), seed=3) for _ in range(2)]
    for one, other in zip(*(weights_of(model).items() for model in builds), strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    first, second = (layer.get_weights()[0] for layer in builds[0].layers if layer.name.endswith("_conv2"))
    assert not np.array_equal(first, second)
