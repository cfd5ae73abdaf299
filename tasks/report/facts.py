"""Gathers what the report of an evaluated study says."""

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import keras
import pandas as pd

from fer_models.models.building import streams_of
from fer_models.models.equivalence import Equivalence, find_equivalences, grouped
from fer_models.statistics.comparisons import PairComparison
from tasks.config.layout import Layout
from tasks.config.resolving import as_yaml
from tasks.config.settings import StudySettings
from tasks.corpus.adapters.source import VIDEO_SUFFIXES
from tasks.dataset.drift import seconds
from tasks.dataset.folds import TEST, TRAIN, VALIDATION
from tasks.dataset.index import read_side
from tasks.dataset.splits import SIDES, fold_names, read_split, split_of_study
from tasks.outcomes import Outcome
from tasks.preparation.ledger import count_outcomes, read_ledger
from tasks.report.remarks import motion_remarks
from tasks.study.comparison import HEADLINE, METRICS, ArmResult, best_result, compare, compare_pairs
from tasks.study.evaluation import Evaluation, read_evaluation
from tasks.study.published import published_accuracies
from tasks.study.runs import plan_runs
from tasks.study.test_set import own_test_set

_MOST_LOST = 40


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of. `folders` holds by arm the evaluation folder of its first run.

    `split` has the study's own videos; `index` is that of the first fold, all three sides.
    """

    settings: StudySettings
    ledger: pd.DataFrame
    index: pd.DataFrame
    split: pd.DataFrame
    results: Sequence[ArmResult]
    pairs: Sequence[PairComparison]
    equivalences: Sequence[Equivalence]
    folders: dict[str, Path]

    @property
    def best(self) -> ArmResult:
        return best_result(self.results)

    @property
    def num_folds(self) -> int:
        return int(self.split["fold"].nunique())


def collect(settings: StudySettings) -> ReportInput:
    """Gather what the report of an evaluated study needs; raises `UseError` naming the step that is missing."""
    layout = Layout.of(settings)
    evaluated: list[tuple[Path, Evaluation]] = []
    folders: dict[str, Path] = {}
    for run in plan_runs(settings):
        folder, evaluation = read_evaluation(run, own_test_set(settings, run))
        evaluated.append((folder, evaluation))
        folders.setdefault(run.arm.name, folder)
    emotions = settings.corpus.emotions
    results = compare(evaluated, emotions)
    ledger = read_ledger(layout.ledger, emotions)
    split = split_of_study(read_split(layout.split), ledger, emotions)
    first = int(split["fold"].min())
    return ReportInput(
        settings,
        ledger,
        pd.concat([read_side(layout.index, first, side, emotions) for side in SIDES], ignore_index=True),
        split,
        results,
        compare_pairs(results, settings.equivalence_margin),
        find_equivalences([result.arm for result in results], settings.model),
        folders,
    )


def describe(source: ReportInput) -> dict[str, Any]:
    """What the templates of the report say, by name."""
    settings = source.settings
    best = source.best
    meant = source.ledger[source.ledger["outcome"] != Outcome.OUT_OF_SCOPE]
    lost = meant[meant["outcome"] != Outcome.OK].sort_values(["outcome", "video_id"])
    seen = meant[meant["outcome"] == Outcome.OK]
    baselines = [result for result in source.results if result.arm.is_baseline]
    emotions = settings.corpus.emotions
    return {
        "settings": settings,
        "results": source.results,
        "metrics": METRICS,
        "headline": HEADLINE,
        "best": best,
        "baseline": max(baselines, key=lambda result: result.mean(HEADLINE), default=None),
        "num_baselines": len(baselines),
        "streams": sorted({stream for result in source.results for stream in streams_of(result.arm)}),
        "pairs": source.pairs,
        "against_best": {result.arm.name: _verdict(source, result) for result in source.results},
        "num_called": sum(pair.verdict in ("better", "worse") for pair in source.pairs),
        "num_equivalent": sum(pair.verdict.startswith("equivalent") for pair in source.pairs),
        "optimism": _optimism(source),
        "null_band": source.pairs[0].null_band if source.pairs else None,
        "titles": {result.arm.name: result.arm.title for result in source.results},
        "equivalences": grouped(source.equivalences),
        "num_seeds": len(settings.seeds),
        "num_folds": source.num_folds,
        "num_test_videos": int(best.predictions.predicted.shape[1]),
        "num_test_people": len(set(best.predictions.subjects)),
        "emotions": emotions,
        "chance": 1 / len(emotions),
        "published": published_accuracies(settings),
        "num_videos": len(source.ledger),
        "num_meant": len(meant),
        "num_people": int(source.split["subject"].nunique()),
        "video_facts": _video_facts(seen),
        "motion_remarks": motion_remarks(source.ledger, settings.prepare),
        "outcomes": count_outcomes(source.ledger),
        "lost": lost.head(_MOST_LOST).to_dict("records"),
        "num_lost": len(lost),
        "sides": _sides(source),
        "folds": _folds(source),
        "classes": _classes(source),
        "yaml": as_yaml(settings.recorded()),
        "versions": {name: importlib.metadata.version(name) for name in ("fer-pipeline", "keras", "prefect", "mlflow")},
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _optimism(source: ReportInput) -> float | None:
    """How much higher the runs' UAR had been, had the test side chosen the epoch; None when epochs were not kept."""
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


