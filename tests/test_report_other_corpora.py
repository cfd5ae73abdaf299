"""What a report says of other corpora: every cell, whoever filled it, and for each empty one why."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from test_report import EMOTIONS, make_source, read_report

from fer_models.errors import UserError
from fer_models.models.card import OtherScore, Score
from tasks.config.layout import Layout
from tasks.config.model_card import card_facts
from tasks.config.settings import StudySettings
from tasks.dataset.other_corpora.cameras import Difference
from tasks.dataset.other_corpora.mapping import ClassUse
from tasks.drawing.figures import save_figure
from tasks.report.input import ReportInput
from tasks.report.other_corpora import describe_others, matrix_table, others_table
from tasks.report.plots.corpus_matrix import MatrixCell, plot_corpus_matrix
from tasks.storage.files import write_json
from tasks.study.other_corpora.matrix import matrices
from tasks.study.other_corpora.record import OtherCorporaRecord, TestedCorpus, find_record
from tasks.study.other_corpora.scores import Cell

HOME, AWAY, FAR = "1" * 12, "2" * 12, "3" * 12
ARM = "gap-sum"


def score(estimate: float) -> Score:
    return Score(estimate=estimate, low=round(estimate - 0.1, 3), high=round(estimate + 0.1, 3))


def cell(corpus: str, uar: float, **more: object) -> Cell:
    values = {"classes": EMOTIONS[:2], "num_videos": 30, "num_people": 5, "accuracy": score(uar + 0.02)}
    return Cell(arm=ARM, corpus=corpus, uar=score(uar), **values | more)


def facts_of(name: str, corpus: str, **more: object) -> TestedCorpus:
    use = ClassUse(word="furious|<b>", emotion="anger", videos=20, untried=3)
    left = ClassUse(word="calm", emotion="", videos=9, untried=0, why="the models have no such class")
    facts = {"classes": EMOTIONS[:2], "lacking": EMOTIONS[2:], "uses": (use, left), "num_videos": 33, "num_covered": 30}
    return TestedCorpus(name=name, corpus=corpus, **facts | more)


def make_record(name: str, own: str, cells: list[Cell], others: list[TestedCorpus], **more: str) -> OtherCorporaRecord:
    facts = {"study": "corrected", "date": "2025-01-31", "evaluations": ""}
    return OtherCorporaRecord(
        name=name, corpus=own, emotions=EMOTIONS, tested=tuple(others), cells=tuple(cells), **facts | more
    )


@pytest.fixture
def source(tmp_path: Path) -> ReportInput:
    """A study of one arm that was tested on two corpora, with one of which it shares too few classes."""
    on = [str(tmp_path / "away"), str(tmp_path / "far away")]
    found = make_source(tmp_path, arms=[ARM], test_on=on)
    difference = Difference(measure="sharpness", trained="90 (80 to 99)", tested="12", distance=1.0, remark="lower")
    far = facts_of("far", FAR, classes=(), reason="The models know none of the classes of far.")
    record = make_record(
        "home",
        HOME,
        [
            cell(HOME, 0.8, classes=EMOTIONS),
            cell(AWAY, 0.55, home=score(0.85), fall=score(0.3), left_out=(4, 1), to_others=0.2),
            Cell(arm=ARM, corpus=FAR, reason=far.reason),
        ],
        [facts_of("away", AWAY, differences=(difference,), largest="Most in sharpness.", findings=("1 file.",)), far],
    )
    return replace(found, others=record)


def test_every_sentence_and_table_stands_in_the_page_and_in_markdown(source: ReportInput) -> None:
    html, markdown = read_report(source)
    assert 'href="#others"' in html
    for text in (re.sub(r"<[^>]+>", "", html), markdown):
        words = " ".join(text.split())
        assert "has a UAR of 55.0 % (95 % interval 45.0 to 65.0) in 30 videos of 5 people, over 2 shared" in words
        assert "It falls by 30.0 points (95 % interval 20.0 to 40.0)." in words
        assert "The models know none of the classes of far." in words
        assert "Most in sharpness." in words
        assert "gave 20 % of its probability to classes that are not tested." in words
        assert "4 videos of 1 person were left out, of whom a model has seen a file." in words
        assert "30 of 33 videos of the shared classes" in words
        assert "3 not prepared with this study's settings" in words
        assert "90 (80 to 99)" in words
    assert "furious|&lt;b&gt;" in html
    assert r"furious\|" in markdown
    assert "{{" not in html + markdown


def test_without_other_corpora_nothing_is_said(tmp_path: Path) -> None:
    html, markdown = read_report(make_source(tmp_path, arms=[ARM]))
    assert "other corpora" not in html.lower() + markdown.lower()


@pytest.mark.parametrize(
    ("fall", "words"),
    [
        (Score(estimate=-0.2, low=-0.3, high=-0.1), "It rises by 20.0 points (95 % interval 10.0 to 30.0)."),
        (Score(estimate=0.1, low=-0.05, high=0.2), "No fall is shown: +10.0 points, with a 95 % interval of -5.0 to"),
    ],
)
def test_no_fall_is_called_one_that_is_not_shown(source: ReportInput, fall: Score, words: str) -> None:
    assert source.others
    cells = [one.model_copy(update={"fall": fall}) if one.fall else one for one in source.others.cells]
    found = describe_others(replace(source, others=source.others.model_copy(update={"cells": tuple(cells)})))
    assert found
    assert words in found.headlines[0]


def leave(settings: StudySettings, root: Path, record: OtherCorporaRecord) -> None:
    layout = Layout.of(settings.model_copy(update={"data_root": root, "name": record.study}))
    write_json(layout.other_corpora, record)


def test_rows_of_other_corpora_come_from_their_own_studies(source: ReportInput, tmp_path: Path) -> None:
    settings = source.settings
    assert source.others
    (matrix,) = matrices(settings, source.others)
    assert matrix.columns == ("home", "away", "far")
    assert [row.name for row in matrix.rows] == ["home"]
    assert f"`fer study --data-root {tmp_path / 'away'} --set 'test_on=[{tmp_path}]'" in matrix.missing[0]
    assert f"--data-root '{tmp_path / 'far away'}'" in matrix.missing[1]
    of_away = [cell(AWAY, 0.7), cell(HOME, 0.4), cell(FAR, 0.3)]
    others = [facts_of("ours", HOME), facts_of("theirs", FAR)]
    leave(settings, tmp_path / "away", make_record("x", AWAY, of_away, others, study="b", date="2025-02-01"))
    newer = [cell(AWAY, 0.71), cell(HOME, 0.41)]
    leave(settings, tmp_path / "away", make_record("x", AWAY, newer, others[:1], study="c", date="2025-02-02"))
    (matrix,) = matrices(settings, source.others)
    assert [row.name for row in matrix.rows] == ["home", "away"], "by our names"
    assert [one and one.uar and one.uar.estimate for one in matrix.rows[1].cells] == [0.41, 0.71, None], "the newest"
    same = make_record("x", AWAY, of_away, others, study=settings.name, date="2025-01-01")
    leave(settings, tmp_path / "away", same)
    (matrix,) = matrices(settings, source.others)
    assert [one and one.uar and one.uar.estimate for one in matrix.rows[1].cells] == [0.4, 0.7, 0.3], "of our name"
    assert len(matrix.missing) == 1
    table = matrix_table(source)
    assert len(table) == 6
    assert table.loc[table["trained_on"] == "away", "uar"].tolist() == [0.4, 0.7, 0.3]


def test_a_row_of_an_earlier_state_of_a_corpus_or_of_a_broken_record_does_not_count(
    source: ReportInput, tmp_path: Path
) -> None:
    settings = source.settings
    leave(settings, tmp_path / "away", make_record("x", "4" * 12, [cell(HOME, 0.4)], [facts_of("o", HOME)], study="b"))
    leave(settings, tmp_path / "away", make_record("x", AWAY, [cell("5" * 12, 0.4)], [facts_of("o", HOME)], study="c"))
    broken = tmp_path / "away" / "studies" / "d" / "other_corpora.json"
    broken.parent.mkdir()
    broken.write_text('{"study": ')
    assert source.others
    (matrix,) = matrices(settings, source.others)
    assert len(matrix.rows) == 1
    assert broken.read_text() == '{"study": ', "it is another's"


def test_the_table_for_programs_has_a_row_for_each_arm_and_corpus(source: ReportInput) -> None:
    assert source.others
    table = others_table(source.others)
    assert table["tested_on"].tolist() == ["home", "away", "far"]
    assert table["fall"].tolist()[1] == 0.3
    assert pd.isna(table["uar"].tolist()[2])
    assert table["reason"].tolist()[2] == "The models know none of the classes of far."


def test_a_record_of_other_evaluations_is_not_taken(source: ReportInput) -> None:
    with pytest.raises(UserError, match="not evaluated on the corpora that test_on names; run `fer evaluate` first"):
        find_record(source.settings, [])
    assert source.others
    write_json(Layout.of(source.settings).other_corpora, source.others)
    with pytest.raises(UserError, match="run `fer evaluate` first"):
        find_record(source.settings, [])


def test_the_figure_writes_what_it_knows(tmp_path: Path) -> None:
    some = MatrixCell(0.61, 0.5, 0.7, 4)
    figure = plot_corpus_matrix(["home", "away"], ["home", "away"], [[some, None], [some, some]], "GAP, sum")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts].count("not tested") == 1
    assert [text.get_text() for text in axes.texts].count("50 to 70\n4 classes") == 3
    assert len(axes.patches) == 2, "the own test people are framed"
    assert save_figure(figure, tmp_path / "matrix.png").stat().st_size > 5000


def test_a_card_says_how_the_model_did_elsewhere() -> None:
    from model_cards import make_card

    other = OtherScore(corpus="away", classes=2, videos=30, subjects=5, uar=score(0.55), home=0.85)
    said = dict(card_facts(make_card(others=(other,))))["UAR, other corpora"]
    assert said == (
        "away 55.0 % (95 % interval 45.0 to 65.0), 2 shared classes, 30 videos of 5 people; on its own corpus, same "
        "classes, 85.0 %"
    )
    assert dict(card_facts(make_card()))["UAR, other corpora"] == "not tested"
