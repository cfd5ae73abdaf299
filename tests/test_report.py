"""What the report says is what the settings were."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from model_cards import make_card

from fer_models.errors import UserError
from tasks.config.resolving import resolve_settings
from tasks.corpus.scope import ledger_of_study
from tasks.report.facts import describe
from tasks.report.input import ReportInput
from tasks.report.writing import HTML_FILE, MARKDOWN_FILE, render
from tasks.study.comparison import compare, compare_pairs
from tasks.study.evaluation import PREDICTIONS_FILE, VIDEOS_FILE, Evaluation
from tasks.study.explanations import Explanation
from tasks.study.scoring import predicted_segments, predicted_videos, score_tables

EMOTIONS = ("anger", "fear", "sadness")
SUBJECTS = 6


def make_ledger() -> pd.DataFrame:
    """Six subjects show four classes, of which one is none of the study's; one video was not usable."""
    rows = [
        {
            "video_id": f"{emotion}/p{subject}.mp4",
            "sha256": f"{emotion}{subject}",
            "uri": f"/videos/{emotion}/p{subject}.mp4",
            "subject": f"p{subject}",
            "emotion": emotion,
            "outcome": "ok",
            "message": "",
            "attempts": 1,
            "num_covered": 2,
            "num_frames": 50,
            "width": 48,
            "height": 48,
            "fps": 25.0,
        }
        for subject in range(SUBJECTS)
        for emotion in (*EMOTIONS, "joy")
    ]
    rows[0] |= {"outcome": "too_short", "message": "`segment_length` <is> too long", "num_covered": 0}
    return ledger_of_study(pd.DataFrame(rows), EMOTIONS)


def make_source(folder: Path, folds: Sequence[str] = ("0",), **overrides: Any) -> ReportInput:
    """A study whose subjects are dealt out to folds, with random predictions."""
    settings = resolve_settings(None, None, {"corpus.emotions": list(EMOTIONS), "data_root": folder} | overrides)
    ledger = make_ledger()
    own = ledger[ledger["outcome"] != "out_of_scope"]
    number = own["subject"].str[1:].astype(int) % len(folds)
    split = pd.concat(
        own[["video_id", "sha256", "subject"]].assign(
            fold=fold, fold_name=name, side=np.where(number == fold, "test", "train")
        )
        for fold, name in enumerate(folds)
    )
    index = own[own["num_covered"] > 0].assign(side="train", segment=0, frame=0, pts_s=0.0, shard="", row=0, box=None)
    rng = np.random.default_rng(0)
    evaluated = []
    for arm in settings.all_arms():
        for seed in settings.seeds:
            for fold in range(len(folds)):
                videos = own[number == fold]
                rows = index[index["video_id"].isin(videos["video_id"])]
                segments = predicted_segments(rows, rng.dirichlet(np.ones(3), len(rows)), EMOTIONS)
                predicted = predicted_videos(segments, videos, 1.0, EMOTIONS, "mean")
                run = folder / f"{arm.name}-{seed}-{fold}"
                run.mkdir()
                segments.drop(columns=["message"]).to_parquet(run / PREDICTIONS_FILE)
                predicted.to_parquet(run / VIDEOS_FILE)
                scores = score_tables(predicted, segments, EMOTIONS)
                evaluated.append((run, make_evaluation(arm.name, seed, fold if len(folds) > 1 else None, scores)))
    results = compare(evaluated, EMOTIONS)
    explanations = {result.arm.name: make_explanation() for result in results}
    return ReportInput(settings, ledger, index, split, results, compare_pairs(results, 0.02), [], {}, explanations)


def make_explanation() -> Explanation:
    numbers: dict[str, Any] = {"max_similarity": 0.4, "num_draws": 1, "num_tiles": 1, "num_maps": {}, "convolution": 3}
    verdict = "`fer explain` <tells> more."
    return Explanation(passed=True, verdict=verdict, steps=[], similarity={}, num_mean={}, **numbers)


def make_evaluation(arm: str, seed: int, fold: int | None, scores: dict[str, float]) -> Evaluation:
    return Evaluation(
        arm=arm,
        seed=seed,
        fold=fold,
        num_parameters=1,
        best_epoch=1,
        num_epochs=1,
        num_test_videos=6,
        num_covered_videos=6,
        num_test_segments=6,
        training_seconds=1.0,
        temperature=1.0,
        validation_uar=0.5,
        optimism_gap=None,
        scores=scores,
    )


def read_report(source: ReportInput) -> tuple[str, str]:
    """The page and the Markdown, without style and settings."""
    facts = replace(describe(source), contact_sheet=True)
    html = render(HTML_FILE, facts, lambda name: name)
    html = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", html, flags=re.DOTALL)
    return html, render(MARKDOWN_FILE, facts, lambda name: name).partition("```yaml")[0]


