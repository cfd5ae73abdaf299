"""The adapter for CK+48, on a small stand-in; and its way through preparation."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import images_of, video_file, write_images

from tasks.config.prepare_settings import PrepareSettings
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.ckplus48 import read
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.manifest import build_manifest
from tasks.corpus.sample.drawing import FaceArtist, Pose, compose
from tasks.corpus.sample.expressions import APEX
from tasks.corpus.sample.people import draw_person
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.video.image_sequences import sequence_images


def make(root: Path, emotion: str, clip: str, *numbers: int) -> None:
    (root / emotion).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (root / emotion / f"{clip}_{number:08d}.png").touch()


def videos(root: Path) -> dict[str, SourceVideo]:
    return {video.video_id: video for video in read(CorpusSettings(adapter="ckplus48", root=root))}


def test_images_of_a_clip_are_one_video(tmp_path: Path) -> None:
    root = tmp_path / "CK+48 [my copy]"
    make(root, "happy", "S010_004", 17, 18, 19)
    make(root, "happy", "S011_001", 9, 10, 11)
    make(root, "contempt", "S010_002", 1, 2, 3)
    found = videos(root)
    assert list(found) == ["ckplus48/S010_002", "ckplus48/S010_004", "ckplus48/S011_001"]
    video = found["ckplus48/S010_004"]
    path = root / "happy" / "S010_004_*.png"
    assert video == SourceVideo("ckplus48/S010_004", "ckplus48", path, "ckplus/S010", "happiness", "happy")
    assert [image.number for image in sequence_images(path)] == [17, 18, 19]
    assert (found["ckplus48/S010_002"].status, found["ckplus48/S010_002"].emotion) == (Outcome.OK, "contempt")


def test_a_clip_in_two_classes_is_a_conflict(tmp_path: Path) -> None:
    make(tmp_path, "fear", "S010_004", 17, 18)
    make(tmp_path, "anger", "S010_004", 19)
    video = videos(tmp_path)["ckplus48/S010_004"]
    assert video.status is Outcome.LABEL_CONFLICT
    assert video.reason == "its images are in 2 places: anger/S010_004_*.png, fear/S010_004_*.png"


@pytest.mark.parametrize("name", ["fear/cover.png", "fear/im0.png", "fear/S010_00000017.png", "S010_004_x.png"])
def test_an_image_that_names_no_clip_keeps_its_row(tmp_path: Path, name: str) -> None:
    make(tmp_path, "fear", "S010_004", 17, 18, 19)
    (tmp_path / name).touch()
    (tmp_path / "fear" / "notes.txt").touch()
    (tmp_path / "fear" / "._S010_004_00000017.png").touch()
    found = videos(tmp_path)
    assert len(found) == 2
    stray = found[f"ckplus48/{name}"]
    assert (stray.status, stray.subject) == (Outcome.LABEL_MISSING, "")
    assert "names no subject and clip" in stray.reason


def draw_crops(subject: int, emotion: str, num_images: int = 3) -> list[np.ndarray]:
    """A drawn face that fills grey 48x48 images and moves 1 px an image to the right: uint8 (48, 48, 3) each."""
    artist = FaceArtist(draw_person(7, subject))
    wall = np.full((48, 48, 3), 90, np.float32)
    rng = np.random.default_rng(0)
    face = artist.draw(np.array(APEX[emotion]))
    frames = []
    for number in range(num_images):
        colour = compose(face, artist.opacity, wall, Pose(23.0 + number, 24.0, 27.0, 0.0), rng, noise=0.0)
        frames.append(cv2.cvtColor(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
    return frames


def test_crops_reach_the_shard_as_they_are(tmp_path: Path) -> None:
    crops = {"S010_004": draw_crops(1, "happiness"), "S011_001": draw_crops(2, "happiness")}
    for clip, frames in crops.items():
        write_images(tmp_path / "CK+48" / "happy", frames, prefix=f"{clip}_", first=17)
    corpus = CorpusSettings(adapter="ckplus48", root=tmp_path / "CK+48")
    settings = PrepareSettings(precropped=True, segment_length=2, segment_stride=1)
    for video in build_manifest(corpus, tmp_path / "manifest.parquet").itertuples():
        shard = tmp_path / f"{video.sha256}.parquet"
        report = prepare_file(video_file(Path(str(video.uri))), shard, settings)
        assert (report.outcome, report.num_frames, report.num_segments) == (Outcome.OK, 3, 2)
        faces, optical_flows = images_of(shard)
        wanted = crops[str(video.video_id).removeprefix("ckplus48/")]
        assert np.array_equal(faces, np.stack(wanted[:2]))
        dx, dy = np.median(optical_flows.astype(float)[:, 14:38, 14:34], axis=(1, 2)).T
        assert dx == pytest.approx([1.0, 1.0], abs=0.15)
        assert dy == pytest.approx([0.0, 0.0], abs=0.15)
