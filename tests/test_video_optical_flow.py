import cv2
import numpy as np
import pytest

from tasks.video.optical_flow import METHODS, pair_optical_flow


def textured(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (160, 160)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side_px", [48, 64])
@pytest.mark.parametrize(("dx", "dy"), [(3.0, 0.0), (-3.0, 0.0), (0.0, 2.0), (1.5, -1.0)])
def test_a_shift_comes_back_at_the_stored_scale(method: str, side_px: int, dx: float, dy: float) -> None:
    world = textured()
    shifted = cv2.warpAffine(world, np.array([[1, 0, dx], [0, 1, dy]]), (160, 160))
    part = np.s_[32 : 32 + side_px, 32 : 32 + side_px]
    motion = pair_optical_flow(world[part].astype(np.uint8), shifted[part].astype(np.uint8), method)
    assert motion.shape == (side_px, side_px, 2)
    assert motion.dtype == np.float16
    inner = motion[8:-8, 8:-8].astype(float)
    assert np.median(inner[..., 0]) == pytest.approx(dx, abs=0.1)
    assert np.median(inner[..., 1]) == pytest.approx(dy, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side_px", [48, 64])
def test_a_still_pair_has_no_motion(method: str, side_px: int) -> None:
    image = textured()[:side_px, :side_px].astype(np.uint8)
    speed = np.abs(pair_optical_flow(image, image, method).astype(float))
    assert speed[8:-8, 8:-8].max() < 0.05
    assert speed.mean() < 0.05, "Farneback's method is not exact at the border"
