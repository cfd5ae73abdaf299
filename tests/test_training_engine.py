"""What a model says of segments, seen as they are and otherwise."""

from pathlib import Path

import numpy as np
import pytest

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model, model_network
from fer_models.segments import PICTURES, mirrored, pair_inputs, shifted
from fer_models.settings import ModelSettings
from fer_models.training import engine
from fer_models.training.engine import outputs, predict

RNG = np.random.default_rng(0)
PAIRS = pair_inputs(
    RNG.integers(0, 256, (5, 48, 48, 3), np.uint8), RNG.normal(0, 0.2, (5, 48, 48, 2)).astype(np.float16)
)


def test_in_the_mirror_what_moved_to_the_left_moves_to_the_right() -> None:
    batch = PAIRS.batch(np.arange(2))
    turned = mirrored(batch)
    np.testing.assert_array_equal(turned["face"], PAIRS.faces[:2, None, :, ::-1])
    np.testing.assert_array_equal(turned["optical_flow"][..., 0], -PAIRS.optical_flows[:2, None, :, ::-1, 0])
    np.testing.assert_array_equal(turned["optical_flow"][..., 1], PAIRS.optical_flows[:2, None, :, ::-1, 1])
    for name, values in mirrored(turned).items():
        np.testing.assert_array_equal(values, batch[name])
        assert values.dtype == batch[name].dtype
    assert list(mirrored({"face": batch["face"]})) == ["face"]


def test_a_shift_moves_both_and_shows_the_edge_where_it_opens_a_gap() -> None:
    batch = PAIRS.batch(np.arange(2))
    moved = shifted(batch, 2, -1)
    for name in PICTURES:
        values = batch[name]
        np.testing.assert_array_equal(moved[name][..., :-1, 2:, :], values[..., 1:, :-2, :])
        np.testing.assert_array_equal(moved[name][..., 0, :], moved[name][..., 2, :])


@pytest.mark.parametrize(("views", "num"), [("none", 1), ("mirror", 2), ("mirror_and_shifts", 10)])
def test_a_prediction_is_the_mean_over_the_views_that_the_model_carries(views: str, num: int, tmp_path: Path) -> None:
    settings = ModelSettings(form="modern", width=4, views=views)
    model = build_model(ARMS["gap-concatenate"], settings, seed=2)
    batch = PAIRS.batch(np.arange(5))
    moves = [(0, 0)] if num < 10 else [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    seen = [shifted(one, *move) for one in ([batch, mirrored(batch)] if num > 1 else [batch]) for move in moves]
    assert len(seen) == num
    each = [outputs(model, pair_inputs(one["face"][:, 0], one["optical_flow"][:, 0])) for one in seen]
    assert num == 1 or np.ptp(each, axis=0).max() > 1e-3, "else nothing would be averaged"
    np.testing.assert_allclose(predict(model, PAIRS), np.mean(each, axis=0), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert model_network(loaded).views == views
    np.testing.assert_allclose(predict(loaded, PAIRS), predict(model, PAIRS), atol=1e-6)


def test_the_mirror_image_of_a_segment_is_predicted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PREDICT_BATCH", 8)
    model = build_model(ARMS["gap-sum"], ModelSettings(form="modern", width=4, views="mirror"), seed=2)
    turned = mirrored(PAIRS.batch(np.arange(5)))
    other = pair_inputs(turned["face"][:, 0], turned["optical_flow"][:, 0])
    np.testing.assert_allclose(predict(model, other), predict(model, PAIRS), atol=1e-5)
