"""Other corpora are opened without a trace, mapped by words, and held against a study's own as they should be."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prepared_roots import PreparedRoot, stamps

from fer_models.errors import UserError
from fer_models.models.arms import get_arm
from fer_models.models.building import build_model
from fer_models.models.lineage import Lineage, video_marks
from fer_models.settings import ModelSettings
from fer_models.statistics.intervals import Interval, difference_of
from fer_models.training.engine import predict
from tasks.config.digests import study_part
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.dataset.audit import audit
from tasks.dataset.findings import Severity
from tasks.dataset.index import load_arrays, segments_of
from tasks.dataset.other_corpora.cameras import Difference, compare_videos, describe_training, largest_difference
from tasks.dataset.other_corpora.opening import OpenedCorpus, corpus_names, open_corpora
from tasks.dataset.other_corpora.people import seen_people
from tasks.outcomes import Outcome
from tasks.study.other_corpora.scores import evaluate_on_others
from tasks.study.other_corpora.testing import evaluate_on, evaluation_folder, find_videos, restrict
from tasks.study.runs import Run

EMOTIONS = ("anger", "fear", "happiness", "sadness")


def settings_at(root: Path, on: Sequence[object] = (), **more: object) -> StudySettings:
    overrides = {
        "name": "study",
        "data_root": root,
        "corpus.emotions": list(EMOTIONS),
        "prepare.segment_stride": 4,
        "arms": ["gap-sum"],
        "test_on": list(on),
    }
    return resolve_settings(None, None, overrides | more)


@pytest.fixture
def own(tmp_path: Path) -> PreparedRoot:
    """A study's own corpus: six people with each class, four of whom train."""
    root = PreparedRoot(settings_at(tmp_path / "own"), "home")
    for person in range(6):
        for emotion in EMOTIONS:
            root.add(f"p{person}", emotion)
    root.write()
    sides = {f"p{person}": "train" for person in range(4)} | {"p4": "validation", "p5": "test"}
    root.split(sides)
    return root


def add_other(
    folder: Path, words: Sequence[str] = ("anger", "joyful", "fear", "calm"), people: int = 3
) -> PreparedRoot:
    """Another corpus, whose every person shows each of these classes."""
    root = PreparedRoot(settings_at(folder), "away")
    for person in range(people):
        for word in words:
            root.add(f"q{person}", word, blur=1.0)
    return root


def opened(settings: StudySettings) -> OpenedCorpus:
    (other,) = open_corpora(settings)
    return other


def test_classes_are_mapped_by_words_and_by_labels(tmp_path: Path) -> None:
    away = add_other(tmp_path / "away")
    away.add("q9", "anger", outcome=Outcome.NOT_TRIED)
    away.add("q9", "fear", outcome=Outcome.NO_FACE)
    away.add("q9", "", outcome=Outcome.LABEL_MISSING)
    away.write()
    labels = {"joyful": "happy", "fear": ""}
    other = opened(settings_at(tmp_path / "own", [{"data_root": str(tmp_path / "away"), "labels": labels}]))
    assert other.classes == ("anger", "happiness")
    assert [(use.word, use.emotion, use.videos, use.untried, use.tested, use.why) for use in other.uses] == [
        ("anger", "anger", 4, 1, 3, ""),
        ("joyful", "happiness", 3, 0, 3, ""),
        ("calm", "", 3, 0, 0, "the models have no such class"),
        ("fear", "", 4, 0, 0, "left out by test_on"),
    ]
    assert other.videos["emotion"].value_counts().to_dict() == {"anger": 3, "happiness": 3}
    everything = opened(settings_at(tmp_path / "own", [tmp_path / "away"]))
    assert everything.classes == ("anger", "fear")
    assert len(everything.videos) == 7, "one without a usable face is tested, and counts as uncovered"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"joyfull": "happiness"},
            "'joyfull' (did you mean 'joyful'?), which no video of away has; it has anger, calm",
        ),
        ({"joyful": "hapiness"}, "'hapiness' (did you mean 'happiness'?), which is none of the study's classes"),
    ],
)
def test_a_label_that_fits_nothing_is_an_error(tmp_path: Path, labels: dict[str, str], message: str) -> None:
    add_other(tmp_path / "away").write()
    with pytest.raises(UserError, match=re.escape(message)):
        open_corpora(settings_at(tmp_path / "own", [{"data_root": str(tmp_path / "away"), "labels": labels}]))