ARMS = ["gap-sum", "spatial-only", "temporal-only"]


def test_the_page_shows_code_as_code_and_nothing_else_as_html(tmp_path: Path) -> None:
    html, markdown = read_report(make_source(tmp_path, arms=ARMS))
    assert "`" not in html
    for code in ("--seeds 5", "fer explain", "segment_length"):
        assert f"<code>{code}</code>" in html
    assert "run several seeds (`--seeds 5`)" in markdown
    assert "<is>" not in html
    assert "<tells>" not in html


def test_counts_are_those_of_the_study(tmp_path: Path) -> None:
    html, markdown = read_report(make_source(tmp_path, arms=ARMS))
    for text in (html, markdown):
        assert "17 of the 18 videos of these classes could be used" in text
        assert "joy" not in text, "of other classes there is a number and no list"
    assert "18 videos of these classes, of which 17 are used and 1 are not" in html
    assert "6 of other classes" in html
    assert "<td>out_of_scope</td><td>6</td>" in html


@pytest.mark.parametrize("folds", [("0",), ("one", "two", "three")])
def test_every_subset_has_its_row(tmp_path: Path, folds: tuple[str, ...]) -> None:
    source = make_source(tmp_path, folds, arms=ARMS)
    html, markdown = read_report(source)
    told = describe(source).subsets
    named = [(subset["fold"], subset["name"]) for subset in told]
    assert named == [(fold, name) for fold in folds for name in ("train", "validation", "test")]
    for subset in told:
        counts = [str(subset[name]) for name in ("subjects", "videos", "covered")]
        assert f"| {subset['fold']} | {subset['name']} | {' | '.join(counts)} |" in markdown
        if len(folds) == 1 or subset["name"] == "test":
            assert f">{subset['name']}</td>" + "".join(f"<td>{count}</td>" for count in counts) in html


DETECTORS = ("detector", "were found by", "frontal", "followed through", "usable face")


def test_face_crops_were_not_found_by_a_detector(tmp_path: Path) -> None:
    for text in read_report(make_source(tmp_path, arms=ARMS, **{"prepare.precropped": True})):
        said = text.replace("no face was searched", "")
        assert not [word for word in DETECTORS if word in said]
        assert "The frames are face crops already" in text


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({}, ["found by the haar detector (at least 48 px wide)", "frontal detector", "show a usable face"]),
        (
            {"prepare.detector": "yunet", "prepare.detector_model": "x.onnx"},
            ["found by the yunet detector", "Faces that the yunet detector misses count as not covered"],
        ),
    ],
)
def test_the_detector_is_the_one_that_was_used(tmp_path: Path, overrides: dict[str, Any], words: list[str]) -> None:
    html, _ = read_report(make_source(tmp_path, arms=ARMS, **overrides))
    assert not [word for word in words if word not in html]
    assert ("frontal" in html) == (not overrides)


@pytest.mark.parametrize("side_px", [48, 64])
def test_the_size_of_faces_is_told(tmp_path: Path, side_px: int) -> None:
    for text in read_report(make_source(tmp_path, arms=ARMS, **{"prepare.face_size_px": side_px})):
        assert f"a face of {side_px}x{side_px} px" in text


def test_the_frames_of_a_segment_are_counted(tmp_path: Path) -> None:
    for text in read_report(make_source(tmp_path, arms=["c3d-sum"], **{"prepare.frames_per_segment": 4})):
        assert "4 evenly spaced frames of each give faces of 48x48 px, and the optical flow (farneback) to the" in text


@pytest.mark.parametrize(
    ("arms", "words", "absent"),
    [
        (ARMS, ["Two-stream convolutional networks, and single streams of them, of width", "face and motion"], []),
        (["gap-sum"], ["Two-stream convolutional networks of width"], ["single"]),
        (["gap-sum", "spatial-only"], ["a single stream of them"], ["best baseline"]),
        (
            ["gap-sum", "hog-svm", "majority"],
            ["Linear support vector machines on histograms of oriented gradients (HOG)"],
            [],
        ),
        (["hog-svm"], ["Linear support vector machines", "were compared"], ["of width", "epochs with", "No network"]),
        (["spatial-only"], ["of one stream, the face, of width"], ["wo-stream", "optical flow (", "face and motion"]),
        (["temporal-only"], ["of one stream, its motion, of width"], ["wo-stream", "a face of 48x48"]),
        (["spatial-only", "temporal-only"], ["the face or its motion, of width"], ["wo-stream", "fusion model"]),
        (["c3d"], ["of 3D convolutions over the faces of a segment, of width"], ["optical flow (", "face and motion"]),
        (
            ["frame-stack-sum"],
            ["stacked as channels, as a third stream beside", "face and motion"],
            ["channels, alone"],
        ),
        (["c3d", "c3d-sum"], ["of a segment, alone and as a third stream beside"], []),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) and value and value[0] in ARMS else "",
)
def test_models_are_spoken_of_as_they_are(tmp_path: Path, arms: list[str], words: list[str], absent: list[str]) -> None:
    source = make_source(tmp_path, arms=arms, **{"training.augmentation": {}})
    for text in read_report(source):
        assert not [word for word in words if word not in text]
        assert not [word for word in absent if word in text.replace("Spatial stream", "")]


