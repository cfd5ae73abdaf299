"""Grad-CAM (Selvaraju et al. 2017) for every stream, on any Keras backend.

Keras has no backend-neutral gradient function, but it can train. A zero-initialised, trainable probe is added to the
feature map of each sample; one plain SGD step with rate 1 on the negative logit moves the probe by exactly the gradient
of the logit with respect to the feature map.

The maps of a stream whose feature map has frames have them too. A channel's weight is then the mean of its gradient
over time and space, so that one set of weights says what counts in all frames of a segment, and its frames can be
compared: they have one peak of 1 together. A frame that a model passes over has an empty map.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from fer_models.models.building import model_network
from fer_models.models.network import FeatureMap, feature_outputs, layer_output, model_inputs
from fer_models.segments import PICTURES, SegmentInputs, SegmentShape

#: The convolution that is looked at. The last one has 3x3 cells of which each sees most of the picture, so it cannot
#: say where; the third has 16x16.
DEFAULT_CONVOLUTION = 3


class _Probe(keras.layers.Layer):
    """Adds a trainable, initially zero array of the shape of one whole batch to its input."""

    def __init__(self, shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.probe = self.add_weight(shape=tuple(shape), initializer="zeros", name="probe")

    def call(self, feature_map: Any) -> Any:
        return ops.cast(feature_map, "float32") + self.probe


class _Probed(keras.Model):
    """A head whose feature maps are probed; it runs as in inference, dropout asleep, even while the probes are trained.

    What it takes beside the maps comes after them.
    """

    def __init__(self, head: keras.Model, shapes: Sequence[Sequence[int]]) -> None:
        super().__init__(name="probed")
        self.head = head
        self.probes = [_Probe(shape, name=f"probe{number}") for number, shape in enumerate(shapes)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        probed = [probe(x) for probe, x in zip(self.probes, inputs, strict=False)]
        return self.head([*probed, *inputs[len(probed) :]], training=False)


class GradCam:
    """Grad-CAM of one model, compiled once; it follows the model's weights when they change.

    Args:
        model: an arm as built by `fer_models.models.building.build_model`.
        batch_size: rows explained at once; any number may be asked for.
        convolution: number of the feature map to look at, from 1 at the input; of the two-stream models that of the
            convolution. A model with fewer maps is looked at in its last one.
    """

    def __init__(self, model: keras.Model, batch_size: int, convolution: int = DEFAULT_CONVOLUTION) -> None:
        network = model_network(model)
        self.model = model
        self.convolution = min([convolution, *map(len, network.feature_maps.values())])
        self._looked_at = {stream: maps[self.convolution - 1] for stream, maps in network.feature_maps.items()}
        self.streams = list(self._looked_at)
        maps = feature_outputs(model, list(self._looked_at.values()))
        self._batch_size = batch_size
        self._body = keras.Model(model.inputs, maps)
        # pictures come to the head by way of the maps; which frames are missing it must be told itself
        self._beside = [number for number, one in enumerate(model.inputs) if one.name not in PICTURES]
        beside = [model.inputs[number] for number in self._beside]
        self._head = keras.Model([*maps, *beside], layer_output(model, network.logits))
        self._probed = _Probed(self._head, [(batch_size, *one.shape[1:]) for one in maps])
        self._probed.compile(keras.optimizers.SGD(1.0), loss=lambda chosen, output: -ops.sum(chosen * output, axis=-1))

    def shapes(self, shape: SegmentShape) -> dict[str, tuple[int, ...]]:
        """Of a segment's map by stream: (S, S), or with frames (T, S, S)."""
        side = (shape.side_px, shape.side_px)
        return {
            stream: (shape.num_frames, *side) if len(one.shape) == 5 else side
            for stream, one in zip(self.streams, self._body.outputs, strict=True)
        }

    def maps(self, segments: SegmentInputs, rows: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        """As `gradcam`."""
        return {
            stream: _place(cells, self._looked_at[stream], segments.shape)
            for stream, cells in self.cells(segments, rows, classes).items()
        }

    def cells(self, segments: SegmentInputs, rows: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        """The maps on the feature maps' own grids: float32 (n, size, size), 16x16 for the third convolution.

        Those of a feature map with frames are (n, T', size, size).
        """
        parts = []
        for start in range(0, len(rows), self._batch_size):
            chosen = np.arange(start, start + self._batch_size) % len(rows)  # the last batch is filled up
            inputs = model_inputs(self.model, segments.batch(rows[chosen]))
            parts.append(self._batch_cells(inputs, classes[chosen]))
        return {
            stream: np.concatenate([part[number] for part in parts])[: len(classes)]
            for number, stream in enumerate(self.streams)
        }

    def _batch_cells(self, inputs: list[np.ndarray], classes: np.ndarray) -> list[np.ndarray]:
        values = self._body.predict_on_batch(inputs)
        values = [np.asarray(value, np.float32) for value in (values if isinstance(values, list) else [values])]
        gradients = self._logit_gradients([*values, *(inputs[number] for number in self._beside)], classes)
        return [_map(*pair) for pair in zip(values, gradients, strict=True)]

    def _logit_gradients(self, values: list[np.ndarray], classes: np.ndarray) -> list[np.ndarray]:
        for probe in self._probed.probes:
            probe.probe.assign(np.zeros(probe.probe.shape, np.float32))
        chosen = np.eye(self.model.output_shape[-1], dtype=np.float32)[classes]
        trainable = [(layer, layer.trainable) for layer in self._head.layers]
        self._head.trainable = False
        try:
            self._probed.train_on_batch(values, chosen)
        finally:
            for layer, was_trainable in trainable:  # the layers are the caller's
                layer.trainable = was_trainable
        # Keras averages the loss over the batch, hence the factor
        return [np.asarray(ops.convert_to_numpy(probe.probe)) * len(classes) for probe in self._probed.probes]


def gradcam(
    model: keras.Model,
    segments: SegmentInputs,
    rows: np.ndarray,
    classes: np.ndarray,
    convolution: int = DEFAULT_CONVOLUTION,
) -> dict[str, np.ndarray]:
    """Grad-CAM maps of a batch.

    Args:
        model: an arm as built by `fer_models.models.building.build_model`.
        rows: int (n,), the segments that are explained.
        classes: int (n,), the class whose logit is explained for each of them.
        convolution: as of `GradCam`.

    Returns:
        By stream (`spatial`, `temporal`, `frames`, those that the arm has): float32 (n, S, S) in 0..1, each cell of the
        feature map standing where its receptive field has its centre; the peak of each map is 1 unless the map is all
        zero. A feature map with frames gives a map a frame, (n, T, S, S), each of its cells standing in time too where
        its receptive field has its centre; the peak is that of all frames of a segment.
    """
    return GradCam(model, len(rows), convolution).maps(segments, rows, classes)


def _map(value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Feature maps (n, [T',] h, w, C) and gradients likewise -> (n, [T',] h, w) in 0..1."""
    weights = gradient.mean(axis=tuple(range(1, gradient.ndim - 1)), keepdims=True)
    if gradient.ndim == 5:  # the logit may not depend on a frame at all, such as a missing one
        value = value * gradient.any(axis=(2, 3, 4), keepdims=True)
    positive = np.maximum((value * weights).sum(axis=-1), 0.0)
    peak = positive.max(axis=tuple(range(1, positive.ndim)), keepdims=True)
    return (positive / np.where(peak > 0, peak, 1.0)).astype(np.float32)


def _place(maps: np.ndarray, looked_at: FeatureMap, shape: SegmentShape) -> np.ndarray:
    """Interpolate maps (n, [T',] h, w) linearly between the centres of their cells, over the picture and in time."""
    rows, columns = (_shares(looked_at.centres(size), shape.side_px) for size in maps.shape[-2:])
    placed = np.einsum("yi,...ij,xj->...yx", rows, maps, columns)
    if maps.ndim == 4:
        frames = _shares(looked_at.frame_centres(maps.shape[1]), shape.num_frames)
        placed = np.einsum("tk,nkyx->ntyx", frames, placed)
    return placed.astype(np.float32)


def _shares(centres: np.ndarray, size: int) -> np.ndarray:
    """How much each of some cells counts at the places 0, 1, .. of an axis: float32 (size, cells).

    Between two centres both count; before the first and behind the last that one counts alone, and so does a single
    cell everywhere.
    """
    cells = np.eye(len(centres), dtype=np.float32)
    return np.stack([np.interp(np.arange(size), centres, cell) for cell in cells], axis=1).astype(np.float32)
