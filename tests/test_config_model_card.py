"""A card lies beside its model, is found there, and counts only for that very file."""

import hashlib
import json
from pathlib import Path

import pytest
from model_cards import make_card
from pydantic import ValidationError

from fer_models.models.card import EXCLUDED_USE, ClassFacts, ModelCard, Score
from tasks.config.model_card import CARD_FILE, CARD_TEXT_FILE, card_text, read_card, write_card
from tasks.progress import collected

CONTENT = b"a trained model"


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "any name.keras"
    path.write_bytes(CONTENT)
    return path


def card_of_it() -> ModelCard:
    return make_card(model_sha256=hashlib.sha256(CONTENT).hexdigest())


def test_a_card_is_read_as_it_was_written(model_file: Path) -> None:
    write_card(model_file.parent, card_of_it())
    with collected() as said:
        assert read_card(model_file) == card_of_it()
    assert said == []


def test_a_model_without_a_card_has_none_and_nothing_is_said(model_file: Path) -> None:
    with collected() as said:
        assert read_card(model_file) is None
    assert said == []


def test_the_card_of_another_model_is_not_taken(model_file: Path) -> None:
    write_card(model_file.parent, card_of_it())
    model_file.write_bytes(CONTENT + b" that learned on")
    with collected() as said:
        assert read_card(model_file) is None
    (line,) = said
    assert "the card of another model than any name.keras" in line


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\x00", b"[]", json.dumps({"temperature": 1}).encode(), b'{"card_version": 99, "of": "another time"}'],
)
def test_a_file_that_is_no_card_is_told_and_left(model_file: Path, content: bytes) -> None:
    path = model_file.with_name(CARD_FILE)
    path.write_bytes(content)
    with collected() as said:
        assert read_card(model_file) is None
    (line,) = said
    assert str(path) in line
    assert "`fer evaluate`" in line
    assert path.read_bytes() == content


def test_a_card_without_its_scores_is_none() -> None:
    values = make_card().model_dump() | {"scores": {"video_uar": {"estimate": 0.5}}}
    with pytest.raises(ValidationError, match="it has no video_accuracy"):
        ModelCard.model_validate(values)


@pytest.mark.parametrize("value", [0, -1, "nan", None])
def test_a_temperature_that_scales_nothing_is_no_card(value: object) -> None:
    values = make_card().model_dump() | {"temperature": value}
    with pytest.raises(ValidationError):
        ModelCard.model_validate(values)


def test_the_text_says_what_the_record_says() -> None:
    text = card_text(make_card())
    for words in (
        "GAP + sum (gap-sum), 12,345 parameters",
        "train 40 (people: 8), test 9 (people: 2)",
        "61.0 % (95 % interval 52.0 to 70.0); chance is 50.0 %",
        "| accuracy, test videos | 66.0 % |",
        "12.0 %; 4.0 % with the temperature 1.7",
        "fer2013-mini-xception (MIT, SHA-256 555555555555; trained on FER2013)",
        "2025-01-31 with fer-pipeline 9.8.7",
        "| anger | 30 | 7 | 75 % |",
        "| fear | 10 | 5 |  |",
        "- It learned from only 8 people.",
        "Article 5(1)(f)",
        *EXCLUDED_USE,
    ):
        assert words in text


def test_seeds_and_folds_are_told() -> None:
    assert "| trained with | seed 3 |" in card_text(make_card())
    assert "| trained with | seeds 1, 2, fold 4 of 5 |" in card_text(make_card(seeds=(1, 2), fold="4 of 5"))
    assert "none that others trained" in card_text(make_card(origins=()))


def test_names_are_text_and_no_markdown() -> None:
    odd = "a|b <script> [x](y)"
    classes = (ClassFacts(name=odd, videos=1, subjects=1), ClassFacts(name="fear", videos=1, subjects=1))
    text = card_text(make_card(study=odd, classes=classes))
    assert "<script>" not in text
    assert "](" not in text.replace("\\]", "")
    (row,) = [line for line in text.splitlines() if "script" in line and "| 1 | 1 |" in line]
    assert row.replace("\\|", "").count("|") == 5


def test_a_score_without_an_interval_says_none() -> None:
    assert Score(estimate=0.5, low=0.25, high=0.75).in_words() == "50.0 % (95 % interval 25.0 to 75.0)"
    assert Score(estimate=0.5).in_words() == "50.0 %"


def test_a_written_card_is_two_whole_files(tmp_path: Path) -> None:
    write_card(tmp_path, make_card())
    assert sorted(path.name for path in tmp_path.iterdir()) == [CARD_FILE, CARD_TEXT_FILE]
