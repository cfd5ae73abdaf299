"""What a model is worth as a beginning: trained on half of the sample's training people, then on the other half.

    PYTHONPATH=. .venv/bin/python benchmarks/transfer.py [--data-root FOLDER] [--arm gap-sum] [--seeds 3]

The sample is prepared and split as by `fer study --preset sample`. With each seed a model is trained on the first half
of the training people. The second half trains a fresh model, one that goes on from the weights of the first model, and
one in which the layers that were taken wait below a fresh head (`training.freeze: warmup`). A model of both halves is
what more people give. The validation people choose the epoch of each. Prints UAR over the videos of the test people,
whom no model saw, mean over the seeds with its interval over people, and the difference to the fresh models with its
interval over people and seeds.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model, model_network
from fer_models.models.initial_weights import read_weights
from fer_models.segments import SegmentArrays
from fer_models.settings import TrainingSettings
from fer_models.statistics.arm_predictions import ArmPredictions
from fer_models.statistics.comparisons import compare_arms
from fer_models.statistics.intervals import Interval, interval
from fer_models.statistics.metrics import by_video
from fer_models.training.engine import predict
from fer_models.training.fitting import fit
from flows.environment import prepare_environment
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TEST, TRAIN, VALIDATION
from tasks.dataset.index import load_arrays, read_subset
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints
from tasks.study.initial_weights import give_initial_weights
from tasks.study.needs import shape_of

#: How the second half is trained on, by name: what becomes of the first half's weights; None takes none.
BEGINNINGS = {"fresh": None, "from the first half": "none", "from it, below a fresh head": "warmup"}
FIRST, BOTH = "the first half alone", "both halves at once"


def main() -> None:
    """Prepare, train, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", help="kept for the next time; a temporary folder without")
    parser.add_argument("--arm", default="gap-sum")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(chosen.data_root or temporary)
        overrides = {
            "data_root": str(root / "data"),
            "corpus.root": str(root / "corpus"),
            "training.keep_epochs": False,
        }
        overrides |= dict(pair.split("=", 1) for pair in chosen.set)
        prepare_sample(overrides)
        measure(resolve_settings("sample", None, overrides), chosen.arm, chosen.seeds)


def prepare_sample(overrides: dict[str, object]) -> None:
    """Draw, prepare and split the sample; what is done is not done again."""
    prepare_environment(quiet=True)
    from flows.prepare import prepare
    from flows.split import split

    prepare("sample", overrides=overrides, allow_failures=True)
    split("sample", overrides=overrides)


def measure(settings: StudySettings, arm: str, num_seeds: int) -> None:
    """Train all models and print what they score."""
    start = time.monotonic()
    halves, validation = split_training(settings)
    test = load(settings, read(settings, TEST))
    predicted = defaultdict(list)
    for seed in range(1, num_seeds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            first = train(settings, arm, settings.training, halves[0], validation, seed, folder / "first")
            predicted[FIRST].append(videos_of(first, test))
            for what, freeze in BEGINNINGS.items():
                given = {"initial_weights": freeze and str(first), "freeze": freeze or "none"}
                training = settings.training.model_copy(update=given)
                model = train(settings, arm, training, halves[1], validation, seed, folder / what)
                predicted[what].append(videos_of(model, test))
            both = pd.concat(halves)
            predicted[BOTH].append(
                videos_of(train(settings, arm, settings.training, both, validation, seed, folder / BOTH), test)
            )
    show(predicted, read(settings, TEST), test)
    people = [half["subject"].nunique() for half in halves]
    print(f"\n{arm}, {num_seeds} seeds, halves of {people[0]} and {people[1]} people, {time.monotonic() - start:.0f} s")


def read(settings: StudySettings, subset: str) -> pd.DataFrame:
    """The segments of a subset."""
    return read_subset(Layout.of(settings).index, 0, subset, settings.corpus.emotions)


def split_training(settings: StudySettings) -> tuple[list[pd.DataFrame], SegmentArrays]:
    """The segments of every second one of the training people, those of the others, and the validation segments."""
    train = read(settings, TRAIN)
    people = sorted(train["subject"].unique())
    return [train[train["subject"].isin(people[half::2])] for half in (0, 1)], load(
        settings, read(settings, VALIDATION)
    )


def load(settings: StudySettings, rows: pd.DataFrame) -> SegmentArrays:
    """The arrays of some segments."""
    return load_arrays(rows.reset_index(drop=True), Layout.of(settings).prepared, settings.corpus.emotions)


def train(
    settings: StudySettings,
    arm: str,
    training: TrainingSettings,
    rows: pd.DataFrame,
    validation: SegmentArrays,
    seed: int,
    folder: Path,
) -> Path:
    """Train a model on some segments; returns its file."""

    def build() -> keras.Model:
        shape, emotions = shape_of(settings), settings.corpus.emotions
        model = build_model(get_arm(arm), settings.model, emotions, training.augmentation, seed=seed, shape=shape)
        if training.initial_weights:
            give_initial_weights(model, read_weights(Path(training.initial_weights)), training, folder.name, folder)
        return model

    fit(build, load(settings, rows), validation, training, RunCheckpoints(folder), seed)
    return folder / MODEL_FILE


def videos_of(model: Path, test: SegmentArrays) -> np.ndarray:
    """The class that a model predicts for each test video, int (videos,)."""
    trained = load_model(model)
    _, _, probabilities = by_video(test.videos, test.labels, predict(trained, test), model_network(trained).pooling)
    return probabilities.argmax(axis=1)


def show(predicted: dict[str, list[np.ndarray]], rows: pd.DataFrame, test: SegmentArrays) -> None:
    """Print a row for each way to train."""
    videos, labels, _ = by_video(test.videos, test.labels, np.ones((len(test), 2)), "mean")
    subjects = pd.Series(rows["subject"].to_numpy(), index=test.videos).groupby(level=0).first().loc[videos]
    arms = {
        what: ArmPredictions(labels, subjects.to_numpy(str), np.stack(of_seeds)) for what, of_seeds in predicted.items()
    }
    against = {pair.first: pair for pair in compare_arms(arms, "uar", reference="fresh")}

    def text(found: Interval) -> str:
        return f"{100 * found.low:.1f} to {100 * found.high:.1f}"

    print("| trained | UAR, % | 95 % | by seed | against fresh | 95 % | verdict |\n|---|---:|---:|---|---:|---:|---|")
    for what, arm in arms.items():
        found, pair = interval(arm, "uar"), against.get(what)
        by_seed = ", ".join(f"{100 * score:.1f}" for score in arm.scores("uar"))
        cells = [what, f"{100 * found.estimate:.1f}", text(found), by_seed, "", "", ""]
        if pair:
            cells[4:] = [f"{100 * pair.difference:+.1f}", text(pair.interval_95), pair.verdict]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
