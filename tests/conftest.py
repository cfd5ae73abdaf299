"""Settings of the test process, and a small synthetic world with known answers."""

import gc
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import absl.logging
import pytest

from flows.environment import prepare_environment

prepare_environment(quiet=True)
# Else absl, which TensorFlow uses, closes pytest's own file of standard error when Prefect sets logging up.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from tasks.corpus.sample.corpus import write_video  # noqa: E402
from tasks.corpus.sample.drawing import FaceArtist, Pose, compose, draw_background  # noqa: E402
from tasks.corpus.sample.people import draw_person  # noqa: E402
from tasks.preparation.shards import find_reports, open_shard, read_images_of  # noqa: E402
from tasks.video.fingerprint import VideoFile, content_sha256, content_state  # noqa: E402
from tasks.video.segments import FaceFrame, VideoReport  # noqa: E402

FPS = 25
#: Of the arrays of a segment, by default.
FACE_SHAPE, OPTICAL_FLOW_SHAPE = (48, 48, 3), (48, 48, 2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported here stays, so that no collection of garbage need ever walk through TensorFlow's modules.

    That took a tenth of the time of all tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class Tally:
    """Counts the faults that were injected, for the last lines of a test run."""

    def __init__(self) -> None:
        self.cases: dict[str, tuple[int, int]] = {}

    def add(self, case: str, tried: int = 1, survived: int = 1) -> None:
        """Count faults of one kind, and how many of them cost nothing but what design allows."""
        before = self.cases.get(case, (0, 0))
        self.cases[case] = (before[0] + tried, before[1] + survived)


_TALLY = Tally()


@pytest.fixture(scope="session")
def tally() -> Tally:
    """The tally of this test run."""
    return _TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tally."""
    if not _TALLY.cases:
        return
    terminalreporter.section("fault injection")
    for case, (tried, survived) in _TALLY.cases.items():
        terminalreporter.write_line(f"{tried:>6} tried {survived:>6} survived  {case}")
    tried, survived = (sum(counts[i] for counts in _TALLY.cases.values()) for i in (0, 1))
    terminalreporter.write_line(f"{tried} cases tried, {survived} survived, {tried - survived} lost")


@pytest.fixture(scope="session", autouse=True)
def _own_prefect_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prefect's database and settings of the tests are their own."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session", autouse=True)
def _own_measurements(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What work of the tests takes is not what work of this user takes."""
    file = tmp_path_factory.mktemp("measured") / "measured.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.storage.measured._file", lambda: file)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_heartbeats() -> Iterator[None]:
    """Flows that run in this process give no signs of life: for the thread that does, each waits up to a second."""
    with pytest.MonkeyPatch.context() as patch:
        if "prefect" in sys.modules:
            patch.setattr("prefect.flow_engine.BaseFlowRunEngine.heartbeat_seconds", None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _disk_is_not_waited_for(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where no power is cut nothing has to be on the disk, so that this process waits for nothing; its children do."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("faults"):
            patch.setattr(os, "fsync", os.fstat)
        yield


def draw_moving_face(
    step_px: float,
    num_frames: int = 34,
    size: tuple[int, int] = (320, 240),
    scale_px: float = 72.0,
    subject: int = 3,
    start: float = 0.3,
) -> list[np.ndarray]:
    """A face that moves `step_px` to the right each frame before a still wall: uint8 RGB frames."""
    width, height = size
    who = draw_person(7, subject)
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


def write_shard(path: Path, segments: Sequence[FaceFrame], report: VideoReport) -> None:
    """A shard of segments that are in memory, which the report counts; it is of the video that its name says."""
    known = {"sha256": path.stem, "num_covered": len(segments)}
    report = report.model_copy(update=known)
    with open_shard(path, len(segments[0].face) if segments else FACE_SHAPE[0]) as writer:
        for segment in segments:
            writer.add(segment)
        writer.close(report)


def report_of(shard: Path) -> VideoReport:
    """The report that a shard holds."""
    (report,) = find_reports([shard])
    assert report
    return report


def images_of(shard: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Faces, uint8 (n, 48, 48, 3), and optical flows, float16 (n, 48, 48, 2) or None, of a shard."""
    ((_, faces, optical_flows),) = read_images_of([shard])
    return faces, optical_flows


def video_file(path: Path) -> VideoFile:
    """A file as the manifest would describe it."""
    return VideoFile(path, content_sha256(path), *content_state(path))


def write_images(
    folder: Path, frames: list[np.ndarray], prefix: str = "", suffix: str = ".png", first: int = 1
) -> None:
    """Frames, uint8 RGB (H, W, 3), as numbered images `<prefix>00000001.png`, ... of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=first):
        content = cv2.imencode(suffix, np.ascontiguousarray(frame[..., ::-1]))[1]
        (folder / f"{prefix}{number:08d}{suffix}").write_bytes(content.tobytes())


@pytest.fixture
def moving_face(tmp_path: Path) -> Path:
    """A video of a face that moves 3 px a frame to the right."""
    path = tmp_path / "moving.mp4"
    write_video(path, draw_moving_face(3.0), FPS)
    return path


def predicted_rows(model_file: Path, sources: Sequence[Path], **options: Any) -> pd.DataFrame:
    """What the model in a file says of videos, a row each."""
    from tasks.inference.predictor import Predictor  # which loads Keras

    return pd.DataFrame([one.row for one in Predictor.load(model_file).predict_all(sources, **options)])