def test_the_recipe_is_told_as_it_was(tmp_path: Path) -> None:
    recipe = {
        "model.form": "modern",
        "model.views": "mirror",
        "training.early_stopping_patience": None,
        "training.steps": 600,
        "training.optimizer": "adamw",
        "training.ema": 0.99,
        "training.choose": "last",
        "training.refit": "train_and_validation",
        "training.mixup": 0.2,
    }
    told = (
        "in modern form, were trained for 600 steps with AdamW",
        "Pairs and their labels were mixed (mixup). The weights are their moving average (decay 0.99 a step). "
        "Predictions are means over mirror images. The last epoch became the model, which then was trained anew for as "
        "long on the training and validation people together.",
        "fitted on validation people that the model of the first training had not seen.",
    )
    plain = ("with RMSprop", "The epoch with the best val_uar on the validation people became the model.")
    for name in ("modern", "plain"):
        (tmp_path / name).mkdir()
    for text in read_report(make_source(tmp_path / "modern", arms=["gap-sum"], **recipe)):
        assert not [words for words in told if words not in text]
    for text in read_report(make_source(tmp_path / "plain", arms=["gap-sum"])):
        assert not [words for words in plain if words not in text]
        assert "smoothed" not in text
        assert "anew" not in text


def test_a_machine_on_videos_is_told(tmp_path: Path) -> None:
    told = (
        "A video's probabilities are the normalised geometric mean of its segments'.",
        "on the mean of the features of their segments (Zhang et al. 2019), which took the place of the last layer "
        "once that was trained; its C was chosen by val_uar on the validation people's videos",
    )
    arms, machine = ["gap-sum", "hog-svm"], {"model.video_classifier": "linear_svm"}
    for name in ("machine", "plain"):
        (tmp_path / name).mkdir()
    for text in read_report(make_source(tmp_path / "machine", arms=arms, **machine)):
        assert not [words for words in told if words not in text.replace("&#39;", "'")]
    for text in read_report(make_source(tmp_path / "plain", arms=arms)):
        assert "A video's probabilities are the mean of its segments'." in text.replace("&#39;", "'")
        assert "Zhang" not in text


def test_runs_that_ended_too_early_are_counted(tmp_path: Path) -> None:
    source = make_source(tmp_path, arms=["gap-sum", "gap-average"])
    assert not any("still climbed" in text for text in read_report(source))
    seed = source.results[0].seeds[0]
    climbing = tuple(one.model_copy(update={"still_climbed": True}) for one in seed.evaluations)
    results = [replace(source.results[0], seeds=(replace(seed, evaluations=climbing),)), source.results[1]]
    for text in read_report(replace(source, results=results)):
        assert "In 1 of 2 runs val_uar still climbed when the training ended" in text


def test_weights_that_arms_began_with_are_told(tmp_path: Path) -> None:
    (tmp_path / "mine.weights.h5").write_bytes(b"weights")
    arms = ["gap-sum", "fer2013-gap-sum"]
    source = make_source(tmp_path, arms=arms, **{"training.initial_weights": str(tmp_path / "mine.weights.h5")})
    first = source.results[0].seeds[0].evaluations[0]
    object.__setattr__(first, "weights_taken", (4, 7))
    for text in read_report(source):
        assert "FER2013, GAP + sum began with fer2013-mini-xception (MIT, SHA-256 59534287fdfb; trained on FER" in text
        assert "GAP + sum; FER2013, GAP + sum began with mine.weights.h5 (licence unknown, SHA-256 " in text
        assert "Of the initial weights, GAP + sum took 4 of its 7." in text
    training = source.settings.training.model_copy(update={"freeze": "warmup"})
    held = replace(source, settings=source.settings.model_copy(update={"training": training}))
    for text in read_report(held):
        assert (
            "stayed as they were for 20 % of the training, below a head that was fresh, and then learned at 0.1" in text
        )
    (tmp_path / "plain").mkdir()
    for text in read_report(make_source(tmp_path / "plain", arms=ARMS)):
        assert "began with" not in text
        assert "below a head" not in text


def test_images_are_no_segments(tmp_path: Path) -> None:
    prepare = {"prepare.pair": "none", "prepare.segment_length": 1}
    source = make_source(tmp_path, arms=["spatial-only"], **{"corpus.adapter": "images", **prepare})
    for text in read_report(source):
        assert "Each image gives a face of 48x48 px. 17 of the 18 videos" in text
        assert "Segments of" not in text
        assert "followed" not in text


