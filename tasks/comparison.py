"""The table of arms: what the study is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from fer_models.arms import Arm, get_arm
from tasks.evaluation import Evaluation

#: Metrics of the table, in its order.
METRICS = tuple(f"{level}_{name}" for level in ("video", "segment") for name in ("accuracy", "uar", "macro_f1"))


@dataclass(frozen=True)
class ArmResult:
    """One row: an arm over its seeds."""

    arm: Arm
    evaluations: tuple[Evaluation, ...]

    @property
    def num_parameters(self) -> int:
        return self.evaluations[0].num_parameters

    def mean(self, metric: str) -> float:
        return fmean(evaluation.scores[metric] for evaluation in self.evaluations)

    def sd(self, metric: str) -> float | None:
        """Standard deviation over the seeds; None for a single seed."""
        values = [evaluation.scores[metric] for evaluation in self.evaluations]
        return stdev(values) if len(values) > 1 else None

    def text(self, metric: str) -> str:
        """Mean in %, with the standard deviation where there is one."""
        sd = self.sd(metric)
        return f"{100 * self.mean(metric):.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def compare(evaluations: Sequence[Evaluation]) -> list[ArmResult]:
    """One row an arm, in the order in which the arms come."""
    names = list(dict.fromkeys(evaluation.arm for evaluation in evaluations))
    return [
        ArmResult(get_arm(name), tuple(evaluation for evaluation in evaluations if evaluation.arm == name))
        for name in names
    ]


def best_result(results: Sequence[ArmResult]) -> ArmResult:
    """The arm with the highest mean UAR over videos, fusion arms first if there are any."""
    fusions = [result for result in results if result.arm.fusion]
    return max(fusions or results, key=lambda result: result.mean("video_uar"))
