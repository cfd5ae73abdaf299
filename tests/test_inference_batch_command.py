"""`fer predict --out`: what the command writes, says and refuses, and `kill -9` in the middle of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pandas as pd
import psutil
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_predictor import OVERLAPPING, build
from typer.testing import CliRunner, Result

from fer_models.errors import UserError
from flows.cli import app
from tasks.corpus.sample.corpus import write_video

FER = ["-c", "from flows.cli import main\nif __name__ == '__main__':\n    main()"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a folder of videos."""
    folder = tmp_path_factory.mktemp("world")
    model: keras.Model = build("gap-sum", OVERLAPPING)
    model.save(folder / "model.keras")
    (folder / "videos" / "below").mkdir(parents=True)
    for subject in range(5):
        path = folder / "videos" / f"{'below/' if subject % 2 else ''}{subject}.mp4"
        write_video(path, draw_moving_face(1.0, 24, subject=subject), FPS)
    write_video(folder / "videos" / "wall.mp4", draw_wall(12), FPS)
    (folder / "videos" / "text.mp4").write_text("no video")
    return folder


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    monkeypatch.setattr("flows.cli.using.signal.signal", lambda *_: None)  # Ctrl-C stays pytest's own
    return world


def fer(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)], env={"COLUMNS": "300"})


def contents(out: Path) -> dict[str, bytes]:
    """All files of results by their names below the folder."""
    paths = [path for path in out.rglob("*") if path.is_file() and ".lock" not in path.name]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def test_the_command_writes_a_folder_and_the_next_one_finds_it_done(here: Path, tmp_path: Path) -> None:
    command = (
        "model.keras",
        "videos",
        "--out",
        tmp_path / "out",
        "--by",
        "frame",
        "--format",
        "jsonl",
        "--workers",
        "1",
    )
    first = fer(*command)
    assert first.exit_code == 0, first.output
    assert "7 videos, 7 of them predicted now: 5 ok, 1 undecodable, 1 no_face." in first.output
    assert f"A row a video: {tmp_path / 'out' / 'predictions.csv'}" in first.output
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["video"].tolist() == [f"videos/{name}" for name in table["folder"]]
    assert table["folder"].tolist()[:3] == ["0.mp4", "2.mp4", "4.mp4"]
    assert len(pd.read_json(tmp_path / "out" / "below" / "1.mp4" / "frames.jsonl", lines=True)) == 24
    before = contents(tmp_path / "out")
    second = fer(*command)
    assert "7 videos, nothing to do: 5 ok, 1 undecodable, 1 no_face." in second.output
    assert contents(tmp_path / "out") == before


def test_a_table_names_the_videos(here: Path, tmp_path: Path) -> None:
    (here / "table.csv").write_text("path,note\nvideos/wall.mp4,x\nvideos/0.mp4,y\nvideos/gone.mp4,z\n")
    result = fer("model.keras", "table.csv", "--out", tmp_path / "out")
    assert "3 videos, 2 of them predicted now: 1 no_face, 1 ok, 1 file_missing." in result.output
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["folder"].tolist() == ["videos/wall.mp4", "videos/0.mp4", "videos/gone.mp4"]
    assert "gone.mp4" in fer("model.keras", "table.csv").output, "so too without --out"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--timeline"], "--timeline and --annotate draw a file for each video: name a folder for them with --out."),
        (["--annotate", "-o", "x.csv"], "--timeline and --annotate draw a file for each video"),
        (["--format", "csv"], "--format is of the files in --out"),
        (["--by", "frame"], "name one with --output, or a folder with --out."),
        (["--out", "out", "--output", "x.csv"], "--output writes one table and --out a folder with all results"),
        (["--out", "videos"], "lies within 'videos', where the videos are"),
        (["--out", "model.keras"], "is a file; name a folder"),
        (["--out", "s3:/bucket"], "write two slashes"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(here: Path, words: list[str], sentence: str) -> None:
    result = fer("model.keras", "videos", *words)
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)
    assert sorted(path.name for path in here.iterdir() if path.suffix != ".csv") == ["model.keras", "videos"]


def test_a_missing_model_and_nothing_recognised(here: Path, tmp_path: Path) -> None:
    result = fer("gone.keras", "videos", "--out", tmp_path / "out")
    assert "There is no model 'gone.keras'" in str(result.exception)
    assert not (tmp_path / "out").exists()
    result = fer("model.keras", "videos/wall.mp4", "--out", tmp_path / "out", "--workers", "1")
    assert str(result.exception) == "No video could be recognised; the table says why."


def start(world: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, *FER, "predict", "model.keras", "videos", "--out", str(out), "--workers", "2"]
    wishes = ["--by", "segment", "--format", "parquet", "--timeline", "--annotate"]
    return subprocess.Popen([*command, *wishes], cwd=world, start_new_session=True, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_like_an_undisturbed_one(world: Path, tmp_path: Path) -> None:
    """The parent alone is killed: its children have to find out by themselves."""
    assert start(world, tmp_path / "undisturbed").wait(300) == 0
    killed = tmp_path / "killed"
    for count in (1, 3):
        process = start(world, killed)
        deadline = time.monotonic() + 240
        while len(list(killed.rglob("prediction.json"))) < count:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = psutil.Process(process.pid).children()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert children
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive
    done = {path: path.stat().st_mtime_ns for path in killed.rglob("prediction.json")}
    assert 3 <= len(done) < 7
    assert start(world, killed).wait(300) == 0
    assert contents(killed) == contents(tmp_path / "undisturbed")
    assert {path: path.stat().st_mtime_ns for path in done} == done, "nothing was done twice"
    assert not list(killed.rglob(".fer-predict/*"))