@pytest.mark.parametrize(("words", "shared"), [(("calm", "bored"), "none"), (("calm", "fear"), "only fear")])
def test_with_fewer_than_two_shared_classes_there_is_a_reason(
    tmp_path: Path, words: tuple[str, str], shared: str
) -> None:
    add_other(tmp_path / "away", words).write()
    other = opened(settings_at(tmp_path / "own", [tmp_path / "away"]))
    assert f"the models know {shared}, and a score needs two" in other.reason
    assert evaluate_on_others(settings_at(tmp_path / "own", [tmp_path / "away"]), None) == []  # type: ignore[arg-type]


def settings_of(message: str) -> StudySettings:
    """The settings that the command in a sentence would prepare with."""
    command = re.search(r"`(fer prepare [^`]*)`", message)
    assert command
    words = shlex.split(command[1])
    given = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--set")
    return resolve_settings(None, None, given | {"data_root": words[words.index("--data-root") + 1]})


def test_what_is_not_prepared_rightly_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    place = tmp_path / "far away"
    larger = {"prepare.face_size_px": 96, "prepare.segment_length": 8}
    wanted = settings_at(tmp_path / "own", [{"data_root": str(place), "labels": {"joyful": "happiness"}}], **larger)

    def told() -> str:
        with pytest.raises(UserError) as caught:
            open_corpora(wanted)
        message = str(caught.value)
        assert "\n" not in message
        assert settings_of(message).prepare == wanted.prepare
        assert settings_of(message).data_root == place
        return message

    assert "holds no prepared corpus" in told()
    assert settings_of(told()).corpus.emotions == EMOTIONS
    away = add_other(place).write(prepared=False)
    assert "is not prepared yet" in told()
    away.write()
    assert "is prepared with other settings than this study's" in told()
    assert settings_of(told()).corpus.emotions == ("anger", "fear", "joyful"), "its own words, of the shared classes"


def test_of_shared_classes_that_are_not_prepared_the_command_is_named(tmp_path: Path) -> None:
    away = PreparedRoot(settings_at(tmp_path / "away"), "away")
    away.add("q", "anger")
    away.add("q", "fear", outcome=Outcome.NOT_TRIED)
    away.write()
    reason = opened(settings_at(tmp_path / "own", [tmp_path / "away"])).reason
    assert settings_of(reason).corpus.emotions == ("anger", "fear")


def test_every_corpus_has_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b", "deep/a"):
        add_other(tmp_path / folder).write()
    on = [tmp_path / "b", tmp_path / "deep/a", {"data_root": str(tmp_path / "none"), "name": "Mine"}]
    assert corpus_names(settings_at(tmp_path / "a", on)) == ["a", "b", "a 2", "Mine"]
    assert corpus_names(settings_at(tmp_path / "a", [tmp_path / "none"])) == ["away", "none"]


@pytest.mark.parametrize(
    "on", ["own", ["away", "away"], [{"data_root": "away", "name": "x"}, {"data_root": "b", "name": "x"}]]
)
def test_no_corpus_is_named_twice(on: object) -> None:
    with pytest.raises(UserError, match=r"test_on: .*(own data root|twice)"):
        resolve_settings(None, None, {"data_root": "own", "test_on": on})


def test_other_corpora_change_no_run(tmp_path: Path) -> None:
    assert study_part(settings_at(tmp_path)) == study_part(settings_at(tmp_path, [tmp_path / "away"]))


def test_nothing_is_written_there_even_where_a_file_is_broken(tmp_path: Path, own: PreparedRoot) -> None:
    away = add_other(tmp_path / "away")
    shard = away.layout.prepared / str(away.rows[0]["shard"])
    away.write()
    shard.write_bytes(shard.read_bytes()[:-50])
    before = stamps(tmp_path / "away")
    settings = settings_at(tmp_path / "own", [tmp_path / "away"])
    run = Run(get_arm("gap-sum"), 1, None, tmp_path / "run")
    with pytest.raises(UserError, match=r"has lost its content.*Run `fer prepare` again"):
        evaluate_on(settings, run, opened(settings))
    assert stamps(tmp_path / "away") == before
    away.layout.ledger.write_bytes(b"PAR1 no table PAR1")
    before = stamps(tmp_path / "away")
    with pytest.raises(UserError, match="run `fer prepare"):
        open_corpora(settings)
    assert stamps(tmp_path / "away") == before


