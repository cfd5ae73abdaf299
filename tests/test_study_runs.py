"""Which runs a study has, and what their folders are named after."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from stored_tables import store

from fer_models.errors import UserError
from fer_models.models.arms import ARMS, STUDY_ARMS, Arm, get_arm
from fer_models.models.building import model_lineage, model_prepare
from fer_models.models.families import FAMILIES, Family
from fer_models.models.lineage import Lineage, Origin
from fer_models.segments import SegmentShape
from fer_models.settings import Settings
from flows.train import _named, of_fold
from tasks.config.layout import Layout
from tasks.config.saved_preparation import Crops, carried_crops, carried_prepare
from tasks.config.settings import StudySettings
from tasks.dataset.index import SCHEMA, subset_file
from tasks.dataset.splits import SUBSETS
from tasks.preparation.ledger import SCHEMA as LEDGER
from tasks.study import needs, precision, runs
from tasks.study.initial_weights import TRANSFERS_FILE, count_taken
from tasks.study.needs import check_needs
from tasks.study.pretrained import origins_of
from tasks.study.runs import Run, build_run_model, plan_runs, train_run, training_of
from tasks.tracking.mlflow_log import _origin_tags

EMOTIONS = ("anger", "fear")


@pytest.fixture
def base(tmp_path) -> StudySettings:
    """A study of two folds whose index has one segment a class and side."""
    settings = StudySettings(data_root=tmp_path, corpus={"emotions": EMOTIONS}, arms=("gap-sum", "spatial-only"))
    layout = Layout.of(settings)
    layout.split.parent.mkdir(parents=True)
    members = [{"fold": fold, "video_id": f"{subset}{fold}", "side": subset} for fold in (0, 1) for subset in SUBSETS]
    split = pd.DataFrame(members).assign(sha256="content")
    split.assign(subject="").to_parquet(layout.split)
    layout.ledger.parent.mkdir(parents=True)
    store(layout.ledger, split.drop(columns=["fold", "side"]).assign(emotion="fear", outcome="ok"), LEDGER)
    for member in members:
        rows = pd.DataFrame([member | {"emotion": emotion} for emotion in EMOTIONS])
        store(subset_file(layout.index, member["fold"], member["side"]), rows.drop(columns="fold"), SCHEMA)
    return settings


def names(settings: StudySettings) -> list[str]:
    return [run.name for run in plan_runs(settings)]


def folders(settings: StudySettings) -> set[str]:
    return {run.folder.name for run in plan_runs(settings)}


def change(settings: StudySettings, **values) -> StudySettings:
    return StudySettings.model_validate(settings.model_dump() | values)


def test_a_run_for_each_fold_arm_and_seed(base):
    assert names(change(base, seeds=2)) == [
        f"{arm}, seed {seed}, fold {fold}" for fold in (0, 1) for arm in base.arms for seed in (1, 2)
    ]


def test_treatments_multiply_arms(base):
    settings = change(base, treatments=("none", "focal"))
    assert names(settings)[:4] == [
        "gap-sum+none, seed 1, fold 0",
        "gap-sum+focal, seed 1, fold 0",
        "spatial-only+none, seed 1, fold 0",
        "spatial-only+focal, seed 1, fold 0",
    ]
    assert [training_of(settings, run.arm).treatment for run in plan_runs(settings)[:2]] == ["none", "focal"]


def test_single_images_have_no_motion_to_ask_for(base):
    corpus = {"adapter": "images", "emotions": EMOTIONS}
    stills = change(base, corpus=corpus, prepare={"pair": "none", "segment_length": 1}, arms=STUDY_ARMS)
    with pytest.raises(UserError) as refused:
        check_needs(stills)
    assert str(refused.value) == (
        "The arm flatten-concatenate needs segments of 1 frame with optical flow; those of this study are of 1 frame. "
        "Single images have no more: choose other arms, such as --set 'arms=[spatial-only, hog-svm, majority]'."
    )
    check_needs(change(stills, arms=("spatial-only", "hog-svm", "majority")))


def test_what_is_solved_for_stands_in_a_study_once(base):
    settings = change(base, arms=("gap-sum", "hog-svm"), treatments=("none", "focal"))
    assert [arm.name for arm in settings.all_arms()] == ["gap-sum+none", "gap-sum+focal", "hog-svm"]


def test_an_ensemble_comes_after_its_members(base):
    settings = change(base, arms=("gap-sum", "hog-svm"), seeds=2, treatments=("none", "focal"), ensemble="seeds")
    assert names(settings)[:8] == [
        "gap-sum+none, seed 1, fold 0",
        "gap-sum+none, seed 2, fold 0",
        "gap-sum+none.ensemble2, fold 0",
        "gap-sum+focal, seed 1, fold 0",
        "gap-sum+focal, seed 2, fold 0",
        "gap-sum+focal.ensemble2, fold 0",
        "hog-svm, seed 1, fold 0",
        "hog-svm, seed 2, fold 0",
    ]
    ensembles = [run for run in plan_runs(settings) if run.members]
    assert [one.name for one in ensembles[1].members] == names(settings)[3:5]
    assert (ensembles[1].arm.title, ensembles[1].seeds) == ("GAP + sum, focal, ensemble of 2 seeds", "1 + 2")
    assert ensembles[1].arm == get_arm("gap-sum+focal.ensemble2")
    with pytest.raises(UserError, match=r"`ensemble: seeds` adds"):
        change(base, arms=("gap-sum.ensemble2",)).all_arms()


def test_ensembles_change_no_other_run_and_follow_their_members(base):
    settings = change(base, seeds=2, ensemble="seeds")
    added = folders(settings) - folders(change(base, seeds=2))
    assert folders(settings) > folders(change(base, seeds=2))
    assert len(added) == 4
    assert folders(change(base, ensemble="seeds")) == folders(base), "one seed has none"
    others = folders(change(settings, training={"epochs": 3})), folders(change(settings, seeds=(1, 3)))
    assert not any(added & other for other in others)


def test_an_ensemble_waits_for_its_members(base):
    run = next(run for run in plan_runs(change(base, seeds=2, ensemble="seeds")) if run.members)
    with pytest.raises(UserError, match="lacks gap-sum, seed 1, fold 0; gap-sum, seed 2, fold 0; `fer train`"):
        train_run(base, run, lambda epoch: None)
    assert not run.folder.exists()


def test_an_arm_can_name_its_treatment(base):
    settings = change(base, arms=("gap-sum", "gap-sum+smote"))
    plain, smote = plan_runs(settings)[:2]
    assert training_of(settings, plain.arm).treatment == "none"
    assert training_of(settings, smote.arm).treatment == "smote"
    assert smote.arm.title == "GAP + sum, smote"
    with pytest.raises(UserError, match=r"no treatment 'smoke' \(did you mean 'smote'\?\)"):
        change(base, arms=("gap-sum+smoke",)).all_arms()


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (SegmentShape(num_frames=8), "8 frames with optical flow"),
        (SegmentShape(num_frames=8, has_optical_flow=False), "8 frames"),
    ],
)
def test_an_arm_that_needs_more_than_the_segments_hold_is_refused(base, monkeypatch, needed, words):
    unused = lambda *_: pytest.fail("it was built")  # noqa: E731
    family = Family("long", Settings, lambda _: needed, lambda _: ("spatial",), unused, unused)
    monkeypatch.setitem(sys.modules, "made_up_family", SimpleNamespace(FAMILY=family))
    monkeypatch.setitem(FAMILIES, "long", "made_up_family")
    monkeypatch.setitem(ARMS, "long", Arm("long", "Long", "long", {}))
    settings = change(base, arms=("gap-sum", "long"))
    with pytest.raises(UserError) as refused:
        plan_runs(settings)
    assert str(refused.value) == (
        f"The arm long needs segments of {words}; those of this study are of 1 frame with optical flow. "
        "Set prepare.frames_per_segment to 8 or more, or choose other arms, such as --set 'arms=[gap-sum]'."
    )
    check_needs(base)


def test_only_arms_of_motion_need_optical_flow(base, monkeypatch):
    monkeypatch.setattr(needs, "shape_of", lambda _: SegmentShape(has_optical_flow=False))
    check_needs(change(base, arms=("spatial-only",)))
    for arm in ("temporal-only", "gap-sum", "published-listing"):
        with pytest.raises(UserError, match=f"arm {arm} needs segments of 1 frame with optical flow; .* of 1 frame\\."):
            check_needs(change(base, arms=("spatial-only", arm)))


def test_a_family_is_trained_in_its_own_way_and_no_other_run_has_another_name(base):
    arms = ("gap-sum", "spatial-only", "hog-svm")
    before, after = (
        change(base, arms=arms, training_of_family=own)
        for own in ({}, {"linear": {"learning_rate": "3e-4", "epochs": 7}})
    )
    for arm, differs in zip(arms, (False, False, True), strict=True):
        plain, own = (training_of(settings, get_arm(arm)) for settings in (before, after))
        assert (own != plain) == differs
        assert own.model_copy(update={"learning_rate": plain.learning_rate, "epochs": plain.epochs}) == plain
    assert (own.learning_rate, own.epochs) == (3e-4, 7)
    assert len(folders(before) & folders(after)) == 4, "of two arms in two folds"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"backbones": {"epochs": 3}}, "backbone"),
        ({"backbone": {"epoch": 3}}, "epoch"),
        ({"backbone": {"epochs": 0}}, "epochs"),
        ({"backbone": {"treatment": "none"}}, "cannot differ between families"),
    ],
)
def test_what_no_family_can_have_is_refused(own, words):
    with pytest.raises(ValueError, match=words):
        StudySettings(training_of_family=own)


def test_former_names_of_arms_name_the_same_runs(base):
    former, now = (change(base, arms=arms) for arms in (("optical-flow-only",), ("temporal-only",)))
    assert folders(former) == folders(now)
    assert all(name.startswith("optical-flow-only-fold") for name in folders(now)), "as version 0.1 called them"
    assert set(names(former)) == {f"temporal-only, seed 1, fold {fold}" for fold in (0, 1)}
    (treated,) = change(base, arms=("listing+focal",)).all_arms()
    assert (treated.name, treated.treatment) == ("published-listing+focal", "focal")


def test_the_size_of_faces_is_that_of_the_model_and_names_the_run(base, tmp_path):
    larger = change(base, prepare={"face_size_px": 64})
    layout = Layout.of(larger)
    for subset in SUBSETS:
        for fold in (0, 1):
            path = subset_file(layout.index, fold, subset)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(subset_file(Layout.of(base).index, fold, subset).read_bytes())
    layout.ledger.parent.mkdir(parents=True, exist_ok=True)
    layout.ledger.write_bytes(Layout.of(base).ledger.read_bytes())
    assert not folders(larger) & folders(base)
    for settings, side_px in ((base, 48), (larger, 64)):
        model = build_run_model(settings, plan_runs(settings)[0], tmp_path)
        assert {tensor.shape[1:3] for tensor in model.inputs} == {(side_px, side_px)}
        assert carried_prepare(model_prepare(model)).face_size_px == side_px


def test_folders_are_named_after_all_that_decides_a_result(base):
    assert not folders(base) & folders(change(base, training={"epochs": 3}))
    assert folders(base) == folders(change(base, execution={"workers": 3}))
    path = subset_file(Layout.of(base).index, 0, "train")
    before = folders(base)
    pd.read_parquet(path).assign(sha256="other").to_parquet(path)
    after = folders(base)
    assert before - after == {name for name in before if "fold0" in name}


def test_the_test_side_has_no_part_in_a_name(base):
    before = folders(base)
    for fold in (0, 1):
        subset_file(Layout.of(base).index, fold, "test").unlink()
    assert folders(base) == before


@pytest.mark.parametrize(("gains", "precision"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_auto_is_what_the_machine_is_good_at_and_does_not_name_the_run(base, monkeypatch, gains, precision):
    monkeypatch.setattr(runs, "gains_from_bfloat16", lambda: gains)
    auto = change(base, training={"precision": "auto"})
    assert {training_of(auto, run.arm).precision for run in plan_runs(auto)} == {precision}
    assert folders(auto) != folders(change(base, training={"precision": precision}))


@pytest.mark.parametrize("computes", [True, False])
def test_auto_knows_what_tensorflow_does_not_compute(monkeypatch, tmp_path, computes):
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags : avx2 avx512_bf16")
    monkeypatch.setattr(precision, "_CPU_FACTS", facts)
    monkeypatch.setattr(precision.keras.distribution, "list_devices", lambda: ["cpu:0"])
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: computes)
    assert precision.gains_from_bfloat16.__wrapped__() == computes


def test_a_run_of_one_fold_does_not_speak_of_folds(base):
    split = Layout.of(base).split
    pd.read_parquet(split).query("fold == 0").to_parquet(split)
    run = plan_runs(base)[0]
    assert isinstance(run, Run)
    assert (run.name, run.fold) == ("gap-sum, seed 1", None)


def test_a_fold_has_the_name_of_its_table(base):
    """Files keep the number of the fold, so that what was trained before is found."""
    split = Layout.of(base).split
    before = folders(base)
    pd.read_parquet(split).assign(fold_name=lambda rows: rows["fold"].map({0: "9", 1: "10"})).to_parquet(split)
    assert [run.name for run in plan_runs(base) if run.fold == 1] == [
        "gap-sum, seed 1, fold 10",
        "spatial-only, seed 1, fold 10",
    ]
    assert folders(base) == before


def test_the_runs_of_one_fold(base):
    every = plan_runs(base)
    assert [run.fold for run in of_fold(every, "1")] == [1, 1]
    with pytest.raises(UserError, match=r"no fold '3'.*it has 0, 1\."):
        of_fold(every, "3")
    with pytest.raises(UserError, match="it has no folds"):
        of_fold([Run(every[0].arm, 1, None, every[0].folder)], "3")


def test_a_model_of_crops_carries_how_large_they_were(base):
    settings = change(base, prepare={"precropped": True, "segment_length": 2})
    layout = Layout.of(settings)
    for subset, box in (("train", [0, 0, 40, 48]), ("validation", [0, 0, 99, 99])):
        rows = pd.DataFrame([{"emotion": emotion, "box": box, "side": subset} for emotion in EMOTIONS])
        store(subset_file(layout.index, 0, subset), rows, SCHEMA)
    model = build_run_model(settings, plan_runs(base)[0], settings.data_root)
    assert carried_crops(model_prepare(model)) == Crops.of([(40, 48)])
    assert carried_prepare(model_prepare(model)) == settings.prepare


def test_a_model_carries_what_it_saw_and_began_with(base, tmp_path):
    """And what the models before it saw and began with."""
    settings = change(base, model={"width": 4, "head_units": 8})
    index = subset_file(Layout.of(base).index, 0, "validation")
    pd.read_parquet(index).assign(sha256="c" * 64).to_parquet(index)
    first = build_run_model(settings, plan_runs(settings)[0], tmp_path)
    own = Lineage(videos=("c" * 16,))
    assert model_lineage(first) == own
    assert not (tmp_path / TRANSFERS_FILE).exists()
    before = Lineage(origins=(Origin(name="others", sha256="0" * 64),), videos=("earlier",))
    first.get_layer("probabilities").lineage = before.model_dump(mode="json")
    first.save(tmp_path / "model.keras")
    later = change(settings, training={"initial_weights": str(tmp_path / "model.keras")}, arms=("gap-sum", "hog-svm"))
    run, solved = plan_runs(later)[:2]
    (origin,) = origins_of(later.training, later.model, run.arm)
    assert (origin.name, origin.licence) == ("model.keras", None)
    found = model_lineage(build_run_model(later, run, tmp_path))
    assert found == Lineage(origins=(origin, *before.origins), videos=("c" * 16, "earlier"))
    assert count_taken(tmp_path) == (26, 26)
    assert model_lineage(build_run_model(later, solved, tmp_path / "solved")) == own, "its features are fixed"
    assert _origin_tags(later, run) == {
        "weights": "model.keras",
        "weights.sha256": origin.sha256,
        "weights.licence": "not known",
        "weights.trained_on": "not known",
    }
    assert _origin_tags(settings, run) == {}


def test_of_initial_weights_the_content_names_the_run(base, tmp_path):
    paths = [tmp_path / name for name in ("first.weights.h5", "copy.weights.h5", "other.weights.h5")]
    for path, content in zip(paths, (b"1", b"1", b"2"), strict=True):
        path.write_bytes(content)
    first, copy, other = (folders(change(base, training={"initial_weights": str(path)})) for path in paths)
    assert first == copy
    assert not first & other
    assert not first & folders(base)
    with pytest.raises(UserError, match=r"none\.weights\.h5 cannot be read"):
        folders(change(base, training={"initial_weights": str(tmp_path / "none.weights.h5")}))


def test_weights_that_nothing_takes_are_refused_in_a_sentence(base, tmp_path):
    settings = change(base, model={"width": 4, "head_units": 8}, arms=("temporal-only",))
    model = build_run_model(settings, plan_runs(settings)[0], tmp_path)
    model.save(tmp_path / "model.keras")
    later = change(settings, training={"initial_weights": str(tmp_path / "model.keras")}, model={"form": "modern"})
    with pytest.raises(UserError, match=r"temporal-only, seed 1, fold 0 cannot begin with .*: none of its 16 weights"):
        build_run_model(later, plan_runs(later)[0], tmp_path)
    assert not (tmp_path / TRANSFERS_FILE).exists()


def test_other_ways_to_train_pretrained_layers_name_other_runs(base):
    for how in ({"pretrained": "frozen"}, {"pretrained_warmup": 0.5}, {"pretrained_rate": 0.5}):
        assert not folders(base) & folders(change(base, training=how))
    assert folders(base) == folders(change(base, training={"pretrained": "fine_tune", "pretrained_rate": 0.1}))


def test_a_run_is_found_under_a_former_name_of_its_arm(tmp_path: Path) -> None:
    run = Run(ARMS["temporal-only"], 1, None, tmp_path)
    assert _named([run], "temporal-only, seed 1") is run
    assert _named([run], "optical-flow-only, seed 1") is run
