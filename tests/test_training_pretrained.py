"""Layers whose weights others trained: they wait, then learn slowly, or stay; a resumed run does the same."""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from test_models_mini_xception import DATA, draw_weights, write_weights
from test_training_fitting import TRAIN, VALIDATION, Interrupted, interrupt_after, without_seconds

from fer_models.models.arms import ARMS
from fer_models.models.backbones.mini_xception import build_mini_xception, layer_names
from fer_models.models.building import build_model, load_model
from fer_models.segments import SegmentArrays, pair_arrays
from fer_models.settings import ConstantSchedule, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.optimizers import Pace, make_optimizer
from fer_models.training.progress import Progress
from tasks.study.checkpoints import MODEL_FILE, RunCheckpoints
from tasks.weights.cache import find

pytestmark = pytest.mark.trains

SETTINGS = TrainingSettings(
    epochs=4,
    batch_size=6,
    optimizer="adamw",
    learning_rate=1e-2,
    schedule=ConstantSchedule(),
    choose="last",
    pretrained_warmup=0.5,
)


@pytest.fixture(scope="module", autouse=True)
def _eagerly() -> Iterator[None]:
    """Steps run as they stand: to trace one takes longer than this whole training."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build_mini_xception()
    draw_weights(model)
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.hdf5", model)


@pytest.fixture
def train(published: Path) -> Callable[..., Progress]:
    def run(folder: Path, settings: TrainingSettings, **arguments) -> Progress:
        def build() -> keras.Model:
            model = ModelSettings(form="modern", width=4, dropout=0.0)
            weights = {"fer2013-mini-xception": published}
            return build_model(ARMS["fer2013-gap-sum"], model, augmentation=settings.augmentation, weights=weights)

        return fit(build, TRAIN, VALIDATION, settings, RunCheckpoints(folder, settings.keep_epochs), 5, **arguments)

    return run


def changes(published: Path, model: keras.Model, arm: str = "fer2013-gap-sum") -> dict[str, float]:
    """How far each weight is from where it began."""
    begun = build_model(
        ARMS[arm],
        ModelSettings(form="modern", width=4),
        weights={"fer2013-mini-xception": published},
    )
    before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in begun.weights}
    after = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    same = [path for path in before if before[path].shape == after[path].shape]
    return {path: float(np.abs(after[path] - before[path]).max()) for path in same}


def of_backbone(changed: dict[str, float]) -> dict[str, float]:
    return {path: value for path, value in changed.items() if path.split("/")[0] in layer_names("spatial_")}


def is_normalisation(path: str) -> bool:
    return "batch_normalization" in path


@pytest.mark.slow
def test_they_wait_and_then_learn_but_for_their_normalisation(train, published: Path, tmp_path: Path) -> None:
    seen = []
    model_after = {}

    def look(epoch) -> None:
        path = next(tmp_path.glob(f"epoch-{epoch.epoch:04d}.keras"))
        model_after[epoch.epoch] = changes(published, load_model(path))
        seen.append(epoch.epoch)

    train(tmp_path, SETTINGS, on_epoch=look)
    assert seen == [1, 2, 3, 4]
    assert set(of_backbone(model_after[2]).values()) == {0.0}
    assert model_after[2]["spatial_projection/kernel"] > 0
    last = of_backbone(model_after[4])
    assert {value for path, value in last.items() if is_normalisation(path)} == {0.0}
    kernels = [value for path, value in last.items() if not is_normalisation(path)]
    assert min(kernels) > 0
    # four steps of AdamW are each no longer than the learning rate, here a tenth of it
    assert max(kernels) <= 4.1 * 1e-2 * 0.1
    assert model_after[4]["spatial_projection/kernel"] > 2e-2


@pytest.mark.slow
def test_what_is_frozen_never_learns(train, published: Path, tmp_path: Path) -> None:
    train(tmp_path, SETTINGS.model_copy(update={"pretrained": "frozen", "epochs": 2, "refit": "train_and_validation"}))
    changed = changes(published, load_model(tmp_path / MODEL_FILE))
    assert set(of_backbone(changed).values()) == {0.0}
    assert changed["temporal_conv1/kernel"] > 0


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_undisturbed_one(train, tmp_path: Path) -> None:
    """Broken off inside the warm-up, with averaged weights, and with a training on both subsets after it."""
    settings = SETTINGS.model_copy(update={"epochs": 2, "ema": 0.5, "refit": "train_and_validation"})
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(Interrupted):
        train(tmp_path / "resumed", settings, on_epoch=partial(interrupt_after, last=1))
    resumed = train(tmp_path / "resumed", settings)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    one, other = (load_model(tmp_path / name / MODEL_FILE).get_weights() for name in ("whole", "resumed"))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("name", "decay", "first"), [("adamw", 0.05, 1.0), ("rmsprop", 0.0, 10**0.5)])
def test_a_saved_optimizer_keeps_its_pace(name: str, decay: float, first: float) -> None:
    made = make_optimizer(SETTINGS.model_copy(update={"optimizer": name}), Pace((1,), 0.1, 1))
    optimizer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made), safe_mode=True)
    variables = [keras.Variable(np.ones(2), name="kernel") for _ in range(2)]
    optimizer.build(variables)
    values = []
    for _ in range(2):
        optimizer.apply([np.ones(2, np.float32)] * 2, variables)
        values.append([float(variable[0]) for variable in variables])
    assert values[0] == pytest.approx([1.0 - 1e-2 * (first + decay), 1.0], abs=1e-5)
    step = values[0][0] * (1 - 1e-2 * decay) - values[1][0]
    assert 1.0 - values[1][1] == pytest.approx(0.1 * step, abs=1e-6), "a tenth of a step, and no decay"


def test_arms_without_such_layers_have_the_plain_optimizer() -> None:
    assert type(make_optimizer(SETTINGS)).__name__ == "KernelAdamW"


@pytest.mark.slow
def test_fine_tuning_learns_real_faces(tmp_path: Path) -> None:
    """The network as it is knows 0.70 of such clips; the share of the largest class is 0.27."""
    weights = find("fer2013-mini-xception")
    if weights is None or not DATA.is_dir():
        pytest.skip("the real weights or faces are not here")
    tested = {
        row["subject"].rpartition("/")[2] for row in csv.DictReader((DATA / "folds.csv").open()) if row["fold"] == "1"
    }
    emotions = ("anger", "disgust", "fear", "happy", "sadness", "surprise")
    rows = [
        (sorted((DATA / "CK+48" / emotion).glob(f"{clip}_*.png"))[-1], label, clip[:4] in tested)
        for label, emotion in enumerate(emotions)
        for clip in sorted({path.name[:8] for path in (DATA / "CK+48" / emotion).glob("*.png")})
    ]
    subsets = [_of_faces([(path, label) for path, label, is_tested in rows if is_tested == which]) for which in (0, 1)]
    assert [len(one) for one in subsets] == [136, 32]
    settings = TrainingSettings(
        epochs=2,
        steps=80,
        batch_size=32,
        optimizer="adamw",
        learning_rate=3e-3,
        schedule=CosineSchedule(),
        choose="last",
    )
    model = ModelSettings(form="modern", dropout=0.2)

    def build() -> keras.Model:
        own = {"fer2013-mini-xception": weights}
        return build_model(ARMS["fer2013-spatial-only"], model, augmentation=settings.augmentation, weights=own)

    progress = fit(build, *subsets, settings, RunCheckpoints(tmp_path), 1)
    assert progress.history[-1].val_accuracy > 0.8
    assert max(of_backbone(changes(weights, load_model(tmp_path / MODEL_FILE), "fer2013-spatial-only")).values()) > 0


def _of_faces(rows: list[tuple[Path, int]]) -> SegmentArrays:
    faces = np.stack([cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path, _ in rows])
    names = np.array([path.name for path, _ in rows])
    still = np.zeros((*faces.shape[:3], 2), np.float16)
    return pair_arrays(faces, still, np.array([label for _, label in rows]), np.arange(len(rows)), names)
