"""The report of a study: one self-contained HTML page, the same as Markdown, and its tables for other programs."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import markupsafe
import pandas as pd

from fer_models.models.arms import get_arm
from fer_models.statistics.comparisons import PairComparison
from tasks.config.model_card import card_facts
from tasks.dataset.splits import fold_names
from tasks.escaping import fenced, latex, markdown
from tasks.report.embedding import embedded_file
from tasks.report.facts import Facts, describe
from tasks.report.figures import CONTACT_SHEET_FILE, draw_figures
from tasks.report.input import ReportInput
from tasks.report.other_corpora import matrix_table, others_table
from tasks.report.shown_tiles import shown_tiles
from tasks.storage.files import write_text
from tasks.storage.local_copies import synced_folder
from tasks.storage.spreadsheets import write_csv
from tasks.study.comparison import ArmResult, SeedResult

HTML_FILE = "index.html"
MARKDOWN_FILE = "report.md"
LATEX_FILE = "results.tex"
_TEMPLATE_OF = {HTML_FILE: "report.html.j2", MARKDOWN_FILE: "report.md.j2", LATEX_FILE: "results.tex.j2"}
_TEMPLATES = Path(__file__).parent / "templates"


def write_report(source: ReportInput, folder: Path) -> Path:
    """Write the page, `report.md`, `results.csv`, `comparison.csv`, `folds.csv`, `results.tex` and the figures.

    Returns:
        The path of the page.
    """
    with synced_folder(folder, last=(HTML_FILE,)) as working:
        _write(source, working.path)
    return folder / HTML_FILE


def _write(source: ReportInput, folder: Path) -> None:
    figures = folder / "figures"
    draw_figures(source, figures)
    tables = {"results.csv": _results_table(source.results), "comparison.csv": _pairs_table(source)}
    if source.num_folds > 1:
        tables["folds.csv"] = _folds_table(source)
    if source.others:
        tables |= {"other_corpora.csv": others_table(source.others), "corpus_matrix.csv": matrix_table(source)}
    for name, table in tables.items():
        write_csv(folder / name, table)
    facts = dataclasses.replace(
        describe(source),
        contact_sheet=(figures / CONTACT_SHEET_FILE).is_file(),
        tiles={arm: found for arm, folder in source.folders.items() if (found := shown_tiles(folder))},
    )
    for name, figure in (
        (HTML_FILE, lambda name: embedded_file(figures / name)),
        (MARKDOWN_FILE, lambda name: f"figures/{name}"),
        (LATEX_FILE, None),
    ):
        write_text(folder / name, render(name, facts, figure))


def render(name: str, facts: Facts, figure: Callable[[str], str] | None) -> str:
    """One file of the report as text.

    Args:
        figure: gives the address of a figure by its name.
    """
    return _environment(is_html=name == HTML_FILE).get_template(_TEMPLATE_OF[name]).render(vars(facts), figure=figure)


def _environment(is_html: bool) -> jinja2.Environment:
    """What is inserted is escaped in HTML; in Markdown and LaTeX by the filters `plain` and `tex`, where it may hold
    anything."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=is_html,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,  # a name that the facts lack is a fault, not an empty table
    )
    environment.filters |= {
        "percent": lambda value: f"{100 * value:.1f} %",
        "points": lambda value: f"{100 * value:+.1f}",
        "p_value": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
        "paragraphs": _paragraphs,
        "code": _code,
        "plain": str if is_html else markdown,
        "tex": latex,
        "fenced": fenced,
        "facts": card_facts,
        "title_of": lambda name: get_arm(name).title,
    }
    return environment


def _paragraphs(text: str) -> markupsafe.Markup:
    """Text with blank lines between its paragraphs, as HTML."""
    paragraphs = [markupsafe.escape(part.strip()) for part in text.split("\n\n") if part.strip()]
    return markupsafe.Markup("\n").join(markupsafe.Markup("<p>{}</p>").format(_code(part)) for part in paragraphs)


def _code(text: str) -> markupsafe.Markup:
    """Text as HTML, with what stands between backticks as code."""
    escaped = str(markupsafe.escape(text))
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))


def read_summary(report: Path) -> str:
    """The beginning of `report.md`, down to the table of results and without figures.

    Args:
        report: the folder of a report.
    """
    return (report / MARKDOWN_FILE).read_text(encoding="utf-8").partition("\n![")[0]


def _results_table(results: Sequence[ArmResult]) -> pd.DataFrame:
    """One row per arm and seed, over all folds."""
    rows = [
        {
            "arm": result.arm.name,
            "seed": _seed(result, seed),
            "num_parameters": result.num_parameters,
            "best_epoch": " ".join(str(evaluation.best_epoch) for evaluation in seed.evaluations),
            "temperature": " ".join(f"{evaluation.temperature:.4g}" for evaluation in seed.evaluations),
            **seed.scores,
        }
        for result in results
        for seed in result.seeds
    ]
    return pd.DataFrame(rows)


def _seed(result: ArmResult, seed: SeedResult) -> int | str:
    return "all" if result.arm.num_members else seed.seed


def _folds_table(source: ReportInput) -> pd.DataFrame:
    """One row per arm, seed and fold."""
    names = fold_names(source.split)
    rows = [
        {
            "arm": result.arm.name,
            "seed": _seed(result, seed),
            "fold": names[evaluation.split_fold],
            "num_videos": evaluation.num_test_videos,
            **evaluation.scores,
        }
        for result in source.results
        for seed in result.seeds
        for evaluation in seed.evaluations
    ]
    return pd.DataFrame(rows)


def _pairs_table(source: ReportInput) -> pd.DataFrame:
    columns = [field.name for field in dataclasses.fields(PairComparison)]  # also where there is a single arm
    return pd.DataFrame([dataclasses.asdict(pair) for pair in source.pairs], columns=columns)