def _sides(source: ReportInput) -> list[dict[str, Any]]:
    """A row a fold and side: people, videos, those with a usable face."""
    rows = []
    usable = set(source.ledger.loc[source.ledger["num_covered"] > 0, "video_id"])
    names = fold_names(source.split)
    for fold, members in source.split.groupby("fold"):
        for side in (TRAIN, VALIDATION, TEST):
            videos = members[members["side"] == side]
            covered = videos["video_id"].isin(usable)
            rows.append(
                {
                    "fold": names[fold],
                    "name": side,
                    "people": videos["subject"].nunique(),
                    "videos": len(videos),
                    "covered": int(covered.sum()),
                }
            )
    return rows


def _folds(source: ReportInput) -> list[dict[str, Any]]:
    """A row a fold, where there are several: the people and videos that it tests, and each arm's UAR on them."""
    if source.num_folds == 1:
        return []
    tested = source.split[source.split["side"] == TEST]
    return [
        {
            "name": name,
            "people": tested.loc[tested["fold"] == fold, "subject"].nunique(),
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
    """A row a class: usable videos, people who show it, segments."""
    videos = source.index.drop_duplicates("video_id")
    return [
        {
            "name": emotion,
            "videos": int((videos["emotion"] == emotion).sum()),
            "people": videos.loc[videos["emotion"] == emotion, "subject"].nunique(),
            "segments": int((source.index["emotion"] == emotion).sum()),
        }
        for emotion in source.settings.corpus.emotions
    ]


def _video_facts(videos: pd.DataFrame) -> str:
    """Size, rate and length of the usable videos, as a phrase; numbered images have neither rate nor length."""
    sizes = videos.groupby(["width", "height"]).size().sort_values(ascending=False)
    listed = ", ".join(f"{width}x{height}" for width, height in sizes.index[:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    are_images = videos["uri"].map(lambda uri: Path(uri).suffix.lower() not in VIDEO_SUFFIXES)
    images, films = videos[are_images], videos[~are_images]
    facts = [f"{listed}{more} px"]
    if len(films):
        facts += [f"{_range(films['fps'], '.4g')} frames/s", f"{_range(seconds(films), '.1f')} s long"]
    if len(images):
        number = f"{len(images)} of them " if len(films) else ""
        facts.append(f"{number}{_range(images['num_frames'], '.0f')} numbered images each")
    return ", ".join(facts)


def _range(values: pd.Series, form: str) -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
