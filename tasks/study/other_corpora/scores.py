"""Scores of arms and runs on other corpora, with intervals over the people there, and held against those at home."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pandas as pd
from pydantic import BaseModel

from fer_models.errors import UserError
from fer_models.models.arms import Arm
from fer_models.models.card import OtherScore, Score
from fer_models.statistics.arm_predictions import ArmPredictions, Metric
from fer_models.statistics.intervals import Interval, difference_of, interval
from tasks.config.settings import StudySettings
from tasks.dataset.other_corpora.opening import OpenedCorpus, open_corpora
from tasks.study.comparison import ArmResult, arm_predictions
from tasks.study.other_corpora.testing import OtherEvaluation, evaluate_on, find_videos, restrict
from tasks.study.runs import Run
from tasks.study.scoring import confusions

#: What a run came to on another corpus: that corpus, the folder of the result, and the result.
TestedOnOther = tuple[OpenedCorpus, Path, OtherEvaluation]


class Cell(BaseModel):
    """How an arm did on one corpus, over its seeds and folds.

    Args:
        corpus: names its content.
        classes: that were tested.
        num_videos, num_people: with a usable face.
        uar, accuracy: over the tested classes; None where there is nothing.
        sd: of the UAR over the seeds; None for a single one.
        home: the UAR on the study's own test people over the same classes.
        fall: `home` less `uar`.
        confusion: counts of all runs, int (classes, classes): row true, column predicted.
        left_out: videos and people of whom a model has seen a file.
        to_others: mean probability that went to classes which this corpus lacks.
        reason: why there is nothing.
    """

    arm: str
    corpus: str
    classes: tuple[str, ...] = ()
    num_videos: int = 0
    num_people: int = 0
    uar: Score | None = None
    accuracy: Score | None = None
    sd: float | None = None
    home: Score | None = None
    fall: Score | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    left_out: tuple[int, int] = (0, 0)
    to_others: float = 0.0
    reason: str = ""


def home_cell(result: ArmResult, corpus: str, classes: tuple[str, ...]) -> Cell:
    """An arm on the study's own test people."""
    covered = [seed.videos[seed.videos["num_segments"] > 0] for seed in result.seeds]
    return _cell(result.arm, corpus, classes, covered, result.predictions, result.sd("video_uar"))


def other_cell(
    result: ArmResult,
    other: OpenedCorpus,
    tested: Sequence[tuple[int, Path, OtherEvaluation]],
    emotions: Sequence[str],
) -> Cell:
    """An arm on another corpus.

    Args:
        tested: of each of its runs the seed, the folder and the result.
        emotions: the models' classes.
    """
    arm, classes = result.arm, other.classes
    left_out = (max(one.left_out[0] for _, _, one in tested), max(one.left_out[1] for _, _, one in tested))
    tables = [_covered(folder, one) for _, folder, one in tested]
    common = set.intersection(*(set(table["video_id"]) for table in tables))  # folds leave out other people
    tables = [table[table["video_id"].isin(common)].reset_index(drop=True) for table in tables]
    if tables[0]["emotion"].nunique() < 2:
        return Cell(
            arm=arm.name,
            corpus=other.corpus,
            classes=classes,
            left_out=left_out,
            reason=f"Fewer than two classes of {other.name} have a usable video of somebody whom no model has seen.",
        )
    predictions = arm_predictions(tables, classes, arm)
    seeds = [seed for seed, _, _ in tested]
    cell = _cell(arm, other.corpus, classes, tables, predictions, _sd(seeds, predictions))
    return cell.model_copy(
        update={
            "left_out": left_out,
            "to_others": fmean(float(table["to_others"].mean()) for table in tables),
            **_held_against_home(result, cell, emotions),
        }
    )


def _covered(folder: Path, result: OtherEvaluation) -> pd.DataFrame:
    videos = find_videos(folder, result.classes)
    if videos is None:
        raise UserError(f"There are no predictions in {folder}; run `fer evaluate` again, which makes them anew.")
    return videos[videos["num_segments"] > 0]


def _cell(
    arm: Arm,
    corpus: str,
    classes: tuple[str, ...],
    tables: Sequence[pd.DataFrame],
    predictions: ArmPredictions,
    sd: float | None,
) -> Cell:
    counts = np.sum([confusions(table, classes) for table in tables], axis=0)
    return Cell(
        arm=arm.name,
        corpus=corpus,
        classes=classes,
        num_videos=len(predictions.labels),
        num_people=len(set(predictions.subjects)),
        uar=_score(predictions, "uar"),
        accuracy=_score(predictions, "accuracy"),
        sd=sd,
        confusion=tuple(tuple(map(int, row)) for row in counts),
    )


def _score(predictions: ArmPredictions, metric: Metric) -> Score:
    return _rounded(interval(predictions, metric))


def _rounded(found: Interval) -> Score:
    return Score(estimate=round(found.estimate, 6), low=round(found.low, 6), high=round(found.high, 6))


def _sd(seeds: Sequence[int], predictions: ArmPredictions) -> float | None:
    """Standard deviation of the UAR over the seeds, each the mean over its folds."""
    if predictions.is_ensemble or len(set(seeds)) < 2:
        return None
    uars = pd.Series(predictions.scores("uar")).groupby(list(seeds)).mean()
    return round(stdev(uars.tolist()), 6)


def _held_against_home(result: ArmResult, cell: Cell, emotions: Sequence[str]) -> dict[str, Score]:
    """The UAR on the study's own test people over the same classes, and how much less it is elsewhere."""
    own = [restrict(seed.videos, emotions, cell.classes) for seed in result.seeds]
    own = [videos[videos["num_segments"] > 0] for videos in own]
    if not cell.uar or own[0]["emotion"].nunique() < 2:
        return {}
    home = interval(arm_predictions(own, cell.classes, result.arm), "uar")
    away = Interval(cell.uar.estimate, cell.uar.low or 0.0, cell.uar.high or 0.0)
    return {"home": _rounded(home), "fall": _rounded(difference_of(home, away))}


def evaluate_on_others(settings: StudySettings, run: Run) -> list[TestedOnOther]:
    """Test a run on every other corpus of its study that has something to test.

    Raises:
        UserError: one is not prepared as the study is.
    """
    opened = [other for other in open_corpora(settings) if not other.reason]
    return [(other, *evaluate_on(settings, run, other)) for other in opened]


def card_scores(
    run: Run, tested: Sequence[TestedOnOther], own: pd.DataFrame, settings: StudySettings
) -> tuple[OtherScore, ...]:
    """What the card of a run says of other corpora.

    Args:
        tested: as from `evaluate_on_others`.
        own: the covered test videos of the study, with what the run says of them.
    """
    scores = []
    for other, folder, result in tested:
        covered = _covered(folder, result)
        if covered["emotion"].nunique() > 1:
            home = restrict(own, settings.corpus.emotions, result.classes)
            scores.append(_card_score(run, other.name, covered, home, result.classes))
    return tuple(scores)


def _card_score(run: Run, name: str, covered: pd.DataFrame, home: pd.DataFrame, classes: tuple[str, ...]) -> OtherScore:
    at_home = arm_predictions([home], classes, run.arm).scores("uar") if home["emotion"].nunique() > 1 else None
    return OtherScore(
        corpus=name,
        classes=len(classes),
        videos=len(covered),
        subjects=covered["subject"].nunique(),
        uar=_score(arm_predictions([covered], classes, run.arm), "uar"),
        home=None if at_home is None else round(float(at_home.mean()), 6),
    )
