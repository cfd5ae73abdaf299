"""Whatever takes the steps of an epoch, the model becomes the same."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import JoinedSegments, Mirrored, SegmentArrays, SegmentShape, SegmentSource
from fer_models.settings import AugmentationSettings, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.training.blocks import Blocks, Step, ahead
from fer_models.training.engine import Engine

pytestmark = pytest.mark.trains

SHAPE = SegmentShape(num_frames=3)
#: 1 MiB of frames is three steps of this size.
BATCH = 7
TRAINING = TrainingSettings(
    epochs=2,
    batch_size=BATCH,
    learning_rate=1e-3,
    block_mb=1,
    schedule=CosineSchedule(),
    optimizer="adamw",
    ema=0.9,
    treatment="class_weights",
    augmentation=AugmentationSettings(rotation_deg=5, brightness=0.1),
)


def segments(num: int = 52, seed: int = 0) -> SegmentArrays:
    """Noise in overlapping windows of three frames."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 256, (num + 2, 48, 48, 3), np.uint8)
    flows = rng.normal(0, 0.2, (num + 2, 48, 48, 2)).astype(np.float16)
    windows = np.arange(num)[:, None] + np.arange(3)
    labels, videos = rng.integers(0, 6, num), np.arange(num) // 4
    names = np.array([f"video{row // 4}#{row % 4}" for row in range(num)])
    return SegmentArrays(faces, flows, windows, rng.random((num, 3)) < 0.8, labels, videos, names)


def train(
    engine: str, arm: str = "gap-sum", data: SegmentSource | None = None, form: str = "corrected", **more: Any
) -> tuple[list[float], list[np.ndarray]]:
    """Losses of two epochs, and the weights after them."""
    keras.utils.set_random_seed(3)
    settings = TRAINING.model_copy(update={"engine": engine, **more})
    how = ModelSettings(form=form, width=2, head_units=4, dropout=0.1, backbone_width=0.0625)
    model = build_model(ARMS[arm], how, augmentation=settings.augmentation, shape=SHAPE, seed=3)
    rows = data or segments()
    taker = Engine(model, rows.labels, settings)
    losses = [taker.train_epoch(rows, 4, [None] * number).loss for number in range(2)]  # type: ignore[list-item]
    return losses, model.get_weights()


def assert_alike(one: tuple[list[float], list[np.ndarray]], other: tuple[list[float], list[np.ndarray]]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-4)
    for first, second in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


@pytest.fixture(scope="module")
def by_steps() -> tuple[list[float], list[np.ndarray]]:
    return train("steps")


@pytest.mark.parametrize("engine", ["blocks", "resident", "auto"])
def test_an_engine_gives_what_single_steps_give(engine: str, by_steps: Any) -> None:
    """Dropout, augmentation, class weights, the schedule and the averages of weights included."""
    found = train(engine)
    assert_alike(found, by_steps)
    again = train(engine)
    assert again[0] == found[0], "to the last bit"
    for one, other in zip(found[1], again[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize("more", [{"mixup": 0.3, "cutmix": 0.5}, {"label_smoothing": 0.1, "steps": 9}], ids=str)
def test_what_is_drawn_outside_of_a_model_is_the_same(engine: str, more: dict[str, Any]) -> None:
    assert_alike(train(engine, **more), train("steps", **more))


def test_joined_segments_are_held_too() -> None:
    data = JoinedSegments(segments(30), segments(22, seed=1))
    for engine in ("blocks", "resident"):
        assert_alike(train(engine, data=data), train("steps", data=data))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize(
    "arm",
    ["frame-stack-sum", "c3d", "lstm-fused", "convlstm-spatial", "vgg16-concatenate", "zhang2019-dbn", "spatial-only"],
)
def test_every_family_is_trained(engine: str, arm: str) -> None:
    assert_alike(train(engine, arm), train("steps", arm))


@pytest.mark.slow
def test_engines_are_alike_over_seeds() -> None:
    """When differences of the last bit have grown, the mean over seeds is still the same."""


def blocks(
    data: Any, steps: list[Step], block_bytes: int, arm: str = "gap-sum", engine: str = "blocks"
) -> Iterator[Any]:
    model = build_model(ARMS[arm], ModelSettings(width=2, head_units=4), shape=SHAPE)
    made = Blocks(model, lambda frames: frames, engine, block_bytes, None)
    for block in made.of_steps(data, steps, len(steps)):
        for number in range(block.num_steps):
            own = {name: values[number] for name, values in block.plan.items()}
            yield block, [np.asarray(one) for one in made.inputs(block.frames, own)]


@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize("joined", [False, True])
def test_a_block_holds_what_its_steps_see(engine: str, joined: bool) -> None:
    data: Any = Mirrored(segments()) if joined else segments()
    rows = [np.random.default_rng(n).permutation(len(data))[:BATCH] for n in range(8)]
    steps = [Step(one, 0.1, np.zeros(BATCH, int), np.ones(BATCH)) for one in rows]
    found = list(blocks(data, steps, 2**20, "lstm-fused", engine))
    assert len(found) == 8
    for own, (_, (face, flow, seen)) in zip(rows, found, strict=True):
        wanted = data.batch(own)
        np.testing.assert_array_equal(face, wanted["face"])
        np.testing.assert_array_equal(flow, wanted["optical_flow"].astype(np.float32))
        np.testing.assert_array_equal(seen, wanted["seen"])
    sizes = {len(block.frames["face"]) for block, _ in found}
    assert len(sizes) == 1, "of one size, so that a loop is compiled once"
    num_blocks = len({id(block) for block, _ in found})
    assert num_blocks == (1 if engine == "resident" else 3)
    if engine == "blocks":
        assert sizes.pop() * SHAPE.side_px**2 * 7 <= 2**20


def test_of_segments_that_is_held_which_the_model_makes_use_of() -> None:
    steps = [Step(np.arange(BATCH), 0.1, np.zeros(BATCH, int), np.ones(BATCH))]
    ((block, (face, flow)),) = blocks(segments(), steps, 2**20, "spatial-only")
    assert set(block.frames) == {"face"}
    assert len(block.frames["face"]) == BATCH
    np.testing.assert_array_equal(face, segments().batch(np.arange(BATCH))["face"][:, 0])
    assert not flow.any()


def test_the_next_is_made_while_one_is_used() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            yield number

    assert list(itertools.islice(ahead(items()), 4)) == [0, 1, 2, 3]
    assert made == [0, 1, 2, 3]

    def failing() -> Iterator[int]:
        yield 1
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        list(ahead(failing()))
