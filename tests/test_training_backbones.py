"""Published networks that are trained: from fresh weights they learn a still face, published weights wait and stay."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from test_models_backbones import SMALL, build, write_notop
from test_models_mini_xception import draw_weights
from test_training_fitting import SEED, Interrupted, make_quick, segments

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.settings import ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.progress import Epoch
from tasks.study.checkpoints import RunCheckpoints

pytestmark = pytest.mark.trains

MODEL = ModelSettings(form="modern", dropout=0.0, backbone_width=SMALL)
TRAIN, VALIDATION = segments(12), segments(9, seed=1)
SETTINGS = TrainingSettings(
    epochs=4,
    batch_size=6,
    optimizer="adamw",
    learning_rate=1e-2,
    augmentation=None,
    schedule=ConstantSchedule(),
    choose="last",
    pretrained_warmup=0.5,
)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", ["vgg16-spatial", pytest.param("mobilenet-spatial", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_from_fresh_weights_it_learns_a_still_face(name: str, tmp_path: Path) -> None:
    def stop_when_learned(epoch: Epoch) -> None:
        if epoch.train_accuracy >= 0.9:
            raise Interrupted

    settings = SETTINGS.model_copy(update={"epochs": 100, "learning_rate": 1e-3})
    make = partial(build_model, ARMS[name], MODEL, seed=SEED)
    with pytest.raises(Interrupted):
        fit(make, TRAIN, VALIDATION, settings, RunCheckpoints(tmp_path), SEED, on_epoch=stop_when_learned)


@pytest.mark.slow
def test_published_weights_wait_and_what_is_below_stays(tmp_path: Path) -> None:
    """Two epochs of warm-up, two of fine-tuning from the last block of VGG16 on, at a tenth of the rate."""
    published = build("vgg16", SMALL)
    draw_weights(published)
    weights = {"vgg16-imagenet": write_notop(tmp_path / "vgg16.h5", published)}
    model = MODEL.model_copy(update={"backbone_weights": "imagenet", "unfreeze_from": "block5"})
    make = partial(build_model, ARMS["vgg16-concatenate"], model, weights=weights, seed=SEED)
    begun = {weight.path: keras.ops.convert_to_numpy(weight) for weight in make().weights}
    changes: dict[int, dict[str, float]] = {}

    def look(epoch: Epoch) -> None:
        trained = load_model(next(tmp_path.glob(f"epoch-{epoch.epoch:04d}.keras")))
        changes[epoch.epoch] = {
            weight.path: float(np.abs(keras.ops.convert_to_numpy(weight) - begun[weight.path]).max())
            for weight in trained.weights
            if weight.path in begun
        }

    fit(make, TRAIN, VALIDATION, SETTINGS, RunCheckpoints(tmp_path), SEED, on_epoch=look)
    networks = {path for path in begun if path.startswith(("spatial_", "temporal_"))}
    tuned = {path for path in networks if "_block5_" in path and path.endswith("kernel")}
    assert len(networks) == 52
    assert len(tuned) == 6
    assert {changes[2][path] for path in networks} == {0.0}
    assert changes[2]["logits/kernel"] > 0
    below = {path for path in networks if "_block5_" not in path}
    assert {changes[4][path] for path in below} == {0.0}
    # four steps of AdamW are each no longer than the learning rate, here a tenth of it
    assert all(0 < changes[4][path] <= 4.1 * 1e-2 * 0.1 for path in tuned)
