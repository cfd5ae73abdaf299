"""The figures of one evaluated run, in the folder of its evaluation."""

from pathlib import Path

from tasks.drawing.figures import save_figure
from tasks.report.plots.confusion import plot_confusion
from tasks.report.plots.explanations import plot_explanations
from tasks.report.plots.learning_curves import plot_learning_curves
from tasks.report.plots.mean_maps import plot_mean_maps
from tasks.report.plots.randomisation import plot_randomisation
from tasks.study.evaluation import EvaluatedRun, Evaluation
from tasks.study.explanations import TILES_PER_CLASS, Explanation, RunExplanation
from tasks.study.scoring import confusions

LEARNING_CURVES = "learning_curves.png"
GRADCAM = "gradcam.jpg"
MEAN_MAPS = "gradcam_mean.jpg"
RANDOMISATION = "randomisation.png"


def draw_run(folder: Path, run: EvaluatedRun) -> None:
    """Draw learning curves, confusion matrices and explanations."""
    title, training = run.arm.title, run.training
    if len(training.history) > 1:
        save_figure(plot_learning_curves(training.history, training.best_epoch, title), folder / LEARNING_CURVES)
    for level, table in (("videos", run.videos), ("segments", run.segments)):
        counts = confusions(table, run.emotions)
        save_figure(plot_confusion(counts, run.emotions, f"{title}, {level}"), folder / f"confusion_{level}.png")
    draw_explanation(folder, run.explanation, title)


def shown_figures(evaluation: Evaluation, explanation: Explanation) -> tuple[str, ...]:
    """Those that the report shows of an arm's first run; its confusion matrices there are of all runs together."""
    curves = (LEARNING_CURVES,) if evaluation.num_epochs > 1 else ()
    maps = (MEAN_MAPS, RANDOMISATION) if explanation.passed is not None else ()
    return (*curves, GRADCAM, *maps)


def draw_explanation(folder: Path, explanation: RunExplanation, title: str) -> None:
    """Draw tiles, and where the model has maps the mean maps and the check of the maps."""
    save_figure(plot_explanations(explanation.tiles, title, TILES_PER_CLASS), folder / GRADCAM)
    if explanation.check is None:
        return
    save_figure(plot_mean_maps(explanation.means, title), folder / MEAN_MAPS)
    save_figure(plot_randomisation(explanation.check, title), folder / RANDOMISATION)
