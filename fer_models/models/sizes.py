"""How large an arm's model is, read off its graph: parameters, and what a training step keeps in memory of a segment.

Nothing is computed and no weight is drawn, so that many large models can be asked.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from fer_models.models.arms import Arm
from fer_models.models.building import build_model, freeze_layers, model_network
from fer_models.models.frames import FoldFrames, UnfoldFrames
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, TrainingSettings

#: Layers that give what came in under another shape, and take no memory for it.
_SHAPING = (FoldFrames, UnfoldFrames, layers.Flatten, layers.Identity, layers.Reshape)
#: Layers without weights whose gradient needs neither what came in nor what went out.
_FORGETFUL = (
    layers.Add,
    layers.Average,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.Concatenate,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.Permute,
    layers.Rescaling,
    layers.ZeroPadding2D,
)
#: Values that a step of a recurrent layer keeps for each of its states: gates before and after their activations.
_OF_A_STATE = 12


@dataclass(frozen=True)
class ModelSize:
    """How large a model is.

    Args:
        trained, fixed: parameters that are trained, and those that are not: frozen ones, and the statistics of batch
            normalisation.
        inputs: bytes a segment of what it is given.
        kept: bytes a segment that the forward pass of a training step leaves for the backward pass.
        largest: bytes a segment of the largest output of an operation.
        widest: the same of all operations together that stand side by side.
        num_operations: of its graph.
        num_features: what enters the layer of the logits.
        num_visible: what enters its belief network; 0 without one.
        takes_frames: whether it looks at all frames of a segment.
    """

    trained: int
    fixed: int
    inputs: int
    kept: int
    largest: int
    widest: int
    num_operations: int
    num_features: int
    num_visible: int
    takes_frames: bool

    @property
    def num_parameters(self) -> int:
        """All of them."""
        return self.trained + self.fixed


def size_of(
    arm: Arm,
    settings: ModelSettings,
    num_classes: int,
    shape: SegmentShape = SegmentShape(),
    training: TrainingSettings = TrainingSettings(),
) -> ModelSize:
    """The size of an arm's model for segments of a shape, which is built without values, as it is trained."""
    labels = [str(number) for number in range(num_classes)]

    def measure() -> ModelSize:
        with keras.StatelessScope(initialize_variables=False):
            model = build_model(
                arm, settings, labels, augmentation=training.augmentation, precision=training.precision, shape=shape
            )
            freeze_layers(model, training)
            return size_of_model(model)

    with ThreadPoolExecutor(1) as thread:  # Keras would give the weights values later in the thread that has made them
        return thread.submit(measure).result()


def size_of_model(model: keras.Model) -> ModelSize:
    """The size of a model, as its layers are frozen now."""
    network = model_network(model)
    graph = _Graph()
    graph.add(model)
    return ModelSize(
        trained=_num_values(model.trainable_weights),
        fixed=_num_values(model.non_trainable_weights),
        inputs=sum(map(_num_bytes, model.inputs)),
        kept=sum(graph.kept.values()),
        largest=graph.largest,
        widest=max(graph.of_depth, default=0),
        num_operations=graph.num_operations,
        num_features=_width_before(model, network.logits),
        num_visible=_width_before(model, network.belief[0]) if network.belief else 0,
        takes_frames=any(tensor.name == "face" and len(tensor.shape) == 5 for tensor in model.inputs),
    )


def _width_before(model: keras.Model, layer: str) -> int:
    """How long the vectors are that enter a layer; an ensemble has probabilities there."""
    return int(keras.tree.flatten(model.get_layer(layer).input)[0].shape[-1])


def _num_values(weights: Sequence[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


class _Graph:
    """What the gradients need of a graph, tensor by tensor, and how large outputs are; all in bytes a segment."""

    def __init__(self) -> None:
        self.kept: dict[int, int] = {}
        self.largest = 0
        self.of_depth: list[int] = []
        self.num_operations = 0
        self._rows: dict[int, int] = {}
        self._same: dict[int, int] = {}

    def add(self, model: Any, has_gradient: bool = False) -> None:
        """The operations of a functional model, whose inputs come of trained weights or do not."""
        with_gradient = {id(tensor) for tensor in model.inputs if has_gradient}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            self.of_depth.append(0)
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                comes = any(id(tensor) in with_gradient for tensor in node.input_tensors)
                keeps = comes or _is_trained(node.operation)
                if keeps:
                    with_gradient.update(map(id, node.outputs))
                self._count_rows(node)
                if isinstance(node.operation, keras.Model):
                    self._add_model(node, comes)
                else:
                    self._add_operation(node, keeps)

    def _count_rows(self, node: Any) -> None:
        """Of the outputs, where frames are laid into the batch: so many rows are of a segment."""
        rows = max(self._rows.get(id(tensor), 1) for tensor in node.input_tensors)
        if isinstance(node.operation, FoldFrames):
            rows *= node.input_tensors[0].shape[1]
        elif isinstance(node.operation, UnfoldFrames):
            rows //= node.operation.num_frames
        self._rows.update({id(tensor): rows for tensor in node.outputs})

    def _add_model(self, node: Any, has_gradient: bool) -> None:
        """A model within the model."""
        inner, rows = _Graph(), self._rows[id(node.outputs[0])]
        inner.add(node.operation, has_gradient)
        self.kept[id(node)] = rows * sum(inner.kept.values())
        self.largest = max(self.largest, rows * inner.largest)
        self.of_depth[-1] += rows * max(inner.of_depth, default=0)
        self.num_operations += inner.num_operations

    def _add_operation(self, node: Any, keeps: bool) -> None:
        """One operation, whose gradient is taken or is not."""
        layer, outputs = node.operation, sum(map(self._size, node.outputs))
        if isinstance(layer, _SHAPING):
            self._same[id(node.outputs[0])] = self._memory_of(node.input_tensors[0])
            return
        self.largest = max(self.largest, outputs)
        self.of_depth[-1] += outputs
        self.num_operations += node.input_tensors[0].shape[1] if isinstance(layer, layers.RNN) else 1
        if not keeps:
            return
        is_unknown = not (getattr(layer, "weights", None) or isinstance(layer, _FORGETFUL))
        if is_unknown or _is_trained(layer):
            self._keep(node.input_tensors)
        if is_unknown or getattr(layer, "activation", None) not in (None, keras.activations.linear):
            self._keep(node.outputs)
        if isinstance(layer, layers.RNN):
            steps = 1 if layer.return_sequences else node.input_tensors[0].shape[1]
            self.kept[id(node)] = _OF_A_STATE * steps * self._size(node.outputs[0])

    def _keep(self, tensors: Sequence[Any]) -> None:
        self.kept.update({self._memory_of(tensor): self._size(tensor) for tensor in tensors})

    def _memory_of(self, tensor: Any) -> int:
        """What lies in the same place has the same number."""
        return self._same.get(id(tensor), id(tensor))

    def _size(self, tensor: Any) -> int:
        return self._rows.get(id(tensor), 1) * _num_bytes(tensor)


def _is_trained(operation: Any) -> bool:
    return bool(getattr(operation, "trainable_weights", None))


def _num_bytes(tensor: Any) -> int:
    """Those of one row."""
    bits = 8 if tensor.dtype == "bool" else int("".join(filter(str.isdigit, tensor.dtype)))
    return math.prod(side or 1 for side in tensor.shape[1:]) * bits // 8
