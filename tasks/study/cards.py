"""Makes the card of a trained and evaluated run, and leaves it beside the run's model."""

import datetime
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from fer_models.models.building import model_lineage, streams_of
from fer_models.models.card import CARD_VERSION, ClassFacts, ModelCard, OtherScore, Score, SubsetFacts
from fer_models.models.lineage import Origin
from fer_models.statistics.intervals import interval
from tasks.config.layout import Layout
from tasks.config.model_card import CARD_FILE, CARD_TEXT_FILE, file_sha256, write_card
from tasks.config.prepare_words import preparation_in_words
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.index import read_subset
from tasks.dataset.splits import read_split
from tasks.storage.files import find_json, is_whole
from tasks.study.card_limits import limits_of
from tasks.study.checkpoints import MODEL_FILE, load_trained
from tasks.study.comparison import arm_predictions, read_predictions
from tasks.study.evaluation import VIDEOS_FILE, Evaluation
from tasks.study.other_corpora.scores import TestedOnOther, card_scores
from tasks.study.runs import Run


def card_run(
    settings: StudySettings, run: Run, folder: Path, evaluation: Evaluation, others: Sequence[TestedOnOther] = ()
) -> ModelCard:
    """Leave the card of an evaluated run beside its model; one of that model and these evaluations stays as it is.

    Args:
        folder: of the evaluation.
        others: what the run came to on other corpora.

    Raises:
        UserError: the model or the predictions cannot be read (any more).
    """
    identity: dict[str, Any] = {
        "card_version": CARD_VERSION,
        "model_sha256": file_sha256(run.folder / MODEL_FILE),
        "evaluation": folder.name,
        "temperature": evaluation.temperature,
    }
    videos = read_predictions(folder / VIDEOS_FILE, settings.corpus.emotions)
    covered = videos[videos["num_segments"] > 0]
    scores = card_scores(run, others, covered, settings)
    identity["others"] = [one.model_dump(mode="json") for one in scores]
    known = find_run_card(run)
    is_same = known is not None and known.model_dump(mode="json", include=set(identity)) == identity
    if known and is_same and is_whole(run.folder / CARD_TEXT_FILE):
        return known
    card = _make(settings, run, evaluation, covered, scores).model_copy(update=identity | {"others": scores})
    write_card(run.folder, card)
    return card


def find_run_card(run: Run) -> ModelCard | None:
    """The card of a run; None where there is none (any more)."""
    return find_json(run.folder / CARD_FILE, ModelCard)


def _make(
    settings: StudySettings,
    run: Run,
    evaluation: Evaluation,
    tested: pd.DataFrame,
    others: Sequence[OtherScore],
) -> ModelCard:
    """The card of a run, but for what it is known by.

    Args:
        tested: the covered test videos, with what the run says of them.
        others: how it did on other corpora.
    """
    emotions, index = settings.corpus.emotions, Layout.of(settings).index
    subsets = {
        name: read_subset(index, run.split_fold, name, emotions).drop_duplicates("video_id")
        for name in (TRAIN, VALIDATION)
    }
    train, validation = subsets[TRAIN], subsets[VALIDATION]
    scores = {f"video_{metric}": _score(settings, run, evaluation, tested, metric) for metric in ("uar", "accuracy")}
    classes = tuple(_class_facts(name, train, evaluation, tested) for name in emotions)
    return ModelCard(
        study=settings.name,
        arm=run.arm.name,
        title=run.arm.title,
        family=run.arm.family,
        seeds=tuple(one.seed for one in run.members or (run,)),
        fold=_fold(settings, run),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        package_version=importlib.metadata.version("fer-pipeline"),
        model_sha256="",
        evaluation="",
        num_parameters=evaluation.num_parameters,
        corpus=_corpus(settings),
        preparation=preparation_in_words(settings.prepare, settings.corpus.is_of_stills, streams_of(run.arm)),
        trained_on=_trained_on(settings, run),
        subsets=tuple(_subset_facts(name, videos) for name, videos in {**subsets, "test": tested}.items()),
        classes=classes,
        scores=scores,
        chance=1 / len(emotions),
        coverage=evaluation.coverage,
        temperature=evaluation.temperature,
        ece=evaluation.scores["video_ece"],
        ece_scaled=evaluation.scores["video_ece_scaled"],
        origins=_origins(run),
        limits=limits_of(settings, evaluation, classes, train, validation, tested, scores["video_uar"], others),
    )


def _score(settings: StudySettings, run: Run, evaluation: Evaluation, tested: pd.DataFrame, metric: str) -> Score:
    """A score of the covered test videos, with its interval where there are two of them or more."""
    estimate = evaluation.scores[f"video_{metric}"]
    if len(tested) < 2:
        return Score(estimate=estimate)
    predictions = arm_predictions([tested], settings.corpus.emotions, run.arm)
    found = interval(predictions, "uar" if metric == "uar" else "accuracy")
    return Score(estimate=estimate, low=round(found.low, 6), high=round(found.high, 6))


def _class_facts(name: str, train: pd.DataFrame, evaluation: Evaluation, tested: pd.DataFrame) -> ClassFacts:
    shown = train[train["emotion"] == name]
    recall = evaluation.scores[f"video_recall_{name}"] if (tested["emotion"] == name).any() else None
    return ClassFacts(name=name, videos=len(shown), subjects=shown["subject"].nunique(), recall=recall)


def _subset_facts(name: str, videos: pd.DataFrame) -> SubsetFacts:
    return SubsetFacts(name=name, videos=len(videos), subjects=videos["subject"].nunique())


def _fold(settings: StudySettings, run: Run) -> str:
    """Its place among the folds, whose names may be those of people; empty where there is one fold."""
    if run.fold is None:
        return ""
    folds = sorted(read_split(Layout.of(settings).split)["fold"].unique())
    return f"{folds.index(run.fold) + 1} of {len(folds)}"


def _corpus(settings: StudySettings) -> str:
    corpus = settings.corpus
    layouts = [one.adapter for one in corpus.parts]
    many = f"{len(layouts)} corpora of the layouts" if len(layouts) > 1 else "the layout"
    words = f"{'single images' if corpus.is_of_stills else 'videos'} of {many} {', '.join(layouts)}"
    parts = getattr(corpus, "subsets", None)
    return words + (f" (subsets {', '.join(parts)})" if parts else "") + (", drawn" if corpus.draw_sample else "")


def _trained_on(settings: StudySettings, run: Run) -> str:
    """What became of the training and the validation subset."""
    if run.members:
        return f"it averages the probabilities of {len(run.members)} models, one a seed; nothing was trained for it"
    if run.arm.is_solved:
        return "solved for on the training subset; validation chose the strength of its penalty"
    if settings.training.refit == "none":
        return "the training subset; validation chose the epoch"
    return "the training and validation subsets together, once validation had chosen the epoch"


def _origins(run: Run) -> tuple[Origin, ...]:
    lineage = model_lineage(load_trained(run.folder, run.name))
    keras.backend.clear_session()
    return lineage.origins if lineage else ()
