"""The table of arms and the verdicts between them: what the study is about.

Each test video is predicted once by an arm and seed, in whichever fold tests it; scores and tests are those of all
folds together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import pyarrow as pa

from fer_models.errors import UserError
from fer_models.models.arms import Arm, get_arm
from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.comparisons import PairComparison, compare_arms
from fer_models.statistics.intervals import Interval, interval
from tasks.config.settings import StudySettings
from tasks.storage.expected import Expected
from tasks.storage.files import find_frame
from tasks.study.evaluation import PREDICTIONS_FILE, VIDEOS_FILE, Evaluation
from tasks.study.runs import Run, plan_runs
from tasks.study.scoring import labels_of, score_tables

#: Metrics of the table, in its order.
METRICS = tuple(f"{level}_{name}" for level in ("video", "segment") for name in ("accuracy", "uar", "macro_f1"))
#: What decides which arm is best and what the verdicts are about.
HEADLINE = "video_uar"


@dataclass(frozen=True)
class SeedResult:
    """An arm with one seed, over all folds: its predictions and their scores."""

    seed: int
    evaluations: tuple[Evaluation, ...]
    videos: pd.DataFrame
    segments: pd.DataFrame
    scores: dict[str, float]


@dataclass(frozen=True)
class ArmResult:
    """One row: an arm over its seeds. `interval` is of the mean UAR over videos, by bootstrap over subjects."""

    arm: Arm
    seeds: tuple[SeedResult, ...]
    predictions: ArmPredictions
    interval: Interval

    @property
    def num_parameters(self) -> int:
        return self.seeds[0].evaluations[0].num_parameters

    def mean(self, metric: str) -> float:
        return fmean(seed.scores[metric] for seed in self.seeds)

    def sd(self, metric: str) -> float | None:
        """Standard deviation over the seeds; None for a single seed."""
        values = [seed.scores[metric] for seed in self.seeds]
        return stdev(values) if len(values) > 1 else None

    def text(self, metric: str) -> str:
        """Mean in %, with the standard deviation where there is one."""
        sd = self.sd(metric)
        return f"{100 * self.mean(metric):.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def compare(evaluated: Sequence[tuple[Path, Evaluation]], emotions: Sequence[str]) -> list[ArmResult]:
    """One row an arm, in the order in which the arms come.

    Args:
        evaluated: for each run the folder of its evaluation, and the evaluation.
    """
    results = []
    for name in dict.fromkeys(evaluation.arm for _, evaluation in evaluated):
        of_arm = [(folder, evaluation) for folder, evaluation in evaluated if evaluation.arm == name]
        seeds = tuple(
            _seed_result([one for one in of_arm if one[1].seed == seed], seed, emotions)
            for seed in dict.fromkeys(evaluation.seed for _, evaluation in of_arm)
        )
        arm = get_arm(name)
        covered = [seed.videos[seed.videos["num_segments"] > 0] for seed in seeds]
        predictions = arm_predictions(covered, emotions, arm)
        results.append(ArmResult(arm, seeds, predictions, interval(predictions, "uar")))
    return results


def _seed_result(evaluated: Sequence[tuple[Path, Evaluation]], seed: int, emotions: Sequence[str]) -> SeedResult:
    videos, segments = (
        pd.concat([read_predictions(folder / name, emotions) for folder, _ in evaluated]).sort_values(
            ["video_id"], kind="stable", ignore_index=True
        )
        for name in (VIDEOS_FILE, PREDICTIONS_FILE)
    )
    evaluations = tuple(evaluation for _, evaluation in evaluated)
    return SeedResult(seed, evaluations, videos, segments, score_tables(videos, segments, emotions))


def read_predictions(path: Path, emotions: Sequence[str]) -> pd.DataFrame:
    """A table of an evaluation; raises `UserError` when it is not there (any more)."""
    texts = [(name, pa.string()) for name in ("video_id", "sha256", "subject", "emotion", "predicted")]
    counted = [("num_segments", pa.int64())] if path.name == VIDEOS_FILE else []
    schema = pa.schema([*texts, *counted, *((f"p_{emotion}", pa.float64()) for emotion in emotions)])
    table = find_frame(path, Expected(schema, words={"emotion": emotions, "predicted": (*emotions, "")}))
    if table is None:
        raise UserError(f"There are no predictions at {str(path)!r}; run `fer evaluate` again, which makes them anew.")
    return table


def arm_predictions(of_seeds: Sequence[pd.DataFrame], emotions: Sequence[str], arm: Arm | None) -> ArmPredictions:
    """What an arm predicted, from a table a seed with the columns subject, emotion and predicted, in one order.

    An ensemble has one table, which stands for each of its seeds. None is an arm of which nothing is known.
    """
    predicted = np.stack([labels_of(videos, emotions, "predicted") for videos in of_seeds])
    num_members = arm.num_members if arm else 0
    return ArmPredictions(
        labels=labels_of(of_seeds[0], emotions),
        subjects=of_seeds[0]["subject"].to_numpy(str),
        predicted=np.repeat(predicted, num_members, axis=0) if num_members else predicted,
        varies_by_seed=not (arm and arm.is_solved),
        is_ensemble=num_members > 0,
    )


def compare_pairs(results: Sequence[ArmResult], margin: float) -> list[PairComparison]:
    """All pairs of arms, on the same test videos."""
    arms = {result.arm.name: result.predictions for result in results}
    return compare_arms(arms, "uar", margin=margin) if len(arms) > 1 else []


def best_run(settings: StudySettings, result: ArmResult) -> Run:
    """The run of an arm that was best on the validation subset: the test subset chooses no model."""
    evaluations = [evaluation for seed in result.seeds for evaluation in seed.evaluations]
    chosen = max(evaluations, key=lambda evaluation: evaluation.validation_uar)
    (run,) = [
        run
        for run in plan_runs(settings)
        if (run.arm.name, run.seed, run.fold) == (chosen.arm, chosen.seed, chosen.fold)
    ]
    return run


def best_result(results: Sequence[ArmResult]) -> ArmResult:
    """The arm with the highest mean UAR over videos, whatever it is: people use what recognises best."""
    return max(results, key=lambda result: result.mean(HEADLINE))
