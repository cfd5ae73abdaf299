"""The commands of the pages that a newcomer follows, run in their order in an empty folder, on small drawn corpora."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import FPS
from test_docs_commands import lines_of_shell
from test_house_rules import ROOT

from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_corpus, write_video

PAGES = ("start.md", "own-videos.md", "predicting.md")
#: So that a study takes seconds.
TINY = {"training": {"epochs": 1, "steps": 4, "refit": "none", "batch_size": 8}, "model": {"width": 4, "head_units": 8}}
SMALL = TINY | {"arms": ["gap-sum", "majority"]}
#: The sample study on fewer people and classes, of which each subset then has some.
SAMPLE = SMALL | {"preset": "sample", "corpus": {"draw_sample": False, "emotions": ["anger", "happiness", "sadness"]}}
#: What stands in for words of a command that would take long.
INSTEAD = {"make study": "fer study --preset sample", "--preset sample": "--config sample.yaml"}
#: Not run here, and the file of tests that runs it.
ELSEWHERE = {
    ". .venv/bin/activate": "",
    "pip wheel . --no-deps -w dist": "test_wheel.py",
    "pip install dist/*.whl": "test_wheel.py",
    "fer serve --data-root fer-data/sample": "test_flows_serving.py",
    "fer serve --data-root fer-data/my-study": "test_flows_serving.py",
    ".venv/bin/mlflow ui --backend-store-uri sqlite:///fer-data/my-study/mlflow.db": "",
    "fer predict clip.mp4": "test_inference_pretrained.py",
    "fer predict clip.mp4 --faces all --out results --by frame --annotate": "test_inference_faces.py",
    "fer predict --camera 0 --out live --annotate": "test_inference_camera.py",
}
PEOPLE = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180))
EMOTIONS = ("anger", "happiness")


def commands_of(page: str) -> list[str]:
    """The lines of shell of a page, without remarks."""
    lines = [
        re.sub(r"\s+# .*", "", line) for line in lines_of_shell((ROOT / "docs" / page).read_text(encoding="utf-8"))
    ]
    return [line for line in lines if line.strip()]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos in folders of emotions and people, and the corpus that `make study` would draw, smaller."""
    folder = tmp_path_factory.mktemp("newcomer")
    for subject in range(1, 7):
        for number, emotion in enumerate(EMOTIONS, start=1):
            video = folder / "my-videos" / emotion / f"p{subject}" / "a.mp4"
            video.parent.mkdir(parents=True)
            write_video(video, render_clip(PEOPLE, Clip(subject, number, emotion)), FPS)
    write_corpus(folder / "sample-corpus", PEOPLE)
    (folder / "videos").mkdir()
    (folder / "sample.yaml").write_text(yaml.safe_dump(SAMPLE), encoding="utf-8")
    for name in ("clip.mp4", "videos/one.mp4"):
        (folder / name).write_bytes((folder / "my-videos" / "anger" / "p1" / "a.mp4").read_bytes())
    (folder / "bin").mkdir()
    fer = folder / "bin" / "fer"
    fer.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from flows.cli import main; main()' \"$@\"\n")
    fer.chmod(0o755)
    return folder


def run(command: str, folder: Path) -> str:
    """What a line of shell says; `fer` is this checkout's, and knows of no weights that others trained."""
    known = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FER_WEIGHTS": str(folder / "none"),
    }
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | known,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert done.returncode == 0 or command.startswith("fer doctor"), f"{command}: {said}"
    return said


def make_small(configuration: Path) -> None:
    """Keep what `fer init` found, and train next to nothing."""
    settings = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    for name, values in SMALL.items():
        settings[name] = settings.get(name, {}) | values if isinstance(values, dict) else values
    configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")


def test_what_is_not_run_here_stands_on_the_pages_and_is_run_elsewhere() -> None:
    lines = [line for page in PAGES for line in commands_of(page)]
    assert [line for line in ELSEWHERE if line not in lines] == []
    assert [words for words in INSTEAD if not any(words in line for line in lines)] == []
    assert [name for name in ELSEWHERE.values() if name and not (ROOT / "tests" / name).is_file()] == []
    assert len(set(lines)) - len(ELSEWHERE) > 12


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_in_their_order(page: str, newcomer: Path) -> None:
    for line in commands_of(page):
        if line in ELSEWHERE or line.startswith("fer watch") or line == "fer weights get":
            continue
        if "VIDEO_ID" in line:
            ledger = pd.read_parquet(next((newcomer / "fer-data").glob("my-*/prepared/*/ledger.parquet")))
            line = line.replace("VIDEO_ID", ledger["video_id"].iloc[0])
        for long, short in INSTEAD.items():
            line = line.replace(long, short)
        run(line, newcomer)
        if line.startswith("fer init"):
            make_small(newcomer / "study.yaml")
    roots = {"start.md": "sample", "own-videos.md": "my-*"}
    if page in roots:
        assert list((newcomer / "fer-data").glob(f"{roots[page]}/studies/*/report/index.html"))
    else:
        assert (newcomer / "frames.csv").is_file()
        assert list((newcomer / "results").rglob("annotated.mp4"))
        assert (newcomer / "expressions.onnx").is_file()