def test_planted_files_and_names_are_found(tmp_path: Path, own: PreparedRoot) -> None:
    away = add_other(tmp_path / "away")
    trained = next(str(row["sha256"]) for row in own.rows if row["subject"] == "p1")
    tested = next(str(row["sha256"]) for row in own.rows if row["subject"] == "p5")
    away.add("q0", "anger", trained)
    away.add("q2", "anger", tested)  # of the own test people: nobody learned from it
    away.add("P-04", "fear")
    away.add("p5", "fear")
    away.write()
    settings = settings_at(tmp_path / "own", [tmp_path / "away"])
    found = [one for one in audit(settings) if one.check == "other corpora"]
    assert [(one.severity, one.where) for one in found] == [
        (Severity.ERROR, ("away/012 of away is home/004",)),
        (Severity.WARNING, ("'P-04' of away, 'p4' in training",)),
    ]
    assert found[0].what == "in the training part and in away too: 1 file, there as videos of q0"
    marks = video_marks(str(row["sha256"]) for row in own.rows if row["subject"] != "p5")
    assert seen_people(opened(settings), marks) == {"q0"}
    assert seen_people(opened(settings), ()) == set()


def test_a_copy_that_was_encoded_anew_is_found_by_its_faces(tmp_path: Path) -> None:
    own, away = (PreparedRoot(settings_at(tmp_path / name), name) for name in ("home", "away"))
    for person in range(4):
        for emotion in EMOTIONS[:2]:
            own.add(f"p{person}", emotion, blur=2.0)
            away.add(f"q{person}", emotion, blur=2.0)
    trained, tested = (str(own.rows[place]["sha256"]) for place in (0, 7))
    away.add("q8", "anger", blur=2.2, pixels_of=trained)
    away.add("q9", "anger", blur=2.2, pixels_of=tested)
    own.write().split({"p0": "train", "p1": "train", "p2": "validation", "p3": "test"})
    away.write()
    found = [one for one in audit(settings_at(tmp_path / "home", [tmp_path / "away"])) if one.check == "other corpora"]
    assert [one.where for one in found] == [("away/008 of away, home/000 in training",)]
    assert found[0].severity is Severity.ERROR


def test_probabilities_of_other_classes_are_left_out_by_hand() -> None:
    videos = pd.DataFrame(
        {
            "video_id": ["d", "c", "b", "a"],
            "sha256": ["4", "3", "2", "1"],
            "subject": ["x", "x", "y", "y"],
            "emotion": ["anger", "sadness", "anger", "happiness"],
            "num_segments": [1, 1, 0, 2],
            "p_anger": [0.2, 0.1, np.nan, 0.0],
            "p_fear": [0.7, 0.2, np.nan, 1.0],
            "p_happiness": [0.1, 0.3, np.nan, 0.0],
            "p_sadness": [0.0, 0.4, np.nan, 0.0],
        }
    )
    left = restrict(videos, EMOTIONS, ("anger", "happiness"))
    assert left["video_id"].tolist() == ["a", "b", "d"]
    assert left["predicted"].tolist() == ["anger", "", "anger"]
    assert left["p_anger"].tolist() == pytest.approx([0.5, np.nan, 2 / 3], nan_ok=True)
    assert left["p_happiness"].tolist() == pytest.approx([0.5, np.nan, 1 / 3], nan_ok=True)
    assert left["to_others"].tolist() == pytest.approx([1.0, np.nan, 0.7], nan_ok=True)


