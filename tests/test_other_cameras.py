"""Two drawn corpora with different cameras, each trained on and tested on the other: a matrix of which all is known.

The second camera is smaller and noisier, its videos are compressed more, and its people hardly show what they feel.
What was learned of either is worse on the other, and the figures of the videos say how the cameras differ.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from prepared_roots import stamps

from fer_models.errors import UserError
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.study import full_study
from tasks.config.layout import Layout
from tasks.config.model_card import read_card
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus
from tasks.study.other_corpora.matrix import Matrix, matrices
from tasks.study.other_corpora.record import OtherCorporaRecord
from tasks.study.other_corpora.scores import Cell
from tasks.study.runs import plan_runs

pytestmark = [pytest.mark.trains, pytest.mark.slow]

PEOPLE = 16
STUDIO = SampleCorpus(subjects=PEOPLE, clips=8, seconds=0.8, faults=False)
WEBCAM = replace(STUDIO, size=(192, 144), seed=21, noise=14.0, crf=36, strength=0.6)
EMOTIONS = ("anger", "happiness", "sadness", "surprise")
OTHER = {"studio": "webcam", "webcam": "studio"}


def arguments_of(folder: Path, name: str, is_tested_on_other: bool = True) -> dict[str, Any]:
    other = OTHER[name]
    overrides = {
        "name": "cameras",
        "data_root": str(folder / f"data-{name}"),
        "corpus.root": str(folder / name),
        "corpus.draw_sample": False,
        "corpus.emotions": list(EMOTIONS),
        "arms": ["hog-svm"],
        "test_on": [{"data_root": str(folder / f"data-{other}"), "name": other}] if is_tested_on_other else [],
    }
    return {"preset": "sample", "overrides": overrides}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both studies, the one of the studio first, when nobody has tested anything on it."""
    folder = tmp_path_factory.mktemp("cameras")
    for name, corpus in (("studio", STUDIO), ("webcam", WEBCAM)):
        write_corpus(folder / name, corpus)
        prepare(**arguments_of(folder, name, is_tested_on_other=False), allow_failures=True)
    before = stamps(folder / "data-webcam")
    full_study(**arguments_of(folder, "studio"))
    assert stamps(folder / "data-webcam") == before, "another data root is only read"
    full_study(**arguments_of(folder, "webcam"))
    return folder


def record_of(folder: Path, name: str) -> tuple[OtherCorporaRecord, Matrix]:
    settings = resolve_settings(**arguments_of(folder, name))
    record = OtherCorporaRecord.model_validate_json(Layout.of(settings).other_corpora.read_bytes())
    (matrix,) = matrices(settings, record)
    return record, matrix


def estimate(cell: Cell | None, name: str) -> float:
    """A score of a cell that has one with an interval."""
    score = getattr(cell, name)
    assert score.low <= score.estimate <= score.high
    return float(score.estimate)


def test_what_was_learned_of_a_camera_is_worse_on_another(folder: Path) -> None:
    for name in ("studio", "webcam"):
        _, matrix = record_of(folder, name)
        assert matrix.columns == ("baum1s", OTHER[name])
        assert len(matrix.rows) == 2
        assert matrix.missing == ()
        (own, away), (back, others) = (row.cells for row in matrix.rows)
        for off in (away, back):
            assert estimate(off, "home") > estimate(off, "uar"), "over the same classes too"
            assert estimate(off, "fall") == pytest.approx(estimate(off, "home") - estimate(off, "uar"), abs=1e-5)
            assert off
            assert off.num_people == PEOPLE
        for diagonal in (own, others):
            assert estimate(diagonal, "uar") > max(estimate(away, "uar"), estimate(back, "uar"))


def test_the_figures_of_the_videos_name_the_difference(folder: Path) -> None:
    for name, remark in (("studio", "lower"), ("webcam", "higher")):
        (tested,) = record_of(folder, name)[0].tested
        found = {one.measure: one for one in tested.differences}
        assert found["face size, px"].remark == remark
        assert found["sharpness"].remark == remark
        assert found["resolution"].distance == 1.0
        assert found["motion, px"].remark == remark
        assert found["emotion"].remark == ""
        assert found["frames per second"].distance == 0.0
        assert f"{OTHER[name]} differs from what was learned of" in tested.largest
        assert "the size of the faces" in tested.largest


def test_classes_and_people_are_told(folder: Path) -> None:
    """Both corpora number their people alike, which must be looked at; and the models know four of six classes."""
    for name in ("studio", "webcam"):
        (tested,) = record_of(folder, name)[0].tested
        assert tested.classes == EMOTIONS
        assert {use.word for use in tested.uses if use.why == "the models have no such class"} == {"disgust", "fear"}
        (finding,) = tested.findings
        assert "13 names that may mean the same people" in finding


def test_report_tables_card_and_tracking_have_it(folder: Path) -> None:
    arguments = arguments_of(folder, "webcam")
    settings = resolve_settings(**arguments)
    layout = Layout.of(settings)
    record, _ = record_of(folder, "webcam")
    cell = record.cell("hog-svm", record.tested[0].corpus)
    uar = estimate(cell, "uar")
    page = (layout.report / "index.html").read_text(encoding="utf-8")
    assert 'id="others"' in page
    assert f"{100 * uar:.1f} %" in page
    table = pd.read_csv(layout.report / "corpus_matrix.csv")
    assert len(table) == 4
    assert table["uar"].notna().all()
    (run,) = plan_runs(settings)
    card = read_card(run.folder / "model.keras")
    assert card
    assert card.others[0].uar.estimate == pytest.approx(uar, abs=1e-5)
    assert any("Of other people and cameras only those of studio were tested" in limit for limit in card.limits)
    mlflow.set_tracking_uri(f"sqlite:///{layout.root.absolute() / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["cameras"])
    (logged,) = runs.loc[runs["tags.fer.kind"] == "arm", "metrics.on_studio_video_uar"]
    assert logged == pytest.approx(uar, abs=1e-5)
    (of_arm,) = runs.loc[runs["tags.fer.kind"] == "study", "metrics.on_studio_video_uar/hog-svm"]
    assert of_arm == pytest.approx(uar, abs=1e-5)


def test_to_be_tested_on_others_trains_and_tests_nothing_again(folder: Path) -> None:
    arguments = arguments_of(folder, "webcam")
    runs = Layout.of(resolve_settings(**arguments)).runs
    before = {name: stamp for name, stamp in stamps(runs).items() if "mlflow" not in name}
    full_study(**arguments)
    evaluate(**arguments_of(folder, "webcam", is_tested_on_other=False))
    after = {name: stamp for name, stamp in stamps(runs).items() if "mlflow" not in name}
    cards = {name for name in before if "model_card" in name}
    assert {name: after[name] for name in before if name not in cards} == {
        name: before[name] for name in before if name not in cards
    }


def test_another_preparation_is_refused_before_anything_is_trained(folder: Path) -> None:
    arguments = arguments_of(folder, "studio")
    arguments["overrides"]["prepare.face_size_px"] = 64
    with pytest.raises(UserError, match=r"prepared with other settings than this study's.*prepare.face_size_px=64"):
        full_study(**arguments)
