"""What the report of an evaluated study says, by the names that its templates know."""

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import keras

from fer_models.models.building import streams_of
from fer_models.models.card import ModelCard
from fer_models.models.equivalence import EquivalentGroups, grouped
from fer_models.models.families import load_family
from fer_models.statistics.comparisons import PairComparison
from tasks.config.prepare_words import preparation_in_words
from tasks.config.resolving import as_yaml
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TEST, TRAIN, VALIDATION
from tasks.dataset.splits import fold_names
from tasks.outcomes import Outcome
from tasks.preparation.ledger import count_outcomes, is_usable
from tasks.report.corpora import rows_of_corpora
from tasks.report.input import ReportInput
from tasks.report.other_corpora import OnOthers, describe_others
from tasks.report.remarks import motion_remarks
from tasks.report.shown_tiles import ShownTiles
from tasks.report.video_facts import video_facts
from tasks.study.comparison import HEADLINE, ArmResult
from tasks.study.pretrained import origins_of
from tasks.study.published import NOTES, published_accuracies
from tasks.study.runs import own_training

_MOST_LOST = 40


@dataclass(frozen=True)
class Facts:
    """What the templates of the report say, by name.

    Args:
        rival: the best of the baselines, or of the other models where the best is a baseline itself; if there is any.
        against_classic: which models are shown to be better than the best classic baseline; empty without one.
        trained, solved: what the arms are, a phrase a family.
        has_ensembles: whether some are ensembles of the others.
        streams: of input pictures, that any arm has.
        preparation: of the videos, in sentences.
        origins: of weights that arms began with: in words, and the titles of those arms.
        taken: by the title of an arm, how many of its weights came from `training.initial_weights`, and of how many.
        against_best: by arm the verdict of the best arm against it.
        num_called: pairs of arms of which one is better.
        optimism: how much higher the UAR had been, had the test subset chosen the epoch.
        null_band: how far apart the same arm with other seeds stays.
        published: by arm the accuracy in % that was printed for this corpus, and what has to be said of it.
        num_nameless: videos of which nothing says who is seen, so that each counts as a person of its own.
        num_meant: videos that the study wants.
        lost: rows of the ledger of the first videos that could not be used; `num_lost` counts them all.
        subsets: one row per fold and subset; `folds`: one row per fold, if there are several; `classes`: one row per
            class.
        corpora: one row per corpus, where there are several.
        card: of the best arm's model; None where there is none.
        contact_sheet: whether there is one.
        tiles: by arm the tiles of its first run, where they are still there.
        others: how the arms did on other corpora, where they were tested on some.
        explanations: by arm the verdict on its Grad-CAM maps.
        figures: by arm the figures of its first run.
    """

    settings: StudySettings
    results: Sequence[ArmResult]
    best: ArmResult
    rival: ArmResult | None
    num_baselines: int
    against_classic: str
    trained: list[str]
    solved: list[str]
    has_ensembles: bool
    streams: list[str]
    preparation: str
    origins: dict[str, list[str]]
    taken: dict[str, tuple[int, int]]
    pairs: Sequence[PairComparison]
    against_best: dict[str, str]
    num_called: int
    num_equivalent: int
    optimism: float | None
    num_climbing: int
    num_runs: int
    null_band: float | None
    titles: dict[str, str]
    equivalences: list[EquivalentGroups]
    num_seeds: int
    num_folds: int
    num_test_videos: int
    num_test_subjects: int
    emotions: tuple[str, ...]
    chance: float
    published: dict[str, float]
    published_note: str
    num_videos: int
    num_meant: int
    num_subjects: int
    num_nameless: int
    video_facts: str
    motion_remarks: Any
    outcomes: dict[str, int]
    lost: list[dict[str, Any]]
    num_lost: int
    subsets: list[dict[str, Any]]
    folds: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    corpora: list[dict[str, Any]]
    yaml: str
    versions: dict[str, str]
    backend: str
    python: str
    machine: str
    date: str
    explanations: dict[str, str]
    figures: dict[str, tuple[str, ...]]
    card: ModelCard | None = None
    contact_sheet: bool = False
    tiles: dict[str, ShownTiles] = field(default_factory=dict)
    others: OnOthers | None = None


