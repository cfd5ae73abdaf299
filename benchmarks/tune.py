"""Tries learning rates and schedules for the `corrected` preset, by validation subjects only.

    PYTHONPATH=. .venv/bin/python benchmarks/tune.py sample DATA_ROOT [KEY=VALUE ...]

DATA_ROOT is that of a study whose split exists (`fer prepare`, `fer split`); further settings as with `--set`. The test
side is never opened. Models are 32 filters wide with 256 units, which fit a laptop; the arms are of two kinds.
Prints a row a candidate: the best validation UAR of each arm, the epoch that had it, and the mean over the arms.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model
from fer_models.settings import ConstantSchedule, PlateauSchedule, Schedule, Triangular2Schedule
from fer_models.training.fitting import fit
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.index import load_arrays, read_subset
from tasks.study.checkpoints import RunCheckpoints

ARMS = ("flatten-sum", "gap-concatenate")
SEED = 1
EPOCHS = 16
SCHEDULES: dict[str, Schedule] = {
    "constant": ConstantSchedule(),
    "plateau": PlateauSchedule(patience=4),
    "triangular2": Triangular2Schedule(half_cycle_epochs=4, peak_factor=5, restart_patience=10),
}
CANDIDATES = [
    ("study's", 1e-5, "plateau"),
    ("constant", 5e-4, "constant"),
    *(("plateau", rate, "plateau") for rate in (5e-4, 1e-3)),
    *(("triangular2", rate, "triangular2") for rate in (1e-4, 2e-4, 5e-4)),
]


def main() -> None:
    """Run all candidates on one corpus."""
    preset, root, *pairs = sys.argv[1:]
    overrides = {"data_root": root, **dict(pair.split("=", 1) for pair in pairs)}
    settings = resolve_settings(preset, None, overrides)
    layout = Layout.of(settings)
    emotions = settings.corpus.emotions
    train, validation = (
        load_arrays(read_subset(layout.index, 0, side, emotions), layout.prepared, emotions)
        for side in (TRAIN, VALIDATION)
    )
    corrected = resolve_settings("corrected")
    model = corrected.model.model_copy(update={"width": 32, "head_units": 256})
    print(f"{preset}: {len(train)} training and {len(validation)} validation segments", flush=True)
    print("| schedule | learning rate | " + " | ".join(ARMS) + " | mean |\n|---|---:|---:|---:|---:|", flush=True)
    for name, rate, schedule in CANDIDATES:
        training = corrected.training.model_copy(
            update={
                "epochs": EPOCHS,
                "learning_rate": rate,
                "schedule": SCHEDULES[schedule],
                "early_stopping_patience": None,
                "batch_size": 64,
            }
        )
        best = []
        for arm in ARMS:
            build = partial(build_model, get_arm(arm), model, emotions, training.augmentation, seed=SEED)
            with tempfile.TemporaryDirectory() as folder:
                progress = fit(build, train, validation, training, RunCheckpoints(Path(folder)), SEED)
            epoch = progress.history[progress.best_epoch - 1]
            best.append((epoch.val_uar, epoch.epoch))
        cells = [f"{100 * uar:.1f} ({epoch})" for uar, epoch in best]
        mean = 100 * sum(uar for uar, _ in best) / len(best)
        print(f"| {name} | {rate:g} | {' | '.join(cells)} | {mean:.1f} |", flush=True)


if __name__ == "__main__":
    main()
