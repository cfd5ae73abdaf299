"""A deep belief network: each layer learns to make its inputs again, what it learnt is in the model, and only once."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from test_training_fitting import (
    SEED,
    Interrupted,
    final_weights,
    interrupt_after,
    make_quick,
    segments,
    without_seconds,
)

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model, model_network
from fer_models.models.families.zhang2019 import FAMILY, Zhang2019Options
from fer_models.models.initial_weights import begin_with, read_weights
from fer_models.models.sizes import size_of
from fer_models.segments import SegmentArrays
from fer_models.settings import ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.training import belief
from fer_models.training.belief import LayerFit, train_belief
from fer_models.training.engine import outputs
from fer_models.training.fitting import fit
from fer_models.training.preparing import prepare
from fer_models.training.progress import Progress
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints
from tasks.study.preparation import BELIEF_FILE, Preparation

pytestmark = pytest.mark.trains

MODEL = ModelSettings(form="modern", head_units=12, dropout=0.0, backbone_width=1 / 16)
SETTINGS = TrainingSettings(
    epochs=2, batch_size=8, learning_rate=1e-3, augmentation=None, schedule=ConstantSchedule(), choose="last"
)
TRAIN, VALIDATION = segments(16), segments(9, seed=1)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield
    tf.config.run_functions_eagerly(False)


def build(arm: str = "zhang2019-dbn", **changes) -> keras.Model:
    return build_model(ARMS[arm], MODEL.model_copy(update=changes), seed=SEED)


def before_and_after(segments: SegmentArrays, seed: int = SEED) -> tuple[keras.Model, tuple[LayerFit, ...]]:
    model = build()
    return model, train_belief(model, segments, seed)


# The network


@pytest.mark.parametrize("form", ["published", "corrected", "modern"])
def test_both_fusions_have_two_layers_over_all_cells_of_both_maps(form: str) -> None:
    """By hand: VGG16 of 64 filters ends in 2x2 cells of 512 for 64 px, that of 4 filters in 2x2 of 32."""
    for share, vgg, cells, units in ((1.0, 14_714_688, 4 * 512, 1024), (1 / 16, 57_828, 4 * 32, 12)):
        head = (2 * cells + 1) * units + (units + 1) * units + (units + 1) * 6
        settings = MODEL.model_copy(update={"form": form, "backbone_width": share, "head_units": units})
        for name in ("zhang2019-dbn", "zhang2019-dense"):
            assert size_of(ARMS[name], settings, 6).num_parameters == 2 * vgg + head


def test_they_differ_by_what_is_between_the_layers() -> None:
    dbn, dense = build(), build("zhang2019-dense")
    assert [dbn.get_layer(name).activation.__name__ for name in ("belief1", "belief2")] == ["sigmoid", "sigmoid"]
    assert dense.get_layer("fusion2").activation.__name__ == "relu"
    assert (model_network(dbn).belief, model_network(dense).belief) == (("belief1", "belief2"), ())
    assert model_network(dbn).head == "belief1"


def test_a_saved_model_says_the_same(tmp_path: Path) -> None:
    model, _ = before_and_after(TRAIN)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert model_network(loaded) == model_network(model)
    np.testing.assert_array_equal(outputs(loaded, VALIDATION), outputs(model, VALIDATION))


def test_methods_say_how_it_is_fused() -> None:
    dbn, dense = (Zhang2019Options(fusion_net=net) for net in ("dbn", "dense"))
    networks = "Networks after Zhang et al. (2019), VGG16 over the face and its motion, of the published size"
    fused = "fused by a deep belief network or dense layers of two times 1024 units,"
    assert FAMILY.methods([dbn, dense], ModelSettings()) == f"{networks}, with fresh weights, {fused}"


# Its training


def test_every_layer_makes_its_inputs_again_better_than_their_mean() -> None:
    fresh = build()
    model, fits = before_and_after(TRAIN)
    assert [(one.layer, one.num_rows, one.num_visible, one.num_hidden) for one in fits] == [
        ("belief1", 16, 256, 12),
        ("belief2", 16, 12, 12),
    ]
    for one in fits:
        assert 0 < one.error_after < 0.9 * one.error_before
    for layer, before in zip(model.layers, fresh.layers, strict=True):
        same = all(map(np.array_equal, layer.get_weights(), before.get_weights()))
        assert same == (layer.name not in ("belief1", "belief2")), layer.name


def test_what_the_machines_learnt_is_in_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of the model give what the machines give for features of mean 0 and variance 1."""
    machines = []
    over = belief._Machine.over

    def watched(*arguments):
        machines.append(over(*arguments))
        return machines[-1]

    monkeypatch.setattr(belief._Machine, "over", watched)
    model, _ = before_and_after(TRAIN)
    features = outputs(keras.Model(model.inputs, model.get_layer("belief1").input), TRAIN)
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.maximum(spread, 0.1 * spread.mean())
    first = expit(scaled @ machines[0].kernel + machines[0].hidden_bias)
    second = expit(first @ machines[1].kernel + machines[1].hidden_bias)
    found = outputs(keras.Model(model.inputs, model.get_layer("belief2").output), TRAIN)
    np.testing.assert_allclose(found, second, atol=1e-3)


