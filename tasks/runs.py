"""Training runs: an arm with a seed on the data of a study. A run's folder is named by all that decides its result."""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import pandas as pd

from fer_models.arms import Arm, get_arm
from fer_models.building import build_model
from fer_models.segments import SegmentArrays
from fer_models.training import MODEL_FILE, Epoch, Progress, fit, read_progress
from tasks.carried import carry_prepare
from tasks.files import write_json
from tasks.index import index_digest, load_arrays
from tasks.layout import Layout
from tasks.preparation import prepare_digest
from tasks.progress import progress, say
from tasks.settings import StudySettings, digest
from tasks.splits import TRAIN, VALIDATION

#: Raised when the same settings and data give another model than before.
CODE_VERSION = 2


@dataclass(frozen=True)
class Run:
    """One training run of a study."""

    arm: Arm
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def trained(self) -> bool:
        return (self.folder / MODEL_FILE).is_file()


def plan_runs(settings: StudySettings, index: pd.DataFrame) -> list[Run]:
    """The runs of a study, in the order of its arms and seeds; nothing of the test side has a part in their names."""
    seen = index[index["side"].isin([TRAIN, VALIDATION])]
    common = (
        settings.model,
        settings.training,
        prepare_digest(settings.prepare),
        {
            "emotions": settings.corpus.emotions,
            "data": index_digest(seen),
            "code": CODE_VERSION,
            "backend": keras.backend.backend(),
        },
    )
    folder = Layout.of(settings).runs
    return [
        Run(arm, seed, folder / f"{arm.name}-seed{seed}-{digest(*common, {**asdict(arm), 'seed': seed})}")
        for arm in map(get_arm, settings.arms)
        for seed in settings.seeds
    ]


def build_run_model(settings: StudySettings, run: Run) -> keras.Model:
    """A run's model with fresh weights."""
    return build_model(
        run.arm,
        settings.model,
        labels=settings.corpus.emotions,
        augmentation=settings.training.augmentation,
        precision=settings.training.precision,
        prepare=carry_prepare(settings.prepare),
        seed=run.seed,
    )


def train_run(settings: StudySettings, run: Run, index: Path, on_epoch: Callable[[Epoch], None]) -> Progress:
    """Train a run, or go on with it; a run that is done is not touched."""
    done = read_progress(run.folder)
    if run.trained and done:
        return done
    layout = Layout.of(settings)
    train, validation = (
        side_arrays(index, index.stat().st_mtime_ns, layout.prepared, settings.corpus.emotions, side)
        for side in (TRAIN, VALIDATION)
    )
    run.folder.mkdir(parents=True, exist_ok=True)
    write_json(run.folder / "settings.json", settings)
    if done:
        say(f"{run.name}: going on after epoch {len(done.history)}")
    epochs = settings.training.epochs
    with progress(f"Training {run.name}", epochs) as advance:

        def tell(epoch: Epoch) -> None:
            on_epoch(epoch)
            advance(f"validation UAR {epoch.val_uar:.3f}")

        result = fit(
            lambda: build_run_model(settings, run), train, validation, settings.training, run.folder, run.seed, tell
        )
    keras.backend.clear_session()
    return result


@functools.lru_cache(maxsize=2)
def side_arrays(index: Path, modified_ns: int, prepared: Path, emotions: tuple[str, ...], side: str) -> SegmentArrays:
    """The arrays of one side, kept for the next run of the same study."""
    rows = pd.read_parquet(index, filters=[("side", "==", side)])
    return load_arrays(rows.reset_index(drop=True), prepared, emotions)
