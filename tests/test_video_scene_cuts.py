"""Videos of more than one scene."""

from pathlib import Path

import numpy as np
import pytest
from conftest import FPS, draw_moving_face, draw_wall

from tasks.config.digests import prepare_digest
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.outcomes import Outcome
from tasks.video.boxes import Box
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.scene_cuts import SceneCuts

CUT = 24
SPLIT = PrepareSettings(segment_stride=4, scene_cuts="split")


def two_scenes() -> list[np.ndarray]:
    """One person at the left for 24 frames, then another one, larger, far at the right before another wall."""
    first = draw_moving_face(0.6, CUT, size=(480, 240), scale_px=60, subject=3, start=0.2)
    second = draw_moving_face(0.6, 34, size=(480, 240), scale_px=66, subject=5, start=0.72)
    return [*first, *[255 - (255 - frame) // 2 for frame in second]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenes") / "scenes.mp4"
    write_video(path, two_scenes(), FPS)
    return path


def cuts_of(tmp_path: Path, frames: list[np.ndarray]) -> list[int]:
    path = tmp_path / "cuts.mp4"
    write_video(path, frames, FPS)
    cuts = SceneCuts()
    return [frame.index for frame in decode(path, Video()) if cuts.take(frame)]


def test_a_cut_is_told_from_motion_light_and_a_moving_camera(tmp_path: Path) -> None:
    assert cuts_of(tmp_path, two_scenes()) == [CUT]
    moving = draw_moving_face(6.0, 30)
    assert cuts_of(tmp_path, moving) == []
    flash = [  # one that leaves the picture what it was
        np.clip(frame.astype(int) + 30 * (number == 12), 0, 255).astype(np.uint8)
        for number, frame in enumerate(draw_moving_face(1.0, 30))
    ]
    assert cuts_of(tmp_path, flash) == []
    wide = draw_moving_face(0.0, 1, size=(1600, 240), scale_px=60, start=0.5)[0]
    pan = [np.ascontiguousarray(wide[:, 12 * number : 12 * number + 320]) for number in range(40)]
    assert cuts_of(tmp_path, pan) == []
    assert cuts_of(tmp_path, [*draw_wall(12), *moving[:12], *draw_wall(12)]) == [12, 24]


@pytest.mark.parametrize("pair", [1 / 30, "neighbours", "first_last"])
def test_no_pair_lies_on_both_sides_of_a_cut(scenes: Path, pair: float | str) -> None:
    settings = SPLIT.model_copy(update={"pair": pair, "segment_stride": 1})
    segments, report = prepare_video(scenes, settings)
    straddling = set(range(CUT - 15, CUT)) if pair == "first_last" else {CUT - 1}
    assert {segment.frame for segment in segments} == set(range(report.num_segments)) - straddling
    assert (report.outcome, report.num_cuts, report.num_cut_off) == (Outcome.OK, 1, len(straddling))
    assert f"it holds a scene cut, and {len(straddling)} of its segments were left out there" in report.message
    within = max(np.abs(segment.optical_flow.astype(float)).mean() for segment in segments)
    if pair == "first_last":
        return  # a face moves so far from the first frame to the last
    ignoring, report = prepare_video(scenes, settings.model_copy(update={"scene_cuts": "ignore"}))
    noisy = [segment for segment in ignoring if segment.frame in straddling]
    assert max(np.abs(segment.optical_flow.astype(float)).mean() for segment in noisy) > 2 * within
    assert (report.num_cuts, report.num_cut_off, report.message) == (0, 0, "")


def test_whoever_comes_after_a_cut_is_followed_at_once(scenes: Path) -> None:
    segments, _ = prepare_video(scenes, SPLIT)
    at_the_right = {segment.frame: Box(*segment.box).x > 240 for segment in segments}
    assert at_the_right == {frame: frame >= CUT for frame in range(0, 43, 4)}
    segments, _ = prepare_video(scenes, SPLIT.model_copy(update={"scene_cuts": "ignore"}))
    assert not {CUT, CUT + 4, CUT + 8} & {segment.frame for segment in segments}, "the first one is still awaited"


def test_the_digest_knows_of_cuts_that_split() -> None:
    assert prepare_digest(SPLIT) != prepare_digest(PrepareSettings(segment_stride=4))
    assert prepare_digest(PrepareSettings(scene_cuts="ignore")) == prepare_digest(PrepareSettings())
