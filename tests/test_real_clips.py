"""Films of real faces, where the clips are at hand; skipped elsewhere. They are never copied into the project."""

import os
from pathlib import Path

import numpy as np
import pytest

from fer_models.labels import EMOTIONS
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters import table
from tasks.outcomes import Outcome
from tasks.video.cutting import prepare_video

DATA = Path(os.environ.get("FER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")


def skin_share(faces: np.ndarray) -> float:
    """Share of pixels in the middle of the crops with a colour of skin (red over green over blue)."""
    middle = faces[:, 12:40, 12:36].astype(int)
    return float(((middle[..., 0] > middle[..., 1]) & (middle[..., 1] > middle[..., 2] - 5)).mean())


def test_mead_faces_are_found_in_every_segment() -> None:
    corpus = CorpusSettings(adapter="table", root=DATA / "mead24" / "labels.csv")
    videos = table.read(corpus)
    assert len(videos) == 24
    assert {video.status for video in videos} == {Outcome.OK}
    usable = [video for video in videos if video.emotion in EMOTIONS]
    assert len(usable) == 18, "neutral and contempt are outside the six classes"
    for video in usable:
        segments, report = prepare_video(video.path, PrepareSettings(min_face_px=90))
        assert report.outcome is Outcome.OK, video.video_id
        assert report.num_covered == report.num_segments
        assert skin_share(np.stack([segment.face for segment in segments])) > 0.8
        assert all(130 < segment.box[2] < 230 for segment in segments)
        motion = np.abs(np.stack([segment.optical_flow for segment in segments]).astype(float))
        assert 0.005 < motion.mean() < 1.0, "people move, but not by whole faces"


def test_small_faces_of_asl20_are_found() -> None:
    outcomes = {
        path.name: prepare_video(path, PrepareSettings())[1].outcome for path in sorted((DATA / "asl20").glob("*.mkv"))
    }
    assert len(outcomes) == 20
    assert set(outcomes.values()) == {Outcome.OK}


@pytest.mark.parametrize(
    ("name", "outcome", "least", "most"),
    [("portrait_640x360.mp4", "ok", 0.95, 1.0), ("face_noface.mov", "ok", 0.2, 0.9), ("no_face.mp4", "no_face", 0, 0)],
)
def test_clips_with_and_without_faces(name: str, outcome: str, least: float, most: float) -> None:
    _, report = prepare_video(DATA / "clips" / name, PrepareSettings())
    assert report.outcome == outcome
    assert least <= report.num_covered / report.num_segments <= most
