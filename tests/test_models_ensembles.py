"""Models that average others: in memory, from a file, and where models were trained on the validation subset too."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.models.arms import ARMS, ensemble_of
from fer_models.models.building import (
    build_ensemble,
    build_model,
    load_model,
    model_labels,
    model_network,
    model_prepare,
)
from fer_models.models.equivalence import find_equivalences
from fer_models.models.float32 import computes_bfloat16
from fer_models.segments import pair_inputs
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict

pytestmark = pytest.mark.trains
LABELS = ("anger", "fear", "happiness")
SETTINGS = ModelSettings(form="corrected", width=2, head_units=4, views="mirror")


def member(seed: int, **arguments) -> keras.Model:
    model = build_model(ARMS["gap-sum"], SETTINGS, LABELS, prepare={"pair": 0.1}, seed=seed, **arguments)
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # far apart, so that a mean is none of them
        weight.assign(np.asarray(weight) + rng.normal(0, 0.3, weight.shape).astype(np.float32))
    return model


def segments(number: int = 5) -> pair_inputs:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (number, 48, 48, 3), np.uint8)
    return pair_inputs(faces, rng.normal(0, 0.2, (number, 48, 48, 2)).astype(np.float32))


def test_an_ensemble_is_the_mean_of_its_members_and_comes_back_from_its_file(tmp_path: Path) -> None:
    members = [member(seed) for seed in (1, 2)]
    paths = [tmp_path / f"{number}.keras" for number in (1, 2)]
    for one, path in zip(members, paths, strict=True):
        one.save(path)
    each = [predict(one, segments()) for one in members]
    assert np.abs(each[0] - each[1]).max() > 0.05
    ensemble = build_ensemble(ensemble_of(ARMS["gap-sum"], 2), [load_model(path) for path in paths])
    assert predict(ensemble, segments()) == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    ensemble.save(tmp_path / "model.keras")
    back = load_model(tmp_path / "model.keras")
    assert predict(back, segments()) == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    assert (model_labels(back), model_prepare(back)) == (LABELS, {"pair": 0.1})
    network = model_network(back)
    assert (network.views, network.feature_maps, network.family) == ("mirror", {}, "two-stream")
    assert back.count_params() == sum(one.count_params() for one in members)
    assert [one.name for one in back.inputs] == ["face", "optical_flow"]


@pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here")
def test_members_of_another_precision_are_averaged_in_float32() -> None:
    members = [member(seed, precision="mixed_bfloat16") for seed in (1, 2)]
    ensemble = build_ensemble(ensemble_of(ARMS["gap-sum"], 2), members)
    probabilities = predict(ensemble, segments())
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_class_that_no_member_gives_has_no_chance() -> None:
    never = member(1)
    logits = never.get_layer(model_network(never).logits)
    kernel, bias = logits.get_weights()
    kernel[:, 0], bias[0] = 0.0, -1e4
    logits.set_weights([kernel, bias])
    probabilities = predict(build_ensemble(ensemble_of(ARMS["gap-sum"], 2), [never, never]), segments())
    assert np.isfinite(probabilities).all()
    assert probabilities[:, 0] == pytest.approx(0.0, abs=1e-20)


def test_ensembles_are_not_looked_at_for_twins() -> None:
    arms = [ARMS["gap-sum"], ARMS["gap-average"]]
    with_ensembles = [one for arm in arms for one in (arm, ensemble_of(arm, 2))]
    assert find_equivalences(with_ensembles, SETTINGS) == find_equivalences(arms, SETTINGS)
