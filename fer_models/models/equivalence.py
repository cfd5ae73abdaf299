"""Finds, before anything is trained, the arms of a study that are one function under two names.

Two arms get the same random weights and see the same random segments. Equal logits: the same function, so whatever
differs between their results is chance. Else, when what enters the first dense layer of one is a constant multiple of
what enters the other's, and the logits agree once its kernel is divided by that constant: the same family of functions,
begun from another initial scale. Nothing is concluded from an arm's name or settings.

The question is one of form, so the models are built at a small width, which is quick and gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import keras
import numpy as np

from fer_models.models.arms import Arm
from fer_models.models.building import build_model, model_network
from fer_models.models.network import layer_output, model_inputs
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.settings import ModelSettings

_SMALL = {"width": 4, "head_units": 16, "backbone_width": 1 / 16, "backbone_weights": "none", "unfreeze_from": "none"}
_NUM_DRAWS = 3
_NUM_SEGMENTS = 8
#: What the segments hold; an arm of single frames sees the first.
_SHAPE = SegmentShape(num_frames=4)
#: Ends of the paths of weights that are drawn about 1: what batch normalisation multiplies and divides by.
_ABOUT_ONE = ("gamma", "moving_variance")
#: The difference that is put down to float32, as a share of the largest value.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Equivalence:
    """Two arms that differ by nothing but their name, or but by a scale.

    Args:
        kind: `scaled` is the same function up to a factor in front of the first dense layer.
        factor: what enters the first dense layer of `second`, over what enters that of `first`.
    """

    first: str
    second: str
    kind: Literal["same function", "scaled"]
    factor: float = 1.0


@dataclass(frozen=True)
class EquivalentGroups:
    """A row for readers: arms, other arms, and what they are to each other."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    factor: float

    @property
    def relation(self) -> str:
        """In words."""
        if self.factor == 1.0:
            return "the same function"
        return f"the same but for a factor {self.factor:g} before the first dense layer"


def find_equivalences(arms: Sequence[Arm], settings: ModelSettings) -> tuple[Equivalence, ...]:
    """All such pairs, in the order of `arms`.

    Arms are compared when they are of one family, of the same width, with weights of the same shapes. The weights are
    drawn at random, biases too: without biases a factor anywhere in the model would look like one before the head.
    """
    arms = [arm for arm in arms if _can_have_a_twin(arm, arms)]
    small = settings.model_copy(update=_SMALL)
    probes = {arm.name: _probe(_of_any_width(arm), small) for arm in arms}
    seen = {name: _look(probe) for name, probe in probes.items()}
    found = []
    for one, other in combinations(arms, 2):
        first, second = one.name, other.name
        alike = one.family == other.family and _width(one, settings) == _width(other, settings)
        if not (alike and _shapes(probes[first]) == _shapes(probes[second])):
            continue
        (vectors, logits), (other_vectors, other_logits) = seen[first], seen[second]
        if _close(logits, other_logits):
            found.append(Equivalence(first, second, "same function"))
        elif (factor := _factor(vectors, other_vectors)) and _close(logits, _look(probes[second], 1.0 / factor)[1]):
            found.append(Equivalence(first, second, "scaled", round(factor, 4)))
    return tuple(found)


def grouped(equivalences: Sequence[Equivalence]) -> list[EquivalentGroups]:
    """Every pair of the same function; then each rescaling once, for all arms of one function together."""
    same = [pair for pair in equivalences if pair.kind == "same function"]
    repeated = {pair.second for pair in same}

    def all_like(name: str) -> tuple[str, ...]:
        return (name, *(pair.second for pair in same if pair.first == name))

    return [EquivalentGroups((pair.first,), (pair.second,), 1.0) for pair in same] + [
        EquivalentGroups(all_like(pair.first), all_like(pair.second), pair.factor)
        for pair in equivalences
        if pair.kind == "scaled" and not {pair.first, pair.second} & repeated
    ]


