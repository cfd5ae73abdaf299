"""Mixtures of pairs: pictures and labels go together, and a resumed run mixes as an undisturbed one."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import pair_arrays
from fer_models.settings import ConstantSchedule, ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.mixing import Mixing, PairMixing, draw_mixing
from tasks.study.checkpoints import RunCheckpoints

NONE = np.zeros((3, 4), np.float32)
RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (3, 48, 48, 3), np.uint8)
MOTION = RNG.normal(0, 1, (3, 48, 48, 2)).astype(np.float32)


def mixed(mixing: Mixing, *tensors: np.ndarray) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(one) for one in PairMixing()([*tensors, *mixing.arrays()])]


def test_mixup_is_a_weighted_sum_of_two() -> None:
    mixing = Mixing(np.array([2, 0, 1], np.int32), np.array([1, 0.25, 0], np.float32), NONE)
    faces, motion = mixed(mixing, FACES, MOTION)
    assert faces.dtype == np.uint8
    np.testing.assert_array_equal(faces[0], FACES[0])
    np.testing.assert_allclose(motion[1], 0.25 * MOTION[1] + 0.75 * MOTION[0], atol=1e-6)
    np.testing.assert_allclose(faces[1], 0.25 * FACES[1] + 0.75 * FACES[0], atol=0.5)
    np.testing.assert_array_equal(faces[2], FACES[1])
    np.testing.assert_array_equal(mixing.label_share, [1, 0.25, 0])


def test_cutmix_lays_the_same_rectangle_into_face_and_motion_and_label() -> None:
    rectangle = np.tile(np.array([[0.25, 0.75, 0, 1 / 3]], np.float32), (3, 1))  # top, bottom, left, right
    mixing = Mixing(np.array([1, 2, 0], np.int32), np.ones(3, np.float32), rectangle)
    faces, motion = mixed(mixing, FACES, MOTION)
    for found, plain in ((faces, FACES), (motion, MOTION)):
        expected = plain.copy()
        expected[:, 12:36, :16] = plain[[1, 2, 0], 12:36, :16]
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(mixing.label_share, 1 - 0.5 / 3, rtol=1e-6)


def test_frames_of_a_longer_segment_are_mixed_alike() -> None:
    mixing = Mixing(np.array([1, 2, 0], np.int32), np.full(3, 0.5, np.float32), NONE)
    (motion,) = mixed(mixing, np.stack([MOTION, 2 * MOTION], axis=1))
    np.testing.assert_allclose(motion[:, 1], 2 * motion[:, 0], atol=1e-5)


@pytest.mark.parametrize("kind", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_draws_depend_on_the_generator_alone_and_stay_in_range(kind: dict[str, float]) -> None:
    settings = TrainingSettings(**kind)
    one, other = (draw_mixing(500, settings, np.random.default_rng([1, 2, 3])) for _ in range(2))
    for first, second in zip(one.arrays(), other.arrays(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert sorted(one.partner) == list(range(500))
    assert one.rectangle.min() >= 0
    assert one.rectangle.max() <= 1
    assert one.label_share.min() >= 0
    assert abs(one.label_share.mean() - 0.5) < 0.06  # both distributions are even


def test_a_batch_has_one_kind_or_the_other() -> None:
    settings = TrainingSettings(mixup=0.4, cutmix=1.0)
    drawn = [draw_mixing(4, settings, np.random.default_rng(seed)) for seed in range(40)]
    cut = [bool(one.rectangle.any()) for one in drawn]
    assert 10 <= sum(cut) <= 30
    assert all((one.share == 1).all() == with_rectangle for one, with_rectangle in zip(drawn, cut, strict=True))


class Interrupted(Exception):
    """What stops a run in this test."""


@pytest.mark.slow
@pytest.mark.trains
def test_a_run_with_soft_labels_learns_and_resumes_exactly(tmp_path: Path) -> None:
    labels = np.arange(12) % 6
    faces = np.repeat(np.repeat(RNG.integers(0, 256, (12, 6, 6, 3), np.uint8), 8, axis=1), 8, axis=2)
    flows = RNG.normal(0, 0.2, (12, 48, 48, 2)).astype(np.float16)
    rows = pair_arrays(faces, flows, labels, np.arange(12), np.array([f"video{row}#0" for row in range(12)]))
    settings = TrainingSettings(
        epochs=3,
        steps=30,
        batch_size=12,
        optimizer="adamw",
        learning_rate=1e-2,
        ema=0.8,
        mixup=0.2,
        cutmix=1.0,
        label_smoothing=0.1,
        treatment="focal",
        schedule=ConstantSchedule(),
        choose="last",
    )

    def build() -> keras.Model:
        return build_model(ARMS["gap-sum"], ModelSettings(form="modern", width=4, views="mirror"), seed=1)

    def stop(epoch) -> None:
        if epoch.epoch == 1:
            raise Interrupted

    whole = fit(build, rows, rows, settings, RunCheckpoints(tmp_path / "whole"), 1)
    with pytest.raises(Interrupted):
        fit(build, rows, rows, settings, RunCheckpoints(tmp_path / "resumed"), 1, stop)
    resumed = fit(build, rows, rows, settings, RunCheckpoints(tmp_path / "resumed"), 1)
    assert [epoch.model_dump(exclude={"seconds"}) for epoch in resumed.history] == [
        epoch.model_dump(exclude={"seconds"}) for epoch in whole.history
    ]
    assert whole.history[-1].train_loss < whole.history[0].train_loss
    assert whole.history[-1].val_accuracy > 0.5
