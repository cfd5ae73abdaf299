"""A whole study of 40 classes and 40 people with names that no program expects: all that it writes is right."""

import csv
import html
import json
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
from tasks.corpus.manifest import read_manifest
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.dataset.splits import read_split
from tasks.escaping import markdown, markdown_cell
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
    "0",
    "-1.5",
    "true",
    "N/A",
    "~",
    "smile: wide",
    "грусть",
    "Ωμέγα & ᾠδή",
    "हिन्दी",
    "ไทย",
    "e\u0301motion de\u0301compose\u0301e",
    "%s %d {0} %(x)s",
    "\\textbf{x} \\alpha",
    "&amp; &lt;",
    "<!-- gone -->",
    "what? (yes!)",
    "[link](http://x.test)",
    "zero\u200bwidth",
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
    "null",
    "none",
    "N/A",
    "007",
    "1e5",
    "True",
    "~root",
    "..",
    "CON.aux",
    "$(reboot)",
    "`id`",
    "%n%s{0}",
    "a;b,c",
    "Наташа",
    "ひろ",
    "👩‍👩‍👧",
    "Jose\u0301",
    "' OR 1=1 --",
    "<!-- gone -->",
    "\u202eright to left",
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
            "split.test_share": 0.4,
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


def test_every_name_is_one_class_or_one_person(study: dict[str, Any]) -> None:
    assert len(study["names"]) == len(set(CLASSES)) == 40
    manifest = read_manifest(study["layout"].manifest)
    assert len(set(PEOPLE)) == manifest["subject"].nunique() == 40, "what cannot be seen in them is left out"
    assert (manifest["status"] == "ok").all()
    assert set(read_split(study["layout"].split)["subject"]) == set(manifest["subject"])


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
        found = {str(artifact.key): artifact.data for artifact in client.read_artifacts(limit=200)}
    manifest = read_manifest(study["layout"].manifest)
    rows = json.loads(str(found["names-ledger"]))
    assert {row["person"] for row in rows} == set(manifest["subject"].map(markdown_cell))
    assert {row["emotion"] for row in rows} == set(manifest["emotion"].map(markdown_cell))
    assert all(f"| {markdown(name)} |" in str(found["names-confusion"]) for name in study["names"])


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