def test_a_run_is_tested_as_at_home_and_not_on_people_it_has_seen(tmp_path: Path, own: PreparedRoot) -> None:
    """Its predictions are the means of those of the segments; who has a file in the training is left out whole."""
    away = add_other(tmp_path / "away")
    away.add("q0", "fear", str(own.rows[0]["sha256"]))
    away.add("q1", "fear", outcome=Outcome.NO_FACE)
    away.write()
    labels = {"joyful": "happiness"}
    settings = settings_at(tmp_path / "own", [{"data_root": str(tmp_path / "away"), "labels": labels}])
    other = opened(settings)
    run = Run(get_arm("gap-sum"), 1, None, tmp_path / "run")
    run.folder.mkdir()
    seen = Lineage(videos=video_marks([str(own.rows[0]["sha256"])]))
    small = ModelSettings(width=2, head_units=4)
    model = build_model(run.arm, small, EMOTIONS, seed=3, lineage=seen)
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([30 * kernel, bias])
    model.save(run.folder / "model.keras")
    before = stamps(tmp_path / "away")
    folder, result = evaluate_on(settings, run, other)
    assert stamps(tmp_path / "away") == before
    assert (result.classes, result.left_out) == (("anger", "fear", "happiness"), (4, 1))
    assert (result.num_videos, result.num_covered) == (7, 6)
    videos = find_videos(folder, result.classes)
    assert videos is not None
    assert set(videos["subject"]) == {"q1", "q2"}
    rows = segments_of(other.videos[other.videos["subject"] != "q0"], away.layout.prepared, settings.prepare.windows)
    segments = predict(model, load_arrays(rows, away.layout.prepared, EMOTIONS))
    for video in videos[videos["num_segments"] > 0].itertuples():
        mean = segments[(rows["video_id"] == video.video_id).to_numpy()].mean(axis=0)
        assert video.to_others == pytest.approx(mean[3], abs=1e-6)
        assert video.p_fear == pytest.approx(mean[1] / mean[:3].sum(), rel=1e-5)
    known = videos[videos["num_segments"] > 0]
    recalls = (known["predicted"] == known["emotion"]).groupby(known["emotion"]).mean()
    assert result.scores["video_uar"] == pytest.approx(recalls.mean())
    written = stamps(folder)
    assert evaluate_on(settings, run, other) == (folder, result)
    assert stamps(folder) == written, "it is done"
    fewer = settings.model_copy(update={"test_on": settings_at(tmp_path / "own", [tmp_path / "away"]).test_on})
    assert evaluation_folder(fewer, run, opened(fewer)) != folder, "other classes are another test"


def test_a_difference_of_two_scores_has_an_interval_by_hand() -> None:
    found = difference_of(Interval(0.8, 0.7, 0.85), Interval(0.5, 0.46, 0.62))
    assert found.estimate == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - np.hypot(0.1, 0.12))
    assert found.high == pytest.approx(0.3 + np.hypot(0.05, 0.04))


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    """Of two means of 40 items each, whose own intervals are those of Student."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        samples = rng.normal(0.6, 0.2, 40), rng.normal(0.4, 0.3, 40)
        means = [one.mean() for one in samples]
        halves = [2.0227 * one.std(ddof=1) / np.sqrt(40) for one in samples]
        found = difference_of(*(Interval(m, m - h, m + h) for m, h in zip(means, halves, strict=True)))
        held += found.low <= 0.2 <= found.high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_drift_of_blurred_videos_is_named(tmp_path: Path, own: PreparedRoot) -> None:
    away = PreparedRoot(settings_at(tmp_path / "away"), "away")
    for person in range(5):
        for emotion in ("anger", "fear"):
            away.add(f"q{person}", emotion, blur=1.5)
    away.write()
    settings = settings_at(tmp_path / "own", [tmp_path / "away"])
    found = compare_videos(describe_training(settings), opened(settings))
    assert (found[0].measure, found[0].remark, found[0].distance) == ("sharpness", "lower", 1.0)
    measures = {one.measure for one in found}
    assert {"emotion", "resolution", "frames per second", "face size, px", "sharpness", "motion, px"} <= measures
    words = largest_difference(found, "home", "away")
    assert words.startswith("away differs from what was learned of home most in the sharpness of the faces")
    assert f"{found[0].tested} against {found[0].trained}" in words


def difference(measure: str, distance: float, remark: str, ratio: float = 0.0) -> Difference:
    return Difference(measure=measure, trained="1", tested="2", distance=distance, remark=remark, ratio=ratio)


def test_where_nothing_is_shown_nothing_is_named() -> None:
    assert largest_difference([difference("sharpness", 0.9, "too few to tell")], "a", "b").startswith("b has too few")
    assert largest_difference([difference("sharpness", 0.1, "")], "a", "b") == "No difference of b is shown."