def test_numbered_images_have_no_frame_rate(tmp_path: Path) -> None:
    source = make_source(tmp_path, arms=ARMS)
    films = source.ledger
    images = films.assign(uri=films["uri"].str.replace(".mp4", "_*.png"), num_frames=[3] * 20 + [9] * 4)
    assert describe(source).video_facts == "48x48 px, 25 frames/s, 2.0 s long"
    assert describe(replace(source, ledger=images)).video_facts == "48x48 px, 3 to 9 numbered images each"
    both = pd.concat([films.iloc[:8], images.iloc[8:]])
    facts = describe(replace(source, ledger=both)).video_facts
    assert facts == "48x48 px, 25 frames/s, 2.0 s long, 12 of them 3 to 9 numbered images each"
    stills = films.assign(uri=films["uri"].str.replace(".mp4", ".jpg"), codec="still", num_frames=1)
    assert describe(replace(source, ledger=stills)).video_facts == "48x48 px, single images"
    both = pd.concat([films.iloc[:8].assign(codec="h264"), stills.iloc[8:]])
    facts = describe(replace(source, ledger=both)).video_facts
    assert facts == "48x48 px, 25 frames/s, 2.0 s long, 12 of them single images"


def test_that_nothing_says_who_is_seen_is_told(tmp_path: Path) -> None:
    source = make_source(tmp_path, arms=ARMS)
    told = "nothing says who is seen in 18 videos"
    assert not any(told in text for text in read_report(source))
    nameless = replace(source, split=source.split.assign(subject=source.split["video_id"]))
    for text in read_report(nameless):
        assert "Scores may be too high, for " + told in text
        assert "people may stand in train and test" in text
        assert "nobody is in two subsets" not in text


def test_folds_have_their_names_and_scores(tmp_path: Path) -> None:
    source = make_source(tmp_path, ("<east|west>", "fold 9", "fold 10"), arms=ARMS, seeds=2)
    folds = describe(source).folds
    assert [(fold["name"], fold["subjects"], fold["videos"]) for fold in folds] == [
        ("<east|west>", 2, 6),
        ("fold 9", 2, 6),
        ("fold 10", 2, 6),
    ]
    uars = [seed.evaluations[1].scores["video_uar"] for seed in source.best.seeds]
    assert folds[1]["uar"][source.best.arm.name] == pytest.approx(np.mean(uars))
    html, markdown = read_report(source)
    assert "<east" not in html + markdown
    score = f"{100 * np.mean(uars):.1f}"
    assert re.search(rf"<tr><td>fold 9</td><td>2</td><td>6</td>.*<td>{score}</td>", html)
    assert re.search(rf"^\| fold 9 \| 2 \| 6 \|.* {score} \|", markdown, re.MULTILINE)


def test_the_card_of_the_best_model_is_shown(tmp_path: Path) -> None:
    source = make_source(tmp_path, arms=ARMS)
    assert not any("model_card.md" in text for text in read_report(source))
    card = make_card(title="Best <of> all", limits=("It knows `nobody` <here>.",))
    html, markdown = read_report(replace(source, card=card))
    for text in (html, markdown):
        assert "Best &lt;of&gt; all, seed 3" in text
        assert "61.0 % (95 % interval 52.0 to 70.0); chance is 50.0 %" in text
        assert "fer2013-mini-xception (MIT, SHA-256 555555555555; trained on FER2013)" in text
        assert "Article 5(1)(f)" in text
        assert "<here>" not in text
    assert "<code>runs/*/model_card.md</code>" in html
    assert "<td>anger</td><td>30</td><td>7</td><td>75.0 %</td></tr><tr><td>fear</td><td>10</td><td>5</td><td>" in html
    assert "| anger | 30 | 7 | 75.0 % |\n| fear | 10 | 5 |  |\n" in markdown


def test_a_hold_out_has_no_table_of_folds(tmp_path: Path) -> None:
    assert "Fold by fold" not in "".join(read_report(make_source(tmp_path, arms=ARMS)))


@pytest.mark.parametrize("name", [PREDICTIONS_FILE, VIDEOS_FILE])
def test_predictions_that_lost_their_content_are_told(tmp_path: Path, name: str) -> None:
    source = make_source(tmp_path, arms=ARMS)
    evaluated = [
        (tmp_path / f"{result.arm.name}-{seed.seed}-0", one)
        for result in source.results
        for seed in result.seeds
        for one in seed.evaluations
    ]
    compare(evaluated, EMOTIONS)
    path = evaluated[-1][0] / name
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UserError, match=rf"no predictions at '{path}'; run `fer evaluate` again"):
            compare(evaluated, EMOTIONS)
