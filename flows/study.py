"""Flow `fer`: the whole study."""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.split import split
from flows.train import train
from tasks.configuration import resolve_settings
from tasks.layout import Layout
from tasks.tracking import tracking_uri


@flow(name="fer", validate_parameters=False)
def full_study(preset: str | None = None, config: str | None = None, overrides: dict[str, Any] | None = None) -> Path:
    """Labelled videos in, compared models and a report out. Repeats nothing that is done.

    Args:
        preset: `sample`, `study` or `corrected`.
        config: path of a YAML file with settings that differ from the preset's.
        overrides: single settings by dotted key, e.g. {"training.epochs": 20}.
    """
    tracking_uri(Layout.of(resolve_settings(preset, config, overrides)))  # that there is none shows here, not in hours
    prepare(preset, config, overrides)
    split(preset, config, overrides)
    train(preset, config, overrides)
    return evaluate(preset, config, overrides)
