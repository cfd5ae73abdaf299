"""The report of a study: one self-contained HTML page and the same as Markdown."""

import base64
import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import keras
import pandas as pd

from fer_models.labels import EMOTIONS
from tasks.comparison import ArmResult, best_result, compare
from tasks.configuration import settings_as_yaml
from tasks.contact_sheet import choose_segments, read_thumbnails
from tasks.evaluation import Evaluation, read_evaluation
from tasks.files import write_text
from tasks.index import read_index
from tasks.layout import Layout
from tasks.ledger import count_outcomes, read_ledger
from tasks.outcomes import Outcome
from tasks.plots import save_figure
from tasks.plots.arms import plot_arms
from tasks.plots.class_distribution import plot_class_distribution
from tasks.plots.contact_sheet import plot_contact_sheet
from tasks.runs import plan_runs
from tasks.settings import StudySettings
from tasks.splits import SIDES, read_split

HTML_FILE = "index.html"
MARKDOWN_FILE = "report.md"
CONTACT_SHEET_FILE = "contact_sheet.jpg"
_TEMPLATES = Path(__file__).parent / "templates"
_RUN_FIGURES = ("confusion_videos.png", "confusion_segments.png", "learning_curves.png", "gradcam.jpg")


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of. `figures` holds by arm the folder of its first seed's figures."""

    settings: StudySettings
    ledger: pd.DataFrame
    index: pd.DataFrame
    split: pd.DataFrame
    results: Sequence[ArmResult]
    figures: dict[str, Path]


def collect(settings: StudySettings) -> ReportInput:
    """Gather what the report of an evaluated study needs; raises `UseError` naming the step that is missing."""
    layout = Layout.of(settings)
    index, split = read_index(layout.index, settings.corpus.emotions), read_split(layout.split)
    evaluations: list[Evaluation] = []
    figures: dict[str, Path] = {}
    for run in plan_runs(settings, index):
        folder, evaluation = read_evaluation(run, index, split)
        evaluations.append(evaluation)
        figures.setdefault(run.arm.name, folder)
    return ReportInput(settings, read_ledger(layout.ledger), index, split, compare(evaluations), figures)


def write_report(source: ReportInput, folder: Path) -> Path:
    """Write `index.html`, `report.md`, `results.csv` and the figures; returns the path of the page."""
    figures = folder / "figures"
    emotions = source.settings.corpus.emotions
    scores = {result.arm.title: [e.scores for e in result.evaluations] for result in source.results}
    save_figure(plot_arms(scores, len(emotions)), figures / "arms.png")
    save_figure(plot_class_distribution(source.index, emotions), figures / "class_distribution.png")
    _draw_contact_sheet(source, figures / CONTACT_SHEET_FILE)
    for arm, run_folder in source.figures.items():
        for name in _RUN_FIGURES:
            (figures / f"{arm}_{name}").write_bytes((run_folder / name).read_bytes())
    _results_table(source.results).to_csv(folder / "results.csv", index=False)
    facts = _facts(source) | {"contact_sheet": (figures / CONTACT_SHEET_FILE).is_file()}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    html = environment.get_template("report.html.j2").render(facts, figure=lambda name: _data_uri(figures / name))
    markdown = environment.get_template("report.md.j2").render(facts, figure=lambda name: f"figures/{name}")
    write_text(folder / HTML_FILE, html)
    write_text(folder / MARKDOWN_FILE, markdown)
    return folder / HTML_FILE


def _draw_contact_sheet(source: ReportInput, path: Path) -> None:
    """Draw it where its shards are still there; else the one from before, if any, stays."""
    settings, prepared = source.settings, Layout.of(source.settings).prepared
    rows = choose_segments(source.index, settings.corpus.emotions, settings.seeds[0])
    if all((prepared / shard).is_file() for shard in rows["shard"].unique()):
        save_figure(plot_contact_sheet(read_thumbnails(rows, prepared, settings.corpus.emotions)), path)


def _facts(source: ReportInput) -> dict[str, Any]:
    settings, split = source.settings, source.split
    best = best_result(source.results)
    one = best.evaluations[0]
    lost = source.ledger[source.ledger["outcome"] != Outcome.OK].sort_values(["outcome", "video_id"])
    return {
        "settings": settings,
        "results": source.results,
        "best": best,
        "baseline": max(
            (result for result in source.results if not result.arm.fusion),
            key=lambda result: result.mean("video_uar"),
            default=None,
        ),
        "coverage": one.coverage,
        "evaluation": one,
        "emotions": settings.corpus.emotions,
        "chance": 1 / len(settings.corpus.emotions),
        "shows_printed": settings.corpus.adapter == "baum1" and settings.corpus.emotions == EMOTIONS,
        "num_videos": len(source.ledger),
        "outcomes": count_outcomes(source.ledger),
        "lost": lost.head(40).to_dict("records"),
        "num_lost": len(lost),
        "sides": [_side(name, split, source.index) for name in SIDES],
        "yaml": settings_as_yaml(settings),
        "versions": {name: importlib.metadata.version(name) for name in ("fer-pipeline", "keras", "prefect", "mlflow")},
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _side(name: str, split: pd.DataFrame, index: pd.DataFrame) -> dict[str, Any]:
    rows = index[index["side"] == name]
    videos = split[split["side"] == name]
    return {
        "name": name,
        "people": videos["subject"].nunique(),
        "videos": len(videos),
        "covered": rows["video_id"].nunique(),
        "segments": len(rows),
    }


def _results_table(results: Sequence[ArmResult]) -> pd.DataFrame:
    rows = [
        {
            "arm": result.arm.name,
            "seed": evaluation.seed,
            "num_parameters": evaluation.num_parameters,
            "best_epoch": evaluation.best_epoch,
            **evaluation.scores,
        }
        for result in results
        for evaluation in result.evaluations
    ]
    return pd.DataFrame(rows)


def _data_uri(path: Path) -> str:
    kind = "jpeg" if path.suffix == ".jpg" else "png"
    return f"data:image/{kind};base64," + base64.b64encode(path.read_bytes()).decode()
