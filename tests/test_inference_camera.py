"""A camera looked at by a model; here a video file stands in its place, read by the same code."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_batch_command import FER, fer
from test_inference_predictor import LABELS, OVERLAPPING, build

from fer_models.errors import UserError
from tasks.corpus.sample.corpus import write_video
from tasks.inference.batch.wishes import Wishes
from tasks.inference.live import camera as camera_module
from tasks.inference.live.camera import open_camera, read_frames
from tasks.inference.live.recording import MomentLog, Recording
from tasks.inference.live.watching import watch_camera
from tasks.inference.predictor import Predictor

NUM_FRAMES = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a video of a face that goes away for a while."""
    folder = tmp_path_factory.mktemp("world")
    build("gap-sum", OVERLAPPING).save(folder / "model.keras")
    frames = draw_moving_face(1.0, 30) + draw_wall(10) + draw_moving_face(1.0, 20)
    write_video(folder / "film.mp4", frames, FPS)
    return folder


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    return world


def never() -> bool:
    return False


def test_frames_of_a_file_have_its_times(world: Path) -> None:
    with open_camera(str(world / "film.mp4")) as capture:
        frames = list(read_frames(capture, "film.mp4", never))
    assert [time_s for time_s, _ in frames] == pytest.approx(np.arange(NUM_FRAMES) / FPS, abs=1e-6)
    with av.open(str(world / "film.mp4")) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(frames[0][1].astype(int) - first).mean() < 2, "red stands first"


def test_the_files_say_what_the_stream_says(here: Path, tmp_path: Path) -> None:
    model = build("gap-sum", OVERLAPPING)
    predictor, lines = Predictor([model], OVERLAPPING), []
    wishes = Wishes(by="frame", form="jsonl", annotate=True, timeline=True, stride=1)
    table = watch_camera(predictor, "film.mp4", wishes, tmp_path, never, lines.append)
    with open_camera("film.mp4") as capture:
        moments = list(predictor.stream(read_frames(capture, "film.mp4", never), stride=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotated.mp4", "frames.jsonl", "timeline.png"]
    usual = predictor.predict("film.mp4").frames
    assert table.dtypes.to_dict() == usual.dtypes.to_dict()
    assert table.columns.tolist() == usual.columns.tolist()
    assert table["time_s"].tolist() == [one.time_s for one in moments]
    assert table["predicted"].tolist() == [one.predicted for one in moments]
    assert table[[f"p_{label}" for label in LABELS]].to_numpy() == pytest.approx(
        np.stack([one.probabilities for one in moments]), nan_ok=True
    )
    assert table["x"].isna().tolist() == [one.box is None for one in moments]
    assert 35 <= (table["predicted"] != "").sum() <= 47
    assert len(pd.read_json(tmp_path / "frames.jsonl", lines=True)) == NUM_FRAMES
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == NUM_FRAMES
    assert len(lines) == 3, "one a second"
    assert lines[0] == "0:00  nothing said yet"
    assert lines[1].startswith("0:01  ")


def test_pictures_of_odd_sizes_are_recorded_at_their_times(tmp_path: Path) -> None:
    picture = np.zeros((99, 161, 3), np.uint8)
    frames = [(0.0, picture), (0.1, picture), (0.1, picture[:50]), (0.5, np.zeros((200, 200, 3), np.uint8))]
    with Recording(tmp_path / "film.mp4") as recording:
        assert list(recording.recorded(frames)) == frames
    with av.open(str(tmp_path / "film.mp4")) as container:
        times_s = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert times_s == pytest.approx([0.0, 0.1, 0.1, 0.5], abs=0.002)


def test_a_log_of_nothing_is_a_table() -> None:
    assert len(MomentLog(LABELS).table()) == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("97", "Camera 97 is missing or gives no picture"),
        ("nothing.mp4", "There is no video at 'nothing.mp4'; --camera takes the number of a camera, or a video file"),
        ("model.keras", "'model.keras' cannot be read as a video"),
    ],
)
def test_what_cannot_be_looked_at_is_one_sentence(here: Path, source: str, words: str) -> None:
    with pytest.raises(UserError, match=words), open_camera(source):
        pass
    found = fer("--camera", source, "model.keras")
    assert words in str(found.exception)


