"""Whatever takes the steps of an epoch, the model becomes the same."""

import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.segments import JoinedSegments, Mirrored, SegmentArrays, SegmentShape, SegmentSource
from fer_models.settings import AugmentationSettings, CosineSchedule, ModelSettings, TrainingSettings
from fer_models.training import compiled
from fer_models.training.blocks import Blocks, Step, ahead, bytes_of
from fer_models.training.engine import Engine, predict

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parent.parent
DEVICE_LIB = "tensorflow.python.client.device_lib"
SHAPE = SegmentShape(num_frames=3)
#: 1 MiB of frames is three steps of this size.
BATCH = 7
OF_FAMILIES = (
    "frame-stack-sum",
    "c3d",
    "lstm-fused",
    "convlstm-spatial",
    "vgg16-concatenate",
    "zhang2019-dbn",
    "spatial-only",
)
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
    engine: str, arm: str = "gap-sum", data: SegmentSource | None = None, form: str = "modern", **more: Any
) -> tuple[list[float], list[np.ndarray]]:
    """Losses of two epochs, and the weights after them."""
    keras.utils.set_random_seed(3)
    settings = TRAINING.model_copy(update={"engine": engine, **more})
    how = ModelSettings(form=form, width=4, head_units=8, dropout=0.1, backbone_width=0.0625)
    model = build_model(ARMS[arm], how, augmentation=settings.augmentation, shape=SHAPE, seed=3)
    rows = data or segments()
    taker = Engine(model, rows.labels, settings)
    losses = [taker.train_epoch(rows, 4, [None] * number).loss for number in range(2)]  # type: ignore[list-item]
    return losses, model.get_weights()


def assert_alike(one: tuple[list[float], list[np.ndarray]], other: tuple[list[float], list[np.ndarray]]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-4)
    assert abs(one[0][1] - one[0][0]) > 1e-2, "else nothing would be learned"
    for first, second in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


@pytest.fixture(scope="module")
def by_steps() -> tuple[list[float], list[np.ndarray]]:
    return train("steps")


@pytest.mark.parametrize(
    "engine", ["blocks", *(pytest.param(one, marks=pytest.mark.slow) for one in ("resident", "auto"))]
)
def test_an_engine_gives_what_single_steps_give(engine: str, by_steps: Any) -> None:
    """Dropout, augmentation, class weights, the schedule and the averages of weights included."""
    found = train(engine)
    assert_alike(found, by_steps)
    again = train(engine)
    assert again[0] == found[0], "to the last bit"
    for one, other in zip(found[1], again[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize("more", [{"mixup": 0.3, "cutmix": 0.5}, {"label_smoothing": 0.1, "steps": 9}], ids=str)
def test_what_is_drawn_outside_of_a_model_is_the_same(engine: str, more: dict[str, Any]) -> None:
    assert_alike(train(engine, form="corrected", **more), train("steps", form="corrected", **more))


@pytest.mark.slow
def test_joined_segments_are_held_too() -> None:
    data = JoinedSegments(segments(30), segments(22, seed=1))
    for engine in ("blocks", "resident"):
        assert_alike(train(engine, data=data), train("steps", data=data))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize("arm", OF_FAMILIES)
def test_every_family_is_trained(engine: str, arm: str) -> None:
    assert_alike(train(engine, arm), train("steps", arm))


def test_no_family_is_left_out() -> None:
    """What is solved for takes no steps, so that no engine matters to it."""
    assert {ARMS[arm].family for arm in OF_FAMILIES} == {arm.family for arm in ARMS.values() if not arm.is_solved}


@pytest.mark.parametrize("engine", ["blocks", "resident"])
@pytest.mark.parametrize("views", ["none", "mirror_and_shifts"])
def test_validation_is_predicted_as_segments_are(engine: str, views: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_models.training.engine.PREDICT_BATCH", 8)
    model = build_model(ARMS["gap-sum"], ModelSettings(form="modern", width=4, views=views), shape=SHAPE, seed=3)
    rows = segments(21)
    taker = Engine(model, rows.labels, TRAINING.model_copy(update={"engine": engine}))
    wanted = predict(model, rows, batch_size=8)
    np.testing.assert_allclose(taker.predict(rows), wanted, atol=1e-5)
    assert np.ptp(wanted, axis=0).max() > 1e-3


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX is looked at from there")
def test_engines_of_jax_are_alike() -> None:
    """Single steps, steps over blocks, and the loop that accelerators run."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def compare_on_jax() -> None:
    reference = train("steps", label_smoothing=0.1)
    assert_alike(train("blocks", label_smoothing=0.1), reference)
    on_jax = importlib.import_module("fer_models.training.on_jax")
    on_jax.Program.__init__ = partialmethod(on_jax.Program.__init__, loops=True)
    assert_alike(train("blocks", label_smoothing=0.1), reference)
    with pytest.MonkeyPatch.context() as patch:
        test_validation_is_predicted_as_segments_are("resident", "mirror_and_shifts", patch)


def test_a_device_is_asked_in_the_words_of_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.device_bytes() is None, "a CPU has none"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda *_: ["gpu:0"])
    gpu = SimpleNamespace(device_type="GPU", memory_limit=7, memory_stats=lambda: {"bytes_limit": 8})
    monkeypatch.setattr("jax.local_devices", lambda: [gpu])
    monkeypatch.setattr(importlib.import_module(DEVICE_LIB), "list_local_devices", lambda: [gpu])
    for backend, expected in (("jax", 8), ("tensorflow", 7), ("torch", None)):
        monkeypatch.setattr(keras.backend, "backend", lambda backend=backend: backend)
        assert compiled.device_bytes() == expected


@pytest.mark.parametrize(("device_bytes", "held"), [(None, 0), (2 * 10**6, 0), (10**8, 1)])
def test_what_fits_on_a_device_is_held_there(device_bytes: int | None, held: int) -> None:
    assert bytes_of(segments()) == 54 * 48 * 48 * 7
    made = Blocks(build_model(ARMS["gap-sum"], ModelSettings(width=2)), dict, "auto", 2**20, device_bytes)
    steps = [Step(np.arange(BATCH), 0.1, np.zeros(BATCH), np.ones(BATCH))]
    data = segments()
    for _ in range(2):
        list(made.of_steps(data, steps, 1))
    assert len(made._kept) == held


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


if __name__ == "__main__":
    compare_on_jax()
