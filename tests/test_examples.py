"""The scripts in `examples`, and the Python in the documentation, are run as a stranger would, on small files."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, write_images
from test_inference_predictor import OVERLAPPING, build

from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_corpus, write_video
from tasks.corpus.sample.expressions import CLASS_SHARES

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON_OF_DOCUMENTS = [
    code
    for path in DOCUMENTS
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
]
#: So that a study takes seconds.
TINY = ("training.epochs=1", "training.steps=4", "training.refit=none", "model.width=4", "arms=[gap-sum]")
EMOTIONS = ("anger", "happiness")


def run(name: str, *words: str | Path, folder: Path) -> str:
    """What an example prints, run in a folder."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py"), *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a clip and a picture of a face."""
    folder = tmp_path_factory.mktemp("world")
    build("gap-sum", OVERLAPPING).save(folder / "model.keras")
    frames = draw_moving_face(1.0, 12)
    write_video(folder / "clip.mp4", frames, FPS)
    face = cv2.resize(frames[0][40:190, 20:170], (64, 64))
    write_images(folder, [face], prefix="face")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people in folders `<emotion>/<subject>`."""
    root = tmp_path_factory.mktemp("corpus")
    drawn = SampleCorpus(seconds=0.8, size=(240, 180))
    for subject in range(1, 7):
        for number, emotion in enumerate(EMOTIONS, start=1):
            folder = root / emotion / f"p{subject}"
            folder.mkdir(parents=True)
            write_video(folder / "a.mp4", render_clip(drawn, Clip(subject, number, emotion)), FPS)
    return root


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_shows_and_costs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 40
    words = ast.get_docstring(ast.parse(text))
    assert words
    assert f"python examples/{path.name}" in words
    assert "Costs" in words or "costs" in words


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_light_says_what_it_costs_and_keeps_one_figure(path: Path) -> None:
    """`tests/test_end_to_end.py` runs it."""
    text = path.read_text(encoding="utf-8")
    assert len(text) < 60_000
    cells = json.loads(text)["cells"]
    words = "".join(cells[0]["source"])
    assert words.startswith("# ")
    assert "`make study`" in words
    assert "costs" in words
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(cell.get("execution_count") for cell in cells if cell["cell_type"] == "code"), (
        "run it, and keep what it says"
    )
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert not re.search(r"/(?:tmp|work|home|root)/", text)


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.stem for path in EXAMPLES if f'run("{path.stem}"' not in text] == []
    assert set(EMOTIONS) < set(CLASS_SHARES)


@pytest.mark.slow
def test_a_video_from_python(world: Path, tmp_path: Path) -> None:
    said = run("predict_from_python", world / "clip.mp4", world / "model.keras", folder=tmp_path)
    assert re.match(r"(anger|fear), probability 0\.\d\d\n", said)
    assert sorted(path.name for path in (tmp_path / "predicted").iterdir()) == [
        "annotated.mp4",
        "frames.csv",
        "segments.jsonl",
        "timeline.png",
    ]
    assert len(pd.read_csv(tmp_path / "predicted" / "frames.csv")) == 12


@pytest.mark.slow
def test_a_camera(world: Path, tmp_path: Path) -> None:
    said = run("predict_live", world / "clip.mp4", world / "model.keras", folder=tmp_path).splitlines()
    assert said[0] == "  0.00 s  nothing  nan"
    assert re.fullmatch(r"  0\.\d\d s  (anger|fear)  [01]\.\d\d", said[1])


@pytest.mark.slow
def test_a_model_without_videos(world: Path, tmp_path: Path) -> None:
    said = run("load_a_model", world / "model.keras", world / "face00000001.png", folder=tmp_path).splitlines()
    assert "'face': (None, 48, 48, 3)" in said[0]
    assert [line.split()[0] for line in said[1:]] == ["anger", "fear"]
    assert sum(float(line.split()[1]) for line in said[1:]) == pytest.approx(1, abs=0.002)


@pytest.mark.slow
@pytest.mark.trains
def test_own_videos(corpus: Path, tmp_path: Path) -> None:
    classes = f"corpus.emotions=[{', '.join(EMOTIONS)}]"
    said = run("own_videos_folder", corpus, classes, *TINY, folder=tmp_path)
    report = Path(said.rpartition("The report: ")[2].strip())
    assert (tmp_path / report).is_file()
    table = tmp_path / "labels.csv"
    rows = [(str(path), path.parent.name, path.parent.parent.name) for path in sorted(corpus.rglob("*.mp4"))]
    pd.DataFrame(rows, columns=["path", "subject", "emotion"]).to_csv(table, index=False)
    said = run("own_videos_table", table, classes, *TINY, folder=tmp_path)
    assert said.startswith("12 videos of 6 people\nCounter({'ok': 12}) Counter({'anger': 6, 'happiness': 6})")
    assert (tmp_path / said.rpartition("The report: ")[2].strip()).is_file()


@pytest.mark.slow
@pytest.mark.trains
def test_treatments_are_compared(tmp_path: Path) -> None:
    """Of fewer people than the example draws."""
    write_corpus(tmp_path / "corpus", SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180)))
    emotions = "corpus.emotions=[anger, happiness, sadness]"
    people = (f"corpus.root={tmp_path / 'corpus'}", "corpus.draw_sample=false", emotions)
    tiny = ("training.epochs=1", "model.width=4", "model.head_units=8", "seeds=1")
    said = run("compare_treatments", *people, *tiny, folder=tmp_path)
    for name in ("gap-sum+none", "gap-sum+class_weights", "gap-sum+focal"):
        assert name in said
    assert (tmp_path / said.rpartition("The whole report: ")[2].strip()).is_file()


@pytest.mark.parametrize("code", dict.fromkeys(PYTHON_OF_DOCUMENTS))
def test_the_python_of_documents(code: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block stands for itself, in a folder with a model and a clip."""
    monkeypatch.chdir(tmp_path)
    for name in ("model.keras", "clip.mp4"):
        (tmp_path / name).symlink_to(world / name)
    before = set(tmp_path.iterdir())
    exec(compile(code, "document", "exec"), {"__name__": "document"})
    named = set(re.findall(r'"([\w.]+\.(?:csv|parquet|jsonl|png|mp4))"', code)) - {"clip.mp4"}
    assert {path.name for path in set(tmp_path.iterdir()) - before} == named


def test_documents_have_python() -> None:
    assert PYTHON_OF_DOCUMENTS
