"""Segments whose classes differ in nothing but the order of their frames: a movement and its reverse.

A bright square moves over noise from left to right (class 0) or from right to left (class 1). What leaves the picture
on one side comes in on the other, and the start is anywhere, so that every single frame is equally likely in both.
A mirror image is of the other class: train on them without `AugmentationSettings.mirror`.
"""

import numpy as np

from fer_models.segments import SegmentArrays

#: The two classes, as a model's labels.
LABELS = ("rightwards", "leftwards")
#: How far the square moves from frame to frame, as a share of the side.
_STEP = 1 / 8
_SQUARE = 1 / 4


def moving_squares(num: int, seed: int, num_frames: int = 4, side_px: int = 48) -> SegmentArrays:
    """As many segments, the classes in turn, each of a video of its own, with the optical flow of the square."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    step_px, square_px = round(_STEP * side_px), round(_SQUARE * side_px)
    faces = rng.integers(0, 80, (num, num_frames, side_px, side_px, 3), np.uint8)
    optical_flows = rng.normal(0, 0.02, (num, num_frames, side_px, side_px, 2)).astype(np.float16)
    rows = rng.integers(0, side_px - square_px, num)[:, None] + np.arange(square_px)  # (n, square)
    starts = rng.integers(0, side_px, num)
    for number in range(num_frames):
        moved_px = np.where(labels == 0, step_px, -step_px) * number
        columns = ((starts + moved_px)[:, None] + np.arange(square_px)) % side_px
        inside = (np.arange(num)[:, None, None], number, rows[:, :, None], columns[:, None, :])
        faces[inside] += 150
        optical_flows[(*inside, 0)] += np.where(labels == 0, step_px, -step_px)[:, None, None]
    windows = np.arange(num * num_frames).reshape(num, num_frames)
    flat = [one.reshape(-1, *one.shape[2:]) for one in (faces, optical_flows)]
    videos = np.array([f"v{number}" for number in range(num)])
    return SegmentArrays(*flat, windows, np.ones(windows.shape, bool), labels, videos, np.char.add(videos, "#0"))
