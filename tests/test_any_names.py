"""A whole study of 22 classes and 20 people with names that no program expects: all that it writes is right."""

import csv
import html
import re
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from flows.study import full_study
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.escaping import markdown
from tasks.inference.predictor import Predictor
from tasks.tracking.metric_names import metric_names

pytestmark = pytest.mark.slow

CLASSES = [
    "joy (posed)",
    "anger & rage",
    "joy, calm",
    "$sad$ly",
    "100 % fear_ful^2",
    "a/b\\c",
    "<b>bold</b>",
    "\"quoted\" 'it'",
    "emoji 😀👍🏽",
    "שמחה",
    "فرح شديد",
    "喜び 🎎",
    "|pipe| `tick`",
    "=1+1",
    "{curly} [red]x[/red]",
    "naïve-ünï",
    "a very long name " + "of a feeling that goes on " * 3,
    "#hash; --drop",
    "..",
    "+plus *star* ~x~",
    "nan",
    "null",
]
PEOPLE = [
    "O'Neil; DROP",
    "$money$ bag",
    "../../etc",
    "<script>alert(1)</script>",
    "محمد علي",
    "שרה כהן",
    "李 小龙",
    "😀 smiley",
    "a & b",
    "100%_x^2",
    "x" * 120,
    "{curly}",
    "[bold]b[/bold]",
    "-rf",
    "=cmd()",
    "tab\ta",
    "C:\\dir",
    "|p|i|",
    "anna (2)",
    "Zoë",
]
CLIPS = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("names")
    corpus = SampleCorpus(subjects=len(PEOPLE), clips=CLIPS, seconds=0.8, size=(160, 120), faults=False)
    write_corpus(folder / "drawn", corpus)
    clips = sorted((folder / "drawn").rglob("*.mp4"))
    rows = [
        (clip.relative_to(folder), PEOPLE[number // CLIPS], CLASSES[number % len(CLASSES)])
        for number, clip in enumerate(clips)
    ]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "subject", "emotion"), *rows])
    arguments = {
        "preset": "sample",
        "overrides": {
            "name": "names",
            "data_root": str(folder / "data"),
            "corpus.adapter": "table",
            "corpus.root": str(folder / "labels.csv"),
            "corpus.draw_sample": False,
            "corpus.emotions": CLASSES,
            "model.width": 4,
            "model.head_units": 16,
            "training.epochs": 1,
            "arms": ["gap-sum", "temporal-only"],
        },
    }
    report = full_study(**arguments)
    settings = resolve_settings(**arguments)
    layout = Layout.of(settings)
    return {
        "report": Path(report),
        "layout": layout,
        "names": settings.corpus.emotions,
        "model": next(layout.runs.glob("gap-sum-*/model.keras")),
        "clip": clips[0],
    }


def test_the_report_shows_every_name(study: dict[str, Any]) -> None:
    page = study["report"].read_text(encoding="utf-8")
    assert "<b>bold" not in page
    assert "<script>alert" not in page
    text = html.unescape(re.sub("<[^>]*>", "", page))
    document = (study["report"].parent / "report.md").read_text(encoding="utf-8")
    for name in study["names"]:
        assert name in text
        assert f"| {markdown(name)} |" in document
    rows = (line for line in document.splitlines() if line.startswith("| ") and line.endswith(" |"))
    assert all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)
    assert (study["report"].parent / "results.tex").stat().st_size > 100


def test_mlflow_has_a_recall_of_each_class(study: dict[str, Any]) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{study['layout'].root.absolute() / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["names"])
    logged_as = metric_names(f"test_video_recall_{name}" for name in study["names"])
    arms = runs[runs["tags.fer.kind"] == "arm"]
    assert len(arms) == 2
    for name in logged_as.values():
        assert arms[f"metrics.{name}"].notna().all()


def test_prefects_pages_hold_the_names(study: dict[str, Any]) -> None:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(limit=200)
    assert any("joy (posed)" in str(artifact.data) for artifact in found)


def test_the_models_know_their_classes(study: dict[str, Any], tmp_path: Path) -> None:
    found = Predictor.load(study["model"]).predict(study["clip"])
    found.to_csv(tmp_path / "frames.csv", by="frame")
    assert len(pd.read_csv(tmp_path / "frames.csv")) == len(found.frames)
    assert {f"p_{name}" for name in study["names"]} <= set(found.frames.columns)
    found.plot(tmp_path / "timeline.png")
    found.annotate(tmp_path / "annotated.mp4")
    assert min((tmp_path / name).stat().st_size for name in ("timeline.png", "annotated.mp4")) > 1000
    card = study["model"].with_name("model_card.md").read_text(encoding="utf-8")
    assert all(markdown(name) in card for name in study["names"])
