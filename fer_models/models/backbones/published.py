"""What published networks for colour pictures have in common: a record of each, and how their layers are made.

They are defined here, after `keras.applications`, in any width, any precision and with seeded weights. Their layers
have Keras's names after a prefix, so that several may stand in one model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

#: Of the statistics of batch normalisation: little data must be enough to know them. Of published weights they stay.
_MOMENTUM = 0.9


class LayerMaker:
    """Makes the layers of a network: all named, of one precision, with weights from one kind of initializers.

    The initial weights of a layer follow from its own name, so that two streams of one network begin alike.

    Args:
        prefix: before the name of each layer.
        precision: Keras's name of their data type policy.
        initializers: makes the initializer of a layer's fresh weights from the layer's name.
    """

    def __init__(self, prefix: str, precision: str, initializers: Callable[[str], keras.Initializer]) -> None:
        self._prefix, self._precision, self._initializers = prefix, precision, initializers

    def _common(self, name: str) -> dict[str, Any]:
        return {"dtype": self._precision, "name": self._prefix + name}

    def convolution(self, x: Any, name: str, filters: int, side: int, **more: Any) -> Any:
        """A convolution that keeps the size of its input, unless `more` says otherwise."""
        common = {"padding": "same", "kernel_initializer": self._initializers(name), **self._common(name)}
        return layers.Conv2D(filters, side, **{**common, **more})(x)

    def depthwise(self, x: Any, name: str, side: int, **more: Any) -> Any:
        """A convolution of each channel by itself, without bias."""
        common = {"use_bias": False, "depthwise_initializer": self._initializers(name), **self._common(name)}
        return layers.DepthwiseConv2D(side, **common, **more)(x)

    def normalised(self, x: Any, name: str, epsilon: float) -> Any:
        """Batch normalisation."""
        return layers.BatchNormalization(momentum=_MOMENTUM, epsilon=epsilon, **self._common(name))(x)

    def activated(self, x: Any, name: str, function: str) -> Any:
        """An activation by Keras's name of it."""
        return layers.Activation(function, **self._common(name))(x)

    def padded(self, x: Any, name: str, before: int, after: int) -> Any:
        """Zeros around each map: rows above and columns to the left, rows below and columns to the right."""
        return layers.ZeroPadding2D(((before, after), (before, after)), **self._common(name))(x)

    def max_pooled(self, x: Any, name: str, side: int, stride: int) -> Any:
        """The largest value of each window."""
        return layers.MaxPooling2D(side, stride, **self._common(name))(x)

    def every_other(self, x: Any, name: str) -> Any:
        """Every second cell each way, for a convolution of 1x1 that steps so.

        TensorFlow 2.21 with oneDNN writes beyond its memory when it computes the gradient of such a step.
        """
        return layers.AveragePooling2D(1, 2, **self._common(name))(x)

    def mean(self, x: Any, name: str) -> Any:
        """The mean over each map, (batch, 1, 1, channels)."""
        return layers.GlobalAveragePooling2D(keepdims=True, **self._common(name))(x)

    def sum(self, both: list[Any], name: str) -> Any:
        """The sum of two maps."""
        return layers.Add(**self._common(name))(both)

    def product(self, both: list[Any], name: str) -> Any:
        """The product of two maps."""
        return layers.Multiply(**self._common(name))(both)


@dataclass(frozen=True)
class Published:
    """A published network without its head.

    Args:
        title: for readers.
        weights: name of its weights of ImageNet.
        least_px: pictures of a smaller side are enlarged to it: the smallest side whose last map has 2x2 cells.
        colours: what it takes, with published weights: `bgr`, values 0..255 with the channels turned round and their
            means over ImageNet taken away; `symmetric`, values in -1..1.
        features: lays it over pictures (batch, S, S, 3), with such a share of its filters; returns the last map.
        fields: of pictures of a side in px, by the layers that end its blocks, from the input on: the centre of the
            first cell's receptive field, the distance of such centres, px.
    """

    title: str
    weights: str
    least_px: int
    colours: Literal["bgr", "symmetric"]
    features: Callable[[Any, LayerMaker, float], Any]
    fields: Callable[[int], Mapping[str, tuple[float, float]]]


def filters_of(published: int, share: float) -> int:
    """So many filters as a share of the published number."""
    return max(1, round(published * share))