def describe(equivalences: Sequence[Equivalence]) -> str:
    """The same in sentences, for a report."""
    if not equivalences:
        return "No two arms are the same function, nor the same up to a factor before the first dense layer."
    sentences = []
    for row in grouped(equivalences):
        first, second = " and ".join(row.first), " and ".join(row.second)
        if row.factor == 1.0:
            sentences.append(f"{first} and {second} are the same function: what differs between them is chance.")
        else:
            sentences.append(
                f"What enters the first dense layer of {second} is {row.factor:g} times what enters that of {first}: "
                "the same family of functions, begun from another initial scale."
            )
    return " ".join(sentences)


def _can_have_a_twin(arm: Arm, arms: Sequence[Arm]) -> bool:
    """Whether another arm is of its family. Ensembles are what their members are, so they are not looked at."""
    alike = [other for other in arms if other.family == arm.family and not other.num_members]
    return not arm.num_members and len(alike) > 1


def _width(arm: Arm, settings: ModelSettings) -> int:
    return int(arm.options.get("width") or settings.width)


def _of_any_width(arm: Arm) -> Arm:
    return replace(arm, options={name: value for name, value in arm.options.items() if name != "width"})


@dataclass(frozen=True)
class _Probe:
    """An arm's model that gives what enters the head, and the logits; and the name of the head."""

    model: keras.Model
    head: str


def _probe(arm: Arm, settings: ModelSettings) -> _Probe:
    model = build_model(arm, settings, shape=_SHAPE)
    network = model_network(model)
    outputs = [model.get_layer(network.head).input, layer_output(model, network.logits)]
    return _Probe(keras.Model(model.inputs, outputs), network.head)


def _weights(probe: _Probe) -> list[keras.Variable]:
    """In an order that does not depend on that of the layers."""
    return sorted(probe.model.weights, key=lambda weight: weight.path)


def _shapes(probe: _Probe) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in _weights(probe)]


def _look(probe: _Probe, head_scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(vectors, logits) of all draws, whose weights and segments depend on shapes and the draw's number alone."""
    outputs = []
    for draw in range(_NUM_DRAWS):
        rng = np.random.default_rng(draw)
        segments = _random_segments(rng)
        for weight in _weights(probe):
            fan_in = np.prod(weight.shape[:-1])
            scale = np.sqrt(2.0 / fan_in) if len(weight.shape) > 1 else 0.1  # He et al. 2015: the signal keeps its size
            scale *= head_scale if weight.path.endswith(f"{probe.head}/kernel") else 1.0
            centre = 1.0 if weight.path.endswith(_ABOUT_ONE) else 0.0
            values = rng.normal(0, 1, weight.shape).astype(np.float32) * np.float32(scale)
            weight.assign(values + np.float32(centre))
        inputs = model_inputs(probe.model, segments.batch(np.arange(_NUM_SEGMENTS)))
        outputs.append([keras.ops.convert_to_numpy(output) for output in probe.model(inputs)])
    vectors, logits = zip(*outputs, strict=True)
    return np.concatenate(vectors), np.concatenate(logits)


def _random_segments(rng: np.random.Generator) -> FrameInputs:
    windows = np.arange(_NUM_SEGMENTS)[:, None] + np.arange(_SHAPE.num_frames)
    pictures = (windows.max() + 1, _SHAPE.side_px, _SHAPE.side_px)
    faces = rng.integers(0, 256, (*pictures, 3), np.uint8)
    optical_flows = rng.normal(0, 0.2, (*pictures, 2)).astype(np.float32)
    return FrameInputs(faces, optical_flows, windows, np.ones(windows.shape, bool))


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= _TOLERANCE * np.abs(one).max())


def _factor(one: np.ndarray, other: np.ndarray) -> float | None:
    """The constant that `other` is a multiple of `one` by, if there is one (least squares, then checked)."""
    if one.shape != other.shape or not one.any():
        return None
    factor = float((one * other).sum() / (one * one).sum())
    return factor if factor and _close(factor * one, other) else None
