"""Gathers what the report of an evaluated study is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer_models.models.card import ModelCard
from fer_models.models.equivalence import Equivalence, find_equivalences
from fer_models.statistics.comparisons import PairComparison
from fer_models.statistics.seed_noise import measure_seed_noise
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.index import read_subset
from tasks.dataset.splits import SUBSETS, read_split, split_of_study
from tasks.preparation.ledger import read_ledger
from tasks.report.run_figures import shown_figures
from tasks.study.cards import find_run_card
from tasks.study.comparison import ArmResult, best_result, best_run, compare, compare_pairs
from tasks.study.evaluation import Evaluation, read_evaluation
from tasks.study.explanations import Explanation, read_explanation
from tasks.study.other_corpora.record import OtherCorporaRecord, find_record
from tasks.study.runs import plan_runs
from tasks.study.test_set import own_test_set


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of. `folders` holds by arm the evaluation folder of its first run.

    `split` has the study's own videos; `index` is that of the first fold, all three subsets; `explanations` holds by
    arm that of its first run. `card` is that of the best arm's run that was best on the validation subset. `others` is
    what the study came to on other corpora, where it was tested on some.
    """

    settings: StudySettings
    ledger: pd.DataFrame
    index: pd.DataFrame
    split: pd.DataFrame
    results: Sequence[ArmResult]
    pairs: Sequence[PairComparison]
    equivalences: Sequence[Equivalence]
    folders: dict[str, Path]
    explanations: dict[str, Explanation]
    card: ModelCard | None = None
    others: OtherCorporaRecord | None = None

    @property
    def best(self) -> ArmResult:
        return best_result(self.results)

    def shown_figures(self, result: ArmResult) -> tuple[str, ...]:
        """The figures of an arm's first run that the report shows."""
        return shown_figures(result.seeds[0].evaluations[0], self.explanations[result.arm.name])

    @property
    def null_band(self) -> float | None:
        """How far apart the same arm with other seeds stays; None where one seed, or no arm, tells of it."""
        showing = [one.predictions.scores("uar") for one in self.results if one.predictions.shows_seed_noise]
        noise = measure_seed_noise(np.array(showing)) if showing else None
        return noise.band() if noise else None

    @property
    def num_folds(self) -> int:
        return int(self.split["fold"].nunique())


def collect(settings: StudySettings) -> ReportInput:
    """Gather what the report of an evaluated study needs; raises `UserError` naming the step that is missing."""
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
        pd.concat([read_subset(layout.index, first, subset, emotions) for subset in SUBSETS], ignore_index=True),
        split,
        results,
        compare_pairs(results, settings.equivalence_margin),
        find_equivalences([result.arm for result in results], settings.model),
        folders,
        {arm: read_explanation(folder) for arm, folder in folders.items()},
        find_run_card(best_run(settings, best_result(results))),
        find_record(settings, [folder for folder, _ in evaluated]),
    )
