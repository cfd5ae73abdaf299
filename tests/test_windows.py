"""Which frames segments are made of."""

import tracemalloc

import numpy as np
import pytest

from fer_models.windows import Windows


def test_one_frame_is_the_first_of_each_segment() -> None:
    windows = Windows(16, 4, 1, 0.5)
    assert [windows.count(number) for number in (0, 15, 16, 19, 20, 34)] == [0, 0, 1, 1, 2, 5]
    assert [frame for frame in range(13) if windows.first_start(frame) is not None] == [0, 4, 8, 12]
    segments, rows, seen = windows.covered(np.array([0, 8]), 3)
    assert (segments.tolist(), rows.tolist(), seen.tolist()) == ([0, 2], [[0], [1]], [[True], [True]])


def test_frames_are_evenly_spaced_from_the_first_on() -> None:
    assert [Windows(16, 16, number, 0.5).step for number in (1, 2, 3, 4, 5, 8, 16)] == [16, 8, 5, 4, 3, 2, 1]
    segments, rows, _ = Windows(16, 16, 4, 0.5).covered(np.arange(32), 2)
    assert segments.tolist() == [0, 1]
    assert rows.tolist() == [[0, 4, 8, 12], [16, 20, 24, 28]]


@pytest.mark.parametrize("stride", [1, 2, 3, 16, 20])
@pytest.mark.parametrize("kept", [1, 3, 4, 16])
def test_overlapping_segments_share_their_frames(stride: int, kept: int) -> None:
    """A frame is kept for the segments that hold it, however many, and known by the earliest of them."""
    windows = Windows(16, stride, kept, 1.0)
    num_segments = windows.count(100)
    holding: dict[int, list[int]] = {}
    for segment in range(num_segments):
        for place in range(kept):
            holding.setdefault(segment * stride + place * windows.step, []).append(segment * stride)
    assert windows.num_places(num_segments) == len(holding)
    for frame, starts in holding.items():
        assert windows.first_start(frame) == min(starts)
    frames = np.array(sorted(holding))
    segments, rows, seen = windows.covered(frames, num_segments)
    assert segments.tolist() == list(range(num_segments))
    assert seen.all()
    assert (frames[rows] == np.arange(num_segments)[:, None] * stride + np.arange(kept) * windows.step).all()


def test_a_frame_without_a_face_repeats_the_nearest_of_its_segment() -> None:
    windows = Windows(4, 4, 4, 0.5)
    frames = np.array([1, 3, 4, 7])  # of the segments 0..3 and 4..7
    segments, rows, seen = windows.covered(frames, 2)
    assert segments.tolist() == [0, 1]
    assert frames[rows].tolist() == [[1, 1, 1, 3], [4, 4, 7, 7]], "the earlier of two that are as near"
    assert seen.tolist() == [[False, True, False, True], [True, False, False, True]]


@pytest.mark.parametrize(("share", "covered"), [(0.25, [0, 1]), (0.5, [0]), (0.75, [0]), (1.0, [])])
def test_a_segment_with_too_few_faces_is_not_covered(share: float, covered: list[int]) -> None:
    frames = np.array([0, 1, 2, 6])  # three of the first four, one of the others
    assert Windows(4, 4, 4, share).covered(frames, 2).segments.tolist() == covered


def test_no_frame_covers_nothing() -> None:
    for num_segments in (0, 3):
        segments, rows, seen = Windows(16, 4, 4, 0.5).covered(np.empty(0, np.int64), num_segments)
        assert (segments.shape, rows.shape, seen.shape) == ((0,), (0, 4), (0, 4))


def test_a_long_video_takes_hardly_more_memory_than_a_short_one() -> None:
    """Half an hour, a segment of 32 frames from each one on; a number for each pair of frames of each was 440 MB."""
    windows = Windows(32, 1, 32, 0.5)
    frames = np.delete(np.arange(54000), slice(1000, 54000, 7))
    tracemalloc.start()
    try:
        segments, rows, _ = windows.covered(frames, windows.count(54000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(segments) == len(rows) == windows.count(54000)
    assert peak < 120e6
    assert windows.covered(frames[frames < 2000], windows.count(2000)).rows[-1].tolist() == rows[1968].tolist()
