"""Segments where a compiled training finds them: all of them on the device, or a block of steps after the other.

A block holds the frames of its steps and no others. While one is trained on, a thread reads the next; so a training
takes as much memory as two blocks, however much data there is. Which rows a step sees is decided before, and is the
same for every engine.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from fer_models.models.network import used_inputs
from fer_models.segments import PICTURES, FrameInputs, JoinedSegments, SegmentInputs
from fer_models.settings import EngineName, Views
from fer_models.training.views import list_views, view_in_graph

#: Of the memory of a device, what segments may take that stay there; the rest is for the model and its steps.
_SHARE_HELD = 0.4
_Item = TypeVar("_Item")
#: Turns arrays into those of the device.
Put = Callable[[dict[str, np.ndarray]], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """What a training step takes beside its pictures.

    Args:
        rows: int (b,), of the segments.
        rate: the learning rate.
        targets: labels int (b,), or their shares float32 (b, classes).
        weights: float32 (b,), how much each row counts.
        mixing: arrays (b, ..) as `fer_models.training.mixing` takes them, or none.
    """

    rows: np.ndarray
    rate: float
    targets: np.ndarray
    weights: np.ndarray
    mixing: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Held:
    """Segments on the device.

    Args:
        frames: by the names of inputs, (m, ..) each.
        windows: int32 (n, T), the frames of each segment.
        seen: bool (n, T), as of `FrameInputs`.
    """

    frames: dict[str, Any]
    windows: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Block:
    """Steps that one compiled call takes.

    Args:
        frames: as of `Held`.
        plan: by name what each step takes, (k, ..) each; more than `num_steps` where blocks are to be of one size.
    """

    frames: dict[str, Any]
    plan: dict[str, np.ndarray]
    num_steps: int


class Blocks:
    """Makes the blocks of a model's steps.

    Args:
        model: what is trained; of the segments that is held which it makes use of.
        put: see there.
        engine: as in the settings of a training; all segments are held for `resident`, and for `auto` where they take
            no more than a share of the device.
        block_bytes: what the pictures of a block take at most.
        device_bytes: what the device has; None without one, or where that is not known.
    """

    def __init__(
        self, model: keras.Model, put: Put, engine: EngineName, block_bytes: int, device_bytes: int | None
    ) -> None:
        self._inputs, self._used = model.inputs, used_inputs(model)
        self._put, self._block_bytes = put, block_bytes
        self._most_held = most_held(engine, device_bytes)
        self._kept: list[tuple[SegmentInputs, Held]] = []

    def of_steps(self, source: SegmentInputs, steps: Sequence[Step], most_steps: int) -> Iterator[Block]:
        """The blocks of some steps, which are of one size, in order.

        Args:
            most_steps: so many steps a call of this has at most; blocks of calls with the same value are of one size.
        """
        if bytes_of(source) <= self._most_held:
            yield self._block(self._all_of(source), np.stack([step.rows for step in steps]), steps, most_steps)
        else:
            yield from ahead(self._read(self._needed(source), steps, most_steps))

    def _read(self, source: SegmentInputs, steps: Sequence[Step], most_steps: int) -> Iterator[Block]:
        size, shape = len(steps[0].rows), source.shape
        at_once = min(most_steps, max(1, self._block_bytes // (size * shape.num_frames * shape.frame_bytes)))
        for start in range(0, len(steps), at_once):
            chosen = steps[start : start + at_once]
            rows = np.concatenate([step.rows for step in chosen])
            held = self._hold(source, rows, at_once * size * shape.num_frames)
            yield self._block(held, np.arange(len(rows)).reshape(-1, size), chosen, at_once)

    def _all_of(self, source: SegmentInputs) -> Held:
        for known, held in self._kept:
            if known is source:
                return held
        held = self._hold(self._needed(source), np.arange(len(source)))
        self._kept.append((source, held))
        return held

    def _needed(self, source: SegmentInputs) -> SegmentInputs:
        """The same segments without what the model makes no use of, where they can be had without."""
        if isinstance(source, JoinedSegments):
            return JoinedSegments(*(self._needed(one) for one in (source.first, source.second)))  # type: ignore[arg-type]
        if not isinstance(source, FrameInputs):
            return source
        if "optical_flow" not in self._used:
            source = replace(source, optical_flows=None)
        if not any(map(_has_time, self._used.values())):
            source = replace(source, windows=source.windows[:, :1], seen=source.seen[:, :1])
        return source

    def _hold(self, source: SegmentInputs, rows: np.ndarray, most_frames: int = 0) -> Held:
        """Put the segments of some rows on the device, with room for more where blocks are to be of one size."""
        if isinstance(source, FrameInputs):
            used, places = np.unique(source.windows[rows], return_inverse=True)
            frames = {"face": source.faces[used]}
            if source.optical_flows is not None:
                frames["optical_flow"] = source.optical_flows[used]
            seen = source.seen[rows]
        else:
            batch = source.batch(rows)
            seen = batch.pop("seen")
            places = np.arange(seen.size)
            frames = {name: values.reshape(-1, *values.shape[2:]) for name, values in batch.items()}
        frames = {name: padded(values, most_frames) for name, values in frames.items()}
        return Held(self._put(frames), places.reshape(seen.shape).astype(np.int32), seen)

    def _block(self, held: Held, positions: np.ndarray, steps: Sequence[Step], most_steps: int) -> Block:
        plan = {
            "windows": held.windows[positions],
            "seen": held.seen[positions],
            "targets": np.stack([step.targets for step in steps]),
            "weights": np.stack([step.weights for step in steps]),
            "rate": np.array([step.rate for step in steps], np.float32),
        }
        for number, values in enumerate(zip(*(step.mixing for step in steps), strict=True)):
            plan[f"mixing{number}"] = np.stack(values)
        return Block(held.frames, {name: padded(values, most_steps) for name, values in plan.items()}, len(steps))

    def inputs(self, frames: dict[str, Any], step: dict[str, Any]) -> list[Any]:
        """What the trainer takes in a step, made in a graph; `model_inputs` makes the same of a batch.

        Args:
            frames: of a block.
            step: one of the steps of its plan.
        """
        taken = []
        for tensor in self._inputs:
            if tensor.name == "seen":
                taken.append(step["seen"])
                continue
            if tensor.name not in frames:  # it makes no use of it
                taken.append(ops.zeros((len(step["weights"]), *tensor.shape[1:]), tensor.dtype))
                continue
            windows = step["windows"] if _has_time(tensor) else step["windows"][:, 0]
            taken.append(ops.cast(ops.take(frames[tensor.name], windows, axis=0), tensor.dtype))
        mixing = sorted(name for name in step if name.startswith("mixing"))
        return [*taken, *(step[name] for name in mixing)]

    def views(self, frames: dict[str, Any], step: dict[str, Any], views: Views) -> list[list[Any]]:
        """What the model takes of a step for each of its views; arguments as of `inputs`."""
        taken, names = self.inputs(frames, step), [tensor.name for tensor in self._inputs]
        side_px = next(tensor.shape[-2] for tensor in self._inputs if tensor.name in PICTURES)
        return [
            [view_in_graph(values, name, view) for values, name in zip(taken, names, strict=True)]
            for view in list_views(views, side_px)
        ]


def _has_time(tensor: Any) -> bool:
    """Whether an input is of all frames of a segment."""
    return tensor.name == "seen" or len(tensor.shape) == 5


def most_held(engine: EngineName, device_bytes: int | None) -> float:
    """Bytes of segments up to which all of them are held at once; arguments as of `Blocks`."""
    return {"resident": math.inf, "auto": _SHARE_HELD * (device_bytes or 0)}.get(engine, 0.0)


def bytes_of(source: SegmentInputs) -> int:
    """What the pictures of some segments take, those that segments share counted once."""
    if isinstance(source, FrameInputs):
        return len(np.unique(source.windows)) * source.shape.frame_bytes
    if isinstance(source, JoinedSegments):
        return bytes_of(source.first) + bytes_of(source.second)
    return len(source) * source.shape.num_frames * source.shape.frame_bytes


def padded(values: np.ndarray, length: int) -> np.ndarray:
    """The same with zeros behind it, (length, ..)."""
    missing = length - len(values)
    return values if missing <= 0 else np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items; while one is used, a thread makes the next."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