def test_it_follows_from_the_seed_and_not_from_the_labels() -> None:
    (first, told), (again, _), (other, _) = (before_and_after(TRAIN, seed) for seed in (1, 1, 2))
    contrary = SegmentArrays(**{**vars(TRAIN), "labels": TRAIN.labels[::-1]})
    _, contrary_told = before_and_after(contrary, 1)
    for one, same in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first.get_layer("belief1").kernel, other.get_layer("belief1").kernel)
    assert contrary_told == told


def test_of_many_segments_some_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belief, "MOST_VALUES", 10 * 256)
    assert {one.num_rows for one in before_and_after(TRAIN)[1]} == {10}


def test_features_that_do_not_vary_do_no_harm() -> None:
    black = SegmentArrays(
        **{**vars(TRAIN), "faces": np.zeros_like(TRAIN.faces), "optical_flows": np.zeros_like(TRAIN.optical_flows)}
    )
    model, _ = before_and_after(black)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_machine_of_patterns_learns_them() -> None:
    """Two patterns of 20 bits with noise: their mean is as wrong as can be, the patterns are not."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (2, 20))
    values = np.abs(patterns[np.arange(200) % 2] - (rng.random((200, 20)) < 0.05)).astype(np.float32)
    machine = belief._Machine.over(values, 4, False, rng)
    before = machine.error(values)
    assert before == pytest.approx(values.var(axis=0).mean(), rel=0.05)
    machine.train(values, rng)
    assert machine.error(values) < 0.5 * before


# In a training


def train(folder: Path, settings: TrainingSettings = SETTINGS, **arguments) -> Progress:
    return fit(build, TRAIN, VALIDATION, settings, RunCheckpoints(folder), SEED, **arguments)


def test_it_comes_before_the_first_epoch_and_before_a_refit(tmp_path: Path) -> None:
    """After the streams, which have half of the epochs to learn by themselves."""
    told: list[object] = []
    train(
        tmp_path,
        SETTINGS.model_copy(update={"epochs": 1, "refit": "train_and_validation"}),
        on_epoch=lambda epoch: told.append(epoch.epoch),
        on_refit=told.append,
        on_streams=lambda epochs: told.append(f"streams {epochs}"),
        on_belief=lambda fits: told.append([one.num_rows for one in fits]),
    )
    assert told == ["streams 1", [16, 16], 1, "streams 1", [25, 25], 1]


def test_streams_learn_first_and_nothing_else_does() -> None:
    fresh, model = build(), build()
    fits = prepare(model, TRAIN, SETTINGS, SEED)
    assert [one.layer for one in fits] == ["belief1", "belief2"]
    for layer, before in zip(model.layers, fresh.layers, strict=True):
        same = all(map(np.array_equal, layer.get_weights(), before.get_weights()))
        assert same == (not layer.weights or layer.name == "logits"), layer.name
    assert model_network(model) == model_network(fresh)
    assert not model.compiled
    again = build()
    assert prepare(again, TRAIN, SETTINGS, SEED) == fits
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


def test_models_without_belief_networks_are_not_prepared() -> None:
    model = build("zhang2019-dense")
    before = model.get_weights()
    assert prepare(model, TRAIN, SETTINGS, SEED) == ()
    assert all(map(np.array_equal, model.get_weights(), before))


def test_a_belief_network_of_an_earlier_run_is_not_trained_anew(tmp_path: Path) -> None:
    """Streams alone may come from an arm that has the same ones, and are prepared further."""
    earlier = build()
    earlier.save(tmp_path / "dbn.keras")
    model = build()
    begin_with(model, read_weights(tmp_path / "dbn.keras"))
    assert model_network(model).belief == ()
    assert prepare(model, TRAIN, SETTINGS, SEED) == ()
    build("vgg16-concatenate").save(tmp_path / "vgg16.keras")
    model = build()
    transfers = begin_with(model, read_weights(tmp_path / "vgg16.keras"))
    assert sum(one.outcome == "taken" for one in transfers) == 52
    assert model_network(model).belief == ("belief1", "belief2")


@pytest.mark.slow
def test_a_resumed_run_does_not_repeat_it_and_ends_the_same(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    told: list[object] = []
    with pytest.raises(Interrupted):
        train(tmp_path / "resumed", on_epoch=partial(interrupt_after, last=1), on_belief=told.append)
    resumed = train(tmp_path / "resumed", on_belief=told.append)
    assert len(told) == 1
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    for one, other in zip(*(final_weights(tmp_path / name) for name in ("whole", "resumed")), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "resumed" / MODEL_FILE).is_file()


def test_a_run_keeps_a_table_of_it_and_says_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fits = [LayerFit("belief1", 16, 256, 12, 1.0, 0.5), LayerFit("belief2", 16, 12, 12, 0.25, 0.0625)]
    preparation = Preparation("zhang2019-dbn, seed 1", tmp_path)
    for told in (fits, fits[::-1]):  # the second is that before a refit
        for epochs in (1, 2):
            preparation.tell_of_streams(epochs)
        preparation.keep_belief(told)
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        "zhang2019-dbn, seed 1: its streams are trained by themselves first, then its belief network, then all."
    )
    assert second.startswith("zhang2019-dbn, seed 1: the belief network is trained on 16 segments; error of")
    assert second.endswith("reconstruction belief1 1 to 0.5, belief2 0.25 to 0.0625.")
    assert pd.read_csv(tmp_path / BELIEF_FILE).to_dict("records") == [vars(one) for one in fits]
