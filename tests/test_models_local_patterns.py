"""Local binary patterns on three planes against a plain reading of the paper, pixel by pixel."""

import keras
import numpy as np

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, needs_of
from fer_models.models.local_patterns import LocalBinaryPatterns
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict

RING = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def plain_patterns(faces: np.ndarray, blocks: int) -> np.ndarray:
    """One segment (T, S, S, 3) -> (blocks, blocks, 3 * 59), written as one would explain it."""
    grey = (faces.astype(np.float32) * np.array([0.299, 0.587, 0.114], np.float32)).sum(axis=-1)
    uniform = [code for code in range(256) if sum((code >> i) & 1 != (code >> (i + 1) % 8) & 1 for i in range(8)) <= 2]
    frames, side, _ = grey.shape
    block_px = (side - 2) // blocks
    counts = np.zeros((blocks, blocks, 3, 59))
    for t in range(1, frames - 1):
        for y in range(block_px * blocks):
            for x in range(block_px * blocks):
                for plane in range(3):
                    code = 0
                    for number, (first, second) in enumerate(RING):
                        step = ((0, first, second), (first, 0, second), (first, second, 0))[plane]
                        neighbour = grey[t + step[0], y + 1 + step[1], x + 1 + step[2]]
                        code |= int(neighbour >= grey[t, y + 1, x + 1]) << number
                    place = uniform.index(code) if code in uniform else 58
                    counts[y // block_px, x // block_px, plane, place] += 1
    return (counts / (frames - 2) / block_px**2).reshape(blocks, blocks, -1)


def test_patterns_are_those_of_the_paper() -> None:
    faces = np.random.default_rng(0).integers(0, 8, (2, 4, 17, 17, 3)).astype(np.uint8)
    layer = LocalBinaryPatterns(3)
    found = keras.ops.convert_to_numpy(layer(faces))
    assert found.shape == layer.compute_output_spec(keras.KerasTensor(faces.shape)).shape == (2, 3, 3, 3 * 59)
    for one, segment in zip(found, faces, strict=True):
        np.testing.assert_allclose(one, plain_patterns(segment, 3), atol=1e-6)
    assert LocalBinaryPatterns.from_config(layer.get_config()).blocks == 3


def test_a_face_at_rest_is_even_in_time() -> None:
    """All neighbours of a pixel in time are as bright as it is: in XT and YT half of the ring depends on it alone."""
    face = np.random.default_rng(0).integers(0, 256, (1, 1, 48, 48, 3)).astype(np.uint8)
    still = keras.ops.convert_to_numpy(LocalBinaryPatterns()(np.repeat(face, 5, axis=1)))
    moving = keras.ops.convert_to_numpy(
        LocalBinaryPatterns()(np.stack([np.roll(face[:, 0], shift, axis=2) for shift in range(5)], axis=1))
    )
    np.testing.assert_allclose(still[..., :59], moving[..., :59], atol=0.08)  # what the frames look like
    assert (still[..., 59:118] > 0).sum() < (moving[..., 59:118] > 0).sum(), "and how they follow one another"


def test_the_arm_has_the_numbers_of_its_vector_and_needs_three_frames() -> None:
    """4 x 4 blocks of 3 planes of 59 patterns, six classes and their offsets."""
    arm = get_arm("lbp-top-svm")
    assert needs_of(arm) == SegmentShape(num_frames=3, has_optical_flow=False)
    model = build_model(arm, ModelSettings(), shape=SegmentShape(num_frames=5))
    assert model.count_params() == 4 * 4 * 3 * 59 * 6 + 6
    faces = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3)).astype(np.uint8)
    windows = np.array([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])
    segments = FrameInputs(faces, np.zeros((6, 48, 48, 2), np.float16), windows, np.ones(windows.shape, bool))
    assert predict(model, segments).shape == (2, 6)
