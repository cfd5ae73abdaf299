"""Layers that an earlier training gave: they wait below a fresh head and then learn slowly, or stay for good."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from test_models_mini_xception import draw_weights
from test_training_fitting import TRAIN, VALIDATION, Interrupted, interrupt_after, make_quick, without_seconds

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model, model_network
from fer_models.models.initial_weights import StoredWeights, begin_with, read_weights
from fer_models.segments import SegmentShape
from fer_models.settings import ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.progress import Progress
from tasks.config.digests import training_part
from tasks.config.resolving import resolve_settings
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints
from tasks.study.initial_weights import TRANSFERS_FILE, give_initial_weights

pytestmark = pytest.mark.trains

RATE = 1e-2


@pytest.fixture(scope="module", autouse=True)
def _quick():
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield
    tf.config.run_functions_eagerly(False)


def build(arm: str = "gap-sum", seed: int = 0, **arguments) -> keras.Model:
    return build_model(ARMS[arm], ModelSettings(form="modern", width=4, dropout=0.0), seed=seed, **arguments)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one stream over faces, whose every weight is drawn."""
    model = build("spatial-only", seed=1)
    draw_weights(model)
    path = tmp_path_factory.mktemp("earlier") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def stored(earlier: Path) -> StoredWeights:
    return read_weights(earlier)


def settings(earlier: Path, **values: object) -> TrainingSettings:
    given = {
        "epochs": 2,
        "batch_size": 6,
        "optimizer": "adamw",
        "learning_rate": RATE,
        "schedule": ConstantSchedule(),
        "choose": "last",
        "pretrained_warmup": 0.5,
        "initial_weights": str(earlier),
        "freeze": "warmup",
    }
    return TrainingSettings.model_validate(given | values)


@pytest.fixture
def train(stored: StoredWeights) -> Callable[..., Progress]:
    """Train two streams from the weights of the one."""

    def run(folder: Path, how: TrainingSettings, **arguments) -> Progress:
        def begin() -> keras.Model:
            model = build()
            give_initial_weights(model, stored, how, "gap-sum", folder)
            return model

        return fit(begin, TRAIN, VALIDATION, how, RunCheckpoints(folder), 5, **arguments)

    return run


def changes(path: Path, stored: StoredWeights, stream: str) -> dict[str, float]:
    """How far each weight of a stream, and of what follows, is from where it began."""
    begun = build()
    begin_with(begun, stored, fresh_head=True)
    pairs = zip(begun.weights, load_model(path).weights, strict=True)
    moved = {one.path: float(np.abs(keras.ops.convert_to_numpy(other - one)).max()) for one, other in pairs}
    return {name: value for name, value in moved.items() if name.startswith(stream)}


def is_normalisation(name: str) -> bool:
    return "_norm/" in name


@pytest.mark.slow
def test_taken_layers_wait_below_a_fresh_head_and_then_learn_slowly(train, earlier, stored, tmp_path: Path) -> None:
    after_warmup = {}

    def look(epoch) -> None:
        if epoch.epoch == 1:
            path = tmp_path / "epoch-0001.keras"
            after_warmup.update({stream: changes(path, stored, stream) for stream in ("spatial", "temporal", "logits")})

    train(tmp_path, settings(earlier), on_epoch=look)
    assert set(after_warmup["spatial"].values()) == {0.0}
    assert min(after_warmup["temporal"].values()) > 0
    assert after_warmup["logits"]["logits/kernel"] > RATE / 2
    last = changes(tmp_path / MODEL_FILE, stored, "spatial")
    assert {value for name, value in last.items() if is_normalisation(name)} == {0.0}
    kernels = [value for name, value in last.items() if not is_normalisation(name)]
    assert min(kernels) > 0
    assert max(kernels) <= 2.1 * RATE * 0.1, "two steps of AdamW are each no longer than a tenth of the learning rate"


@pytest.mark.slow
def test_what_is_frozen_for_good_never_moves(train, earlier, stored, tmp_path: Path) -> None:
    train(tmp_path, settings(earlier, freeze="always", refit="train_and_validation", ema=0.5))
    assert set(changes(tmp_path / MODEL_FILE, stored, "spatial").values()) == {0.0}
    assert min(changes(tmp_path / MODEL_FILE, stored, "temporal").values()) > 0
    assert changes(tmp_path / MODEL_FILE, stored, "logits")["logits/kernel"] > 0


