"""Flow `fer`: the whole study."""

from pathlib import Path

from prefect import flow

from flows.evaluate import evaluate
from flows.limits import stop_after_crashes
from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, TrainOn, run_name, settings_of
from flows.prepare import prepare
from flows.split import split
from flows.train import train
from tasks.config.layout import Layout
from tasks.dataset.other_corpora.opening import open_corpora
from tasks.preparation.in_use import using_shards
from tasks.steps.artifacts import show_summary
from tasks.study.costs import check_memory
from tasks.study.initial_weights import check_first_weights
from tasks.study.needs import check_needs
from tasks.tracking.connection import tracking_uri


@flow(name="fer", flow_run_name=run_name("study"), validate_parameters=False)
def full_study(
    preset: Preset = AS_CONFIGURED,
    config: str = "",
    overrides: Overrides = NO_OVERRIDES,
    training: TrainOn = "here",
) -> Path:
    """Labelled videos in, compared models and a report out. Repeats nothing that is done.

    Args:
        preset: Settings to start from: `sample` draws its own videos and needs nothing; `published` repeats the
            published study; `corrected` is free of its faults; `modern` is a recipe for videos of your own. `as
            configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"training.epochs": 20, "seeds": 3, "corpus.root": "/data"}.
        training: `here`, one run after another, or on `workers`, each as a run of the deployment `fer-train/gpu`.
    """
    settings = settings_of(preset, config, overrides)
    tracking_uri(Layout.of(settings))  # that there is none, and what does not fit, shows here, not in hours
    check_needs(settings)
    check_first_weights(settings)
    open_corpora(settings)
    if training == "here" and not Layout.of(settings).split.is_file():  # so nothing is trained yet
        check_memory(settings)
    stop_after_crashes()
    with using_shards(settings, "study"):
        prepare(preset, config, overrides, allow_failures=True)
        split(preset, config, overrides)
        train(preset, config, overrides, training)
        report = evaluate(preset, config, overrides)
    show_summary(settings, report)
    return report
