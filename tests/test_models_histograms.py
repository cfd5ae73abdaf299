"""Histograms of orientations against a plain reading of their papers, pixel by pixel."""

import math

import keras
import numpy as np
import pytest

from fer_models.models.histograms import GreyGradients, OrientationHistograms


def plain_histograms(vectors: np.ndarray, bins: int, signed: bool, cells: int, floor: float) -> np.ndarray:
    """One picture (S, S, 2) -> (cells - 1, cells - 1, 4 * bins), written as one would explain it."""
    cell_px = len(vectors) // cells
    turn = 360 if signed else 180
    histograms = np.zeros((cells, cells, bins))
    for y in range(cells * cell_px):
        for x in range(cells * cell_px):
            dx, dy = map(float, vectors[y, x])
            angle = math.degrees(math.atan2(dy, dx)) % turn
            histograms[y // cell_px, x // cell_px, min(int(angle // (turn / bins)), bins - 1)] += math.hypot(dx, dy)
    histograms /= cell_px**2
    blocks = np.zeros((cells - 1, cells - 1, 4 * bins))
    for y in range(cells - 1):
        for x in range(cells - 1):
            block = histograms[y : y + 2, x : x + 2].reshape(-1)
            length = math.sqrt((block**2).sum())
            block = np.minimum(block / length, 0.2)
            blocks[y, x] = block / math.sqrt((block**2).sum()) * length / math.hypot(length, floor)
    return blocks


@pytest.mark.parametrize(("bins", "signed", "floor"), [(9, False, 1e-5), (8, True, 0.1)], ids=["hog", "hof"])
@pytest.mark.parametrize("side_px", [48, 50])
def test_histograms_are_those_of_the_papers(bins: int, signed: bool, floor: float, side_px: int) -> None:
    vectors = np.random.default_rng(0).normal(0, 0.3, (3, side_px, side_px, 2)).astype(np.float32)
    layer = OrientationHistograms(bins, signed, floor=floor)
    found = keras.ops.convert_to_numpy(layer(vectors))
    assert found.shape == layer.compute_output_spec(keras.KerasTensor(vectors.shape)).shape == (3, 5, 5, 4 * bins)
    for one, picture in zip(found, vectors, strict=True):
        np.testing.assert_allclose(one, plain_histograms(picture, bins, signed, 6, floor), atol=2e-5)


def test_gradients_are_central_differences_of_grey() -> None:
    ramp = np.zeros((1, 48, 48, 3), np.uint8)
    ramp[..., 1] = 2 * np.arange(48)  # green grows to the right, by 2 a pixel
    gradients = keras.ops.convert_to_numpy(GreyGradients()(ramp))
    np.testing.assert_allclose(gradients[0, :, 1:-1, 0], 4 * 0.587 / 255, atol=1e-6)
    assert not gradients[0, :, [0, -1]].any()
    assert not gradients[..., 1].any()


def test_a_still_face_has_no_motion_to_speak_of() -> None:
    noise = np.random.default_rng(0).normal(0, 0.002, (1, 48, 48, 2)).astype(np.float32)
    still = OrientationHistograms(8, signed=True, floor=0.1)(noise)
    moving = OrientationHistograms(8, signed=True, floor=0.1)(noise * 500)
    lengths = [float(keras.ops.max(keras.ops.norm(one, axis=-1))) for one in (still, moving)]
    assert lengths[0] < 0.05
    assert lengths[1] > 0.9


def test_light_does_not_matter() -> None:
    faces = np.random.default_rng(0).integers(0, 100, (2, 48, 48, 3), np.uint8)
    dark, bright = (OrientationHistograms(9, signed=False)(GreyGradients()(one)) for one in (faces, faces * 2 + 30))
    np.testing.assert_allclose(dark, bright, atol=1e-4)