class Busy:
    """A camera that opens and gives pictures for a while, or never, as one does that another program holds."""

    def __init__(self, num_pictures: int) -> None:
        self.left = num_pictures

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((48, 64, 3), np.uint8)) if self.left >= 0 else (False, None)


def test_a_camera_that_gives_nothing_and_one_that_is_unplugged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capture: Any = Busy(0)
    with pytest.raises(UserError, match="Camera 0 is missing or gives no picture"):
        list(read_frames(capture, "0", never))
    said: list[str] = []
    monkeypatch.setattr(camera_module, "echo", said.append)
    capture = Busy(3)
    times_s = [time_s for time_s, _ in read_frames(capture, "0", never)]
    assert len(times_s) == 3
    assert times_s[0] == 0
    assert times_s == sorted(times_s)
    assert said == ["Camera 0 gives no more pictures."]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--camera", "0", "film.mp4"), "--camera is looked at in place of videos; leave 'film.mp4' away"),
        (("--camera", "0", "--by", "segment"), "rows by frame"),
        (("--camera", "0", "--workers", "2"), "--workers is for many videos"),
        (("--camera", "0", "--faces", "all"), "one face is followed"),
        (("--camera", "0", "--annotate"), "name it with --out"),
        (("--camera", "0", "-o", "a.csv", "--out", "b"), "name one of them"),
        (("--camera", "film.mp4", "--out", "film.mp4"), "'film.mp4' is a file; name a folder"),
        (("--camera", "film.mp4", "-o", "film.mp4"), "should end in .csv or .parquet or .jsonl"),
        (("--camera", "film.mp4", "--out", "s3://bucket/there"), "to a folder of this machine"),
        ((), "Name videos, images, or folders of them; or a camera with --camera 0"),
    ],
)
def test_what_does_not_go_together(here: Path, words: tuple[str, ...], sentence: str) -> None:
    found = fer("model.keras", *words)
    assert isinstance(found.exception, UserError)
    assert sentence in str(found.exception)


def test_the_command_writes_a_table_and_replaces_none(here: Path, tmp_path: Path) -> None:
    found = fer("model.keras", "--camera", "film.mp4", "-o", tmp_path / "live.csv")
    assert found.exit_code == 0, found.output
    assert len([line for line in found.output.splitlines() if line.startswith("0:0")]) == 3
    table = pd.read_csv(tmp_path / "live.csv")
    assert (len(table), set(table["video"])) == (NUM_FRAMES, {"film.mp4"})
    assert fer("model.keras", "--camera", "film.mp4", "-o", tmp_path / "live.csv").exit_code == 0, "its own may go"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "frames.csv").write_text("mine")
    found = fer("model.keras", "--camera", "film.mp4", "--out", tmp_path / "out")
    assert "holds frames.csv already; name another folder, or add --force" in str(found.exception)
    assert (tmp_path / "out" / "frames.csv").read_text() == "mine"


@pytest.mark.slow
def test_ctrl_c_ends_it_and_all_is_written(here: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", draw_moving_face(0.1, 25) * 80, FPS)
    command = ("predict", "model.keras", "--camera", tmp_path / "long.mp4", "--stride", "1", "--out", tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, *FER, *map(str, command), "--annotate"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().startswith("0:00")
    assert process.stdout.readline().startswith("0:01")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert out.endswith(f"Written to {tmp_path / 'out'}\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["annotated.mp4", "frames.csv"]
    rows = pd.read_csv(tmp_path / "out" / "frames.csv")
    assert 25 <= len(rows) < 2000
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(rows)
