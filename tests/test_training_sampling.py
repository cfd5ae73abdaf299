"""Batches, the rows they are made of, and class weights."""

from itertools import chain

import numpy as np
import pytest

from fer_models.segments import FrameInputs, SegmentShape, mirrored, pair_arrays, pair_inputs, shifted
from fer_models.training.sampling import batches_of_steps, class_weights, epoch_batches, steps_of_pass
from fer_models.treatments import TREATMENTS


def batches(*arguments: int) -> list[list[int]]:
    return [batch.tolist() for batch in epoch_batches(*arguments)]


def test_an_epoch_covers_all_rows_without_repeats():
    epoch = batches(12, 4, 0, 0)
    assert [len(batch) for batch in epoch] == [4, 4, 4]
    assert sorted(chain(*epoch)) == list(range(12))


def test_rows_left_over_wait_for_another_epoch():
    epochs = [batches(14, 4, 0, epoch) for epoch in range(12)]
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [4, 4, 4]
        assert len(set(chain(*epoch))) == 12
    assert {row for epoch in epochs for batch in epoch for row in batch} == set(range(14))


def test_batches_depend_on_seed_and_epoch_only():
    assert batches(40, 8, 3, 5) == batches(40, 8, 3, 5)
    distinct = {str(batches(40, 8, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(distinct) == 16
    assert batches(40, 8, 0, 0) != [list(range(start, start + 8)) for start in range(0, 40, 8)]


def test_a_run_of_steps_is_one_pass_after_another_wherever_it_is_cut():
    draw = np.arange(100, 114).take
    passes = [np.arange(14)] * 3
    whole = [(100 + batch).tolist() for number in range(3) for batch in epoch_batches(14, 4, 0, number)]
    for cut in range(1, 9):
        parts = [batches_of_steps(first, end, lambda n: draw(passes[n]), 4, 0) for first, end in ((0, cut), (cut, 9))]
        assert [batch.tolist() for part in parts for batch in part] == whole
    assert (steps_of_pass(14, 4), steps_of_pass(3, 4)) == (3, 1)


@pytest.mark.parametrize("num_rows", [1, 3, 7])
def test_a_side_smaller_than_a_batch_is_one_batch(num_rows):
    assert [sorted(batch) for batch in batches(num_rows, 8, 0, 0)] == [list(range(num_rows))]


#: 9, 4, 0 and 2 rows of four classes.
UNEQUAL = np.array([0, 3, 0, 1, 0, 0, 1, 0, 3, 0, 1, 0, 0, 1, 0])


@pytest.mark.parametrize("treatment", ["none", "class_weights", "smote", "focal"])
def test_other_treatments_take_every_row_once(treatment):
    np.testing.assert_array_equal(TREATMENTS[treatment].rows(UNEQUAL, 0, 0), np.arange(15))


def test_downsampling_takes_as_many_rows_of_each_class_as_the_rarest_has():
    rows = TREATMENTS["downsample"].rows(UNEQUAL, 0, 0)
    assert np.bincount(UNEQUAL[rows]).tolist() == [2, 2, 0, 2]
    assert len(set(rows)) == 6


def test_downsampling_loses_no_row_for_good():
    drawn = [set(TREATMENTS["downsample"].rows(UNEQUAL, 0, epoch)) for epoch in range(40)]
    assert set.union(*drawn) == set(range(15))


def test_oversampling_repeats_rows_up_to_the_largest_class():
    rows = TREATMENTS["oversample"].rows(UNEQUAL, 0, 0)
    assert np.bincount(UNEQUAL[rows]).tolist() == [9, 9, 0, 9]
    times = np.bincount(rows)
    assert set(times[UNEQUAL == 0]) == {1}
    assert sorted(times[UNEQUAL == 1]) == [2, 2, 2, 3]
    assert sorted(times[UNEQUAL == 3]) == [4, 5]


def test_oversampling_repeats_other_rows_in_another_epoch():
    repeated = {int(np.bincount(TREATMENTS["oversample"].rows(UNEQUAL, 0, epoch))[1]) for epoch in range(20)}
    assert repeated == {4, 5}


@pytest.mark.parametrize("treatment", ["downsample", "oversample"])
def test_drawn_rows_depend_on_seed_and_epoch_only(treatment):
    np.testing.assert_array_equal(TREATMENTS[treatment].rows(UNEQUAL, 3, 5), TREATMENTS[treatment].rows(UNEQUAL, 3, 5))
    distinct = {str(TREATMENTS[treatment].rows(UNEQUAL, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(distinct) == 16


@pytest.mark.parametrize("treatment", ["downsample", "oversample"])
def test_equal_classes_and_one_class_are_drawn_whole(treatment):
    for labels in (np.arange(12) % 3, np.ones(5, int)):
        assert sorted(TREATMENTS[treatment].rows(labels, 0, 0)) == list(range(len(labels)))


def test_class_weights_by_hand():
    # 8 rows, 3 classes present: 8 / (3 * count)
    labels = np.array([0, 0, 0, 0, 2, 2, 3, 3])
    np.testing.assert_allclose(class_weights(labels, 5), [8 / 12, 0, 8 / 6, 8 / 6, 0])
    for treatment in TREATMENTS.values():
        assert treatment.weights(labels, 5).tolist() in (class_weights(labels, 5).tolist(), [1.0] * 5)


def test_class_weights_have_mean_1_over_rows_and_give_classes_equal_say():
    labels = np.random.default_rng(0).choice(6, 500, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    weights = class_weights(labels, 6)
    assert weights[labels].mean() == pytest.approx(1.0)
    np.testing.assert_allclose(np.bincount(labels, weights=weights[labels]), 500 / 6)


def test_class_weights_of_one_class_only():
    np.testing.assert_allclose(class_weights(np.array([1, 1, 1]), 3), [0, 1, 0])


def test_length_is_the_number_of_segments():
    nothing = np.zeros(3)
    assert len(pair_arrays(nothing, nothing, np.zeros(3, int), nothing, nothing)) == 3


def test_segments_share_frames() -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (4, 48, 48, 3), np.uint8)
    windows, seen = np.array([[0, 1, 2], [1, 2, 2]]), np.array([[True, True, True], [True, True, False]])
    inputs = FrameInputs(faces, None, windows, seen)
    assert (len(inputs), inputs.shape) == (2, SegmentShape(num_frames=3, side_px=48, has_optical_flow=False))
    batch = inputs.batch(np.array([1, 0]))
    assert set(batch) == {"face", "seen"}
    np.testing.assert_array_equal(batch["face"], faces[[[1, 2, 2], [0, 1, 2]]])
    np.testing.assert_array_equal(batch["seen"], seen[[1, 0]])
    for changed in (mirrored(batch), shifted(batch, 1, 2)):
        np.testing.assert_array_equal(changed["seen"], batch["seen"])


@pytest.mark.parametrize("side_px", [48, 64])
def test_a_batch_has_the_rows_that_are_asked_for_with_an_axis_of_time(side_px):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (5, side_px, side_px, 3), np.uint8)
    optical_flows = rng.normal(0, 1, (5, side_px, side_px, 2)).astype(np.float16)
    inputs = pair_inputs(faces, optical_flows)
    assert (len(inputs), inputs.shape) == (5, SegmentShape(num_frames=1, side_px=side_px, has_optical_flow=True))
    batch = inputs.batch(np.array([3, 0, 3]))
    assert (batch["face"].dtype, batch["optical_flow"].dtype) == (np.uint8, np.float16)
    np.testing.assert_array_equal(batch["face"], faces[[3, 0, 3]][:, None])
    np.testing.assert_array_equal(batch["optical_flow"], optical_flows[[3, 0, 3]][:, None])


@pytest.mark.parametrize(
    ("held", "needed", "enough"),
    [
        (SegmentShape(), SegmentShape(), True),
        (SegmentShape(), SegmentShape(has_optical_flow=False), True),
        (SegmentShape(has_optical_flow=False), SegmentShape(), False),
        (SegmentShape(has_optical_flow=False), SegmentShape(has_optical_flow=False), True),
        (SegmentShape(num_frames=8), SegmentShape(num_frames=4), True),
        (SegmentShape(num_frames=4), SegmentShape(num_frames=8), False),
        (SegmentShape(side_px=64), SegmentShape(side_px=48), True),  # a model is built for the side that there is
    ],
)
def test_segments_offer_what_they_hold(held, needed, enough):
    assert held.offers(needed) == enough
