"""Arms that are one function are found, and only they."""

from dataclasses import replace

import keras
import pytest

from fer_models.models import equivalence, streams
from fer_models.models.arms import ARMS, STUDY_ARMS, Arm
from fer_models.models.building import build_model
from fer_models.models.equivalence import Equivalence, describe, find_equivalences, grouped
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings

PUBLISHED, CORRECTED = ModelSettings(form="published"), ModelSettings(form="corrected")


def find(*names: str, settings: ModelSettings = PUBLISHED) -> tuple[Equivalence, ...]:
    return find_equivalences([ARMS[name] for name in names], settings)


@pytest.fixture(scope="module")
def of_the_study() -> tuple[Equivalence, ...]:
    return find(*STUDY_ARMS, "published-listing")


def test_the_studys_flatten_is_its_gap_three_times(of_the_study):
    assert [(pair.first, pair.second) for pair in of_the_study if pair.kind == "same function"] == [
        ("flatten-concatenate", "gap-concatenate"),
        ("flatten-sum", "gap-sum"),
        ("flatten-average", "gap-average"),
    ]


def test_the_studys_average_is_half_of_its_sum_across_poolings_too(of_the_study):
    scaled = {(pair.first, pair.second): pair.factor for pair in of_the_study if pair.kind == "scaled"}
    assert scaled == {
        ("flatten-sum", "flatten-average"): 0.5,
        ("flatten-sum", "gap-average"): 0.5,
        ("flatten-average", "gap-sum"): 2.0,
        ("gap-sum", "gap-average"): 0.5,
    }


def test_for_readers_each_rescaling_is_told_once(of_the_study):
    rows = [(row.first, row.second, row.relation) for row in grouped(of_the_study)]
    assert rows == [
        (("flatten-concatenate",), ("gap-concatenate",), "the same function"),
        (("flatten-sum",), ("gap-sum",), "the same function"),
        (("flatten-average",), ("gap-average",), "the same function"),
        (
            ("flatten-sum", "gap-sum"),
            ("flatten-average", "gap-average"),
            "the same but for a factor 0.5 before the first dense layer",
        ),
    ]
    sentences = describe(of_the_study)
    assert "flatten-sum and gap-sum are the same function" in sentences
    assert "of flatten-average and gap-average is 0.5 times what enters that of flatten-sum and gap-sum" in sentences


@pytest.mark.parametrize("settings", [CORRECTED, ModelSettings(form="modern")], ids=["corrected", "modern"])
def test_in_other_forms_only_sum_and_average_are_left(settings):
    assert find(*STUDY_ARMS, "published-listing", settings=settings) == (
        Equivalence("flatten-sum", "flatten-average", "scaled", 0.5),
        Equivalence("gap-sum", "gap-average", "scaled", 0.5),
    )


def test_single_streams_are_two_functions():
    assert find("spatial-only") == ()
    assert find("spatial-only", "temporal-only", settings=CORRECTED) == ()
    assert "No two arms" in describe(())


def test_an_arm_of_another_width_is_another_function():
    assert find("flatten-concatenate", "published-listing", settings=PUBLISHED.model_copy(update={"width": 63})) == ()
    (pair,) = find("flatten-concatenate", "published-listing", settings=PUBLISHED.model_copy(update={"width": 64}))
    assert pair.kind == "same function"


@pytest.mark.parametrize("other", [keras.layers.Maximum, keras.layers.Multiply])
def test_a_changed_fusion_is_not_the_same(other, monkeypatch):
    monkeypatch.setitem(streams._FUSIONS, "average", other)
    assert find("gap-sum", "gap-average") == ()


def test_a_changed_pooling_is_not_the_same(monkeypatch):
    monkeypatch.setattr(streams.layers, "GlobalAveragePooling2D", keras.layers.GlobalMaxPooling2D)
    assert find("flatten-sum", "gap-sum") == ()


def test_a_factor_elsewhere_than_before_the_first_dense_layer_is_not_hidden_by_relu(monkeypatch):
    """With biases of 0, twice the optical flow gives twice the vector, and a rescaling would seem to mend it."""
    arm = ARMS["temporal-only"]

    def build(arm: Arm, settings: ModelSettings, shape: SegmentShape) -> keras.Model:
        scale = settings.optical_flow_scale_px * (2 if arm.name == "doubled" else 1)
        return build_model(arm, settings.model_copy(update={"optical_flow_scale_px": scale}), shape=shape)

    monkeypatch.setattr(equivalence, "build_model", build)
    large_scale = CORRECTED.model_copy(update={"optical_flow_scale_px": 10.0})  # nothing is clipped
    assert find_equivalences([arm, replace(arm, name="doubled")], large_scale) == ()
    assert len(find_equivalences([arm, replace(arm, name="renamed")], large_scale)) == 1


@pytest.mark.parametrize("name", ["frame-stack", "c3d"])
def test_arms_of_several_frames_are_compared_too(name):
    arms = [arm for arm in ARMS if arm.startswith(name)]
    assert len(arms) == 4
    found = find("gap-sum", *arms, settings=ModelSettings(form="modern"))
    assert found == (Equivalence(f"{name}-sum", f"{name}-average", "scaled", 0.3333),)
    stacked = replace(ARMS[name], name="renamed")
    (pair,) = find_equivalences([ARMS[name], stacked], CORRECTED)
    assert pair.kind == "same function"
