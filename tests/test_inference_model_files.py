"""Which models are asked, as a batch knows them: whatever changes a prediction changes what they are known by."""

import json
from pathlib import Path

import pytest
from model_cards import make_card
from test_inference_predictor import OVERLAPPING, build
from test_inference_pretrained import weights  # noqa: F401

from fer_models.errors import UserError
from tasks.config.model_card import CARD_FILE, file_sha256, write_card
from tasks.inference.model_files import ModelFiles
from tasks.inference.pretrained import NAME


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """Two files; what is in them does not matter here."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.keras").write_text(name)
    return tmp_path / "a" / "model.keras", tmp_path / "b" / "model.keras"


def test_models_are_known_by_what_is_in_them(models: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = models
    known = ModelFiles((first,)).contents()
    assert known == (file_sha256(first),)
    (tmp_path / "moved.keras").write_bytes(first.read_bytes())
    assert ModelFiles((tmp_path / "moved.keras",)).contents() == known
    assert ModelFiles((first, second)).contents() == (*known, file_sha256(second))
    (tmp_path / "detector").mkdir()
    for name in ("x.tflite", "y.tflite"):
        (tmp_path / "detector" / name).write_text(name)
    with_folder = ModelFiles((first,), tmp_path / "detector").contents()
    assert with_folder[:1] == known
    assert len(with_folder) == 3
    assert ModelFiles((first,), tmp_path / "detector" / "x.tflite").contents() == with_folder[:2]


def test_the_temperature_on_a_card_counts_and_what_else_it_says_does_not(models: tuple[Path, Path]) -> None:
    first, _ = models
    write_card(first.parent, make_card(model_sha256=file_sha256(first), temperature=1.5))
    known = ModelFiles((first,)).contents()
    assert known == (file_sha256(first), "temperature 1.5")
    card = json.loads((first.parent / CARD_FILE).read_text())
    (first.parent / CARD_FILE).write_text(json.dumps({**card, "date": "2031-01-01"}))
    assert ModelFiles((first,)).contents() == known
    (first.parent / CARD_FILE).write_text(json.dumps({**card, "temperature": 2.0}))
    assert ModelFiles((first,)).contents() != known
    assert len(ModelFiles(models).contents()) == 2, "an ensemble is not calibrated"


def test_the_published_network_is_known_by_its_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    ModelFiles().check()
    known = ModelFiles().contents()
    assert known[0] == file_sha256(weights)
    monkeypatch.setattr("tasks.inference.model_files.SMOOTHING_S", 0.4)
    assert ModelFiles().contents()[:-1] == known[:-1]
    assert ModelFiles().contents() != known
    weights.unlink()
    with pytest.raises(UserError, match=f"fer weights get {NAME}"):
        ModelFiles().check()
    assert ModelFiles((weights,)).files


def test_what_is_not_there_is_said(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no model"):
        ModelFiles((models[0], tmp_path / "gone.keras")).check()


def test_they_are_loaded(tmp_path: Path) -> None:
    build("gap-sum", OVERLAPPING).save(tmp_path / "model.keras")
    assert ModelFiles((tmp_path / "model.keras",)).load().labels == ("anger", "fear")
