"""Where a model looked at a moment: what was kept of the video is what the model was asked about."""

from pathlib import Path

import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_predictor import OVERLAPPING, SEQUENCES, P, build

from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.inference.moments import Explainer, find_segment, predict_and_keep
from tasks.inference.predictor import Predictor


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for 12 frames, then a wall for 8."""
    path = tmp_path_factory.mktemp("video") / "half.mp4"
    write_video(path, draw_moving_face(2.0, 12) + draw_wall(8), FPS)
    return path


@pytest.mark.parametrize(("arm", "prepare"), [("gap-sum", OVERLAPPING), ("lstm-spatial", SEQUENCES)])
def test_the_segment_of_a_moment_is_the_one_that_was_asked_about(
    half: Path, tmp_path: Path, arm: str, prepare: PrepareSettings
) -> None:
    predictor = Predictor([build(arm, prepare)], prepare)
    found = predict_and_keep(predictor, half, tmp_path)
    said = found.segments[found.segments["seen_share"] > 0]
    assert len(said) >= 5
    for row in said.to_dict("records"):
        kept = find_segment(tmp_path, 1, (row["start_s"] + row["end_s"]) / 2)
        assert kept
        assert (kept.start_s, kept.end_s) == pytest.approx((row["start_s"], row["end_s"]))
        assert predictor.ask(kept.inputs)[0, 0] == pytest.approx([row[name] for name in P], abs=1e-5)
    last = find_segment(tmp_path, 1, 0.8)  # where there is a wall
    assert last
    assert last.start_s == pytest.approx(said["start_s"].max()), "the nearest one that shows a face"
    assert find_segment(tmp_path, 2, 0.1) is None


def test_a_segment_has_a_map_a_stream(half: Path, tmp_path: Path) -> None:
    predictor = Predictor([build("gap-sum", OVERLAPPING, seed) for seed in (0, 1)], OVERLAPPING)
    predict_and_keep(predictor, half, tmp_path)
    kept = find_segment(tmp_path, 1, 0.1)
    assert kept
    both = Explainer(predictor.members).look(kept.inputs, 1)
    assert set(both.maps) == {"spatial", "temporal"}
    assert both.faces.shape == (1, 48, 48, 3)
    assert both.optical_flows is not None
    assert both.optical_flows.shape == (1, 48, 48, 2)
    alone = [Explainer([member]).look(kept.inputs, 1).maps["spatial"] for member in predictor.members]
    assert both.maps["spatial"] == pytest.approx(np.mean(alone, axis=0), abs=1e-5)
