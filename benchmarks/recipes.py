"""Tries a recipe by the validation people of every fold, and by nobody else; what was tried stands in `TUNING.md`.

    PYTHONPATH=. .venv/bin/python benchmarks/recipes.py SETTINGS.yaml ARM [KEY=VALUE ...]

SETTINGS.yaml names a data root that is prepared and split. The model is trained on the training people of each fold and
predicts the clips of its validation people; scores are of all folds' together, so people may stand in several folds.
The test subsets are never opened. Prints a row: accuracy, UAR, cross entropy, and seconds on this machine.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model, model_network
from fer_models.statistics.metrics import by_video, score
from fer_models.training.engine import predict
from fer_models.training.fitting import fit
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.index import load_arrays, read_subset
from tasks.dataset.splits import fold_names, read_split
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints

SEED = 1


def main() -> None:
    """Train on each fold, print the row."""
    file, arm, *pairs = sys.argv[1:]
    overrides = {
        "training.refit": "none",
        "training.precision": "float32",
        **dict(pair.split("=", 1) for pair in pairs),
    }
    settings = resolve_settings("modern", Path(file), overrides)
    start = time.monotonic()
    folds = [validate(settings, arm, fold) for fold in fold_names(read_split(Layout.of(settings).split))]
    labels, probabilities = (np.concatenate(parts) for parts in zip(*folds, strict=True))
    scores = score(labels, probabilities, settings.corpus.emotions)
    what = " ".join(pairs) or "as it is"
    seconds = time.monotonic() - start
    print(f"| {arm} | {what} | {scores.accuracy:.3f} | {scores.uar:.3f} | {scores.loss:.3f} | {seconds:.0f} |")


def validate(settings: StudySettings, arm: str, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels int (clips,) and probabilities (clips, classes) of the validation clips of a fold."""
    layout, emotions, training = Layout.of(settings), settings.corpus.emotions, settings.training
    train, validation = (
        load_arrays(read_subset(layout.index, fold, subset, emotions), layout.prepared, emotions)
        for subset in (TRAIN, VALIDATION)
    )
    build = partial(build_model, get_arm(arm), settings.model, emotions, training.augmentation, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        fit(build, train, validation, training, RunCheckpoints(Path(folder)), SEED)
        model = load_model(Path(folder, MODEL_FILE))
    how = model_network(model).pooling
    _, labels, of_clips = by_video(validation.videos, validation.labels, predict(model, validation), how)
    return labels, of_clips


if __name__ == "__main__":
    main()
