"""Every kind of leak that is planted is found, and a clean study has none."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FACE_SHAPE, FPS, OPTICAL_FLOW_SHAPE, draw_moving_face, video_file, write_shard
from test_study_earlier_study import add_run
from typer.testing import CliRunner

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.models.lineage import Lineage, video_marks
from fer_models.settings import ModelSettings
from flows.cli import app
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import build_manifest
from tasks.corpus.sample.corpus import write_video
from tasks.dataset.audit import audit, audit_tables, present_split
from tasks.dataset.earlier_training import check_earlier_training
from tasks.dataset.findings import Check, Finding, Severity
from tasks.outcomes import Outcome
from tasks.preparation.ledger import write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import shard_path
from tasks.video.segments import FaceFrame, VideoReport

SUBJECTS = {"Anna": "train", "Ben": "train", "Carl": "validation", "Dora": "test"}
Tables = tuple[pd.DataFrame, pd.DataFrame, Path]


def make_faces(seed: int, number: int = 3) -> np.ndarray:
    """Smooth pictures that have nothing in common, uint8 (number, 48, 48, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (number, 8, 8, 3))
    return coarse.repeat(6, axis=1).repeat(6, axis=2).astype(np.uint8)


def write_faces(prepared: Path, sha256: str, faces: np.ndarray) -> None:
    segments = [
        FaceFrame(i, i, 0.0, (0, 0, 48, 48), 1, face, np.zeros(OPTICAL_FLOW_SHAPE)) for i, face in enumerate(faces)
    ]
    assert faces.shape[1:] == FACE_SHAPE
    write_shard(shard_path(prepared / "shards", sha256), segments, VideoReport(outcome=Outcome.OK))


