"""Two drawn corpora with different cameras, each trained on and tested on the other: a matrix of which all is known.

The one camera is large and noisy, the other small and not noisy, its videos are compressed more, and its people express
themselves more strongly: neither is easier than the other, only different. What was learned of one is worse on
the other; the figures of the videos say how the cameras differ; and classes are mapped though the corpora spell one
differently and each has one that the other lacks.
"""

from pathlib import Path
from statistics import fmean
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
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.study.other_corpora.matrix import Matrix, matrices
from tasks.study.other_corpora.record import OtherCorporaRecord
from tasks.study.other_corpora.scores import Cell
from tasks.study.runs import plan_runs

pytestmark = [pytest.mark.trains, pytest.mark.slow]

STUDIO = SampleCorpus(seconds=0.6, size=(320, 240), noise=24.0, crf=18, strength=0.9)
WEBCAM = SampleCorpus(seconds=0.6, size=(192, 144), seed=21, noise=0.0, crf=26, strength=1.2)
#: How each corpus spells what its people show; of each class a person has two clips.
WORDS = {
    "studio": {"anger": "anger", "happiness": "happiness", "sadness": "sadness", "surprise": "surprise"},
    "webcam": {"anger": "anger", "smile": "happiness", "sadness": "sadness", "disgust": "disgust"},
}
PEOPLE = 12
LABELS = {"studio": {"smile": "happiness"}, "webcam": {"happiness": "smile"}}
OTHER = {"studio": "webcam", "webcam": "studio"}


def draw(root: Path, name: str, corpus: SampleCorpus) -> None:
    for word, emotion in WORDS[name].items():
        for person in range(1, PEOPLE + 1):
            for take in (1, 2):
                path = root / word / f"{name}-{person:02d}" / f"{take}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                clip = Clip(person, 10 * take + list(WORDS[name]).index(word), emotion)
                write_video(path, render_clip(corpus, clip), corpus.fps, corpus.crf)


def arguments_of(folder: Path, name: str, is_tested_on_other: bool = True) -> dict[str, Any]:
    other = OTHER[name]
    on = [{"data_root": str(folder / f"data-{other}"), "name": other, "labels": LABELS[name]}]
    overrides = {
        "name": "cameras",
        "data_root": str(folder / f"data-{name}"),
        "corpus.adapter": "folder",
        "corpus.root": str(folder / name),
        "corpus.emotions": list(WORDS[name]),
        "prepare.segment_stride": 4,
        "prepare.segment_length": 8,
        "split.protocol": "kfold",
        "split.folds": 3,
        "arms": ["hog-svm"],
        "test_on": on if is_tested_on_other else [],
    }
    return {"preset": "corrected", "overrides": overrides}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both studies, the one of the studio first, when nobody has tested anything on it."""
    folder = tmp_path_factory.mktemp("cameras")
    for name, corpus in (("studio", STUDIO), ("webcam", WEBCAM)):
        draw(folder / name, name, corpus)
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
        assert matrix.columns == (f"data-{name}", OTHER[name])
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
        assert found["motion, px"].remark == remark, "noise moves too"
        assert found["emotion"].remark == ""
        assert found["frames per second"].distance == 0.0
        assert f"{OTHER[name]} differs from what was learned of" in tested.largest
        assert "the size of the faces" in tested.largest
        assert "sharpness" in tested.largest


def test_classes_are_mapped_and_those_that_one_side_lacks_are_left_out(folder: Path) -> None:
    (of_webcam,), (of_studio,) = (record_of(folder, name)[0].tested for name in ("studio", "webcam"))
    assert of_webcam.classes == ("anger", "happiness", "sadness")
    assert of_webcam.lacking == ("surprise",)
    assert [(use.word, use.emotion, use.tested) for use in of_webcam.uses] == [
        ("anger", "anger", 2 * PEOPLE),
        ("smile", "happiness", 2 * PEOPLE),
        ("sadness", "sadness", 2 * PEOPLE),
        ("disgust", "", 0),
    ]
    assert of_studio.classes == ("anger", "smile", "sadness")
    assert [use.word for use in of_studio.uses if not use.emotion] == ["surprise"]
    assert of_webcam.findings == of_studio.findings == ()


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
    cards = [read_card(run.folder / "model.keras") for run in plan_runs(settings)]
    of_folds = [card.others[0].uar.estimate for card in cards if card]
    assert len(of_folds) == 3
    assert fmean(of_folds) == pytest.approx(uar, abs=1e-5)
    assert cards[0]
    assert any("Of other people and cameras only those of studio were tested" in limit for limit in cards[0].limits)
    mlflow.set_tracking_uri(f"sqlite:///{layout.root.absolute() / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["cameras"])
    logged = runs.loc[runs["tags.fer.kind"] == "arm", "metrics.on_studio_video_uar"]
    assert sorted(logged) == pytest.approx(sorted(of_folds), abs=1e-5)
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
