"""Flow `fer`: the whole study."""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.evaluate import evaluate
from flows.parameters import Place, Preset, run_name
from flows.prepare import prepare
from flows.split import split
from flows.train import train


@flow(name="fer", flow_run_name=run_name("study"), validate_parameters=False)
def full_study(
    preset: Preset | None = None,
    config: str | None = None,
    overrides: dict[str, Any] | None = None,
    training: Place = "here",
) -> Path:
    """Labelled videos in, compared models and a report out. Repeats nothing that is done.

    Args:
        preset: Settings to start from: `sample` draws its own videos and needs nothing; `study` repeats the published
            study; `corrected` mends it. When empty that which the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as the worker sees it.
        overrides: Single settings by dotted key, e.g. {"training.epochs": 20, "seeds": 3, "corpus.root": "/data"}.
        training: `here`, one run after another, or on `workers`, each as a run of the deployment `fer-train/gpu`.
    """
    prepare(preset, config, overrides, tolerant=True)
    split(preset, config, overrides)
    train(preset, config, overrides, training)
    return evaluate(preset, config, overrides)