def test_what_is_not_frozen_learns_from_the_first_step(train, earlier, stored, tmp_path: Path) -> None:
    train(tmp_path, settings(earlier, freeze="none", epochs=1))
    moved = changes(tmp_path / MODEL_FILE, stored, "spatial")
    assert min(moved.values()) > 0, "its normalisation too"
    assert model_network(load_model(tmp_path / MODEL_FILE)).taken == ()


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["warmup", "always"])
def test_a_resumed_run_ends_as_an_undisturbed_one(train, earlier, tmp_path: Path, freeze: str) -> None:
    how = settings(earlier, freeze=freeze, pretrained_warmup=0.75)
    whole = train(tmp_path / "whole", how)
    with pytest.raises(Interrupted):
        train(tmp_path / "resumed", how, on_epoch=partial(interrupt_after, last=1))
    resumed = train(tmp_path / "resumed", how)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    one, other = (load_model(tmp_path / name / MODEL_FILE).get_weights() for name in ("whole", "resumed"))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_head_is_left_fresh_though_it_agrees(stored: StoredWeights, tmp_path: Path) -> None:
    model, fresh = build("spatial-only", seed=2), build("spatial-only", seed=2)
    outcomes = {one.weight: one.outcome for one in begin_with(model, stored, fresh_head=True)}
    assert outcomes["logits/kernel"] == outcomes["logits/bias"] == "fresh head"
    assert {outcome for weight, outcome in outcomes.items() if not weight.startswith("logits")} == {"taken"}
    for one, other in zip(model.get_layer("logits").weights, fresh.get_layer("logits").weights, strict=True):
        np.testing.assert_array_equal(one, other)
    corrected = ModelSettings(form="corrected", width=4, head_units=8)
    source, model = (build_model(ARMS["gap-sum"], corrected, seed=seed) for seed in (1, 2))
    source.save(tmp_path / "model.keras")
    transfers = begin_with(model, read_weights(tmp_path / "model.keras"), fresh_head=True)
    head = {one.weight.partition("/")[0] for one in transfers if one.outcome == "fresh head"}
    assert head == {"dense1", "dense2", "logits"}


@pytest.mark.parametrize("arm", ["gap-sum", "lstm-fused", "c3d-sum"])
def test_an_arm_of_videos_begins_with_a_stream_over_images(
    stored: StoredWeights, earlier: Path, tmp_path: Path, arm: str
) -> None:
    """The table in the run's folder says what became of each weight."""
    model = build(arm, shape=SegmentShape(num_frames=2))
    give_initial_weights(model, stored, settings(earlier), arm, tmp_path)
    rows = [line.split(",") for line in (tmp_path / TRANSFERS_FILE).read_text().splitlines()[1:]]
    outcomes = {row[0]: row[1] for row in rows}
    assert {outcome for weight, outcome in outcomes.items() if weight.startswith("spatial_conv")} == {"taken"}
    assert {outcome for weight, outcome in outcomes.items() if weight.startswith("temporal_")} == {"not in the source"}
    assert (outcomes["logits/kernel"], outcomes["logits/bias"]) == ("other shape", "fresh head")
    assert {name.partition("_")[0] for name in model_network(model).taken} == {"spatial"}


def test_a_layer_of_layers_is_taken_whole(tmp_path: Path) -> None:
    """Its weights share their names, so that they are known by their numbers."""

    def nested(seed: int) -> keras.Model:
        inputs = keras.Input((4, 8))
        layers = [keras.layers.Dense(8, kernel_initializer=keras.initializers.GlorotUniform(seed + n)) for n in (1, 2)]
        inner = keras.Sequential([keras.Input((8,)), *layers, keras.layers.BatchNormalization()])
        model = build(seed=seed)
        body = keras.layers.TimeDistributed(inner, name="encoder")(inputs)
        pooled = keras.layers.Dense(6, name="logits")(keras.layers.GlobalAveragePooling1D()(body))
        return keras.Model(inputs, model.get_layer("probabilities")(pooled))

    source, model = nested(10), nested(20)
    source.save(tmp_path / "model.keras")
    transfers = begin_with(model, read_weights(tmp_path / "model.keras"))
    assert [one.weight for one in transfers][:2] == ["encoder/0", "encoder/1"]
    assert {one.outcome for one in transfers} == {"taken"}
    for one, other in zip(model.weights, source.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_setting_names_what_it_is_about() -> None:
    with pytest.raises(UserError, match=r"training\.freeze: it is about layers that training\.initial_weights fills"):
        resolve_settings(None, None, {"training.freeze": "warmup"})


def test_it_decides_a_result_and_its_default_changes_no_name(earlier: Path) -> None:
    plain, held = training_part(settings(earlier, freeze="none")), training_part(settings(earlier))
    assert "freeze" not in plain
    assert held == {**plain, "freeze": "warmup"}
