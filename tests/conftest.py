"""Settings of the test process, and a small synthetic world with known answers."""

import os
from pathlib import Path

import pytest

from flows.environment import prepare_environment

prepare_environment(quiet=True)

import numpy as np  # noqa: E402

from tasks.sample.corpus import write_video  # noqa: E402
from tasks.sample.drawing import FaceArtist, Pose, compose, draw_background  # noqa: E402
from tasks.sample.people import draw_person  # noqa: E402

FPS = 25


@pytest.fixture(scope="session", autouse=True)
def _own_prefect_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prefect's database and settings of the tests are their own."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def draw_moving_face(
    step_px: float,
    num_frames: int = 34,
    size: tuple[int, int] = (320, 240),
    scale_px: float = 72.0,
    person: int = 3,
    start: float = 0.3,
) -> list[np.ndarray]:
    """A face that moves `step_px` to the right each frame before a still wall: uint8 RGB frames."""
    width, height = size
    who = draw_person(7, person)
    artist = FaceArtist(who)
    rng = np.random.default_rng(0)
    background = draw_background(who, height, width, None, rng)
    face = artist.draw(np.zeros(8))
    return [
        compose(
            face,
            artist.opacity,
            background,
            Pose(width * start + step_px * number, height * 0.48, scale_px, 0.0),
            rng,
            noise=1.0,
        )
        for number in range(num_frames)
    ]


def draw_wall(num_frames: int, size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    """Frames without a face."""
    rng = np.random.default_rng(0)
    wall = draw_background(draw_person(7, 3), size[1], size[0], None, rng).astype(np.uint8)
    return [wall.copy() for _ in range(num_frames)]


@pytest.fixture
def moving_face(tmp_path: Path) -> Path:
    """A video of a face that moves 3 px a frame to the right."""
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(3.0), FPS)
    return path