def describe(source: ReportInput) -> Facts:
    """What the templates of the report say, by name."""
    settings = source.settings
    best, emotions = source.best, settings.corpus.emotions
    meant = source.ledger[source.ledger["outcome"] != Outcome.OUT_OF_SCOPE]
    lost = meant[meant["outcome"] != Outcome.OK].sort_values(["outcome", "video_id"])
    seen = meant[meant["outcome"] == Outcome.OK]
    evaluations = [one for result in source.results for seed in result.seeds for one in seed.evaluations]
    streams = sorted({stream for result in source.results for stream in streams_of(result.arm)})
    return Facts(
        settings=settings,
        results=source.results,
        best=best,
        rival=_best_of([result for result in source.results if result.arm.is_baseline != best.arm.is_baseline]),
        num_baselines=sum(result.arm.is_baseline for result in source.results),
        against_classic=_against_classic(source),
        trained=_families(source, solved=False),
        solved=_families(source, solved=True),
        has_ensembles=any(result.arm.num_members for result in source.results),
        streams=streams,
        preparation=preparation_in_words(settings.prepare, settings.corpus.is_of_stills, streams),
        origins=_origins(source),
        taken=_weights_taken(source),
        pairs=source.pairs,
        against_best={result.arm.name: _verdict(source, result) for result in source.results},
        optimism=_optimism(source),
        num_climbing=sum(one.still_climbed for one in evaluations),
        num_runs=len(evaluations),
        null_band=source.null_band,
        titles={result.arm.name: result.arm.title for result in source.results},
        equivalences=grouped(source.equivalences),
        num_seeds=len(settings.seeds),
        num_folds=source.num_folds,
        num_test_videos=int(best.predictions.predicted.shape[1]),
        num_test_subjects=len(set(best.predictions.subjects)),
        emotions=emotions,
        chance=1 / len(emotions),
        published=published_accuracies(settings),
        published_note=NOTES.get(settings.corpus.adapter, ""),
        num_videos=len(source.ledger),
        num_meant=len(meant),
        num_subjects=int(source.split["subject"].nunique()),
        num_nameless=source.split.loc[source.split["subject"] == source.split["video_id"], "video_id"].nunique(),
        video_facts=video_facts(seen),
        motion_remarks=motion_remarks(source.ledger, settings.prepare),
        outcomes=count_outcomes(source.ledger),
        lost=lost.head(_MOST_LOST).to_dict("records"),
        num_lost=len(lost),
        subsets=_subsets(source),
        folds=_folds(source),
        classes=_classes(source),
        corpora=rows_of_corpora(source),
        yaml=as_yaml(settings.recorded()),
        explanations={arm: explanation.verdict for arm, explanation in source.explanations.items()},
        figures={result.arm.name: source.shown_figures(result) for result in source.results},
        card=source.card,
        others=describe_others(source),
        **_called(source),
        **_made(),
    )


def _called(source: ReportInput) -> dict[str, Any]:
    """How many pairs of arms were called different, and alike."""
    verdicts = [pair.verdict for pair in source.pairs]
    return {
        "num_called": sum(verdict in ("better", "worse") for verdict in verdicts),
        "num_equivalent": sum(verdict.startswith("equivalent") for verdict in verdicts),
    }


def _made() -> dict[str, Any]:
    """When, where and with what the report is made."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in ("fer-pipeline", "keras", "prefect", "mlflow")},
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _weights_taken(source: ReportInput) -> dict[str, tuple[int, int]]:
    of_arms = {result.arm.title: result.seeds[0].evaluations[0].weights_taken for result in source.results}
    return {title: counts for title, counts in of_arms.items() if counts}


def _optimism(source: ReportInput) -> float | None:
    """How much higher the runs' UAR had been, had the test subset chosen the epoch; None when epochs were not kept."""
    gaps = [
        evaluation.optimism_gap
        for result in source.results
        for seed in result.seeds
        for evaluation in seed.evaluations
        if evaluation.optimism_gap is not None
    ]
    return fmean(gaps) if gaps else None


