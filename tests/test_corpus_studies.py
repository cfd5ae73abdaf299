"""A whole small study of every corpus that has an adapter: prepared, split as its field does it, trained, reported.

Without Prefect and MLflow, which other tests have: so each takes seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stand_ins
from conftest import video_file

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.catalogue import known_corpora
from tasks.corpus.scope import with_corpus
from tasks.dataset.index import build_index
from tasks.dataset.official import official_of_subjects
from tasks.dataset.splits import SUBSETS, update_split
from tasks.outcomes import Outcome
from tasks.preparation.ledger import read_ledger, write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.scan import scan_corpus
from tasks.preparation.shards import shard_path
from tasks.report.input import collect
from tasks.report.run_figures import draw_run
from tasks.report.writing import write_report
from tasks.study.cards import card_run, find_run_card
from tasks.study.evaluation import evaluate_run
from tasks.study.runs import plan_runs, train_run
from tasks.study.test_set import own_test_set

pytestmark = pytest.mark.slow

TINY = {
    "model.form": "modern",
    "model.width": 4,
    "training.epochs": 1,
    "training.batch_size": 4,
    "training.refit": "none",
    "training.precision": "float32",
    "prepare.segment_length": 2,
    "prepare.segment_stride": 2,
    "prepare.pair": "first_last",
    "arms": ["temporal-only"],
}
FACES = {"prepare.precropped": True}


@dataclass(frozen=True)
class Case:
    """A stand-in, and the study of it.

    Args:
        classes: two that enough people, or clips, show.
        protocol: as the corpus has it or its field does it.
        folds: how many it comes to.
    """

    draw: Callable[[Path], None]
    classes: tuple[str, ...]
    protocol: str = "holdout"
    folds: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "afew": Case(lambda root: stand_ins.afew(root, of_each=5), ("anger", "fear"), "official"),
    "baum1": Case(lambda root: stand_ins.baum1(root, 3), ("anger", "fear")),
    "caer": Case(stand_ins.caer, ("anger", "fear"), "official"),
    "casme2": Case(stand_ins.casme2, ("happiness", "surprise"), "loso", 3),
    "ckplus": Case(lambda root: stand_ins.ckplus(root, 3), ("disgust", "happiness")),
    "ckplus48": Case(lambda root: stand_ins.ckplus48(root, 3), ("anger", "happiness"), settings=FACES),
    "cremad": Case(stand_ins.cremad, ("anger", "fear"), "official", 4),
    "dfew": Case(lambda root: stand_ins.dfew(root, clips=70), ("happiness", "sadness"), "official", 5),
    "enterface": Case(stand_ins.enterface, ("disgust", "happiness")),
    "ferv39k": Case(stand_ins.ferv39k, ("anger", "fear"), "official", settings=FACES | {"split.validation_share": 0.5}),
    "mafw": Case(lambda root: stand_ins.mafw(root, number=50), ("anger", "fear"), "official", 5),
    "mead": Case(lambda root: stand_ins.mead(root, 3), ("anger", "happiness")),
    "mmi": Case(lambda root: stand_ins.mmi(root, 3), ("anger", "happiness")),
    "oulucasia": Case(lambda root: stand_ins.oulucasia(root, 3), ("anger", "fear"), "kfold", 3, {"split.folds": 3}),
    "ravdess": Case(lambda root: stand_ins.ravdess(root, 3), ("anger", "calm")),
    "rml": Case(stand_ins.rml, ("anger", "fear")),
    "samm": Case(stand_ins.samm, ("anger", "happiness"), "loso", 3),
    "savee": Case(stand_ins.savee, ("anger", "neutral"), "loso", 4),
    "smic": Case(stand_ins.smic, ("negative", "positive"), "loso", 3),
}


def prepared(settings: StudySettings) -> pd.DataFrame:
    """The ledger of a study that is prepared, split and indexed."""
    layout, emotions = Layout.of(settings), settings.corpus.emotions
    scan = scan_corpus(settings)
    reports = {
        str(row.sha256): prepare_file(
            video_file(Path(str(row.uri))), shard_path(layout.shards, str(row.sha256)), settings.prepare
        )
        for row in scan.plan.due.itertuples()
    }
    write_ledger(layout.ledger, scan.manifest, reports, {})
    ledger = with_corpus(read_ledger(layout.ledger, emotions), settings.corpus)
    official = None
    if settings.split.protocol == "official":
        official = official_of_subjects(scan.manifest, settings.corpus.adapter)
    split = update_split(ledger, emotions, settings.split, layout.split, official)
    build_index(ledger, split, layout.prepared, layout.index, settings.prepare.windows)
    return ledger


def reported(settings: StudySettings) -> Path:
    """The report of a prepared study, whose runs are trained and evaluated one after another."""
    for run in plan_runs(settings):
        train_run(settings, run, lambda epoch: None)
        folder, evaluation = evaluate_run(settings, run, own_test_set(settings, run), draw_run)
        card_run(settings, run, folder, evaluation)
    return write_report(collect(settings), Layout.of(settings).report)


def test_every_known_corpus_is_among_them() -> None:
    assert set(CASES) == set(known_corpora())


@pytest.mark.parametrize("adapter", CASES)
def test_a_stand_in_ends_in_a_report(tmp_path: Path, adapter: str) -> None:
    case = CASES[adapter]
    case.draw(tmp_path / "corpus")
    settings = resolve_settings(
        overrides={
            **TINY,
            "name": adapter,
            "data_root": str(tmp_path / "data"),
            "corpus.adapter": adapter,
            "corpus.root": str(tmp_path / "corpus"),
            "corpus.emotions": list(case.classes),
            "split.protocol": case.protocol,
            **case.settings,
        }
    )
    ledger = prepared(settings)
    usable = ledger[ledger["outcome"] == Outcome.OK]
    assert set(usable["emotion"]) == set(case.classes)
    assert (usable["num_covered"] > 0).all()
    split = pd.read_parquet(Layout.of(settings).split)
    assert split["fold"].nunique() == case.folds
    assert (split.groupby("fold")["side"].nunique() == len(SUBSETS)).all()
    assert (split.groupby(["fold", "subject"])["side"].nunique() == 1).all()
    page = reported(settings).read_text(encoding="utf-8")
    assert f"{adapter} adapter" in page
    assert ("people may stand in train and test" in page) == (usable["subject"] == usable["video_id"]).all()
    results = pd.read_csv(Layout.of(settings).report / "results.csv")
    assert results["video_uar"].between(0, 1).all()


def test_a_study_of_several_corpora_says_how_each_fared_and_goes_on_when_they_change(tmp_path: Path) -> None:
    stand_ins.ravdess(tmp_path / "ravdess", 4)
    for name in ("savee", "enterface"):
        stand_ins.STAND_INS[name](tmp_path / name)
    stand_ins.text(tmp_path / "labels.csv", "corpus,label,class", "ravdess,calm,neutral", "ravdess,neutral,")
    leaving = tmp_path / "ravdess" / "Actor_01" / "01-01-05-01-01-01-01.mp4"
    for path in (leaving, *(tmp_path / "enterface").rglob("*.avi")):  # all others have one content
        path.write_bytes(path.read_bytes() + bytes(1 + (path is not leaving)))

    def settings_of(*names: str) -> StudySettings:
        corpora = [{"name": name, "adapter": name, "root": str(tmp_path / name)} for name in names]
        return resolve_settings(
            overrides={
                **TINY,
                "name": "several",
                "data_root": str(tmp_path / "data"),
                "corpora": corpora,
                "label_map": str(tmp_path / "labels.csv"),
                "corpus.emotions": ["anger", "neutral"],
            }
        )

    settings = settings_of("ravdess", "savee")
    layout = Layout.of(settings)
    ledger = prepared(settings)
    usable = ledger[ledger["outcome"] == Outcome.OK]
    assert usable.groupby(["corpus", "emotion"]).size().to_dict() == {
        ("ravdess", "anger"): 4,
        ("ravdess", "neutral"): 4,
        ("savee", "anger"): 4,
        ("savee", "neutral"): 8,
    }
    assert ledger.loc[ledger["message"].str.contains("leaves 'neutral' of ravdess out"), "video_id"].size == 4
    split = pd.read_parquet(layout.split)
    of_subsets = split.assign(corpus=split["video_id"].str.partition("/")[0]).groupby("side")["corpus"].nunique()
    assert of_subsets.to_dict() == dict.fromkeys(SUBSETS, 2)
    page = reported(settings).read_text(encoding="utf-8")
    assert "2 corpora, 20 videos of these classes" in page
    for name, people, videos in (("ravdess", 4, 8), ("savee", 4, 12)):
        assert f"<tr><td>{name}</td><td>{people}</td><td>{videos}</td><td>{videos}</td><td>2</td>" in page
        assert f"| {name} | {people} | {videos} | {videos} | 2 |" in (layout.report / "report.md").read_text()
    (run,) = plan_runs(settings)
    card = find_run_card(run)
    assert card is not None
    assert card.corpus == "videos of 2 corpora of the layouts ravdess, savee"
    assert any("The expressions that it learned were acted" in limit for limit in card.limits)
    # one corpus more, one video less, another label
    leaving.unlink()
    leaving.with_name("02-01-05-01-01-01-01.mp4").unlink()
    stand_ins.text(tmp_path / "labels.csv", "corpus,label,class", "ravdess,neutral,", "enterface,sadness,neutral")
    more = settings_of("ravdess", "savee", "enterface")
    counts = scan_corpus(more).changes["change"].value_counts()
    assert (counts["removed"], counts["relabelled"], counts["new"]) == (1, 4, 38)
    prepared(more)
    now = pd.read_parquet(layout.split)
    assert now["subject"].str.startswith("enterface/").any()
    both = split.merge(now, on=["video_id", "sha256"], suffixes=("", "_now"))
    assert len(both) == len(split)
    assert (both["side"] == both["side_now"]).all()
    (tmp_path / "enterface").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="The corpus enterface: There is no folder"):
        scan_corpus(more)
