"""Sizes of models that are never given values, against models that are, and against sums by hand."""

import math

import pytest

from fer_models.models.arms import ARMS, ensemble_of, find_arms
from fer_models.models.building import build_ensemble, build_model, freeze_layers, needs_of
from fer_models.models.sizes import size_of, size_of_model
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, TrainingSettings

SMALL = ModelSettings(width=2, head_units=4, backbone_width=0.05)
PLAIN = TrainingSettings(augmentation=None)


@pytest.mark.parametrize("name", ["gap-sum", "hog-svm", "fer2013-hog-svm", "c3d", "gru-fused", "mobilenet-spatial"])
@pytest.mark.parametrize("form", ["corrected", "modern"])
def test_parameters_are_those_of_the_model(name: str, form: str) -> None:
    settings = SMALL.model_copy(update={"form": form})
    shape = SegmentShape().with_needs(needs_of(ARMS[name]))
    size, model = size_of(ARMS[name], settings, 6, shape), build_model(ARMS[name], settings, shape=shape)
    of_kinds = (model.trainable_weights, model.non_trainable_weights)
    assert (size.trained, size.fixed) == tuple(sum(math.prod(one.shape) for one in weights) for weights in of_kinds)
    assert size.num_parameters == model.count_params()


def test_frozen_ones_count_apart_and_keep_nothing() -> None:
    arm = ARMS["fer2013-spatial-only"]
    tuned, frozen = (
        size_of(arm, SMALL, 6, training=TrainingSettings(pretrained=how)) for how in ("fine_tune", "frozen")
    )
    assert frozen.num_parameters == tuned.num_parameters
    assert frozen.fixed > 50_000 > tuned.fixed
    assert 0 < frozen.kept < tuned.kept / 10
    assert frozen.largest == tuned.largest
    model = build_model(arm, SMALL)
    freeze_layers(model, TrainingSettings(pretrained="frozen"))
    assert size_of_model(model).trained == frozen.trained


def test_what_a_step_keeps_by_hand() -> None:
    size = size_of(ARMS["spatial-only"], ModelSettings(width=1, head_units=4), 6, training=PLAIN)
    maps = (48 * 48 * 3, 44 * 44, 20 * 20, 18 * 18, 16 * 16, 7 * 7, 5 * 5 * 2, 3 * 3 * 2)
    vectors = (4, 4, 4, 4, 6, 6)  # two dense layers with dropout, logits, probabilities
    assert size.kept == 4 * (sum(maps) + sum(vectors))
    assert size.largest == size.widest == 4 * 48 * 48 * 3
    assert size.inputs == 48 * 48 * (3 + 2 * 4), "both inputs are given, whichever is used"
    assert (size.num_features, size.num_visible, size.takes_frames) == (4, 0, False)
    half = size_of(ARMS["spatial-only"], ModelSettings(width=1, head_units=4), 6, training=BFLOAT16)
    assert size.kept / 2 < half.kept < size.kept


BFLOAT16 = TrainingSettings(augmentation=None, precision="mixed_bfloat16")


def test_streams_stand_side_by_side() -> None:
    one, two = (size_of(ARMS[name], ModelSettings(width=16), 6, training=PLAIN) for name in ("spatial-only", "gap-sum"))
    assert one.largest == two.largest == 4 * 44 * 44 * 16
    assert (one.widest, two.widest) == (one.largest, 2 * one.largest)


@pytest.mark.parametrize("name", ["lstm-fused", "convlstm-spatial", "c3d", "frame-stack"])
def test_frames_count_wherever_they_are_laid(name: str) -> None:
    few, many = (size_of(ARMS[name], SMALL, 6, SegmentShape(num_frames=number), PLAIN) for number in (4, 8))
    assert few.takes_frames
    assert 1.6 < many.largest / few.largest <= 2
    in_channels = name == "frame-stack"  # whose convolutions see all frames at once
    assert (1.0 if in_channels else 1.7) < many.kept / few.kept < 2.2


def test_a_belief_network_and_an_ensemble_have_sizes() -> None:
    assert size_of(ARMS["zhang2019-dbn"], SMALL, 6).num_visible > 0
    member = build_model(ARMS["gap-sum"], SMALL)
    ensemble = build_ensemble(ensemble_of(ARMS["gap-sum"], 2), [member, build_model(ARMS["gap-sum"], SMALL, seed=1)])
    assert size_of_model(ensemble).num_parameters == 2 * member.count_params()
    assert size_of_model(ensemble).widest >= 2 * size_of_model(member).largest


def test_nothing_of_it_stays() -> None:
    """Models that are built afterwards have their values, and those that were there keep theirs."""
    before = build_model(ARMS["gap-sum"], SMALL)
    size_of(ARMS["lstm-fused"], SMALL, 6, SegmentShape(num_frames=2))
    after = build_model(ARMS["gap-sum"], SMALL)
    for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
        assert (one == other).all()


def test_arms_are_found_by_families_too() -> None:
    found = [arm.name for arm in find_arms(["linear", "gap-sum", "optical-flow-only"])]
    assert found == ["gap-sum", "temporal-only", "hog-svm", "hof-svm", "majority", "lbp-top-svm", "fer2013-hog-svm"]
    assert find_arms([]) == list(ARMS.values())
