"""What others must know of a model beside its numbers: a record that travels inside the saved model.

Training asks it for the logits, explanations for the layers to look at, a comparison of arms for what enters the head.
Whoever holds a model finds all of it here and needs no names of layers.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import keras
import numpy as np
from pydantic import field_serializer

from fer_models.segments import Batch, SegmentShape
from fer_models.settings import Settings, VideoClassifier, Views


class FeatureMap(Settings):
    """One feature map that an explanation can look at.

    Args:
        layer: whose output it is.
        first_px, step_px: centres of the receptive fields of its cells along each axis, px of the input.
        first_frame, step_frames: the same in time of a map (batch, T', H, W, C), which has frames; in frames.
    """

    layer: str
    first_px: float
    step_px: float
    first_frame: float = 0.0
    step_frames: float = 1.0

    def centres(self, size: int) -> np.ndarray:
        """Where its cells look, px of the input (size,)."""
        return self.first_px + self.step_px * np.arange(size)

    def frame_centres(self, size: int) -> np.ndarray:
        """When its cells look, in frames of the segment (size,)."""
        return self.first_frame + self.step_frames * np.arange(size)


class Network(Settings):
    """A model's structure.

    Args:
        family: of `fer_models.models.families`.
        shape: what a segment must hold for it.
        head: the first layer that all inputs have come together for.
        logits: the layer whose output the loss is of; a linear one, whose input are the model's features, but for an
            ensemble, which is not trained.
        feature_maps: by stream the maps that Grad-CAM can look at, from the input on.
        views: what a prediction is the mean of, as in `ModelSettings`.
        pretrained: layers whose weights others trained.
        taken: layers that began with `training.initial_weights`, where `training.freeze` holds them.
        belief: sigmoid layers, from the input on, that are trained as a deep belief network before all are trained.
        video_classifier: as in `ModelSettings`.
    """

    family: str
    shape: SegmentShape
    head: str
    logits: str
    feature_maps: dict[str, tuple[FeatureMap, ...]]
    views: Views = "none"
    pretrained: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    belief: tuple[str, ...] = ()
    video_classifier: VideoClassifier = "mean_probability"

    @property
    def classifies_videos(self) -> bool:
        """Whether the logits are those of a machine that learnt from videos, once the model is trained."""
        return self.video_classifier == "linear_svm"

    @property
    def pooling(self) -> Literal["mean", "logit_mean"]:
        """How the probabilities of a video's segments become its own, as in `fer_models.statistics.metrics`."""
        return "logit_mean" if self.classifies_videos else "mean"

    @field_serializer("shape")
    def _plain(self, shape: SegmentShape) -> dict[str, Any]:
        return asdict(shape)


def model_inputs(model: keras.Model, batch: Batch) -> list[np.ndarray]:
    """A batch as a model takes it: its inputs in order, optical flow as float32, the first frame for single frames.

    This is the one place where segments become the input of a model.
    """
    return [_as_input(batch[tensor.name], len(tensor.shape)) for tensor in model.inputs]


def _as_input(values: np.ndarray, rank: int) -> np.ndarray:
    frames = values[:, 0] if rank < values.ndim else values
    return frames.astype(np.float32) if frames.dtype == np.float16 else frames


def used_inputs(model: keras.Model) -> dict[str, Any]:
    """The inputs that a model's output depends on, by name; a model may take others and make no use of them."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting = list(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, number, _ = tensor._keras_history
        node = operation._inbound_nodes[number]
        if node.is_input:
            found[tensor.name] = tensor
        elif isinstance(operation, keras.Model):  # a member of an ensemble
            used = used_inputs(operation)
            inner = zip(operation.inputs, node.input_tensors, strict=True)
            waiting += [outer for one, outer in inner if one.name in used]
        else:
            waiting += node.input_tensors
    return found


def layer_output(model: keras.Model, name: str) -> Any:
    """The output of a layer."""
    return model.get_layer(name).output


def feature_outputs(model: keras.Model, maps: Sequence[FeatureMap]) -> list[Any]:
    """The outputs of the layers of some feature maps."""
    return [layer_output(model, one.layer) for one in maps]
