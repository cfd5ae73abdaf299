"""What the head does is taken out of optical flow, what the face does stays."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model
from fer_models.models.motion import HeadMotionRemoval, motion_scale_px
from fer_models.segments import pair_inputs
from fer_models.settings import HeadMotion, ModelSettings

SIDE = 48
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
#: A mouth that opens: a tenth of the face moves down.
MOUTH = np.zeros((SIDE, SIDE, 2))
MOUTH[34:46, 14:34, 1] = 0.8


def similarity(shift: tuple[float, float], turn: float, zoom: float) -> np.ndarray:
    return np.stack([shift[0] + zoom * X - turn * Y, shift[1] + turn * X + zoom * Y], axis=-1)


def removed(flow: np.ndarray, head_motion: HeadMotion) -> np.ndarray:
    return keras.ops.convert_to_numpy(HeadMotionRemoval(head_motion)(flow[np.newaxis].astype(np.float16)))[0]


def test_a_shift_is_taken_out() -> None:
    left = removed(MOUTH + [1.5, -0.7], "remove_shift")
    np.testing.assert_allclose(left, MOUTH, atol=2e-3)


@pytest.mark.parametrize(("turn", "zoom"), [(0.0, 0.0), (0.03, 0.0), (-0.02, 0.05)])
def test_a_similarity_transform_is_taken_out(turn: float, zoom: float) -> None:
    flow = MOUTH + similarity((1.5, -0.7), turn, zoom)
    left = removed(flow, "remove_similarity")
    still = np.delete(left.reshape(-1, 2), np.flatnonzero(MOUTH[..., 1].ravel()), axis=0)
    assert np.linalg.norm(still, axis=1).mean() < 0.06
    assert np.median(left[36:44, 16:32, 1]) == pytest.approx(0.8, abs=0.1)
    if turn or zoom:
        assert np.linalg.norm(removed(flow, "remove_shift"), axis=-1).mean() > 0.3


def test_scales_are_those_of_the_pixels() -> None:
    flows = np.zeros((10, 96, 96, 2), np.float16)
    flows[:, :, :9, 0] = 2.0  # 9 % of a face of 96 px, where 2 px are 1 px of one of 48 px
    segments = pair_inputs(np.zeros((10, 96, 96, 3), np.uint8), flows)
    assert motion_scale_px(segments, "keep", 0.95, 1) == pytest.approx(1.0)
    assert motion_scale_px(segments, "keep", 0.5, 1) == pytest.approx(0.02), "stillness is no scale"
    assert motion_scale_px(pair_inputs(segments.faces, flows + 3), "remove_shift", 0.95, 1) == pytest.approx(1.0)


def test_a_model_takes_the_head_out_itself_and_comes_back_from_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    flows = rng.normal(0, 0.2, (2, SIDE, SIDE, 2)).astype(np.float32)
    settings = {"width": 4, "head_units": 8}
    for head_motion, alike in (("keep", False), ("remove_shift", True), ("remove_similarity", True)):
        model = build_model(get_arm("temporal-only"), ModelSettings(head_motion=head_motion, **settings))
        model.save(tmp_path / "model.keras")
        model = load_model(tmp_path / "model.keras")
        one, other = (keras.ops.convert_to_numpy(model([faces, shifted])) for shifted in (flows, flows + 0.4))
        assert np.allclose(one, other, atol=1e-4) == alike
