"""Smoothing over time, by values that were computed by hand."""

import numpy as np
import pytest

from tasks.inference.smoothing import smooth


def first(values: list[float], times_s: list[float], window_s: float, scenes: list[int] | None = None) -> list[float]:
    """Smoothed probabilities of the first of two classes; a frame without a face is NaN."""
    probabilities = np.array([[value, 1 - value] for value in values])
    smoothed = smooth(probabilities, np.array(times_s), window_s, None if scenes is None else np.array(scenes))
    np.testing.assert_allclose(smoothed.sum(axis=1)[~np.isnan(smoothed[:, 0])], 1.0)
    return [round(float(value), 6) for value in smoothed[:, 0]]


def test_a_window_of_two_frames_takes_half_of_each_neighbour() -> None:
    """The first frame speaks for -0.5 to 0.5 s, and its window of -1 to 1 s holds that and half of the second one."""
    assert first([0, 1, 0, 0, 0.5], [0, 1, 2, 3, 4], 2) == [
        round(0.5 / 1.5, 6),
        0.5,
        0.25,
        0.125,
        round(0.5 / 1.5, 6),
    ]


def test_a_window_within_a_frames_own_time_changes_nothing() -> None:
    assert first([0, 1, 0.3], [0, 1, 2], 1) == [0, 1, 0.3]
    assert first([0, 1, 0.3], [0, 1, 2], 0) == [0, 1, 0.3]
    assert first([0.3], [7], 2) == [0.3]


def test_a_longer_window_than_the_video_gives_its_mean() -> None:
    assert first([0, 1, 0, 1], [0, 1, 2, 3], 100) == [0.5] * 4


def test_frames_that_come_faster_do_not_count_more() -> None:
    """From 1 s on there are four frames a second; a window of 2 s around 1 s holds a second of either kind.

    The frame at 1 s speaks for 0.5 to 1.125 s, so that of the window 0 to 2 s 0.5 s are those of the frame before.
    """
    times_s = [0, 1, 1.25, 1.5, 1.75, 2, 2.25]
    assert first([1, 0, 0, 0, 0, 0, 0], times_s, 2)[1] == 0.25
    assert first([0, 1, 1, 1, 1, 1, 1], times_s, 2)[1] == 0.75


def test_a_frame_that_is_repeated_at_once_weighs_as_one() -> None:
    once = first([0, 1, 0], [0, 1, 2], 3)
    twice = first([0, 1, 1, 0], [0, 1, 1, 2], 3)
    assert [twice[0], twice[1], twice[3]] == once
    assert first([0, 1], [3, 3], 1) == [0, 1], "frames without any time stay what they are"


def test_frames_without_a_face_count_for_nothing_and_get_nothing() -> None:
    """Around the second frame the window of 3 s holds the whole of the first, itself, and nothing of the gap."""
    found = first([0, 1, np.nan, 0, 0], [0, 1, 2, 3, 4], 3)
    assert found[1] == 0.5
    assert np.isnan(found[2])
    assert found[3] == 0


def test_a_gap_of_half_a_window_parts_and_a_shorter_one_does_not() -> None:
    times_s = list(np.arange(6))
    assert first([0, 0, np.nan, np.nan, 1, 1], times_s, 5)[1] == 0, "its window ends where the fifth frame begins"
    assert first([0, 0, np.nan, 1, 1, 1], times_s, 4)[1] == round(0.5 / 2.5, 6), "half of the fourth frame"


def test_scenes_are_not_mixed_however_their_frames_lie() -> None:
    values, times_s = [0, 0, 1, 1], [0.0, 1.0, 2.0, 3.0]
    assert first(values, times_s, 100, [0, 0, 1, 1]) == [0, 0, 1, 1]
    assert first([0, 1, 0, 1], [0.0, 0.0, 1.0, 1.0], 100, [5, 2, 5, 2]) == [0, 1, 0, 1], "two faces in one frame"


def test_a_row_with_a_single_nan_is_a_frame_without_a_verdict() -> None:
    smoothed = smooth(np.array([[1, 0], [np.nan, 0], [0, 1]]), np.arange(3.0), 4)
    assert np.isnan(smoothed[1]).any()
    np.testing.assert_allclose(smoothed[[0, 2]], [[1 / 1.5, 0.5 / 1.5], [0.5 / 1.5, 1 / 1.5]])


def test_the_input_stays_as_it_is_and_nothing_gives_nothing() -> None:
    probabilities = np.array([[1, 0], [0, 1]], np.float32)
    assert smooth(probabilities, np.arange(2.0), 4).dtype == np.float64
    np.testing.assert_array_equal(probabilities, [[1, 0], [0, 1]])
    assert smooth(np.empty((0, 7)), np.empty(0), 1.0).shape == (0, 7)


def test_an_hour_of_frames_keeps_its_precision() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(7), 108_000)
    times_s = np.arange(len(probabilities)) / 30
    smoothed = smooth(probabilities, times_s, 0.7)  # 21 frames: ten on each side and itself
    expected = np.lib.stride_tricks.sliding_window_view(probabilities, 21, axis=0).mean(axis=-1)
    np.testing.assert_allclose(smoothed[10:-10], expected, atol=1e-9)


def test_times_that_fall_and_a_negative_window_are_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match="fall within a scene"):
        first([0, 1], [1, 0], 1)
    with pytest.raises(ValueError, match="negative"):
        first([0, 1], [0, 1], -1)
