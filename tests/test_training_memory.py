"""Estimates of memory: what counts, and that they are sums of what they say."""

from dataclasses import replace

import pytest

from fer_models.models.sizes import ModelSize
from fer_models.settings import AugmentationSettings, ModelSettings, TrainingSettings
from fer_models.training.memory import Memory, TrainingData, training_memory

SIZE = ModelSize(
    trained=900,
    fixed=100,
    inputs=7,
    kept=1_000_000,
    largest=100_000,
    widest=200_000,
    num_operations=10,
    num_features=50,
    num_visible=0,
    takes_frames=False,
)
DATA = TrainingData(num_bytes=5_000, num_segments=1_000, num_videos=20)
OVERHEAD = 40 * 2**20 + 10 * 1_200_000
PREDICTION = 256 * (1.8 * 200_000 + 7)
SMALL_STEP = 8 * (1.2 * 1_200_000 + 14) + 4 * 2 * 900
TRAINING = TrainingSettings(batch_size=200, augmentation=None)


def estimate(
    size: ModelSize = SIZE, is_solved: bool = False, model: ModelSettings = ModelSettings(), **training: object
) -> Memory:
    return training_memory(size, model, TRAINING.model_copy(update=training), DATA, is_solved)


def test_a_step_by_hand() -> None:
    found = estimate()
    assert (found.data, found.model) == (5_000, 4 * (3 * 1_000 + 2 * 900)), "RMSprop keeps one value"
    assert found.step == round(200 * (1.2 * 1_200_000 + 14) + 4 * 2 * 900 + PREDICTION / 4 + OVERHEAD)
    assert found.total == found.data + found.model + found.step
    assert estimate(optimizer="adamw", ema=0.9).model == 4 * (3 * 1_000 + 2 * 3 * 900)


def test_a_prediction_takes_more_than_a_small_step() -> None:
    assert estimate(batch_size=8).step == round(PREDICTION + SMALL_STEP / 4 + OVERHEAD)
    views = ModelSettings(views="mirror_and_shifts")
    assert estimate(batch_size=8, model=views).step == round(PREDICTION + 256 * 9 * 7 + SMALL_STEP / 4 + OVERHEAD)


@pytest.mark.parametrize(("mirror", "ways"), [(False, 1), (True, 2)])
def test_a_machine_has_its_features_in_memory(mirror: bool, ways: int) -> None:
    augmentation = AugmentationSettings(mirror=mirror)
    found = estimate(is_solved=True, augmentation=augmentation)
    assert found.step == round(PREDICTION + ways * 36 * 1_000 * 50 + OVERHEAD)
    assert found.model == 4 * 3 * 1_000, "nothing is kept for an optimizer"
    of_videos = estimate(batch_size=8, augmentation=augmentation, model=ModelSettings(video_classifier="linear_svm"))
    assert of_videos.step == round(PREDICTION + ways * 36 * 20 * 50 + SMALL_STEP / 4 + OVERHEAD)
    many = estimate(replace(SIZE, num_features=10**6), is_solved=True)
    assert many.step == round(PREDICTION + 36 * 20_000_000 + OVERHEAD), "it learns from no more"


def test_a_belief_network_has_its_features_in_memory() -> None:
    size = replace(SIZE, num_visible=10_000)
    expected = PREDICTION + 12 * 1_000 * 10_000 + SMALL_STEP / 4 + OVERHEAD
    assert estimate(size, batch_size=8).step == round(expected)