def _verdict(source: ReportInput, result: ArmResult) -> str:
    """What is known of the best arm against another one."""
    best = source.best.arm.name
    for pair in source.pairs:
        if (pair.first, pair.second) == (best, result.arm.name):
            return {"better": "worse", "worse": "better"}.get(pair.verdict, pair.verdict)
        if (pair.first, pair.second) == (result.arm.name, best):
            return pair.verdict
    return ""


def _best_of(results: Sequence[ArmResult]) -> ArmResult | None:
    return max(results, key=lambda result: result.mean(HEADLINE), default=None)


def _against_classic(source: ReportInput) -> str:
    classic = _best_of([result for result in source.results if result.arm.is_classic])
    others = [result.arm for result in source.results if not result.arm.is_classic]
    if not classic or not others:
        return ""
    name = classic.arm.name
    better = {pair.first for pair in source.pairs if (pair.second, pair.verdict) == (name, "better")}
    better |= {pair.second for pair in source.pairs if (pair.first, pair.verdict) == (name, "worse")}
    titles = [arm.title for arm in others if arm.name in better]
    scored = f"{classic.arm.title} (UAR {100 * classic.mean(HEADLINE):.1f} %)"
    if not titles:
        return f"No network is shown to be better than the classic baseline {scored}."
    verb = "is" if len(titles) == 1 else "are"
    return f"{', '.join(titles)} {verb} shown to be better than the classic baseline {scored}."


def _families(source: ReportInput, solved: bool) -> list[str]:
    """What the arms are, a phrase a family: those that are solved for, or those that are trained."""
    phrases = []
    found = [result.arm for result in source.results if not result.arm.num_members and result.arm.is_solved == solved]
    for name in dict.fromkeys(result.arm.family for result in source.results):
        family = load_family(name)
        arms = [arm for arm in found if arm.family == name]
        if arms:
            options = [family.options.model_validate(arm.options) for arm in arms]
            phrases.append(family.methods(options, source.settings.model))
    return phrases


def _origins(source: ReportInput) -> dict[str, list[str]]:
    """Weights that arms began with, in words, and the titles of those arms."""
    found: dict[str, list[str]] = {}
    for result in source.results:
        origins = origins_of(own_training(source.settings, result.arm), source.settings.model, result.arm)
        for origin in origins:
            found.setdefault(origin.in_words(), []).append(result.arm.title)
    return found


def _subsets(source: ReportInput) -> list[dict[str, Any]]:
    """One row per fold and subset: subjects, videos, those with a usable face."""
    rows = []
    usable = set(source.ledger.loc[is_usable(source.ledger), "video_id"])
    names = fold_names(source.split)
    for fold, members in source.split.groupby("fold"):
        for subset in (TRAIN, VALIDATION, TEST):
            videos = members[members["side"] == subset]
            covered = videos["video_id"].isin(usable)
            rows.append(
                {
                    "fold": names[fold],
                    "name": subset,
                    "subjects": videos["subject"].nunique(),
                    "videos": len(videos),
                    "covered": int(covered.sum()),
                }
            )
    return rows


def _folds(source: ReportInput) -> list[dict[str, Any]]:
    """One row per fold, where there are several: the subjects and videos that it tests, and each arm's UAR on them."""
    if source.num_folds == 1:
        return []
    tested = source.split[source.split["side"] == TEST]
    return [
        {
            "name": name,
            "subjects": tested.loc[tested["fold"] == fold, "subject"].nunique(),
            "videos": int((tested["fold"] == fold).sum()),
            "uar": {
                result.arm.name: fmean(
                    evaluation.scores[HEADLINE]
                    for seed in result.seeds
                    for evaluation in seed.evaluations
                    if evaluation.fold == fold
                )
                for result in source.results
            },
        }
        for fold, name in fold_names(source.split).items()
    ]


def _classes(source: ReportInput) -> list[dict[str, Any]]:
    """One row per class: usable videos, subjects who show it, segments."""
    videos = source.index.drop_duplicates("video_id")
    return [
        {
            "name": emotion,
            "videos": int((videos["emotion"] == emotion).sum()),
            "subjects": videos.loc[videos["emotion"] == emotion, "subject"].nunique(),
            "segments": int((source.index["emotion"] == emotion).sum()),
        }
        for emotion in source.settings.corpus.emotions
    ]
