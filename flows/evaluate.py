"""Flow `fer-evaluate`: every trained run on the test subset -> MLflow -> report."""

from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import UserError
from flows.limits import stop_after_crashes
from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, run_name, settings_of
from tasks.config.layout import Layout
from tasks.dataset.other_corpora.opening import open_corpora
from tasks.preparation.in_use import using_shards
from tasks.progress import echo, progress
from tasks.report.input import collect
from tasks.report.writing import read_summary, write_report
from tasks.steps.artifacts import ProgressArtifact, show_comparison
from tasks.steps.evaluate import evaluate_arm
from tasks.study.forecast import remembered_evaluation
from tasks.study.other_corpora.record import record_others
from tasks.study.runs import plan_runs
from tasks.tracking import mlflow_log, other_corpora_log
from tasks.tracking.champion import promote_if_better


@flow(
    name="fer-evaluate",
    flow_run_name=run_name("evaluate"),
    validate_parameters=False,
    task_runner=ThreadPoolTaskRunner(max_workers=1),
)
def evaluate(preset: Preset = AS_CONFIGURED, config: str = "", overrides: Overrides = NO_OVERRIDES) -> Path:
    """Evaluate every run of a study, log to MLflow and write the report; returns the path of the report.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"training.epochs": 20}.
    """
    stop_after_crashes()
    settings = settings_of(preset, config, overrides)
    open_corpora(settings)  # which says what is missing before anything is evaluated
    layout = Layout.of(settings)
    runs = plan_runs(settings)
    if untrained := [run for run in runs if not run.trained]:
        first = untrained[0]
        raise UserError(
            f"{len(untrained)} of {len(runs)} runs are not trained, for example {first.name}: {first.lacking} is not "
            "there, or not whole; run `fer train` first."
        )
    study_run = mlflow_log.open_study(settings)
    with using_shards(settings, "evaluate"), remembered_evaluation(settings, runs):
        futures = [evaluate_arm.submit(settings, run, study_run) for run in runs]
        with progress("Evaluating", len(runs)) as advance, ProgressArtifact("evaluate", len(runs)) as shown:
            for run, future in zip(runs, futures, strict=True):
                future.result()
                advance(run.name)
                shown.advance()
        record_others(settings)
        source = collect(settings)
        report = write_report(source, layout.report)
    other_corpora_log.log_study(settings, study_run, source.others)
    mlflow_log.close_study(settings, study_run, source.results, layout.report, read_summary(layout.report))
    echo(promote_if_better(settings, study_run, source.results))
    show_comparison(source, report, study_run)
    return report