def make_row(prepared: Path, video_id: str, subject: str, emotion: str, faces: np.ndarray) -> dict[str, object]:
    sha256 = hashlib.sha256(video_id.encode()).hexdigest()
    write_faces(prepared, sha256, faces)
    return {
        "video_id": video_id,
        "sha256": sha256,
        "subject": subject,
        "emotion": emotion,
        "outcome": str(Outcome.OK),
        "message": "",
        "num_covered": len(faces),
        "shard": shard_path(Path("shards"), sha256).as_posix(),
    }


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Ledger, split and folder of four subjects with two videos each."""
    rows = [
        make_row(tmp_path, f"{subject}/{emotion}", subject, emotion, make_faces(10 * i + j))
        for i, subject in enumerate(SUBJECTS)
        for j, emotion in enumerate(("anger", "fear"))
    ]
    ledger = pd.DataFrame(rows)
    split = ledger[["video_id", "sha256", "subject"]].assign(fold=0, side=ledger["subject"].map(SUBJECTS))
    return ledger, split, tmp_path


def find(tables: Tables) -> list[Finding]:
    ledger, split, prepared = tables
    split = split.assign(fold_name=split["fold"].astype(str))
    return audit_tables(ledger, present_split(ledger, split, ("anger", "fear")), prepared)


def add_video(tables: Tables, video_id: str, subject: str, subset: str, faces: np.ndarray) -> Tables:
    ledger, split, prepared = tables
    row = make_row(prepared, video_id, subject, "anger", faces)
    where = {name: row[name] for name in ("video_id", "sha256", "subject")} | {"fold": 0, "side": subset}
    return pd.concat([ledger, pd.DataFrame([row])]), pd.concat([split, pd.DataFrame([where])]), prepared


def copy_content(tables: Tables, source: str, target: str) -> None:
    """Give one video the bytes of another."""
    ledger, split, _ = tables
    content = ledger.loc[ledger["video_id"] == source, ["sha256", "shard"]].to_numpy()
    ledger.loc[ledger["video_id"] == target, ["sha256", "shard"]] = content
    split.loc[split["video_id"] == target, "sha256"] = content[0, 0]


def summary(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(str(finding.check), str(finding.severity)) for finding in findings]


def test_a_clean_study_has_no_finding(tables: Tables) -> None:
    assert find(tables) == []


def test_a_subject_on_two_sides_is_an_error(tables: Tables) -> None:
    split = tables[1]
    split.loc[split["video_id"] == "Anna/fear", "side"] = "test"
    (finding,) = find(tables)
    assert (finding.check, finding.severity) == (Check.SUBJECTS, Severity.ERROR)
    assert finding.what == "videos of Anna: 1 on train, 1 on test"
    assert set(finding.where) == {"Anna/anger (train)", "Anna/fear (test)"}


def test_reserve_belongs_to_the_test_side(tables: Tables) -> None:
    split = tables[1]
    split.loc[split["video_id"] == "Dora/fear", "side"] = "reserve"
    assert find(tables) == []
    split.loc[split["video_id"] == "Anna/fear", "side"] = "reserve"
    assert summary(find(tables)) == [("person in two subsets", "error")]


def test_folds_are_looked_at_one_by_one(tables: Tables) -> None:
    """Anna trains in fold 0 and is tested in fold 1, which is no leak; in fold 2 she is in both subsets."""
    ledger, split, prepared = tables
    turn = {"Anna": "test", "Ben": "validation", "Carl": "train", "Dora": "train"}
    folds = [split.assign(fold=0), split.assign(fold=1, side=split["subject"].map(turn)), split.assign(fold=2)]
    assert find((ledger, pd.concat(folds), prepared)) == []
    folds[2].loc[folds[2]["video_id"] == "Anna/fear", "side"] = "test"
    (finding,) = find((ledger, pd.concat(folds), prepared))
    assert finding.what == "videos of Anna: 1 on train, 1 on test in fold 2"
    assert set(finding.where) == {"Anna/anger (train)", "Anna/fear (test)"}
    copy_content((ledger, folds[0], prepared), "Anna/anger", "Ben/anger")  # both train in fold 0
    for fold in folds[1:]:
        fold["sha256"] = folds[0]["sha256"]
    folds[2] = folds[2].assign(side=split["side"])
    (finding,) = find((ledger, pd.concat(folds), prepared))
    assert finding.what == "one file in two subsets, as videos of Anna and Ben in fold 1"
    assert finding.where == ("Anna/anger (test)", "Ben/anger (validation)")


def test_one_file_on_two_sides_is_an_error(tables: Tables) -> None:
    copy_content(tables, "Anna/anger", "Dora/anger")
    (finding,) = find(tables)
    assert (finding.check, finding.severity) == (Check.FILES, Severity.ERROR)
    assert finding.what == "one file in two subsets, as videos of Anna and Dora"
    assert finding.where == ("Anna/anger (train)", "Dora/anger (test)")


def test_one_file_under_two_names_on_one_side_is_an_error(tables: Tables) -> None:
    copy_content(tables, "Anna/anger", "Ben/anger")
    (finding,) = find(tables)
    assert (finding.check, finding.severity, finding.what) == (
        Check.FILES,
        Severity.ERROR,
        "one file, as videos of Anna and Ben",
    )


def test_one_file_with_two_labels_is_an_error_where_both_are_used(tables: Tables) -> None:
    copy_content(tables, "Anna/anger", "Anna/fear")
    assert summary(find(tables)) == [("labels", "error")]
    ledger = tables[0]
    ledger.loc[ledger["video_id"] == "Anna/fear", "outcome"] = str(Outcome.OUT_OF_SCOPE)
    (finding,) = find(tables)
    assert (finding.check, finding.severity) == (Check.LABELS, Severity.WARNING)
    assert finding.what == "one file, labelled anger and fear"


def test_one_file_twice_on_one_side_is_a_note(tables: Tables) -> None:
    copy_content(tables, "Anna/anger", "Anna/fear")
    tables[0]["emotion"] = "anger"
    assert summary(find(tables)) == [("same file", "note")]


def test_contradicting_labels_are_warnings_and_missing_ones_a_note(tables: Tables) -> None:
    ledger = tables[0]
    ledger.loc[:1, ["outcome", "message"]] = [str(Outcome.LABEL_CONFLICT), "two rows disagree"]
    ledger.loc[2:4, "outcome"] = str(Outcome.LABEL_MISSING)
    findings = find(tables)
    assert summary(findings) == [("labels", "warning"), ("labels", "warning"), ("labels", "note")]
    assert [finding.where for finding in findings[:2]] == [("Anna/anger",), ("Anna/fear",)]
    assert findings[0].what == "not used: two rows disagree"
    assert findings[2].where == ("Ben/anger", "Ben/fear", "Carl/anger")


def test_the_same_faces_across_sides_are_an_error_and_on_one_side_none(tables: Tables) -> None:
    faces = make_faces(0)  # those of Anna/anger
    assert find(add_video(tables, "copy", "Eve", "train", faces)) == []
    assert find(add_video(tables, "copy", "Anna", "train", faces)) == []
    noisy = np.clip(faces + np.random.default_rng(1).normal(0, 4, faces.shape), 0, 255).astype(np.uint8)
    (finding,) = find(add_video(tables, "copy", "Eve", "test", noisy))
    assert (finding.check, finding.severity) == (Check.FACES, Severity.ERROR)
    assert finding.where == ("Anna/anger (train)", "copy (test)")


def test_names_that_look_alike_are_warnings_alike_faces_first(tables: Tables) -> None:
    tables = add_video(tables, "1", "ben ", "train", make_faces(91))
    tables = add_video(tables, "2", "dora", "train", make_faces(92))
    tables = add_video(tables, "3", "carl", "test", np.concatenate([make_faces(20)[:2], make_faces(93)]))
    findings = find(tables)
    assert [finding.what for finding in findings if finding.severity is Severity.WARNING] == [
        "'Carl' and 'carl' may be one person, in two subsets; their faces are alike",
        "'Dora' and 'dora' may be one person, in two subsets",
        "'Ben' and 'ben ' may be one person",
    ]
    assert findings[-1].where == ("Ben (train)", "ben  (train)")


def test_shards_that_are_gone_are_told(tables: Tables) -> None:
    ledger, _, prepared = tables
    (prepared / ledger["shard"][0]).unlink()
    (finding,) = find(tables)
    assert (finding.check, finding.severity, finding.where) == (Check.FACES, Severity.NOTE, ("Anna/anger",))


def test_videos_that_the_split_does_not_have_are_told(tables: Tables) -> None:
    ledger, split, prepared = tables
    (finding,) = find((ledger, split[1:], prepared))
    assert (finding.check, finding.severity, finding.where) == (Check.SUBJECTS, Severity.NOTE, ("Anna/anger",))
    with pytest.raises(UserError, match="run `fer split` first"):
        find((ledger, split[:0], prepared))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    """A prepared and split corpus of drawn subjects; Mallory's video is Anna's, smaller and compressed once more."""
    root = tmp_path_factory.mktemp("audit")
    for number, subject in enumerate(SUBJECTS, start=3):
        folder = root / "videos" / "anger" / subject
        folder.mkdir(parents=True)
        write_video(folder / "a.mp4", draw_moving_face(1.0, subject=number, start=0.45), FPS)
    (root / "videos" / "anger" / "Mallory").mkdir()
    smaller = [cv2.resize(frame, (272, 204)) for frame in draw_moving_face(1.0, subject=3, start=0.45)]
    write_video(root / "videos" / "anger" / "Mallory" / "a.mp4", smaller, FPS)
    overrides = {"corpus.adapter": "folder", "corpus.root": root / "videos", "prepare.segment_stride": 4}
    settings = resolve_settings(None, None, overrides | {"data_root": root / "data"})
    layout = Layout.of(settings)
    manifest = build_manifest(settings.corpus, layout.manifest)
    reports = {
        video.sha256: prepare_file(
            video_file(Path(str(video.uri))), shard_path(layout.shards, str(video.sha256)), settings.prepare
        )
        for video in manifest.itertuples()
    }
    assert {report.outcome for report in reports.values()} == {Outcome.OK}
    ledger = write_ledger(layout.ledger, manifest, reports, {})
    subsets = ledger["subject"].map(SUBJECTS | {"Mallory": "test"})
    layout.split.parent.mkdir()
    ledger[["video_id", "sha256", "subject"]].assign(fold=0, side=subsets).to_parquet(layout.split)
    return settings


def run_audit(
    settings: StudySettings, edit: Callable[[pd.DataFrame], pd.DataFrame], folder: Path, **more: str
) -> tuple[int, str]:
    """Exit code and output of the command on a copy of the study with another split."""
    root = folder / "data"
    shutil.copytree(settings.data_root, root)
    path = root / "splits" / Layout.of(settings).split.name
    edit(pd.read_parquet(path)).to_parquet(path)
    arguments = ["audit", "--data-root", str(root), "--set", "prepare.segment_stride=4"]
    for name, value in more.items():
        arguments += ["--set", f"{name.replace('__', '.')}={value}"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    return result.exit_code, result.stdout


def test_a_reencoded_copy_under_another_name_is_found(settings: StudySettings, tmp_path: Path) -> None:
    code, output = run_audit(settings, lambda split: split, tmp_path)
    assert code == 1
    assert output.strip().endswith("1 leak found in 5 videos of 5 people.")
    assert "Anna" in output
    assert "Mallory" in output
    found = pd.read_csv(tmp_path / "data" / "studies" / "corrected" / "audit.csv")
    assert found[["severity", "check"]].to_numpy().tolist() == [["error", "near-identical faces"]]
    assert found["where"][0] == "anger/Anna/a.mp4 (train); anger/Mallory/a.mp4 (test)"


def test_a_copy_on_the_same_side_is_no_leak(settings: StudySettings, tmp_path: Path) -> None:
    code, output = run_audit(settings, lambda split: split.replace({"side": {"test": "train"}}), tmp_path)
    assert (code, output.strip()) == (0, "No leak found in 5 videos of 5 people.")
    assert len(pd.read_csv(tmp_path / "data" / "studies" / "corrected" / "audit.csv")) == 0


@pytest.mark.parametrize(
    ("seen", "people"),
    [
        (["Anna", "Carl"], None),
        (["Dora"], "1 of the people who are tested: Dora"),
        ([], "not known"),
        (None, "not known"),
    ],
)
def test_who_was_seen_by_the_model_of_the_initial_weights_is_told(
    tables: Tables, seen: list[str] | None, people: str | None
) -> None:
    """One video of hers is enough, whichever; what the other has is not asked."""
    ledger, split, _ = tables
    split = present_split(ledger, split.assign(fold_name="0"), ("anger", "fear"))
    contents = ledger.loc[ledger["subject"].isin(seen or []) & (ledger["emotion"] == "fear"), "sha256"]
    lineage = None if seen is None else Lineage(videos=video_marks(contents))
    found = list(check_earlier_training(lineage, ledger, split, ["gap-sum"]))
    assert len(found) == (people is not None)
    assert all(people in one.what for one in found)
    if seen == ["Dora"]:
        assert found[0].severity is Severity.ERROR
        assert found[0].where == ("Dora/anger (test)", "Dora/fear (test)")


@pytest.mark.trains
def test_the_audit_asks_the_model(settings: StudySettings, tmp_path: Path) -> None:
    layout = Layout.of(settings)
    ledger = pd.read_parquet(layout.ledger)
    lineage = Lineage(videos=video_marks(ledger.loc[ledger["subject"] == "Dora", "sha256"]))
    model = build_model(ARMS["gap-sum"], ModelSettings(form="modern", width=2), lineage=lineage)
    model.save(tmp_path / "model.keras")
    found = audit(settings, {tmp_path / "model.keras": ["gap-sum", "spatial-only"]})
    assert ("seen before", "error") in summary(found)
    assert any(one.what.startswith("the model that gap-sum, spatial-only begin with has seen 1 of") for one in found)
    assert "seen before" not in dict(summary(audit(settings)))


@pytest.mark.trains
@pytest.mark.parametrize(("seen", "leaks"), [("Dora", 1), ("Anna", 0)])
def test_the_audit_asks_the_model_that_is_taken_of_a_study(
    settings: StudySettings, tmp_path: Path, seen: str, leaks: int
) -> None:
    """It was the best on the validation people; whom another model of that study has seen is not asked."""
    ledger = pd.read_parquet(Layout.of(settings).ledger)
    study, small = tmp_path / "first" / "studies" / "first", ModelSettings(width=4, head_units=8)
    for seed, subject, uar in ((1, seen, 0.9), (2, "Mallory", 0.5)):
        lineage = Lineage(videos=video_marks(ledger.loc[ledger["subject"] == subject, "sha256"]))
        add_run(study, "gap-sum", uar, seed, model=small, lineage=lineage)
    arm = {"arms": "[gap-sum]", "model__width": "4", "model__head_units": "8"}
    run_audit(settings, lambda split: split, tmp_path, **arm, training__initial_weights=str(study))
    found = pd.read_csv(tmp_path / "data" / "studies" / "corrected" / "audit.csv")
    told = found.loc[found["check"] == "seen before", "what"].tolist()
    assert told == ["the model that gap-sum begins with has seen 1 of the people who are tested: Dora"][:leaks]


def test_before_the_split_the_next_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `fer prepare` first"):
        audit(resolve_settings(None, None, {"data_root": tmp_path}))
    assert not list(tmp_path.iterdir())
